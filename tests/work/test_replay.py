"""The verdict of a replay: what counts as identical, what is named, and what never ends in a traceback."""

import hashlib
import json
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from samkit.errors import BadInput
from samkit.experiments.mask_stability import NAME, Params
from samkit.experiments.result import Mask, Metric, Result, neutral
from samkit.models.memory_bank import Memory, MemoryBank
from samkit.tracking.bundle.archive import export_runs
from samkit.tracking.bundle.bundle import Bundle, read_bundle
from samkit.tracking.bundle.record import ModelEntry
from samkit.work.find_model import find_model, is_model
from samkit.work.outcome import (
    ArrayDifference,
    ReplayOutcome,
    compare_arrays,
    compare_facts,
    compare_masks,
    compare_metrics,
    with_bank_tensors,
)
from samkit.work.replay import _kept_arrays, open_run, replay, replay_device
from tests.models.files.people_files import sam1, sam2, saved
from tests.tracking.conftest import MODEL, made_up_bundle, made_up_result
from tests.tracking.schema_1 import FILES, FOLDER, old_run

LOADED = SimpleNamespace(info=MODEL, device="cpu", dtype="float32")


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    return made_up_bundle(tmp_path / "bundle")


def made_up_experiment(run) -> SimpleNamespace:
    return SimpleNamespace(NAME=NAME, Params=Params, run=run)


@pytest.fixture
def replayed(bundle, monkeypatch):
    """Replays the made-up run with parts of its result replaced."""

    def again(**parts) -> ReplayOutcome:
        experiment = made_up_experiment(lambda *_: replace(made_up_result()[0], **parts))
        monkeypatch.setattr("samkit.work.execute.find_experiment", lambda name: experiment)
        return replay(read_bundle(bundle.path), model=LOADED)

    return again


def rewritten(bundle: Bundle, **entries) -> Bundle:
    """The run with other entries in its run.json."""
    (bundle.path / "run.json").write_text(json.dumps(bundle.record.to_dict() | entries))
    return bundle


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
    outcome = replayed(metrics={"predicted_iou": neutral(1.5), "area_px": neutral(13)})
    assert not outcome.identical and outcome.moved == ("area_px", "predicted_iou")


def test_what_counts_of_a_metric_is_its_value(replayed):
    metrics = made_up_result()[0].metrics
    assert replayed(metrics={name: Metric(metric.value) for name, metric in metrics.items()}).identical


def test_other_facts_are_not_identical(replayed):
    outcome = replayed(facts={"mask_index": 3, "blocks": 8})
    assert not outcome.identical
    assert outcome.fact_differences == {"blocks": (None, 8), "grid": ("6 x 6", None), "mask_index": (2, 3)}
    assert (
        outcome.sentence
        == "Facts that differ: blocks, grid, mask_index; the array, all 2 masks and all metrics are identical."
    )


def test_where_a_mask_lies_says_nothing_of_its_pixels(replayed):
    masks = made_up_result()[0].masks
    assert replayed(masks={name: Mask(mask.pixels, "image_b") for name, mask in masks.items()}).identical


@pytest.mark.parametrize("value", [float("nan"), None, "high", [1], 10**400, True, float("inf")])
def test_a_kept_metric_that_is_no_number_is_a_sentence(bundle, replayed, value):
    rewritten(bundle, metrics={"predicted_iou": {"value": value}, "area_px": {"value": 12.0}})
    with pytest.raises(BadInput, match="its run.json"):
        replayed()


@pytest.mark.parametrize("kept", [1, 2, 10**30])
def test_a_run_is_replayed_with_its_own_number_of_threads(bundle, monkeypatch, kept):
    used, usual = [], torch.get_num_threads()

    def run(*_) -> Result:
        used.append(torch.get_num_threads())
        return made_up_result()[0]

    monkeypatch.setattr("samkit.work.execute.find_experiment", lambda name: made_up_experiment(run))
    outcome = replay(read_bundle(rewritten(bundle, threads=kept).path), model=LOADED)
    assert used == [min(kept, os.cpu_count())] and torch.get_num_threads() == usual
    assert any("number of threads" in line for line in outcome.surroundings) == (kept > os.cpu_count())


def test_arrays_that_can_not_be_read_are_a_sentence(bundle, replayed):
    (bundle.path / "outputs/arrays.npz").write_bytes(b"no archive")
    files = bundle.record.to_dict()["files"]
    files["outputs/arrays.npz"]["sha256"] = hashlib.sha256(b"no archive").hexdigest()
    rewritten(bundle, files=files)
    with pytest.raises(BadInput, match="arrays.npz can't be read"):
        replayed()


def test_arrays_that_lie_are_a_whole_sentence(bundle, monkeypatch):
    def lie(bundle):
        raise BadInput("its array 'a.npy' says that it has 8 bytes, and has 0.")

    monkeypatch.setattr(Bundle, "arrays", lie)
    with pytest.raises(BadInput, match=r"^The run's .*can't be read \(its array .* has 0\): export the run again\.$"):
        _kept_arrays(bundle)


def test_comparisons_name_each_difference():
    mask = np.zeros((2, 3), bool)
    sentences = compare_masks({"a": mask, "b": mask, "c": mask}, {"a": mask, "b": mask.T, "d": mask})
    assert [sentence.split()[0] for sentence in sentences] == ["b", "c", "d"]
    assert compare_metrics({"x": 1.0, "y": 2.0}, {"x": 1.0, "z": 3.0}) == {"y": (2.0, None), "z": (None, 3.0)}
    assert compare_metrics({"x": float("nan")}, {"x": float("nan")}) == {}
    assert compare_facts({"x": 1, "y": "a"}, {"x": 1, "y": "b"}) == {"y": ("a", "b")}
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
    saved(own, sam1(), name="mine.pt")
    saved(tmp_path, sam2(), name="secret.pt")
    # What is no model is not read through, whatever its hash.
    (own / "notes.pt").write_bytes(b"no weights")
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(own))
    digest = hashlib.sha256((own / "mine.pt").read_bytes()).hexdigest()
    renamed = ModelEntry(name="renamed", sha256=digest)
    assert find_model(renamed).ref == str(own / "mine.pt") and is_model(str(own / "mine.pt"), renamed)
    other = find_model(ModelEntry(name="mine", sha256="0" * 64))
    assert other.ref == str(own / "mine.pt") and not other.same
    no_model = hashlib.sha256(b"no weights").hexdigest()
    assert find_model(ModelEntry(name="renamed", sha256=no_model)).ref is None
    elsewhere = hashlib.sha256((tmp_path / "secret.pt").read_bytes()).hexdigest()
    assert find_model(ModelEntry(name=str(tmp_path / "secret.pt"), sha256=elsewhere)).ref is None


def test_a_zip_of_several_runs_or_of_none_is_a_sentence(bundle, tmp_path):
    several = export_runs([bundle, made_up_bundle(tmp_path / "second", 1)], tmp_path / "many.zip")
    with pytest.raises(BadInput, match=r"^many.zip holds 2 runs.*runs import .*export that run alone"):
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
            compare_arrays(
                *with_bank_tensors(
                    {"memory_bank": bank_bytes(tmp_path)}, {"memory_bank": bank_bytes(tmp_path, **other)}
                )
            ),
        )

    assert not differences().array_differences
    assert differences(by=4e-6).identical and differences(by=4e-6).array_differences
    assert set(differences(by=0.1).moved_arrays) == {
        "memory_bank 0.features",
        "memory_bank 0.pointer",
        "memory_bank object_scores",
    }
    assert differences(frame=3).moved_arrays == ("memory_bank entries",)
    assert (
        compare_arrays(*with_bank_tensors({"memory_bank": np.uint8([1, 2])}, {"memory_bank": np.uint8([1, 3])}))[
            "memory_bank"
        ].by
        == 1
    )


FOLDER_OF_FRAMES = "video-priors-folder-of-frames"


def with_frames_at(run: Bundle, place: Path) -> Bundle:
    """A run on a folder of frames, which lies elsewhere on this machine."""
    rewritten(run, video=run.record.to_dict()["video"] | {"place": str(place)})
    return read_bundle(run.path)


@pytest.mark.parametrize("name", FILES)
def test_runs_of_schema_1_are_replayed(name, tmp_path):
    """They were made with the embedded models."""
    run = old_run(name, tmp_path / "run")
    if name == FOLDER_OF_FRAMES:
        run = with_frames_at(run, FOLDER / "frames")
    outcome = replay(run)
    assert not any("model file" in line for line in outcome.surroundings)
    assert outcome.mask_count >= len(run.record.masks)
    assert is_rounding(outcome), (outcome, outcome.sentence)


def test_a_run_whose_film_is_gone_is_a_sentence(tmp_path):
    run = old_run(FOLDER_OF_FRAMES, tmp_path / "run")
    with pytest.raises(BadInput, match="put the same film there"):
        replay(with_frames_at(run, tmp_path / "gone"))


def is_rounding(outcome: ReplayOutcome) -> bool:
    """Whether all that differs, if anything does, may come of how another processor rounds."""
    pixels = [re.fullmatch(r".* differs in (\d+) of (\d+) pixels\.", line) for line in outcome.mask_differences]
    few = all(match and int(match[1]) <= 0.01 * int(match[2]) for match in pixels)
    loose = replace(outcome, tolerance=0.02)
    return few and not (outcome.fact_differences or loose.moved or loose.moved_arrays)


def test_a_difference_that_is_no_rounding_is_seen():
    assert is_rounding(ReplayOutcome(2, (), {}, ()))
    assert is_rounding(ReplayOutcome(2, ("mask_0 differs in 9 of 1000 pixels.",), {"iou": (0.5, 0.501)}, ()))
    assert not is_rounding(ReplayOutcome(2, ("mask_0 differs in 11 of 1000 pixels.",), {}, ()))
    assert not is_rounding(ReplayOutcome(2, ("mask_0 was kept, but the replay has no such mask.",), {}, ()))
    assert not is_rounding(ReplayOutcome(2, (), {"iou": (0.5, 0.6)}, ()))
    assert not is_rounding(ReplayOutcome(2, (), {}, (), fact_differences={"mask_index": (1, 2)}))
