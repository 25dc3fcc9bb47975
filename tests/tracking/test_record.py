"""run.json as a type: what is written is what is said, and entries of later versions are passed on."""

import json

import pytest
from pydantic import ValidationError

from samkit.errors import BadInput
from samkit.experiments.result import Metric
from samkit.tracking.bundle.archive import export_runs, import_runs
from samkit.tracking.bundle.bundle import read_bundle
from samkit.tracking.bundle.record import parse_record
from samkit.tracking.store.store import RunStore
from samkit.tracking.store.tags import FACT, KEY_FIGURES
from tests.tracking.conftest import changed, made_up_bundle

LATER = {
    "weather": {"rain": [1, 2]},
    "model": {"license": "MIT"},
    "metrics": {"area_px": {"value": 12.0, "unit": "px"}},
}
"""Entries that a later version of samkit may write."""


def with_later_entries(bundle):
    document = bundle.record.to_dict()
    document["weather"] = LATER["weather"]
    document["model"] |= LATER["model"]
    document["metrics"] |= LATER["metrics"]
    (bundle.path / "run.json").write_text(json.dumps(document))
    return read_bundle(bundle.path)


def test_schema_2_says_what_masks_lie_on_and_what_is_better(bundle):
    document = json.loads((bundle.path / "run.json").read_text())
    assert document["schema"] == 2 == bundle.record.schema_number
    assert document["masks"] == {"mask_0": {"on": "image"}, "mask_chosen": {"on": "image"}}
    assert document["metrics"] == {
        "predicted_iou": {"value": 0.5, "better": "higher", "key": True},
        "area_px": {"value": 12.0},
    }
    assert document["facts"] == {"mask_index": 2, "grid": "6 x 6"}
    assert bundle.record.metrics["area_px"] == Metric(12.0) and bundle.record.to_dict() == document


def test_entries_of_a_later_version_survive_labels_store_and_export(bundle, tmp_path):
    later, store = with_later_entries(bundle), RunStore()
    kept = store.keep(later)
    store.client().set_tag(kept.run_id, "mlflow.runName", "renamed")
    loaded = store.load(kept.run_id, tmp_path / "loaded")
    (again,) = import_runs(export_runs([loaded], tmp_path / "run.zip"), tmp_path / "in")
    for run in (loaded, again):
        document = run.record.to_dict()
        assert document["weather"] == LATER["weather"] and document["model"]["license"] == "MIT"
        assert document["metrics"]["area_px"] == {"value": 12.0, "unit": "px"} and run.name == "renamed"
        assert document == json.loads((run.path / "run.json").read_text())


def test_what_inputs_were_opened_by_is_kept(tmp_path):
    refs = {"model": "nano-sam2", "picture": "sample:noise", "picture_b": "no/such.png", "video": "sample:coin"}
    bundle = made_up_bundle(tmp_path / "run", refs=refs)
    assert (bundle.record.model.ref, bundle.record.picture.ref) == ("nano-sam2", "sample:noise")
    assert bundle.record.picture_b is None and bundle.record.video is None
    assert made_up_bundle(tmp_path / "other").record.picture.ref is None


def test_a_run_has_the_id_that_it_is_handed(tmp_path):
    assert made_up_bundle(tmp_path / "run", run_uuid="ab" * 16).run_uuid == "ab" * 16
    with pytest.raises(BadInput, match="'run_uuid'"):
        made_up_bundle(tmp_path / "other", run_uuid="../elsewhere")
    assert not (tmp_path / "other").exists() and not list(tmp_path.glob(".*.part"))


def test_a_record_is_not_changed_by_who_reads_it(bundle):
    with pytest.raises(ValidationError, match="frozen"):
        bundle.record.name = "another"
    bundle.record.to_dict()["model"]["name"] = "another"
    assert bundle.record.to_dict() == json.loads((bundle.path / "run.json").read_text())


def test_key_figures_and_facts_are_tags_of_the_store(bundle):
    store = RunStore()
    store.keep(changed(bundle, facts={"mask_index": 2, "grid": "6 x 6", "found": True, "share": 0.25}))
    (run,) = store.runs()
    assert run.tags[KEY_FIGURES] == "predicted_iou" and run.key_figures == {"predicted_iou": 0.5}
    assert run.tags[f"{FACT}grid"] == "6 x 6"
    assert run.facts == {"mask_index": "2", "grid": "6 x 6", "found": "True", "share": "0.25"}
    assert run.measured == {"predicted_iou": 0.5, "area_px": 12.0}


def test_a_run_without_key_figures_shows_none(bundle):
    store = RunStore()
    store.keep(changed(bundle, metrics={"predicted_iou": {"value": 0.5}}))
    assert store.runs()[0].key_figures == {}


@pytest.mark.parametrize("document", [None, [], "x", {}, {"schema": 2}, {"files": {}}, {"schema": "2", "files": {}}])
def test_what_is_no_record_is_a_sentence(document):
    with pytest.raises(BadInput, match="is not a kept run|another version of samkit"):
        parse_record(document)
