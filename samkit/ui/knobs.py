"""An experiment's knobs: widgets whose values are kept in the workspace, so that they are as they were when a page is opened again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from samkit.experiments.colormaps import COLORMAPS
from samkit.ui.workspace import Workspace

SHARED = ("colormap",)
"""Knobs that have one value on all pages."""


class Knobs:
    """One page's knobs. Every method draws a widget and returns its value, which is kept under `name`.

    The stored value is put into the widget's state before the widget is made, because Streamlit drops that state when the page is left.
    A widget whose value was changed by `set` is a new one to the browser: what the browser says of the old one, while it doesn't know the change yet, is void.
    """

    def __init__(self, work: Workspace, page: str):
        self._page = page
        self._own = work.params.setdefault(page, {})
        self._shared = work.shared_params
        self._changes = st.session_state.setdefault(f"samkit.knobs.{page}.changes", {})

    def _key(self, name: str) -> str:
        changes = self._changes.get(name, 0)
        return f"knob_{self._page}_{name}" + (f"_{changes}" if changes else "")

    def _values(self, name: str) -> dict[str, Any]:
        return self._shared if name in SHARED else self._own

    def _seed(self, name: str, default: Any) -> str:
        key = self._key(name)
        if key not in st.session_state:
            st.session_state[key] = self._values(name).get(name, default)
        return key

    def _keep(self, name: str, value: Any) -> Any:
        self._values(name)[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """The value without drawing anything."""
        return self._values(name).get(name, default)

    def set(self, values: Mapping[str, Any]) -> None:
        """Change values before their widgets are drawn in this run."""
        for name, value in values.items():
            self._values(name)[name] = value
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

    def slider(self, label: str, name: str, low, high, default, step, **options):
        return self._keep(name, st.slider(label, low, high, step=step, key=self._seed(name, default), **options))

    def offer(self, name: str, options: Sequence, default, format_func: Callable[[Any], Any] = str) -> str:
        """Make the value one of `options`, before its widget is drawn: the kept one, else the default. One that was left at the default before, another model's
        perhaps, is at the default again. Gives the widget's key.
        """
        key, offered = self._seed(name, default), (tuple(options), tuple(format_func(option) for option in options), default)
        before = st.session_state.get(self._offered_key(name))
        value = st.session_state[key]
        if value not in options or (before and before[-1] == value):
            value = default
        if value != st.session_state[key] or offered != before:
            st.session_state[key] = value  # said again even where it is the same: the browser knows it by its text, which may be another now
        st.session_state[self._offered_key(name)] = offered
        self._keep(name, value)
        return key

    def choose(self, label: str, name: str, options: list, default, **more):
        """One of a few, side by side."""
        return self._keep(name, st.segmented_control(label, options, key=self.offer(name, options, default), required=True, **more))

    def select(self, label: str, name: str, options: list, default, **more):
        """One of many, in a list."""
        return self._keep(name, st.selectbox(label, options, key=self.offer(name, options, default), **more))

    def step(self, label: str, name: str, options: list, default, format_func: Callable[[Any], Any] = str, **more):
        """One of many in order, on a slider."""
        key = self.offer(name, options, default, format_func)
        return self._keep(name, st.select_slider(label, options, key=key, format_func=format_func, **more))

    def toggle(self, label: str, name: str, default: bool, **more) -> bool:
        return self._keep(name, st.toggle(label, key=self._seed(name, default), **more))

    def number(self, label: str, name: str, default: float, **more) -> float:
        return self._keep(name, st.number_input(label, key=self._seed(name, default), **more))

    def colormap(self, **more) -> str:
        """The colour scale, the same on all pages."""
        return self.select("Colour scale", "colormap", list(COLORMAPS), COLORMAPS[0], **more)
