"""A short name for a value that follows from its content alone: what two runs have in common is known by it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import singledispatch
from types import ModuleType
from typing import Any

import numpy as np
from pydantic import BaseModel

_PLAIN = {each: f"builtins.{each.__name__}" for each in (str, bool, int, float)}
"""Most values are one of these, and ask for no closer look."""


def content_key(*values: Any) -> str:
    """32 hex digits: the same for values of the same content, in this process and in any other.

    Models and memory banks count by their hash, films by their hash and size, pictures by their pixels, parameters and
    data classes by what they hold, functions by their name. What has a `content_key` of its own counts by that. Raises
    TypeError for what can't be known by its content, such as a function made inside another one.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in _parts(values):
        digest.update(part)
    return digest.hexdigest()


def _parts(values: Iterable[Any]) -> Iterable[bytes]:
    """Each value's content, with its kind and length before it, so that no two sequences read the same."""
    for value in values:
        if type(value) in _PLAIN:
            kind, content = _PLAIN[type(value)], (value if isinstance(value, str) else repr(value)).encode()
            yield f"{kind}:{len(content)}:".encode()
            yield content
            continue
        own = getattr(value, "content_key", None)
        if isinstance(own, str):
            kind, content = "known", own.encode()
        else:
            kind, content = f"{type(value).__module__}.{type(value).__qualname__}", _content(value)
        yield f"{kind}:{len(content)}:".encode()
        yield content


@singledispatch
def _content(value: Any) -> bytes:
    if hasattr(value, "info") and hasattr(value, "dtype"):  # a loaded model
        return f"{value.info.sha256} {value.device} {value.dtype}".encode()
    if isinstance(getattr(value, "sha256", None), str):  # a picture, a memory bank
        return value.sha256.encode()
    if is_dataclass(value) and not isinstance(value, type):
        return content_key(*(getattr(value, field.name) for field in fields(value))).encode()
    if callable(value) and _is_global(value):
        return f"{value.__module__}.{value.__qualname__}".encode()
    if hasattr(value, "detach"):  # a tensor; numpy has no bfloat16, so its bytes are read as they are
        import torch

        plain = value.detach().cpu().contiguous()
        content = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
        return f"{plain.dtype}{tuple(plain.shape)}".encode() + content
    raise TypeError(f"A {type(value).__name__} can't be known by its content.")


def _is_global(function: Any) -> bool:
    """Whether a function or class is wholly named by its module and name: no lambda, no closure, no method that is
    bound to a value.
    """
    name, owner = getattr(function, "__qualname__", "<"), getattr(function, "__self__", None)
    return "<" not in name and (owner is None or isinstance(owner, type | ModuleType))


@_content.register
def _(value: None) -> bytes:
    return b""


@_content.register(bool)
@_content.register(int)
@_content.register(float)
@_content.register(np.generic)
def _(value: Any) -> bytes:
    return repr(value).encode()


@_content.register
def _(value: str) -> bytes:
    return value.encode()


@_content.register
def _(value: bytes) -> bytes:
    return value


@_content.register
def _(value: np.ndarray) -> bytes:
    if value.dtype.hasobject:
        raise TypeError("An array of objects can't be known by its content.")
    return f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()


@_content.register(tuple)
@_content.register(list)
def _(value: Any) -> bytes:
    return content_key(*value).encode()


@_content.register
def _(value: Mapping) -> bytes:
    return content_key(*(each for item in sorted(value.items()) for each in item)).encode()


@_content.register
def _(value: BaseModel) -> bytes:
    return f"{type(value).__module__}.{type(value).__qualname__} {value.model_dump_json()}".encode()
