"""The verdict of a replay: what counts as identical, what is named, and what never ends in a traceback."""

import hashlib
import json
import os
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from samkit.errors import BadInput
from samkit.experiments.mask_stability import Params
from samkit.models.memory_bank import Memory, MemoryBank
from samkit.tracking.bundle.bundle import read_bundle
from samkit.work.find_model import find_model
from samkit.work.replay import (
    BANK,
    ArrayDifference,
    ReplayOutcome,
    _with_bank_tensors,
    compare_arrays,
    compare_masks,
    compare_metrics,
    open_run,
    replay,
    replay_device,
)
from tests.tracking.conftest import MODEL, made_up_bundle, made_up_result

LOADED = SimpleNamespace(info=MODEL, device="cpu", dtype="float32")


@pytest.fixture
def replayed(bundle, monkeypatch):
    """Replays the made-up run with parts of its result replaced."""

    def again(**parts) -> ReplayOutcome:
        result = replace(made_up_result()[0], **parts)
        experiment = SimpleNamespace(Params=Params, run=lambda *_, **__: result)
        monkeypatch.setattr("samkit.work.replay.find_experiment", lambda name: experiment)
        return replay(read_bundle(bundle.path), model=LOADED)

    return again


def test_the_same_result_is_identical_whatever_it_took(replayed):
    outcome = replayed(timings={"encode_ms": 9999.0}, tables={"curve": [{"x": 0.0, "encode_ms": 7.0}]})
    assert outcome.identical and outcome.sentence == "The array, all 2 masks and all metrics are identical."


def test_arrays_that_moved_are_not_identical_although_every_mask_is(replayed):
    logits = made_up_result()[0].arrays["logits"]
    outcome = replayed(arrays={"logits": logits * 0})
    assert not outcome.identical and outcome.moved_arrays == ("logits",)
    assert (
        outcome.sentence == "Arrays that moved by more than 1e-05: logits; all 2 masks and all metrics are identical."
    )
    near = replayed(arrays={"logits": logits + np.float32(2e-6)})
    assert (
        near.identical
        and near.sentence == "All 2 masks and all metrics are identical; no array moved by more than 1e-05."
    )
    assert not replayed(arrays={}).identical and not replayed(arrays={"logits": logits, "more": logits}).identical


def test_metrics_that_moved_are_not_identical(replayed):
    outcome = replayed(metrics={"predicted_iou": 1.5, "area_px": 13.0})
    assert not outcome.identical and outcome.moved == ("area_px", "predicted_iou")


@pytest.mark.parametrize("value", [float("nan"), None, "high", [1], 10**400, True, float("inf")])
def test_a_kept_metric_that_is_no_number_is_a_sentence(bundle, replayed, value):
    path = bundle.path / "run.json"
    path.write_text(json.dumps(bundle.record | {"metrics": {"predicted_iou": value, "area_px": 12.0}}))
    with pytest.raises(BadInput, match="its run.json"):
        replayed()


@pytest.mark.parametrize("kept", [1, 2, 10**30])
def test_a_run_is_replayed_with_its_own_number_of_threads(bundle, monkeypatch, kept):
    used, usual = [], torch.get_num_threads()

    def run(*_, **__):
        used.append(torch.get_num_threads())
        return made_up_result()[0]

    monkeypatch.setattr("samkit.work.replay.find_experiment", lambda name: SimpleNamespace(Params=Params, run=run))
    (bundle.path / "run.json").write_text(json.dumps(bundle.record | {"threads": kept}))
    outcome = replay(read_bundle(bundle.path), model=LOADED)
    assert used == [min(kept, os.cpu_count())] and torch.get_num_threads() == usual
    assert any("number of threads" in line for line in outcome.surroundings) == (kept > os.cpu_count())


def test_arrays_that_can_not_be_read_are_a_sentence(bundle, replayed):
    (bundle.path / "outputs/arrays.npz").write_bytes(b"no archive")
    record = bundle.record
    record["files"]["outputs/arrays.npz"]["sha256"] = hashlib.sha256(b"no archive").hexdigest()
    (bundle.path / "run.json").write_text(json.dumps(record))
    with pytest.raises(BadInput, match="arrays.npz can't be read"):
        replayed()


def test_comparisons_name_each_difference():
    mask = np.zeros((2, 3), bool)
    found = compare_masks({"a": mask, "b": mask, "c": mask}, {"a": mask, "b": mask.T, "d": mask})
    assert [sentence.split()[0] for sentence in found] == ["b", "c", "d"]
    assert compare_metrics({"x": 1.0, "y": 2.0}, {"x": 1.0, "z": 3.0}) == {"y": (2.0, None), "z": (None, 3.0)}
    assert compare_metrics({"x": float("nan")}, {"x": float("nan")}) == {}
    infinite = np.array([np.inf, 1.0])
    kept = {
        "a": np.float32([1, np.nan]),
        "b": np.uint8([1, 255]),
        "c": np.zeros(2),
        "d": np.zeros(2),
        "f": infinite,
        "g": np.array(["x"]),
    }
    again = {
        "a": np.float32([1, np.nan]),
        "b": np.uint8([2, 0]),
        "c": np.zeros(3),
        "d": infinite,
        "e": np.ones(1),
        "f": np.array([np.inf, 2.0]),
        "g": np.array(["y"]),
    }
    assert {name: each.by for name, each in compare_arrays(kept, again).items()} == {
        "b": 255.0,
        "c": None,
        "d": None,
        "e": None,
        "f": 1.0,
        "g": None,
    }


def test_an_outcome_says_what_moved_beyond_the_tolerance():
    values = {"area": (1000.0, 1000.0001), "iou": (0.5, 0.6), "gone": (1.0, None)}
    outcome = ReplayOutcome(4, (), values, ())
    assert not outcome.identical and outcome.moved == ("iou", "gone")
    assert outcome.sentence == "Metrics that moved by more than 1e-05: iou, gone; all 4 masks are identical."
    assert replace(outcome, tolerance=0.5).moved == ("gone",)
    near = replace(outcome, metric_differences={"area": values["area"]})
    assert near.identical and near.sentence == "All 4 masks are identical; no metric moved by more than 1e-05."
    maps = ReplayOutcome(0, (), {}, (), array_count=3, array_differences={"map": ArrayDifference(0.25)})
    assert (
        not maps.identical and maps.sentence == "Arrays that moved by more than 1e-05: map; all metrics are identical."
    )
    assert maps.array_sentences == ("map differs by at most 0.25.",)
    assert ReplayOutcome(0, (), {}, (), array_count=3).sentence == "All 3 arrays and all metrics are identical."


@pytest.mark.parametrize("kept", ["cuda", "cuda:7", "mps", "tpu", "cpu"])
def test_a_device_that_is_missing_is_replaced_by_the_cpu(kept, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: kept == "cuda:7")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert replay_device(kept) == "cpu"


def test_a_device_that_is_there_is_used_again(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert replay_device("cuda") == "cuda"


def test_a_model_is_found_by_hash_then_by_name_and_never_by_a_path(tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.pt").write_bytes(b"weights")
    (tmp_path / "secret.pt").write_bytes(b"weights elsewhere")
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(own))
    digest = hashlib.sha256(b"weights").hexdigest()
    assert find_model({"name": "renamed", "sha256": digest}).ref == str(own / "mine.pt")
    other = find_model({"name": "mine", "sha256": "0" * 64})
    assert other.ref == str(own / "mine.pt") and not other.same
    assert (
        find_model(
            {"name": str(tmp_path / "secret.pt"), "sha256": hashlib.sha256(b"weights elsewhere").hexdigest()}
        ).ref
        is None
    )


def test_a_zip_of_several_runs_or_of_none_is_a_sentence(bundle, tmp_path):
    from samkit.tracking.bundle.archive import export_runs

    several = export_runs([bundle, made_up_bundle(tmp_path / "second", 1)], tmp_path / "many.zip")
    with pytest.raises(BadInput, match=r"^many.zip holds 2 runs.*runs import .*export that one alone"):
        open_run(str(several), tmp_path / "unpacked")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.txt", "no run")
    with pytest.raises(BadInput, match=r"^none.zip is not a kept run"):
        open_run(str(tmp_path / "none.zip"), tmp_path / "unpacked")


def test_a_damaged_zip_is_named_as_the_user_named_it(bundle, tmp_path):
    target = tmp_path / "run.zip"
    with zipfile.ZipFile(target, "w") as archive:
        archive.write(bundle.path / "run.json", "run.json")
    with pytest.raises(BadInput, match="incomplete") as error:
        open_run(str(target), tmp_path / "unpacked")
    assert str(target) in str(error.value) and "unpacked" not in str(error.value)


def bank_bytes(folder, by: float = 0.0, frame: int | None = None) -> np.ndarray:
    features = torch.arange(32.0).reshape(2, 4, 4)
    bank = MemoryBank()
    bank.add_prompt(Memory(features + by, torch.ones(8) + by, 3.0 + by, "ab" * 32), frame=frame)
    bank.save(folder / "bank.safetensors")
    return np.frombuffer((folder / "bank.safetensors").read_bytes(), np.uint8)


def test_memory_banks_are_compared_by_their_numbers_and_not_by_the_bytes_of_their_files(tmp_path):
    def differences(**other):
        return ReplayOutcome(
            0,
            (),
            {},
            (),
            1,
            compare_arrays(*_with_bank_tensors({BANK: bank_bytes(tmp_path)}, {BANK: bank_bytes(tmp_path, **other)})),
        )

    assert not differences().array_differences
    assert differences(by=4e-6).identical and differences(by=4e-6).array_differences
    assert set(differences(by=0.1).moved_arrays) == {
        "memory_bank 0.features",
        "memory_bank 0.pointer",
        "memory_bank object_scores",
    }
    assert differences(frame=3).moved_arrays == ("memory_bank entries",)
    assert compare_arrays(*_with_bank_tensors({BANK: np.uint8([1, 2])}, {BANK: np.uint8([1, 3])}))[BANK].by == 1
