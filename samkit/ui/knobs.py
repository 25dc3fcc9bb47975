"""An experiment's knobs: widgets whose values are kept in the workspace, so that they are as they were when a page is opened again."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from samkit.experiments.colormaps import COLORMAPS
from samkit.ui.workspace import Workspace

SHARED = ("colormap",)
"""Knobs that have one value on all pages."""


class Knobs:
    """One page's knobs. Every method draws a widget and returns its value, which is kept under `name`.

    The stored value is put into the widget's state before the widget is made, because Streamlit drops that state when the page is left.
    """

    def __init__(self, work: Workspace, page: str):
        self._page = page
        self._own = work.params.setdefault(page, {})
        self._shared = work.shared_params

    def _key(self, name: str) -> str:
        return f"knob_{self._page}_{name}"

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
            st.session_state.pop(self._key(name), None)

    def forget(self, *names: str) -> None:
        """Back to the defaults."""
        for name in names:
            self._values(name).pop(name, None)
            st.session_state.pop(self._key(name), None)

    def slider(self, label: str, name: str, low, high, default, step, **options):
        return self._keep(name, st.slider(label, low, high, step=step, key=self._seed(name, default), **options))

    def choose(self, label: str, name: str, options: list, default, **more):
        """One of a few, side by side."""
        key = self._seed(name, default)
        if st.session_state[key] not in options:
            st.session_state[key] = default
        return self._keep(name, st.segmented_control(label, options, key=key, required=True, **more))

    def select(self, label: str, name: str, options: list, default, **more):
        """One of many, in a list."""
        key = self._seed(name, default)
        if st.session_state[key] not in options:
            st.session_state[key] = default
        return self._keep(name, st.selectbox(label, options, key=key, **more))

    def step(self, label: str, name: str, options: list, default, **more):
        """One of many in order, on a slider."""
        key = self._seed(name, default)
        if st.session_state[key] not in options:
            st.session_state[key] = default
        return self._keep(name, st.select_slider(label, options, key=key, **more))

    def toggle(self, label: str, name: str, default: bool, **more) -> bool:
        return self._keep(name, st.toggle(label, key=self._seed(name, default), **more))

    def number(self, label: str, name: str, default: float, **more) -> float:
        return self._keep(name, st.number_input(label, key=self._seed(name, default), **more))

    def colormap(self, **more) -> str:
        """The colour scale, the same on all pages."""
        return self.select("Colour scale", "colormap", list(COLORMAPS), COLORMAPS[0], **more)
