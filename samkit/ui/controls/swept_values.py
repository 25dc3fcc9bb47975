"""Which values a parameter of a sweep takes: as a person writes them down, and the field in which they do."""

import re
from collections.abc import Sequence
from typing import Any, get_args, get_origin

import streamlit as st

from samkit.errors import BadInput
from samkit.experiments.param_info import ParamInfo, param_info
from samkit.experiments.params import PlainParams
from samkit.ui.parts.markdown_text import plain_text
from samkit.work.sweep.grid import AUTO, values_of

LEFT_OUT = ("colormap", "sweep_stage", "sweep_sizes", "sweep_repeats")
"""Parameters that change no figure of a cell."""
OPEN = (AUTO, "own", "default", "none", "never", "empty", "null")
"""Words for a parameter that is left open."""
ONE_VALUE = ":orange[One value is no sweep:] write down more."
SHOWN_VALUES = 8
"""Of those that were understood."""
_OPEN_MEANS = re.compile(r"empty: ([^.;]+)")
"""In the description of a parameter: what it does where it is left open."""
_RANGE = re.compile(r"\s*(\S+)\s*(?:to|\.\.\.?|–)\s*(\S+)(?:\s+(?:step|by|in steps of)\s+(\S+))?\s*", re.IGNORECASE)


def swept_params(params_class: type[PlainParams]) -> list[str]:
    """The parameters that may be swept, by name. Of those that are texts nobody knows the values."""
    fields = params_class.model_fields
    return [name for name in fields if name not in LEFT_OUT and not _is_text(fields[name].annotation)]


def _is_text(annotation: Any) -> bool:
    return str in (annotation, *get_args(annotation))


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
    return AUTO if value is None else f"{value:g}" if isinstance(value, float) else str(value)


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
        if len(chosen) == 1:
            st.caption(":orange[One value is no sweep:] choose more.")
        return chosen
    listed = length if is_listed(params_class, name) else None
    how = how_to_write(info, listed)
    text = st.text_input(
        plain_text(info.label),
        values_text(present),
        key=key,
        help=f"{info.help} {how}",
        placeholder=examples(info, listed)[0],
        max_chars=2000,
    )
    if not text.strip():
        st.caption(how)
        return None
    written = written_values(text, info, listed)
    values = values_of(written)
    st.caption(understood(values) if len(values) > 1 else f"{ONE_VALUE} {how}")
    return written


def how_to_write(info: ParamInfo, listed: int | None = None) -> str:
    """A sentence in Markdown on what the field takes. listed: as in `written_values`"""
    first, second = examples(info, listed)
    if listed is not None:
        text = f"Several with commas, such as `{first}`; several numbers in one, such as `{second}`, are one a stage."
    else:
        text = f"Several with commas, such as `{first}`, or a range, such as `{second}`."
    means = _OPEN_MEANS.search(info.help) if info.default is None else None
    return f"{text} `{AUTO}` means {plain_text(means[1])}." if means else text


def examples(info: ParamInfo, listed: int | None = None) -> tuple[str, str]:
    """(values with commas, a range or, of values that are lists, one such list), which this parameter takes."""
    if listed is not None:
        return "8, 14, 16", " ".join(["8"] * (listed - 1) + ["14"])
    if info.name == "side":
        return "512, 1024", "256 to 1024 step 256"
    step, low = info.step or 1, info.low or 0
    high = info.high if info.high is not None else low + 8 * step
    first = max(low, min(float(info.default if info.default is not None else low), high - 2 * step))
    values = ", ".join(f"{first + number * step:g}" for number in range(3))
    return values, f"{first:g} to {min(high, first + 4 * step):g} step {step:g}"


def understood(values: Sequence[Any]) -> str:
    """What was read from a text, such as "3 values: 256, 512, 768"; of many the first ones and the last."""
    texts = [_told(value) for value in values]
    if len(texts) > SHOWN_VALUES:
        texts = [*texts[: SHOWN_VALUES - 2], "…", texts[-1]]
    return f"{len(values)} values: {', '.join(texts)}"


def _told(value: Any) -> str:
    if isinstance(value, list | tuple) and len(set(value)) == 1:
        return f"{value[0]} in all stages"
    return values_text(value)


def _option_text(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
