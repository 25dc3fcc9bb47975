"""Which values a parameter of a sweep takes: as a person writes them down, and the field in which they do."""

import re
from collections.abc import Sequence
from typing import Any, get_args, get_origin

import streamlit as st

from samkit.errors import BadInput
from samkit.experiments.param_info import ParamInfo, param_info
from samkit.experiments.params import PlainParams
from samkit.ui.parts.markdown_text import plain_text

LEFT_OUT = ("colormap", "sweep_stage", "sweep_sizes", "sweep_repeats")
"""Parameters that change no figure of a cell."""
OPEN = ("own", "default", "none", "empty", "null")
"""Words for a parameter that is left open."""
_RANGE = re.compile(r"\s*(\S+)\s*(?:to|\.\.\.?|–)\s*(\S+)(?:\s+(?:step|by|in steps of)\s+(\S+))?\s*", re.IGNORECASE)


def swept_params(params_class: type[PlainParams]) -> list[str]:
    """The parameters that may be swept, by name."""
    return [name for name in params_class.model_fields if name not in LEFT_OUT]


def is_listed(params_class: type[PlainParams], name: str) -> bool:
    """Whether one value of the parameter is itself a list, such as a window size for each stage."""
    annotation = params_class.model_fields[name].annotation
    return any(get_origin(part) is tuple for part in (annotation, *get_args(annotation)))


def written_values(text: str, info: ParamInfo, listed_length: int | None = None) -> Any:
    """What a spec has for the values in `text`: a list, or a range. Raises BadInput with a sentence.

    listed_length: of a parameter whose values are lists: how long each is; one number stands for as many of it
    """
    if listed_length is not None:
        return [_listed(part, info, listed_length) for part in _parts(text, r"[;,\n]")]
    whole = _RANGE.fullmatch(text)
    if whole and "," not in text:
        first, last = (_number(part, info) for part in whole.group(1, 2))
        step = _number(whole[3], info) if whole[3] else info.step or 1
        if info.whole and step == int(step):
            step = int(step)
        return {"from": first, "to": last, "step": step}
    return [None if part.lower() in OPEN else _number(part, info) for part in _parts(text, r"[;,\s]")]


def values_text(value: Any) -> str:
    """A value as `written_values` reads it."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "own" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _parts(text: str, between: str) -> list[str]:
    parts = [part.strip() for part in re.split(between, text) if part.strip()]
    if not parts:
        raise BadInput("Write down at least one value.")
    return parts


def _number(text: str, info: ParamInfo) -> Any:
    try:
        return int(text) if info.whole else float(text)
    except ValueError:
        kind = "a whole number" if info.whole else "a number"
        raise BadInput(
            f"{info.label}: {text[:40]!r} is not {kind}. Write values such as 1, 2, 4, or a range such as "
            "1 to 9 step 2."
        ) from None


def _listed(text: str, info: ParamInfo, length: int) -> Any:
    if text.lower() in OPEN:
        return None
    numbers = [int(_number(part, info)) for part in text.split()]
    return numbers * length if len(numbers) == 1 else numbers


def values_field(params_class: type[PlainParams], name: str, length: int | None, key: str, present: Any) -> Any:
    """Draw the field of one parameter; what a spec has for it, None where nothing is written. Raises BadInput with a
    sentence.

    length: of its values, where these are lists; present: the value of the page, with which the field begins
    """
    info = param_info(params_class, name)
    options: Sequence[Any] = info.options or ((False, True) if isinstance(info.default, bool) else ())
    if options:
        chosen = st.multiselect(
            plain_text(info.label), options, list(options), key=key, help=info.help, format_func=_option_text
        )
        if not chosen:
            raise BadInput(f"{info.label}: choose at least one value.")
        return chosen
    listed = length if is_listed(params_class, name) else None
    text = st.text_input(
        plain_text(info.label),
        values_text(present),
        key=key,
        help=info.help,
        placeholder=_example(info, listed),
        max_chars=2000,
    )
    if not text.strip():
        return None
    return written_values(text, info, listed)


def _option_text(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _example(info: ParamInfo, listed: int | None) -> str:
    if listed is not None:
        return "8, 14, 16 for all stages; or " + " ".join(["8"] * (listed - 1) + ["14"])
    if info.low is not None and info.high is not None:
        return f"values or a range: {info.low:g} to {info.high:g} step {info.step or 1:g}"
    return "values such as 448, 896, or 448 to 1344 step 448" if info.name == "side" else "values such as 1, 2, 4"
