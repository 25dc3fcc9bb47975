"""Parameters of experiments: what each has, and values that a person wrote, where every refusal is a sentence.

A parameter says all there is to know of it: bounds and default, a description, and with `knob` the step, the unit and
the range in which people usually move it. Pages, the command line and sweeps read it there.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from samkit.errors import ParamsError
from samkit.words import nearest


class PlainParams(BaseModel):
    """Parameters of an experiment; each experiment's `Params` adds its own knobs. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def knob(
    step: float | None = None,
    usual: tuple[float, float] | None = None,
    unit: str = "",
    label: str = "",
    start: float | None = None,
) -> dict[str, Any]:
    """`json_schema_extra` of a parameter's `Field`: how a person moves it.

    step:  between two values of a slider
    usual: the range of a slider, where the bounds are wider than people need; a value beyond it is taken all the same
    unit:  of the value, such as "px" or "logits"
    label: what the knob is called; default: the parameter's name
    start: where the knob stands when it is switched on, for a parameter whose default says "off"
    """
    traits = {"step": step, "usual": list(usual) if usual else None, "unit": unit, "label": label, "start": start}
    return {name: value for name, value in traits.items() if value not in (None, "")}


class ExperimentParams(PlainParams):
    """Parameters of every experiment that encodes a picture."""

    side: int | None = Field(
        default=None,
        ge=32,
        description="Longest side of the picture that the encoder sees; empty: the model's native side.",
        json_schema_extra=knob(unit="px", label="Encoding side"),
    )
    fit: Literal["native", "stretch", "aspect"] = Field(
        default="native",
        description="How the picture is fitted to the encoder: native as the official package does, stretch to a "
        "square, aspect with its proportions kept on a token grid that is not square.",
        json_schema_extra=knob(label="Fit"),
    )


class MaskParams(ExperimentParams):
    """Parameters of every experiment that makes masks."""

    refine_edges: bool = Field(
        default=False,
        description="Cuts all masks again along the picture's own edges by OpenCV's GrabCut, a step after the model: "
        "predicted IoU, stability and logits stay the model's.",
        json_schema_extra=knob(label="Refine edges"),
    )


def mask_index_field() -> Any:
    """The parameter `mask_index` of experiments that show one of the four masks of their prompts."""
    return Field(
        default=None,
        ge=0,
        le=3,
        description="The mask that is shown and measured; empty: the one of masks 1 to 3 with the highest predicted "
        "IoU.",
        json_schema_extra=knob(step=1, label="Mask"),
    )


def jitter_percent_field() -> Any:
    """The parameter `jitter_percent` of experiments that move the prompt."""
    return Field(
        default=1.0,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="How far the copies are moved in each direction: standard deviation in per cent of the picture's "
        "longer side.",
        json_schema_extra=knob(step=0.1, usual=(0.1, 10.0), unit="% of the longer side", label="Moved by"),
    )


def jitter_px_field() -> Any:
    """The parameter `jitter_px` of experiments that move the prompt."""
    return Field(
        default=None,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="The same in pixels of the original picture, in place of the per cent; empty: the per cent count.",
        json_schema_extra=knob(step=0.5, unit="px", label="Moved by"),
    )


AnyParams = TypeVar("AnyParams", bound=PlainParams)


def build_params(params_class: type[AnyParams], values: Mapping[str, Any]) -> AnyParams:
    """`params_class(**values)`, with `ParamsError` for an unknown name (and the nearest known ones) and for a value out
    of range.
    """
    for name in values:
        if name not in params_class.model_fields:
            raise ParamsError(f'There is no parameter "{name}": {nearest(name, params_class.model_fields)}')
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
    except RecursionError:
        raise ParamsError(f"The value {text[:40]!r}... is nested too deeply: write it with fewer brackets.") from None


def _shown(value: Any) -> str:
    return f"{value!r:.60}" if value is not None else "empty"
