"""What a visitor is working on, under our own session keys: Streamlit forgets a widget's state when its page is left,
and this outlives that.

Model, picture, prompts and colour scale are shared by all pages; each page has parameters of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from samkit.media.pictures import Picture
from samkit.media.samples import SAMPLES, load_sample, sample_names
from samkit.prompts import Prompts
from samkit.ui.state.browser_memory import remembered_colormap

_KEY = "samkit.workspace"
MAX_RECENT = 6
MAX_HISTORY = 100


@dataclass(frozen=True)
class PendingRun:
    """A kept run of which something was not found, to be shown as it was kept when that arrives.

    page:    name of its experiment's page
    told:    what run.json tells of model, pictures and film, by its keys there
    missing: those keys that are waited for
    """

    page: str
    name: str
    params: Mapping[str, Any]
    prompts: Prompts
    told: Mapping[str, dict]
    missing: tuple[str, ...]


@dataclass
class Workspace:
    """
    drawing_version: counts the changes of the prompts that did not come from the canvas, after each of which the canvas
                     is drawn anew
    opened:          page -> the whole parameters of the run that was opened there
    dtype_changes:   counts the changes of the number type that did not come from its widget, after each of which that
                     is another one to the browser
    awaited:         SHA-256 of a picture that a kept run was made with and that was not found, and the run's prompts on
                     it
    """

    model_ref: str = "nano-sam2"
    device: str = "auto"
    dtype: str = "float32"
    dtype_changes: int = 0
    picture: Picture | None = None
    prompts: Prompts = field(default_factory=Prompts)
    history: list[Prompts] = field(default_factory=list)
    tool: str = "foreground"
    drawing_version: int = 0
    recent: list[Picture] = field(default_factory=list)
    params: dict[str, dict] = field(default_factory=dict)
    shared_params: dict[str, object] = field(default_factory=dict)
    last_kept: dict[str, object] = field(default_factory=dict)
    restored_run: str | None = None
    opened: dict[str, dict[str, Any]] = field(default_factory=dict)
    pending: PendingRun | None = None
    awaited: tuple[str, Prompts] | None = None

    def show_picture(self, picture: Picture, prompts: Prompts | None = None) -> None:
        """Put another picture on the table, with prompts that fit it or none."""
        if self.awaited and picture.sha256 == self.awaited[0]:
            prompts, self.awaited = self.awaited[1], None
        self.picture = picture
        self.prompts = prompts or Prompts()
        self.history = []
        self.drawing_version += 1
        self.recent = [picture, *(seen for seen in self.recent if seen.sha256 != picture.sha256)][:MAX_RECENT]

    def take_dtype(self, dtype: str) -> None:
        """Another number type than the one chosen in the sidebar."""
        if dtype != self.dtype:
            self.dtype = dtype
            self.dtype_changes += 1

    def draw(self, prompts: Prompts) -> None:
        """Take prompts that the canvas already shows."""
        if prompts != self.prompts:
            self.history = [*self.history, self.prompts][-MAX_HISTORY:]
            self.prompts = prompts

    def edit(self, prompts: Prompts) -> None:
        """Take prompts from anywhere else; the canvas follows."""
        if prompts != self.prompts:
            self.draw(prompts)
            self.drawing_version += 1

    def undo(self) -> None:
        """Back to the prompts before the last change."""
        if self.history:
            self.prompts = self.history.pop()
            self.drawing_version += 1


def workspace() -> Workspace:
    """This visitor's workspace; a first visit finds a sample picture with a prompt placed."""
    if _KEY not in st.session_state:
        made = Workspace()
        first = sample_names()[0]
        made.show_picture(load_sample(first), SAMPLES[first].prompts)
        if (colormap := remembered_colormap()) is not None:
            made.shared_params["colormap"] = colormap
        st.session_state[_KEY] = made
    return st.session_state[_KEY]
