"""What an encoding takes is known before it is begun, and what the machine has not is refused with a sentence."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from samkit import machine
from samkit.errors import EncodingError, MachineError
from samkit.machine import machine_errors, memory_at_hand, refused_by_machine
from samkit.models import sam
from samkit.models.encoding_cost import encoding_cost
from samkit.models.sam import load_model
from samkit.prompts import Prompts

SIDES = (640, 1152)
CHILD = """
import ctypes, json, sys
from pathlib import Path
import numpy as np, torch
from samkit import Prompts, load_model
from samkit.models.encoding_cost import encoding_cost

def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))

torch.set_num_threads(2)
rgb = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
for name in ("nano-sam1", "nano-sam2"):
    model = load_model(name, device="cpu")
    model.encode_image(rgb, side=256)
    for side in map(int, sys.argv[1:]):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        encoding = model.encode_image(rgb, side=side)
        model.predict_masks(encoding, Prompts(points=[(0.5, 0.5, 1)]))
        measured = resident("VmHWM") - before
        cost = encoding_cost(model.config, encoding.geometry.padded_size, encoding.settings.window_sizes)
        print(json.dumps([name, side, measured, cost.memory]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the process's peak memory from /proc")
def test_the_estimate_of_memory_is_within_a_factor_of_what_is_taken():
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, SIDES)], capture_output=True, text=True, timeout=120, check=True
    )
    rows = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(rows) == 4
    for name, side, measured, estimate in rows:
        assert 0.5 < estimate / measured < 2.6, (name, side, measured, estimate)


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["nano-sam1", "nano-sam2"])
def test_a_side_that_does_not_fit_into_memory_is_refused_with_one_that_does(monkeypatch, name):
    model = load_model(name, device="cpu")
    monkeypatch.setattr(sam, "memory_at_hand", lambda: 200_000_000)
    with pytest.raises(EncodingError, match=r"4096 pixels would take about [\d.]+ GB of memory, and 200 MB") as it:
        model.encode_image(picture(), side=4096)
    fits = int(str(it.value).split("choose a side of ")[1].split()[0])
    assert 384 <= fits < 2048 and fits % model.info.side_step == 0
    windows = model.info.window_sizes
    room = 0.9 * 200_000_000
    assert encoding_cost(model.config, (fits, fits), windows).memory <= room
    more = fits + model.info.side_step
    assert encoding_cost(model.config, (more, more), windows).memory > room


@pytest.mark.parametrize("side", [16384, 10**30, 2**63, -1, 0, True, 33.5, float("inf"), float("nan")])
def test_sides_out_of_all_measure_are_refused_at_once(side):
    model = load_model("nano-sam2", device="cpu")
    with pytest.raises(EncodingError, match="side") as it:
        model.encode_image(picture(), side=side)
    assert len(str(it.value)) < 250


def test_blocks_that_are_kept_count():
    config = load_model("nano-sam2", device="cpu").config
    windows = config.encoder.window_sizes
    assert (
        encoding_cost(config, (1024, 1024), windows, keep_blocks=True).memory
        > encoding_cost(config, (1024, 1024), windows).memory
    )


def test_a_model_that_gives_no_numbers_says_so():
    model = load_model("nano-sam2", device="cpu")
    encoding = model.encode_image(picture(), side=128)
    model.network.mask_decoder.iou_token.weight.fill_(3e38)
    with pytest.raises(EncodingError, match="no finite numbers"):
        model.predict_masks(encoding, Prompts(points=[(0.5, 0.5, 1)]))
    model.network.image_encoder.trunk.pos_embed.fill_(3e38)
    with pytest.raises(EncodingError, match="no finite numbers"):
        model.encode_image(picture(), side=160)


def test_what_the_machine_refuses_becomes_a_sentence():
    with pytest.raises(MachineError, match="ran out of memory"), machine_errors():
        torch.empty(1 << 50)
    with pytest.raises(MachineError), machine_errors():
        np.empty(1 << 55, np.uint8)
    assert isinstance(refused_by_machine(RecursionError()), MachineError)
    assert refused_by_machine(ValueError("out of memory")) is None
    with pytest.raises(RuntimeError, match="another"), machine_errors():
        raise RuntimeError("another")


def test_memory_at_hand_is_the_least_that_anything_leaves(monkeypatch):
    free = memory_at_hand()
    assert free is None or 0 <= free < 1 << 50
    monkeypatch.setattr(machine, "_free_memory", lambda: 500)
    monkeypatch.setattr(machine, "_container_memory", lambda: 300)
    monkeypatch.setattr(machine, "_own_limit", lambda: None)
    assert memory_at_hand() == 300
