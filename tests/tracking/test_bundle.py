"""A run as a folder and as a zip: whole, checked, and the same after every journey."""

import errno
import json
import os
import zipfile

import numpy as np
import pytest

from samkit.errors import BadInput, StoreError
from samkit.experiments.result import neutral
from samkit.tracking.bundle import bundle as bundle_module
from samkit.tracking.bundle.bundle import read_bundle, unzip_bundle, write_bundle, zip_bundle
from tests.tracking.conftest import MODEL, made_up_bundle, made_up_result


def assert_same_run(bundle, seed: int = 0) -> None:
    result, inputs = made_up_result(seed)
    assert bundle.inputs().image == inputs.image and bundle.inputs().image.name == "noise.png"
    assert bundle.prompts == inputs.prompts == bundle.record.prompts
    assert (
        bundle.params == result.params.model_dump(mode="json") and type(result.params)(**bundle.params) == result.params
    )
    masks = bundle.masks()
    assert masks.keys() == result.masks.keys()
    for name, mask in result.masks.items():
        np.testing.assert_array_equal(masks[name], mask.pixels)
        assert (bundle.record.masks[name].on, bundle.record.masks[name].index) == (mask.on, mask.index)
    np.testing.assert_array_equal(bundle.arrays()["logits"], result.arrays["logits"])
    assert bundle.record.metrics == result.metrics and bundle.record.facts == result.facts


def test_what_is_written_is_read_back(bundle):
    again = read_bundle(bundle.path)
    assert again.record == bundle.record
    assert_same_run(again)
    assert again.record.note == "a note" and again.record.model.sha256 == MODEL.sha256
    assert again.record.picture.width == 40 and len(again.run_uuid) == 32


def test_zip_and_back(bundle, tmp_path):
    again = unzip_bundle(zip_bundle(bundle, tmp_path / "run.zip"), tmp_path / "unpacked")
    assert again.record == bundle.record
    assert_same_run(again)


def test_extra_files_are_kept_and_checked(tmp_path):
    bundle = made_up_bundle(tmp_path / "run", extra_files={"outputs/figure.html": b"<html>"})
    assert (bundle.path / "outputs" / "figure.html").read_bytes() == b"<html>"
    assert "outputs/figure.html" in bundle.record.files


@pytest.mark.parametrize(
    "file", ["inputs/image.png", "inputs/prompts.json", "outputs/mask_0.png", "outputs/arrays.npz"]
)
def test_a_missing_or_changed_file_is_named(bundle, file):
    path = bundle.path / file
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BadInput, match=f"damaged: {file}"):
        read_bundle(bundle.path)
    path.unlink()
    with pytest.raises(BadInput, match=f"{file} is missing"):
        read_bundle(bundle.path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 99, "files": {}}'])
def test_a_run_json_that_is_none_is_refused(bundle, text):
    (bundle.path / "run.json").write_text(text)
    with pytest.raises(BadInput, match="is not a kept run|another version"):
        read_bundle(bundle.path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no run.json"):
        read_bundle(tmp_path)


def test_a_folder_with_something_in_it_is_left_alone(bundle):
    with pytest.raises(BadInput, match="not empty"):
        made_up_bundle(bundle.path)
    read_bundle(bundle.path)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bundle_module.np, "savez_compressed", full)
    with pytest.raises(StoreError, match="disk is full"):
        made_up_bundle(tmp_path / "run")
    assert list(tmp_path.iterdir()) == [] or [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/outside.txt", "inputs/../../outside.txt", "a\\..\\outside.txt"]
)
def test_an_archive_that_reaches_outside_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(BadInput, match="not a run's archive"):
        unzip_bundle(tmp_path / "bad.zip", tmp_path / "unpacked")
    assert not (tmp_path / "outside.txt").exists()


def test_archives_that_are_none_are_refused(bundle, tmp_path):
    path = zip_bundle(bundle, tmp_path / "run.zip")
    with pytest.raises(BadInput, match="no file"):
        unzip_bundle(tmp_path / "absent.zip", tmp_path / "a")
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(BadInput, match="not a readable zip"):
        unzip_bundle(tmp_path / "text.zip", tmp_path / "b")
    (tmp_path / "cut.zip").write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInput):
        unzip_bundle(tmp_path / "cut.zip", tmp_path / "c")


def test_numbers_json_cannot_hold_are_an_error_and_not_a_broken_file(tmp_path):
    result, inputs = made_up_result()
    result.metrics["bad"] = neutral(float("nan"))
    with pytest.raises(ValueError):
        write_bundle(tmp_path / "run", result=result, inputs=inputs, model_info=MODEL, device="cpu", dtype="float32")
    assert not (tmp_path / "run").exists()


def test_run_json_is_for_people_too(bundle):
    record = json.loads((bundle.path / "run.json").read_text())
    assert {
        "experiment",
        "params",
        "metrics",
        "timings",
        "model",
        "picture",
        "prompts",
        "device",
        "dtype",
        "samkit",
        "created",
    } <= set(record)


def test_an_archive_with_a_damaged_stream_is_refused(bundle, tmp_path):
    path = zip_bundle(bundle, tmp_path / "run.zip")
    content = bytearray(path.read_bytes())
    begin = zipfile.ZipFile(path).getinfo("run.json").header_offset + 30 + len("run.json")
    content[begin : begin + 20] = bytes(byte ^ 0xFF for byte in content[begin : begin + 20])
    path.write_bytes(content)
    with pytest.raises(BadInput, match="not a readable zip"):
        unzip_bundle(path, tmp_path / "unpacked")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("files", []),
        ("files", {"../../outside": {"sha256": "0"}}),
        ("params", None),
        ("model", {"name": "x"}),
        ("experiment", "../elsewhere"),
        ("run_uuid", "../../elsewhere"),
        ("run_uuid", "x' or '1' = '1"),
        ("masks", ["../inputs/image"]),
        ("masks", {"../inputs/image": {"on": "image"}}),
        ("masks", {"mask_0": {"on": "wall"}}),
        ("masks", {"mask_0": {"on": "prior", "index": -1}}),
        ("metrics", {"predicted_iou": 0.5}),
        ("metrics", {"predicted_iou": {"value": True}}),
        ("metrics", {"predicted_iou": {"value": 0.5, "better": "more"}}),
        ("metrics", {"predicted_iou": {"value": 0.5, "key": 1}}),
    ],
)
def test_a_run_json_with_wrong_entries_names_the_entry(bundle, key, value):
    path = bundle.path / "run.json"
    path.write_text(json.dumps(bundle.record.to_dict() | {key: value}))
    with pytest.raises(BadInput, match=f"damaged: '{key}'"):
        read_bundle(bundle.path)
    path.write_text(json.dumps({name: entry for name, entry in bundle.record.to_dict().items() if name != key}))
    with pytest.raises(BadInput, match=f"'?{key}'?"):
        read_bundle(bundle.path)


def test_whatever_goes_wrong_leaves_no_partial_folder(tmp_path):
    result, inputs = made_up_result()
    result.metrics["bad"] = neutral(float("inf"))
    target = tmp_path / "runs" / "run"
    target.parent.mkdir()
    with pytest.raises(ValueError):
        write_bundle(target, result=result, inputs=inputs, model_info=MODEL, device="cpu", dtype="float32")
    assert list(target.parent.iterdir()) == []
