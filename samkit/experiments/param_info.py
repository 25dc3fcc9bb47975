"""What a parameter says of itself: bounds, default, help, unit. Pages and sweeps ask here and repeat none of it."""

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import annotated_types

from samkit.experiments.params import PlainParams


@dataclass(frozen=True)
class ParamInfo:
    """start: where a knob stands at first: at the default, but for parameters whose default says "off"

    low, high: the least and the largest value people usually take, or the bounds where nothing else is said; None
    where there is no end. step: None where values have none. whole: whether values are whole numbers. options: the
    values there are, where they can be listed.
    """

    name: str
    label: str
    help: str
    default: Any
    start: Any
    low: float | None
    high: float | None
    step: float | None
    whole: bool
    options: tuple[Any, ...]


def param_info(params_class: type[PlainParams], name: str) -> ParamInfo:
    """Of the parameter `name`. KeyError for a name that the class doesn't have."""
    field = params_class.model_fields[name]
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    low, high = _bounds(field.metadata)
    usual = extra.get("usual")
    if isinstance(usual, list):
        low, high = float(str(usual[0])), float(str(usual[1]))
    unit = f" ({extra['unit']})" if extra.get("unit") else ""
    step = extra.get("step")
    return ParamInfo(
        name,
        f"{extra.get('label') or name.replace('_', ' ').capitalize()}{unit}",
        _sentence(field.description or ""),
        field.get_default(call_default_factory=True),
        extra.get("start", field.get_default(call_default_factory=True)),
        low,
        high,
        float(str(step)) if step is not None else None,
        _is_whole(field.annotation),
        _options(field.annotation),
    )


def _bounds(metadata: list[Any]) -> tuple[float | None, float | None]:
    """(least, largest) of pydantic's constraints, the ends of exclusive ones too."""
    low = high = None
    for constraint in metadata:
        if isinstance(constraint, annotated_types.Ge | annotated_types.Gt):
            low = constraint.ge if isinstance(constraint, annotated_types.Ge) else constraint.gt
        elif isinstance(constraint, annotated_types.Le | annotated_types.Lt):
            high = constraint.le if isinstance(constraint, annotated_types.Le) else constraint.lt
    return _number(low), _number(high)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _is_whole(annotation: Any) -> bool:
    return int in (annotation, *get_args(annotation))


def _options(annotation: Any) -> tuple[Any, ...]:
    """The values of a Literal, alone or beside None."""
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) is Literal:
            return get_args(part)
    return ()


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
