"""A short name for a value that follows from its content alone: what two runs have in common is known by it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from pydantic import BaseModel


def content_key(*values: Any) -> str:
    """32 hex digits: the same for values of the same content, in this process and in any other.

    Models, films and memory banks count by their hash, pictures by their pixels, parameters and data classes by what
    they hold, functions by their name. What has a `content_key` of its own counts by that. Raises TypeError for what
    has no content that could be told.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in _parts(values):
        digest.update(part)
    return digest.hexdigest()


def _parts(values: Iterable[Any]) -> Iterable[bytes]:
    """Each value's content, with its kind and length before it, so that no two sequences read the same."""
    for value in values:
        own = getattr(value, "content_key", None)
        content = own.encode() if isinstance(own, str) else _content(value)
        yield f"{type(value).__name__}:{len(content)}:".encode()
        yield content


@singledispatch
def _content(value: Any) -> bytes:
    if hasattr(value, "info") and hasattr(value, "dtype"):  # a loaded model
        return f"{value.info.sha256} {value.device} {value.dtype}".encode()
    if isinstance(getattr(value, "sha256", None), str):  # a picture, a film, a memory bank
        return value.sha256.encode()
    if is_dataclass(value) and not isinstance(value, type):
        return content_key(*(getattr(value, field.name) for field in fields(value))).encode()
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}".encode()
    if hasattr(value, "detach"):  # a tensor
        return _content(value.detach().float().cpu().numpy())
    raise TypeError(f"A {type(value).__name__} has no content that could be told.")


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
