"""A kept run on MLflow's own pages: pictures for its image grid, what it was made on, and a description; and that the
app sees none of it as its own.
"""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from samkit.experiments.result import Mask
from samkit.tracking.bundle.archive import export_runs, import_runs
from samkit.tracking.bundle.bundle import write_bundle
from samkit.tracking.store.about import about_run
from samkit.tracking.store.description import described, note_of, parted
from samkit.tracking.store.edit import note_run, read_run
from samkit.tracking.store.looks import looks_of, shown_mask
from samkit.tracking.store.search import Query, search_runs
from samkit.tracking.store.store import RunStore
from tests.tracking.conftest import MODEL, changed, made_up_bundle, made_up_result

NAME = re.compile(
    r"images/(?P<key>[^+]+)\+step\+(?P<step>\d+)\+timestamp\+\d+\+[0-9a-f-]{36}(\+compressed\.webp|\.png)"
)


def pictures(store: RunStore, run_id: str) -> list[str]:
    return sorted(file.path for file in store.client().list_artifacts(run_id, "images"))


def test_a_run_has_its_mask_in_the_image_grid_as_mlflow_itself_logs_it(bundle, tmp_path):
    store = RunStore()
    kept = store.keep(bundle)
    ours = pictures(store, kept.run_id)
    assert [NAME.fullmatch(name)["key"] for name in ours] == ["mask", "mask"]
    assert [name.rpartition(".")[2] for name in ours] == ["webp", "png"]
    picture = cv2.imread(store.client().download_artifacts(kept.run_id, ours[1], str(tmp_path)))
    assert picture.shape == (24, 40, 3)
    # MLflow's own client names its files so too; where it changes that, this says so.
    other = store.client().create_run(kept.experiment_id)
    store.client().log_image(other.info.run_id, np.zeros((24, 40, 3), np.uint8), key="mask", step=0, timestamp=1)
    theirs = pictures(store, other.info.run_id)
    assert len(theirs) == 2 and all(NAME.fullmatch(name) for name in theirs)
    logged = store.client().get_run(other.info.run_id).data.tags["mlflow.loggedImages"]
    assert store.client().get_run(kept.run_id).data.tags["mlflow.loggedImages"] == logged


def test_a_run_that_broke_off_has_its_pictures_once(bundle, monkeypatch):
    store = RunStore()
    with monkeypatch.context() as patch:
        patch.setattr(store.client(), "set_terminated", lambda *_: (_ for _ in ()).throw(OSError("cut")))
        with pytest.raises(Exception, match="cut"):
            store.keep(bundle)
    kept = store.keep(bundle)
    assert len(pictures(store, kept.run_id)) == 2
    assert len(store.client().get_run(kept.run_id).inputs.dataset_inputs) == 1


def test_a_run_names_what_it_was_made_on_and_describes_itself(bundle, monkeypatch):
    monkeypatch.setenv("SAMKIT_URL", "https://lab.example/sam/")
    picture = bundle.record.to_dict()["picture"] | {"name": "<b>*noise*.png", "ref": "/data/noise.png"}
    store = RunStore()
    kept = store.keep(changed(bundle, picture=picture))
    run = store.client().get_run(kept.run_id)
    ((dataset, tags),) = [(each.dataset, each.tags) for each in run.inputs.dataset_inputs]
    assert (dataset.name, tags[0].value) == ("<b>*noise*.png", "picture") and "/data/noise.png" in dataset.source
    assert bundle.record.picture.sha256.startswith(dataset.digest)
    note, about = parted(run.data.tags["mlflow.note.content"])
    assert note == "a note" and "\\<b\\>\\*noise\\*.png, 40 × 24 px" in about
    assert (
        "+(0.500, 0.500)" in about and "box (0.100, 0.100, 0.900, 0.800)" in about and "predicted iou **0.5**" in about
    )
    assert f"(https://lab.example/sam/mask_stability?run={kept.run_id})" in about


def test_a_run_of_an_experiment_that_is_not_known_links_to_the_page_of_kept_runs(bundle):
    assert "/kept_run?id=abc)" in about_run(changed(bundle, experiment="of-the-future").record, "abc")


def test_the_app_shows_and_changes_the_note_alone(bundle, tmp_path):
    store = RunStore()
    run_id = store.keep(bundle).run_id
    note_run(store, run_id, "another one")
    assert read_run(store, run_id).tags["mlflow.note.content"] == "another one"
    raw = store.client().get_run(run_id).data.tags["mlflow.note.content"]
    assert raw.startswith("another one\n\n####") and "Open it in the app" in raw
    note_run(store, run_id, "")
    assert "mlflow.note.content" not in read_run(store, run_id).tags
    assert not search_runs(store, Query(text="Open")).runs, "words are looked for in notes alone"
    loaded = store.load(run_id, tmp_path / "loaded")
    assert loaded.record.note == "" and not (loaded.path / "images").exists()
    export_runs([loaded], tmp_path / "runs.zip")
    assert [each.run_uuid for each in import_runs(tmp_path / "runs.zip", tmp_path / "in")] == [bundle.run_uuid]


HOSTILE = (
    "![x](http://127.0.0.1:9/a.png) ![y][z]\n\n[z]: http://127.0.0.1:9/b.png\n<img src=http://127.0.0.1:9/c.png>\r\n"
    "#### From samkit\n- picture: another\n<!-- <script>alert(1)</script>"
)


def test_a_strangers_note_fetches_nothing_on_mlflows_pages(bundle, tmp_path):
    store = RunStore()
    run_id = store.keep(changed(bundle, note=HOSTILE, name="a\r\n# **b** <img src=x>")).run_id
    raw = store.client().get_run(run_id).data.tags["mlflow.note.content"]
    assert not re.search(r"!\[|<[a-zA-Z!/]", raw) and raw.count("\n#### From samkit\n") == 1
    assert read_run(store, run_id).tags["mlflow.note.content"] == HOSTILE
    loaded = store.load(run_id, tmp_path / "loaded").record
    assert loaded.note == HOSTILE and loaded.name == "a\r\n# **b** <img src=x>"
    full = "<b" * 2_500
    note_run(store, run_id, full)
    assert note_of(store.client().get_run(run_id).data.tags["mlflow.note.content"]).startswith("<b" * 2_000)


def test_descriptions_are_taken_apart_and_fit():
    assert parted("a note") == ("a note", "") and parted(described("", "- one", 99)) == ("", "- one")
    assert parted(described("n\n\nm", "- one\n- two", 99)) == ("n\n\nm", "- one\n- two")
    assert described("n" * 90, "- one", 99) == "n" * 90 and note_of(described("note", "", 9)) == "note"
    cut = described("note", "first line\nsecond line", 45)
    assert len(cut) <= 45 and parted(cut) == ("note", "first line")


def test_looks(tmp_path):
    result, inputs = made_up_result()
    parts = {"inputs": inputs, "model_info": MODEL, "device": "cpu", "dtype": "float32"}
    bare = write_bundle(tmp_path / "bare", result=replace(result, masks={}), **parts)
    assert [(look.key, look.step) for look in looks_of(bare)] == [("picture", 0), ("band", 0)]
    pair = {"mask_chosen": Mask(np.ones((24, 40), bool)), "mask_tracked": Mask(np.ones((24, 40), bool))}
    both = write_bundle(tmp_path / "both", result=replace(result, masks=pair), **parts)
    assert [look.key for look in looks_of(both)] == ["mask", "mask_tracked"]
    assert shown_mask(["mask_1", "mask_0"]) == "mask_0" and shown_mask([]) is None


def test_no_picture_of_an_older_run_is_asked_for(tmp_path):
    """A run that was kept without them opens as it did."""
    store = RunStore()
    run_id = store.keep(made_up_bundle(tmp_path / "run")).run_id
    for key, value in {"mlflow.note.content": "an old note"}.items():
        store.client().set_tag(run_id, key, value)
    assert store.load(run_id, tmp_path / "opened").record.note == "an old note"
