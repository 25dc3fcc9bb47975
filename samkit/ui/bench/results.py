"""Results of work that is done at once, with its progress on the page."""

import threading
from typing import TYPE_CHECKING

from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from samkit.experiments.params import PlainParams
from samkit.ui.bench.page import ExperimentPage
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.labs import page_lab
from samkit.ui.state.workspace import Workspace
from samkit.work.execute import Computed, compute, spec_of
from samkit.work.spec import RunSpec

if TYPE_CHECKING:
    from samkit.ui.bench.tables.table import Setup

BAR_AFTER_S = 0.5
"""Most steps take less time than a bar takes to appear, and a bar that flashes is worse than none."""


class ProgressBar:
    """`samkit.experiments.lab.Progress` in a place of the page that is empty otherwise. A thread of its own shows it
    where nothing more is reported by then: the first step may be the long one.
    """

    def __init__(self, place: DeltaGenerator):
        self._place = place
        self._lock = threading.Lock()
        self._told: tuple[float, str] = 0.0, ""
        self._shown = self._over = False
        self._timer: threading.Timer | None = None

    def __call__(self, share: float, line: str) -> None:
        with self._lock:
            self._told = min(1.0, share), plain_text(line)
            if self._shown:
                self._draw()
            elif self._timer is None:
                self._timer = threading.Timer(BAR_AFTER_S, self._show)
                self._timer.daemon = True
                add_script_run_ctx(self._timer, get_script_run_ctx())
                self._timer.start()

    def _show(self) -> None:
        with self._lock:
            if not self._over:
                self._shown = True
                self._draw()

    def _draw(self) -> None:
        share, line = self._told
        self._place.progress(share, text=line)

    def clear(self) -> bool:
        """Take the bar away; whether there was one."""
        with self._lock:
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
            if self._shown:
                self._place.empty()
            return self._shown


def shown_spec(page: ExperimentPage, work: Workspace, setup: "Setup", params: PlainParams) -> RunSpec:
    """The run that the page asks for."""
    return spec_of(
        page.name, setup.model_ref, setup.model, setup.inputs, params, device=work.device, dtype=setup.model.dtype
    )


def shown_result(
    page: ExperimentPage, work: Workspace, setup: "Setup", params: PlainParams, place: DeltaGenerator
) -> Computed:
    """The run that is on the page, as far as it is remembered without computing anything. Progress shows in `place`."""
    bar = ProgressBar(place.empty())
    try:
        return compute(shown_spec(page, work, setup, params), page_lab(setup.model, setup.inputs, bar))
    finally:
        bar.clear()
