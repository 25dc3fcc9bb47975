"""Experiment parameters from names and values that a person wrote: each refusal is a sentence."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from samkit.errors import ParamsError
from samkit.experiments.result import PlainParams


def build_params(params_class: type[PlainParams], values: Mapping[str, Any]) -> PlainParams:
    """`params_class(**values)`, with `ParamsError` for an unknown name (and the nearest known ones) and for a value out
    of range.
    """
    for name in values:
        if name not in params_class.model_fields:
            raise ParamsError(f'There is no parameter "{name}": {_nearest(name, list(params_class.model_fields))}')
    try:
        return params_class(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
        if not problem["loc"]:
            raise ParamsError(f"{message}.") from error
        raise ParamsError(
            f'The parameter "{problem["loc"][0]}" can\'t be {_shown(problem["input"])}: it {message}.'
        ) from error


def parse_value(text: str) -> Any:
    """The value of `name=value` on a command line: JSON where it is JSON (numbers, true, null, lists), "none" or
    nothing for no value, else the text itself.
    """
    if text.strip().lower() in ("", "none"):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."


def _shown(value: Any) -> str:
    return f"{value!r:.60}" if value is not None else "empty"
