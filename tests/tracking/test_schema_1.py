"""Runs of schema 1 are read for good: every way in takes them, and they say what the code that wrote them meant."""

import json
from dataclasses import replace

import numpy as np
import pytest

from samkit.errors import BadInput
from samkit.experiments.registry import NAMES
from samkit.tracking.bundle import schema_1
from samkit.tracking.bundle.archive import export_runs, import_runs
from samkit.tracking.bundle.bundle import read_bundle
from samkit.tracking.bundle.older import metric_names, params_of_today
from samkit.tracking.bundle.record import parse_record, read_json
from samkit.tracking.compare import Comparison, Shown
from samkit.tracking.store.keep import keep_imported, keep_run
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore
from samkit.tracking.store.tags import FACT, KEY_FIGURES, THUMBNAIL, thumbnail_of
from samkit.ui.runs.compare_report import report_html
from tests.tracking.schema_1 import FILES, old_run
from tools.running_app import free_port

YOUNGER = {"fine-tuning"}
"""Experiments that no run of schema 1 is of."""
ALL = pytest.mark.parametrize("name", FILES)


@pytest.fixture(params=FILES)
def old(request, tmp_path):
    return old_run(request.param, tmp_path)


def document(bundle) -> dict:
    """run.json as it was written."""
    return read_json(bundle.path / "run.json", 2**22)


def test_there_is_one_of_each_experiment_and_of_each_kind_of_input(tmp_path):
    records = [old_run(name, tmp_path).record for name in FILES]
    assert {record.experiment for record in records} == set(NAMES) - YOUNGER
    assert {record.schema_number for record in records} == {1}
    places = {record.video.place.partition(":")[0].partition("/")[0] for record in records if record.video}
    assert places == {"inputs", "sample", ""}, "films in the run, made here, and elsewhere on the disk"
    assert any(record.picture is None for record in records) and any(record.picture_b for record in records)
    assert any("inputs/bank.safetensors" in record.files for record in records)


def test_a_record_says_what_the_document_says(old):
    record, written = old.record, document(old)
    for name in ("run_uuid", "created", "samkit", "experiment", "name", "note", "device", "dtype", "timings"):
        assert getattr(record, name) == written[name]
    for name in ("threads", "git_commit", "platform", "python", "torch", "numpy", "opencv", "scikit_image"):
        assert getattr(record, name) == written[name]
    assert record.params == params_of_today(record.experiment, written["params"])
    for name in ("model", "picture", "picture_b", "video"):
        entry = getattr(record, name)
        assert (entry.model_dump(exclude={"ref"}, exclude_defaults=True) if entry else None) == written.get(name)
    assert record.prompts.to_dict() == written["prompts"] and list(record.masks) == written["masks"]
    names = metric_names(record.experiment, written["params"], written["metrics"])
    measured = {names.get(name, name): value for name, value in written["metrics"].items()}
    assert {name: metric.value for name, metric in record.metrics.items()} | record.facts == measured
    assert all(type(value) is int for value in record.facts.values())
    assert record.to_dict() == written


def test_metrics_and_facts_are_told_apart(tmp_path):
    facts = {name: set(old_run(name, tmp_path).record.facts) for name in FILES}
    assert facts["mask-stability-figures"] == {"mask_index"}
    assert facts["window-size-sweep"] == {"mask_index", "window_1", "window_2", "window_3", "window_4"}
    assert facts["position-encoding"] == {"height", "width", "channels", "row", "column"}
    assert facts["block-norms"] == {"blocks", "max_norm_block", "similarity_grid_h", "similarity_grid_w"}
    assert facts["cross-image-on-a"] == facts["cross-image-on-b"] == {"mask_index", "tracked_index"}
    assert facts["semantic-similarity-pair"] == {"mask_index", "tokens"}
    assert facts["video-priors-bank"] == {"frames"}


@pytest.mark.parametrize(
    ("better", "names"),
    [
        (
            "higher",
            "predicted_iou predicted_iou_3 prompted_predicted_iou stability_score_0 object_score prompted_object_score "
            "jitter_iou jitter_pairwise_iou threshold_iou iou_unscaled iou_default iou_default_2 refine_iou repeat_iou "
            "point_box_iou jitter_found present_share mean_predicted_iou mean_object_score",
        ),
        ("lower", "drift bfloat16_error bfloat16_max encode_ms"),
        (
            None,
            "area_px area_share prompted_area_share mean_area_share max_norm outliers mean_norm component_1 frequency "
            "mean_frequency regions objects largest_similarity mean_similarity similar_share last_max_over_median",
        ),
    ],
)
def test_better_follows_from_the_name(better, names):
    assert {name: schema_1.better_of(name) for name in names.split()} == dict.fromkeys(names.split(), better)


def test_key_figures_are_two_to_four_metrics(old):
    figures = [name for name, metric in old.record.metrics.items() if metric.key]
    assert 2 <= len(figures) <= 4


def test_masks_lie_where_they_lay(tmp_path):
    def grounds(name: str) -> dict[str, set[str]]:
        masks = old_run(name, tmp_path).record.masks
        return {on: {mask for mask in masks if masks[mask].on == on} for on in {mask.on for mask in masks.values()}}

    assert grounds("mask-stability-figures").keys() == grounds("window-size-sweep").keys() == {"image"}
    for name, prompted, tracked in (("cross-image-on-a", "image", "image_b"), ("cross-image-on-b", "image_b", "image")):
        lie = grounds(name)
        assert all("prompted" in mask for mask in lie[prompted]) and all("tracked" in mask for mask in lie[tracked])
    assert grounds("semantic-similarity-pair")["image_b"] == {"mask_similar", "mask_objects"}
    assert grounds("semantic-similarity-same").keys() == {"image"}
    priors = old_run("video-priors-kept-film", tmp_path / "again").record.masks
    assert {name: (mask.on, mask.index) for name, mask in priors.items()} == {
        "mask_prior_0": ("prior", 0),
        "mask_prior_1": ("prior", 1),
    }


@pytest.mark.parametrize("mask", ["mask_of_another_kind", "mask_prior_x", f"mask_prior_{'9' * 900}"])
def test_masks_that_are_not_known_lie_on_the_first_picture(tmp_path, mask):
    for name in FILES:
        old = document(old_run(name, tmp_path))
        files = old["files"] | {f"outputs/{mask}.png": {"sha256": "0" * 64, "bytes": 1}}
        record = parse_record(old | {"masks": [mask], "files": files})
        assert [(each.on, each.index) for each in record.masks.values()] == [("image", 0)]


def test_the_files_are_read_and_checked(old):
    again = read_bundle(old.path)
    assert again == old and again.masks().keys() == old.record.masks.keys() and again.tables() is not None
    assert again.arrays()
    (old.path / "inputs" / "prompts.json").write_text("{}")
    with pytest.raises(BadInput, match="damaged: inputs/prompts.json"):
        read_bundle(old.path)


@ALL
def test_import_keep_load_export_and_import_again(name, tmp_path):
    (imported,) = import_runs(FILES[name], tmp_path / "in")
    store = RunStore()
    (outcome,) = keep_imported([imported], store)
    assert outcome.kept and not Spool().waiting()
    loaded = store.load(outcome.run.run_id, tmp_path / "loaded")
    assert loaded.record == imported.record and loaded.record.to_dict() == document(imported)
    (again,) = import_runs(export_runs([loaded], tmp_path / "out.zip"), tmp_path / "again")
    assert again.record == imported.record
    assert store.keep(again).run_id == outcome.run.run_id and len(store.runs()) == 1
    (run,) = store.runs()
    record = imported.record
    assert run.tags["samkit.schema"] == "1" and (THUMBNAIL in run.tags) == (thumbnail_of(imported) is not None)
    assert run.facts == {name: str(value) for name, value in record.facts.items()}
    assert run.measured == pytest.approx({name: metric.value for name, metric in record.metrics.items()})
    assert set(run.key_figures) == {name for name, metric in record.metrics.items() if metric.key}


@ALL
def test_spooled_and_delivered(name, tmp_path):
    old = old_run(name, tmp_path)
    assert not keep_run(old, RunStore(f"http://127.0.0.1:{free_port()}")).kept
    (waiting,) = Spool().entries()
    assert (waiting.name, waiting.experiment) == (old.name, old.experiment)
    assert len(Spool().deliver(RunStore()).delivered) == 1 and not Spool().waiting()
    assert [run.run_uuid for run in RunStore().runs()] == [old.run_uuid]


def test_a_run_that_the_store_took_when_facts_were_metrics(tmp_path):
    """Its tags have neither key figures nor facts."""
    store, old = RunStore(), old_run("window-size-sweep", tmp_path)
    kept = store.keep(old)
    client = store.client()
    for tag in client.get_run(kept.run_id).data.tags:
        if tag == KEY_FIGURES or tag.startswith(FACT):
            client.delete_tag(kept.run_id, tag)
    for name, value in old.record.facts.items():
        client.log_metric(kept.run_id, name, value)
    (run,) = store.runs()
    assert run.facts == {name: str(value) for name, value in old.record.facts.items()}
    assert run.measured.keys() == old.record.metrics.keys()
    assert list(run.key_figures) == ["iou_default", "drift"]


def test_a_run_under_another_name_stays_as_it_was_written(tmp_path):
    store, old = RunStore(), old_run("cross-image-on-b", tmp_path)
    kept = store.keep(old)
    store.client().set_tag(kept.run_id, "mlflow.runName", "another name")
    store.client().set_tag(kept.run_id, "keeper", "yes")
    loaded = store.load(kept.run_id, tmp_path / "loaded")
    changes = {"name": "another name", "tags": {"keeper": "yes"}}
    assert loaded.record.name == "another name" and loaded.record.tags == {"keeper": "yes"}
    assert loaded.record.masks == old.record.masks and loaded.record.metrics == old.record.metrics
    assert document(loaded) == document(old) | changes == loaded.record.to_dict()
    assert read_bundle(loaded.path).record == loaded.record


@ALL
def test_compared_with_itself(name, tmp_path):
    old = old_run(name, tmp_path)
    comparison = Comparison([old, replace(old)])
    assert not any(row.differs or row.best for row in (*comparison.conditions, *comparison.metrics))
    assert {row.name for row in comparison.facts} == old.record.facts.keys()
    assert not {row.name for row in comparison.metrics} & old.record.facts.keys()
    assert set(comparison.mask_names) - {""} == old.record.masks.keys()
    masks = [mask for mask in comparison.mask_names if mask]
    assert all(comparison.grounds(mask) == ((Shown(0, mask), Shown(1, mask)),) for mask in masks)
    for frame in comparison.frames[:2]:
        masks = [comparison.mask(shown) for shown in comparison.shown(f"frame {frame}")]
        assert len(masks) == 2 and masks[0].shape == (old.record.video.height, old.record.video.width)


PAIRS = [
    ("mask-stability-figures", "mask-stability-film-frame"),
    ("cross-image-on-a", "cross-image-on-b"),
    ("semantic-similarity-same", "semantic-similarity-pair"),
    ("video-priors-kept-film", "video-priors-folder-of-frames"),
]


@pytest.mark.parametrize("names", PAIRS)
def test_two_of_one_experiment_are_compared_and_reported(names, tmp_path):
    comparison = Comparison([old_run(name, tmp_path) for name in names])
    assert any(row.differs for row in comparison.conditions)
    assert any(row.best for row in comparison.metrics) == bool(comparison.peers)
    mask = comparison.mask_names[0]
    group = comparison.grounds(mask)[0] if comparison.grounds(mask) else None
    html = report_html(comparison, mask, (group[0], group[1]) if group else None)
    assert all(bundle.name in html for bundle in comparison.bundles) and html.count("<figure>") >= 2


def test_the_same_mask_of_two_runs_is_laid_over_where_both_lie_on_one_picture(tmp_path):
    same, pair = (old_run(f"semantic-similarity-{name}", tmp_path) for name in ("same", "pair"))
    comparison = Comparison([same, pair])
    both = Shown(0, "mask_chosen"), Shown(1, "mask_chosen")
    assert comparison.grounds("mask_chosen") == (both,) and comparison.grounds("mask_objects") == ()
    on_a, on_b = (old_run(f"cross-image-on-{name}", tmp_path) for name in "ab")
    comparison = Comparison([on_a, on_b])
    both = Shown(0, "mask_prompted"), Shown(1, "mask_prompted")
    assert comparison.grounds("mask_prompted") == (both,), "a's picture A is b's picture B"
    assert comparison.grounds("mask_tracked") == ()
    np.testing.assert_array_equal(*(comparison.picture(shown) for shown in both))
    own = [(shown.run, shown.mask) for shown in comparison.shown("")]
    assert own == [(run, f"mask_{side}") for run in (0, 1) for side in ("prompted", "tracked")]


def test_the_upgraded_document_is_one_of_schema_2(old):
    upgraded = json.loads(json.dumps(schema_1.upgraded(document(old))))
    again = parse_record(upgraded)
    assert upgraded["schema"] == 2 and again.schema_number == 2
    assert again.model_dump() == old.record.model_dump()
