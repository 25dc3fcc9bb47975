"""Encoded pictures are kept by content, in no more bytes than allowed, and the bytes that are counted are the
machine's.
"""

import subprocess
import sys
import textwrap
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import samkit
from samkit.media.samples import load_sample
from samkit.ui.state.labs import limit_mb
from samkit.work.lab import Lab
from samkit.work.memory import Memory


class _Encoding:
    def __init__(self, nbytes: int = 400):
        self.nbytes = nbytes


def _model(settings: list, nbytes: int = 400):
    """A model that counts how often it encodes."""

    def encode_image(*arguments, **options):
        settings.append(options)
        return _Encoding(nbytes)

    return SimpleNamespace(
        info=SimpleNamespace(sha256="x", native_side=64, window_sizes=(8, 4)),
        device="cpu",
        dtype="float32",
        encode_image=encode_image,
        block_seconds=lambda size, **options: [],
    )


def encode(memory: Memory, model, picture, **options):
    return Lab(encodings=memory).encoding(model, picture, **options).value


def test_encodings_are_kept_by_content_and_bounded_in_bytes():
    memory, settings = Memory(1000), []
    pictures = [load_sample(name) for name in ("coffee", "chelsea", "coins")]
    for _ in range(2):
        encode(memory, _model(settings), pictures[0])
    assert len(settings) == 1
    encode(memory, _model(settings), pictures[0], side=64)
    assert len(settings) == 1, "the native side by its number is the same encoding"
    encode(memory, _model(settings), pictures[0], window_sizes=(8, 4))
    assert len(settings) == 1, "and so are the model's own windows by their numbers"
    encode(memory, _model(settings), pictures[0], fit="aspect")
    encode(memory, _model(settings), pictures[1])
    encode(memory, _model(settings), pictures[2])
    state = memory.state()
    assert len(settings) == 4 and state.used <= 1000 and state.entries == 2
    memory.clear()
    assert memory.state().entries == 0


def test_an_encoding_that_is_larger_than_the_memory_is_given_and_not_kept():
    memory, settings = Memory(500), []
    encode(memory, _model(settings), load_sample("coffee"))
    assert encode(memory, _model(settings, 501), load_sample("chelsea")).nbytes == 501
    state = memory.state()
    assert (state.entries, state.used, state.too_large) == (1, 400, 501)
    memory.clear()
    assert memory.state().too_large == 0


def noise(seed: int):
    return SimpleNamespace(
        rgb=np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8), sha256=str(seed)
    )


def tensors_of(value) -> list[torch.Tensor]:
    """Every tensor that can be reached from an encoding."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [tensor for part in value for tensor in tensors_of(part)]
    parts = [getattr(value, field.name) for field in fields(value)] if hasattr(value, "__dataclass_fields__") else []
    return [tensor for part in parts for tensor in tensors_of(part)]


def test_the_counted_bytes_are_those_of_every_tensor_kept():
    model, memory = samkit.load_model("nano-sam2", device="cpu"), Memory(2**40)
    encodings = [
        encode(memory, model, noise(seed), side=side, keep_blocks=keep)
        for seed, side, keep in ((0, None, False), (0, None, True), (1, 512, False))
    ]
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors_of(encodings)
    }
    tensors = sum(storages.values())
    assert 2**20 < tensors <= memory.state().used < tensors + 10_000, "and little for what holds them"


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads /proc, where Linux says what a process has in memory"
)
def test_the_counted_bytes_are_what_the_process_grows_by():
    program = """
        import gc
        from pathlib import Path
        import samkit
        from samkit.work.memory import Memory
        from tests.ui.state.test_labs import encode, noise

        model, memory = samkit.load_model("nano-sam2", device="cpu"), Memory(2**40)
        held = []
        for seed in range(50):
            encode(memory, model, noise(seed), keep_blocks=True)
            if seed in (9, 49):
                gc.collect()
                held.append((int(Path("/proc/self/statm").read_text().split()[1]) * 4096, memory.state().used))
        print((held[1][0] - held[0][0]) / (held[1][1] - held[0][1]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) < 1.25, "what the allocator leaves between tensors"


@pytest.mark.parametrize(("setting", "expected"), [("64", 64), (None, 512), ("0", 512), ("much", 512), ("1.5", 512)])
def test_the_limit_comes_from_the_environment_and_what_is_no_size_is_said(setting, expected, monkeypatch):
    monkeypatch.setenv("SAMKIT_CACHE_MB", setting) if setting else monkeypatch.delenv("SAMKIT_CACHE_MB", raising=False)
    limit, complaint = limit_mb()
    assert limit == expected
    assert (complaint is None) == (setting in ("64", None)) and (complaint is None or f"it is {setting!r}" in complaint)
