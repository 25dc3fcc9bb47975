"""What the knobs of a page stand at: kept in the workspace, so that they are as they were when a page is opened
again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from samkit.experiments.params import AnyParams, build_params
from samkit.ui.state.workspace import Workspace

SHARED = ("colormap",)
"""Knobs that have one value on all pages."""
MAX_WHOLE = 2**53 - 1
"""The largest whole number a browser counts to."""
T = TypeVar("T")


class KnobValues:
    """One page's knobs. Every method draws a widget and returns its value, which is kept under `name`.

    The stored value is put into the widget's state before the widget is made, because Streamlit drops that state when
    the page is left. A widget whose value was changed by `set` is a new one to the browser: what the browser says of
    the old one, while it doesn't know the change yet, is void. A kept run's values are shown as they are: sliders
    become as long as they need, and what can't be shown is told by `notices`.
    """

    def __init__(self, work: Workspace, page: str):
        self._work, self.page = work, page
        self._own = work.params.setdefault(page, {})
        self._shared = work.shared_params
        # name -> times its widget was renewed; value of the opened run; (sentence, value shown in its place); (lowest,
        # highest) of its slider
        self._changes, self._restored, self._notices, self._reach = (
            st.session_state.setdefault(f"samkit.knobs.{page}.{kind}", {})
            for kind in ("changes", "restored", "notices", "reach")
        )

    @property
    def base(self) -> dict[str, Any]:
        """The whole parameters of the run that was opened on this page; empty where none was."""
        return self._work.opened.get(self.page, {})

    def restore(self, params: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Show a kept run. params: all of its parameters; values: of the knobs that make them."""
        self._work.opened[self.page] = dict(params)
        self._notices.clear()
        self.set(values)
        self._restored.clear()
        self._restored.update(values)

    def forget_run(self) -> None:
        """Parameters that have no knob are at their defaults again."""
        self._work.opened.pop(self.page, None)
        self._restored.clear()
        self._notices.clear()

    def params(self, params_class: type[AnyParams], values: Mapping[str, Any]) -> AnyParams:
        """The experiment's parameters: those that the page gives, the opened run's for all others. ParamsError for
        values that can't be.
        """
        return build_params(params_class, {**self.base, **values})

    def left_open(self, name: str, value: T, default: T) -> T | None:
        """The value; None where the opened run leaves the parameter `name` open and the knob stands at what that comes
        to.
        """
        return None if value == default and self.base.get(name, value) is None else value

    def notices(self) -> list[str]:
        """A sentence for each parameter of the opened run that the page can't show, as long as its knob stands where it
        was put instead.
        """
        for name in [name for name, (_, shown) in self._notices.items() if self.get(name) != shown]:
            del self._notices[name]
        return [sentence for sentence, _ in self._notices.values()]

    def note(self, name: str, value: Any, shown: Any, reason: str) -> None:
        """Remember for `notices` that the opened run's value of the knob `name` can't be shown. shown: what is shown in
        its place.
        """
        if name in self._restored and self._restored[name] == value:
            word = name.replace("_", " ")
            self._notices[name] = (
                f"The opened run has {word} {value}, which can't be set here: {reason}. The page shows {shown} "
                "instead.",
                shown,
            )

    def _key(self, name: str) -> str:
        changes = self._changes.get(name, 0)
        return f"knob_{self.page}_{name}" + (f"_{changes}" if changes else "")

    def widget(self, name: str) -> str:
        """The key that the widget of a knob has on the page at present."""
        return self._key(name)

    def _values(self, name: str) -> dict[str, Any]:
        return self._shared if name in SHARED else self._own

    def _seed(self, name: str, default: Any) -> str:
        key = self._key(name)
        if key not in st.session_state:
            kept = self._values(name).get(name, default)
            st.session_state[key] = kept if _is_like(kept, default) else default
        return key

    def keep(self, name: str, value: Any) -> Any:
        """Keep a value as its widget gave it, or one that has no widget."""
        self._values(name)[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """The value without drawing anything."""
        return self._values(name).get(name, default)

    def set(self, values: Mapping[str, Any]) -> None:
        """Change values before their widgets are drawn in this run."""
        for name, value in values.items():
            self._values(name)[name] = value
            for kept in (self._restored, self._notices, self._reach):
                kept.pop(name, None)
            self._drop(name)

    def move(self, name: str, value: Any, reason: str) -> None:
        """Put a kept value that can't be to another, before its widget is drawn; `notices` says so where it is the
        opened run's.
        """
        self.note(name, self.get(name), value, reason)
        self.keep(name, value)
        self._drop(name)

    def forget(self, *names: str) -> None:
        """Back to the defaults."""
        for name in names:
            self._values(name).pop(name, None)
            self._drop(name)

    def _drop(self, name: str) -> None:
        """The widget's state: at its next drawing it takes the kept value. One that was drawn gets another key."""
        st.session_state.pop(self._offered_key(name), None)
        if (key := self._key(name)) in st.session_state:
            del st.session_state[key]
            self._changes[name] = self._changes.get(name, 0) + 1

    def _offered_key(self, name: str) -> str:
        return f"{self._key(name)}.offered"

    def slider(
        self, label: str, name: str, low: Any, high: Any, default: Any, step: Any, limited: bool = False, **options: Any
    ) -> Any:
        """limited: nothing beyond low and high can be, so that a kept value there is moved; else the slider becomes as
        long as a kept value asks.
        """
        key = self._seed(name, default)
        value = st.session_state[key]
        if limited:
            value = self._moved(name, value, low, high)
        else:
            value = self._moved(name, value, -MAX_WHOLE, MAX_WHOLE)
            ends = value if isinstance(value, tuple | list) else (value,)
            low, high = self._reach[name] = (
                min(low, *ends, *self._reach.get(name, ())),
                max(high, *ends, *self._reach.get(name, ())),
            )
        bounds = f"{key}.bounds"
        if value != st.session_state[key] or st.session_state.get(bounds) != (low, high):
            # Set even where it is the same: a slider of another length is another widget.
            st.session_state[key] = value
        st.session_state[bounds] = low, high
        return self.keep(name, st.slider(label, low, high, step=step, key=key, **options))

    def _moved(self, name: str, value: Any, low: Any, high: Any) -> Any:
        """The value, or the nearest between low and high."""
        inside = (
            tuple(min(max(each, low), high) for each in value)
            if isinstance(value, tuple | list)
            else min(max(value, low), high)
        )
        if inside != value:
            self.note(name, value, inside, f"it goes from {low} to {high}")
        return inside

    def offer(self, name: str, options: Sequence[Any], default: Any, format_func: Callable[[Any], Any] = str) -> str:
        """Make the value one of `options`, before its widget is drawn: the kept one, else the default. One that was
        left at the default before, another model's perhaps, is at the default again. Gives the widget's key.
        """
        key = self._seed(name, default)
        offered = (tuple(options), tuple(format_func(option) for option in options), default)
        before = st.session_state.get(self._offered_key(name))
        value = st.session_state[key]
        if value not in options:
            if value is not None:
                several = len(options) > 1
                reason = f"it goes from {options[0]} to {options[-1]}" if several else f"only {options[0]} is possible"
                self.note(name, value, default, reason)
            value = default
        elif self.left_at_default(name, value):
            value = default
        if value != st.session_state[key] or offered != before:
            # Set even where it is the same: the browser knows it by its text, which may be another one.
            st.session_state[key] = value
        st.session_state[self._offered_key(name)] = offered
        self.keep(name, value)
        return key

    def left_at_default(self, name: str, value: Any) -> bool:
        """Whether that was the default of the choice `name` when it was last drawn, perhaps for another model."""
        before = st.session_state.get(self._offered_key(name))
        return before is not None and bool(before[-1] == value)

    def only(self, name: str, value: T) -> T:
        """The one value there is, without a widget."""
        self.offer(name, [value], value)
        return value

    def choose(self, label: str, name: str, options: Sequence[T], default: T, **more: Any) -> T:
        """One of a few, side by side."""
        return self.keep(
            name, st.segmented_control(label, options, key=self.offer(name, options, default), required=True, **more)
        )

    def select(self, label: str, name: str, options: Sequence[T], default: T, **more: Any) -> T:
        """One of many, in a list."""
        return self.keep(name, st.selectbox(label, options, key=self.offer(name, options, default), **more))

    def step(
        self,
        label: str,
        name: str,
        options: Sequence[T],
        default: T,
        format_func: Callable[[Any], Any] = str,
        **more: Any,
    ) -> T:
        """One of many in order, on a slider."""
        key = self.offer(name, options, default, format_func)
        return self.keep(name, st.select_slider(label, options, key=key, format_func=format_func, **more))

    def toggle(self, label: str, name: str, default: bool, **more: Any) -> bool:
        return self.keep(name, st.toggle(label, key=self._seed(name, default), **more))

    def number(self, label: str, name: str, default: float, **more: Any) -> float:
        return self.keep(name, st.number_input(label, key=self._seed(name, default), **more))


def _is_like(value: Any, default: Any) -> bool:
    """Whether a kept value may be a widget's: of the kind that its default has."""
    if value is None or default is None:
        return True
    if isinstance(default, tuple | list):
        return isinstance(value, tuple | list) and len(value) == len(default) and all(map(_is_like, value, default))
    kind = next((kind for kind in (bool, (int, float), str) if isinstance(default, kind)), object)
    return isinstance(value, kind) and isinstance(value, bool) == isinstance(default, bool)
