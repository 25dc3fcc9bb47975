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
from samkit.ui.state.encodings import EncodingCache, limit_mb


class _Encoding:
    nbytes = 400


def _model(counter: list):
    """A model that counts how often it encodes."""

    def encode_image(*given, **more):
        counter.append(more)
        return _Encoding()

    return SimpleNamespace(
        info=SimpleNamespace(sha256="x", native_side=64, window_sizes=(8, 4)),
        device="cpu",
        dtype="float32",
        encode_image=encode_image,
    )


def test_the_cache_is_by_content_and_bounded_in_bytes():
    cache, made = EncodingCache(1000), []
    pictures = [load_sample(name) for name in ("coffee", "chelsea", "coins")]
    for _ in range(2):
        cache.encode(_model(made), pictures[0])
    assert len(made) == 1
    cache.encode(_model(made), pictures[0], side=64)
    assert len(made) == 1, "the native side by its number is the same encoding"
    cache.encode(_model(made), pictures[0], window_sizes=(8, 4))
    assert len(made) == 1, "and so are the model's own windows by their numbers"
    cache.encode(_model(made), pictures[0], fit="aspect")
    cache.encode(_model(made), pictures[1])
    cache.encode(_model(made), pictures[2])
    state = cache.state()
    assert len(made) == 4 and state.used <= 1000 and state.entries == 2
    cache.clear()
    assert cache.state().entries == 0


def test_an_encoding_that_is_larger_than_the_cache_is_given_and_not_kept():
    cache, made = EncodingCache(500), []
    cache.encode(_model(made), load_sample("coffee"))
    large = _model(made)
    large.encode_image = lambda *given, **more: SimpleNamespace(nbytes=501)
    assert cache.encode(large, load_sample("chelsea")).nbytes == 501
    state = cache.state()
    assert (state.entries, state.used, state.too_large) == (1, 400, 501)
    cache.clear()
    assert cache.state().too_large == 0


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
    model, cache = samkit.load_model("nano-sam2", device="cpu"), EncodingCache(2**40)
    encodings = [
        cache.encode(model, noise(seed), side=side, keep_blocks=keep)
        for seed, side, keep in ((0, None, False), (0, None, True), (1, 512, False))
    ]
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors_of(encodings)
    }
    assert cache.state().used == sum(storages.values()) > 2**20


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads /proc, where Linux says what a process has in memory"
)
def test_the_counted_bytes_are_what_the_process_grows_by():
    program = """
        import gc
        from pathlib import Path
        import samkit
        from samkit.ui.state.encodings import EncodingCache
        from tests.ui.test_encoding_cache import noise

        model, cache = samkit.load_model("nano-sam2", device="cpu"), EncodingCache(2**40)
        held = []
        for seed in range(50):
            cache.encode(model, noise(seed), keep_blocks=True)
            if seed in (9, 49):
                gc.collect()
                held.append((int(Path("/proc/self/statm").read_text().split()[1]) * 4096, cache.state().used))
        print((held[1][0] - held[0][0]) / (held[1][1] - held[0][1]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) < 1.25, "what the allocator leaves between tensors"


@pytest.mark.parametrize(("told", "expected"), [("64", 64), (None, 512), ("0", 512), ("much", 512), ("1.5", 512)])
def test_the_limit_is_told_by_the_environment_and_what_it_is_not_is_said(told, expected, monkeypatch):
    monkeypatch.setenv("SAMKIT_CACHE_MB", told) if told else monkeypatch.delenv("SAMKIT_CACHE_MB", raising=False)
    limit, complaint = limit_mb()
    assert limit == expected
    assert (complaint is None) == (told in ("64", None)) and (
        complaint is None or f"SAMKIT_CACHE_MB is {told!r}" in complaint
    )
