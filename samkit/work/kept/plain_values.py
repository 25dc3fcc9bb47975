"""Knobs' values as JSON and back: like JSON, but a tuple stays a tuple."""

import math
from collections.abc import Mapping
from typing import Any

from samkit.errors import BadInput

MAX_TEXT, MAX_ENTRIES, MAX_DEPTH = 4_000, 500, 6
_TUPLE = "tuple"
"""The one key of an object that stands for a tuple."""


def to_plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values by name. What JSON can't hold is left out."""
    plain = {}
    for name, value in values.items():
        try:
            plain[str(name)] = _plain(value, 0)
        except (TypeError, ValueError):
            continue
    return plain


def from_plain(plain: Any) -> dict[str, Any]:
    """What `to_plain` was given. Raises BadInput for anything that it does not write."""
    if not isinstance(plain, dict):
        raise BadInput("Its parameters are not an object of names and values.")
    return {name: _value(value, 0) for name, value in _checked(plain).items()}


def _plain(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        return value
    if isinstance(value, tuple):
        return {_TUPLE: [_plain(each, depth + 1) for each in value]}
    if isinstance(value, list):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, Mapping) and set(value) != {_TUPLE} and all(isinstance(name, str) for name in value):
        return {name: _plain(each, depth + 1) for name, each in value.items()}
    raise TypeError(f"a {type(value).__name__} is not kept")


def _value(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise BadInput("Its parameters are lists too deep.")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput("One of its parameters is not a finite number.")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise BadInput("One of its parameters is a text too long.")
    if isinstance(value, list):
        return [_value(each, depth + 1) for each in _checked(value)]
    if isinstance(value, dict):
        if set(value) == {_TUPLE} and isinstance(value[_TUPLE], list):
            return tuple(_value(each, depth + 1) for each in _checked(value[_TUPLE]))
        return {name: _value(each, depth + 1) for name, each in _checked(value).items()}
    return value


def _checked(several: Any) -> Any:
    if len(several) > MAX_ENTRIES:
        raise BadInput(f"It has more than {MAX_ENTRIES} parameters.")
    return several
