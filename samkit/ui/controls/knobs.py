"""Knobs as declarations: a page lists them, and drawing, opening a kept run and adapting to another model follow.

Bounds, default, step, unit and help are those of the experiment's `Params`; a knob adds what only a screen knows: which
kind of widget it is, and where it needs them, the options that the model at hand has.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from samkit.experiments.inputs import Inputs
from samkit.experiments.param_info import ParamInfo, param_info
from samkit.experiments.params import PlainParams
from samkit.media.colormaps import COLORMAPS
from samkit.models.sam import SamModel
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.state.browser_memory import remember_colormap


@dataclass(frozen=True)
class Panel:
    """Where knobs are drawn. encoding: the parameters side and fit, where the experiment has them; disabled: knobs are
    shown and can't be moved.
    """

    values: KnobValues
    params: type[PlainParams]
    model: SamModel
    inputs: Inputs
    encoding: Mapping[str, Any] = field(default_factory=dict)
    disabled: bool = False

    def info(self, name: str) -> ParamInfo:
        return param_info(self.params, name)

    def value(self, name: str) -> Any:
        """Where the knob of a parameter stands, at the parameter's default as long as nobody has moved it."""
        return self.values.get(name, self.info(name).default)


def opened_with(name: str) -> Callable[[Panel], bool]:
    """Whether the run that was opened on the page sets the parameter `name`, which has no knob there: it counts in
    place of the knob that this is for.
    """
    return lambda panel: panel.values.base.get(name) is not None


class Knob(ABC):
    """One control, which makes one parameter or several."""

    @abstractmethod
    def draw(self, panel: Panel) -> dict[str, Any]:
        """Draw it, and give the parameters it makes by name."""

    @abstractmethod
    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """A kept run's parameters -> the values at which this knob makes them, by the names `KnobValues` keeps."""

    def adapt(self, params: dict[str, Any], model: SamModel) -> dict[str, Any]:
        """The parameters as near as another model can take them."""
        return params


@dataclass(frozen=True)
class Slider(Knob):
    """A number.

    scale: what is shown is so many times the parameter, such as 100 for a share in per cent
    high:  the largest value that the inputs at hand allow; nothing beyond it can be chosen or kept
    start: where it stands at first, where the inputs at hand decide that; default: what the parameter says
    disabled_by: whether other knobs leave nothing for this one to change
    """

    name: str
    label: str = ""
    scale: float = 1.0
    high: Callable[[Panel], int] | None = None
    start: Callable[[Panel], int] | None = None
    disabled_by: Callable[[Panel], bool] = lambda panel: False

    def draw(self, panel: Panel) -> dict[str, Any]:
        info = panel.info(self.name)
        low, start, step = (self._shown(value) for value in (info.low, info.start, info.step))
        high = self._shown(info.high) if self.high is None else float(self.high(panel))
        start = float(self.start(panel)) if self.start is not None else min(max(start, low), high)
        if info.whole:
            low, high, start, step = int(low), int(high), int(start), int(step or 1)
        if low >= high:
            return {self.name: panel.values.only(self.name, low)}
        disabled = panel.disabled or self.disabled_by(panel)
        value = panel.values.slider(
            self.label or info.label,
            self.name,
            low,
            high,
            start,
            step,
            limited=self.high is not None,
            help=info.help,
            disabled=disabled,
        )
        return {self.name: self._parameter(value, panel)}

    def _shown(self, value: float | None) -> float:
        # A hundred times a hundredth is not always 1 in binary.
        return round(float(value or 0) * self.scale, 9)

    def _parameter(self, value: float, panel: Panel) -> float:
        """The shown value as the parameter; a kept run's own number where the slider stands at that."""
        if self.scale == 1:
            return value
        kept = panel.values.base.get(self.name)
        return kept if kept is not None and kept * self.scale == value else value / self.scale

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        value = params[self.name]
        return {} if value is None else {self.name: value if self.scale == 1 else value * self.scale}


@dataclass(frozen=True)
class Range(Knob):
    """Two numbers on one slider.

    apart:       how far they are put apart where they meet; 0: they may meet
    disabled_by: a knob that leaves nothing for this one to change while it is on
    """

    low_name: str
    high_name: str
    name: str
    label: str
    apart: float = 0.0
    disabled_by: str = ""

    def draw(self, panel: Panel) -> dict[str, Any]:
        low, high = panel.info(self.low_name), panel.info(self.high_name)
        bounds = low.low or 0.0, high.high or 0.0
        disabled = panel.disabled or (bool(self.disabled_by) and bool(panel.values.get(self.disabled_by)))
        default = (low.default, high.default)
        first, second = panel.values.slider(
            self.label,
            self.name,
            *bounds,
            default,
            low.step,
            help=f"{low.help}; {high.help[:1].lower()}{high.help[1:]}",
            disabled=disabled,
        )
        if self.apart and first >= second:
            first = min(first, bounds[1] - self.apart)
            second = first + self.apart
        return {self.low_name: first, self.high_name: second}

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self.name: (params[self.low_name], params[self.high_name])}


@dataclass(frozen=True)
class Toggle(Knob):
    """Yes or no.

    impossible:  why the model at hand has no such thing; empty where it has
    disabled_by: whether other knobs leave nothing for this one to change
    offered:     whether there is such a thing to choose at all; else there is no widget
    """

    name: str
    label: str = ""
    impossible: Callable[[Panel], str] = lambda panel: ""
    disabled_by: Callable[[Panel], bool] = lambda panel: False
    offered: Callable[[Panel], bool] = lambda panel: True

    def draw(self, panel: Panel) -> dict[str, Any]:
        if not self.offered(panel):
            return {self.name: panel.values.only(self.name, panel.info(self.name).default)}
        info, reason = panel.info(self.name), self.impossible(panel)
        disabled = panel.disabled or bool(reason) or self.disabled_by(panel)
        return {
            self.name: panel.values.toggle(
                self.label or info.label, self.name, info.default, help=reason or info.help, disabled=disabled
            )
        }

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self.name: params[self.name]}


@dataclass(frozen=True)
class Choice(Knob):
    """One of the few values that the parameter can take, side by side.

    offered: whether there is anything to choose; else there is no widget, and the default counts
    """

    name: str
    label: str = ""
    help: str = ""
    offered: Callable[[Panel], bool] = lambda panel: True

    def draw(self, panel: Panel) -> dict[str, Any]:
        info = panel.info(self.name)
        if not self.offered(panel):
            return {self.name: panel.values.only(self.name, info.default)}
        return {
            self.name: panel.values.choose(
                self.label or info.label,
                self.name,
                info.options,
                info.default,
                help=self.help or info.help,
                disabled=panel.disabled,
            )
        }

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self.name: params[self.name]}


@dataclass(frozen=True)
class Steps(Knob):
    """One of many values in order, which the model at hand tells.

    options: the values; default: where it stands at first (None: the parameter's default); text: how a value is shown
    limit: the largest value for another model, given the parameters; a larger one becomes that
    open_at_default: whether a parameter that a kept run left open stays open where the knob stands at its default
    """

    name: str
    options: Callable[[Panel], Sequence[int]]
    label: str = ""
    default: Callable[[Panel], int] | None = None
    text: Callable[[Panel], Callable[[Any], str]] = lambda panel: str
    limit: Callable[[dict[str, Any], SamModel], int] | None = None
    open_at_default: bool = True

    def draw(self, panel: Panel) -> dict[str, Any]:
        info, options = panel.info(self.name), list(self.options(panel))
        default = self.default(panel) if self.default else info.default
        if len(options) == 1:
            return {self.name: self._parameter(panel.values.only(self.name, options[0]), default, info, panel)}
        value = panel.values.step(
            self.label or info.label,
            self.name,
            options,
            default,
            help=info.help,
            disabled=panel.disabled,
            format_func=self.text(panel),
        )
        return {self.name: self._parameter(value, default, info, panel)}

    def _parameter(self, value: int, default: int, info: ParamInfo, panel: Panel) -> int | None:
        if info.default is None and self.open_at_default:
            return panel.values.left_open(self.name, value, default)
        return value

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self.name: params[self.name]}

    def adapt(self, params: dict[str, Any], model: SamModel) -> dict[str, Any]:
        if self.limit is None or params.get(self.name) is None:
            return params
        return params | {self.name: min(params[self.name], self.limit(params, model))}


@dataclass(frozen=True)
class Switched(Knob):
    """A switch, and knobs that count while it is on. off: the parameters that say so while it is off.

    name: of the switch; help: of the switch; hides: the knobs are gone, and not only disabled, while it is off
    impossible: whether it can't be moved; idle: whether there is nothing for it to act on, so that it counts as off
    """

    name: str
    label: str
    off: Mapping[str, Any]
    knobs: tuple[Knob, ...]
    help: str = ""
    hides: bool = False
    impossible: Callable[[Panel], bool] = lambda panel: False
    idle: Callable[[Panel], bool] = lambda panel: False

    def draw(self, panel: Panel) -> dict[str, Any]:
        idle = self.idle(panel)
        disabled = panel.disabled or idle or self.impossible(panel)
        on = panel.values.toggle(self.label, self.name, False, help=self.help or None, disabled=disabled) and not idle
        params: dict[str, Any] = {}
        if on or not self.hides:
            inside = Panel(
                panel.values, panel.params, panel.model, panel.inputs, panel.encoding, panel.disabled or not on
            )
            for each in self.knobs:
                params |= each.draw(inside)
        return params if on else dict(self.off)

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        on = any(params[name] != value for name, value in self.off.items())
        values: dict[str, Any] = {self.name: on}
        for each in self.knobs:
            inside = each.restore(params)
            # A knob whose parameter says "off" keeps its place for when it is switched on again.
            values |= inside if on else {name: value for name, value in inside.items() if name not in self.off}
        return values

    def adapt(self, params: dict[str, Any], model: SamModel) -> dict[str, Any]:
        for each in self.knobs:
            params = each.adapt(params, model)
        return params


@dataclass(frozen=True)
class Quiet(Knob):
    """A parameter without a widget: something else on the page sets it, such as a click on a mask or a map.

    counts: whether it is a parameter of the page's own run, and not only of what is marked on it
    length: how many values there are, counted from 0, given the parameters made so far; a larger one becomes the last
    limit:  the largest value for another model
    """

    name: str
    counts: bool = True
    length: Callable[[Panel], int] | None = None
    limit: Callable[[dict[str, Any], SamModel], int] | None = None

    def draw(self, panel: Panel) -> dict[str, Any]:
        value = panel.values.get(self.name)
        if self.length is not None and isinstance(value, int) and value >= (length := self.length(panel)):
            panel.values.move(self.name, length - 1, f"it goes from 0 to {length - 1}")
            value = length - 1
        return {self.name: value} if self.counts else {}

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self.name: params[self.name]}

    def adapt(self, params: dict[str, Any], model: SamModel) -> dict[str, Any]:
        if self.limit is None or params.get(self.name) is None:
            return params
        return params | {self.name: min(params[self.name], self.limit(params, model))}


@dataclass(frozen=True)
class ColourScale(Knob):
    """The colour scale, the same on all pages and at the browser's next visit."""

    name: str = "colormap"

    def draw(self, panel: Panel) -> dict[str, Any]:
        options = list(COLORMAPS)
        value = panel.values.select("Colour scale", self.name, options, options[0], disabled=panel.disabled)
        remember_colormap(value)
        return {self.name: value}

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self.name: params[self.name]}


def draw_knobs(knobs: Sequence[Knob], panel: Panel) -> dict[str, Any]:
    """Draw all of them in order; the parameters they make, by name."""
    params: dict[str, Any] = {}
    for each in knobs:
        params |= each.draw(panel)
    return params


def restore_knobs(knobs: Sequence[Knob], params: Mapping[str, Any]) -> dict[str, Any]:
    """A kept run's parameters -> the values of all these knobs."""
    values: dict[str, Any] = {}
    for each in knobs:
        values |= each.restore(params)
    return values


def adapt_knobs(knobs: Sequence[Knob], params: Mapping[str, Any], model: SamModel) -> dict[str, Any]:
    """The parameters as near as another model can take them."""
    adapted = dict(params)
    for each in knobs:
        adapted = each.adapt(adapted, model)
    return adapted


def columns(*knobs: Knob) -> Knob:
    """Knobs side by side."""
    return _Columns(knobs)


@dataclass(frozen=True)
class _Columns(Knob):
    knobs: tuple[Knob, ...]

    def draw(self, panel: Panel) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for each, column in zip(self.knobs, st.columns(len(self.knobs), gap="small"), strict=True):
            with column:
                params |= each.draw(panel)
        return params

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return restore_knobs(self.knobs, params)


def without_prompts(panel: Panel) -> bool:
    """Whether nothing is marked that could be moved."""
    return not panel.inputs.prompts.count
