"""Results of work that is done at once, with its progress on the page."""

import time
from typing import TYPE_CHECKING

from streamlit.delta_generator import DeltaGenerator

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
    """`samkit.experiments.lab.Progress` in a place of the page that is empty otherwise."""

    def __init__(self, place: DeltaGenerator):
        self._place, self._since = place, time.perf_counter()
        self._bar: DeltaGenerator | None = None

    def __call__(self, share: float, line: str) -> None:
        if self._bar is None and time.perf_counter() - self._since > BAR_AFTER_S:
            self._bar = self._place.progress(0.0)
        if self._bar is not None:
            self._bar.progress(min(1.0, share), text=plain_text(line))

    def clear(self) -> None:
        if self._bar is not None:
            self._place.empty()


def shown_spec(page: ExperimentPage, work: Workspace, setup: "Setup", params: PlainParams) -> RunSpec:
    """The run that the page asks for."""
    return spec_of(
        page.name, setup.model_ref, setup.model, setup.inputs, params, device=work.device, dtype=setup.model.dtype
    )


def shown_result(
    page: ExperimentPage, work: Workspace, setup: "Setup", params: PlainParams, place: DeltaGenerator
) -> Computed:
    """The run that is on the page, as far as it is remembered without computing anything. Progress shows in `place`."""
    bar = ProgressBar(place)
    try:
        return compute(shown_spec(page, work, setup, params), page_lab(setup.model, setup.inputs, bar))
    finally:
        bar.clear()
