"""What a list of runs shows of each: metrics and parameters as columns."""

from collections.abc import Sequence
from html import escape
from typing import Literal, NamedTuple

import streamlit as st

from samkit.tracking.store.search import NO_VALUE, Order, search_runs
from samkit.tracking.store.search import Query as StoreQuery
from samkit.tracking.store.store import RunStore, RunSummary
from samkit.ui.parts.metric_words import metric_words
from samkit.ui.runs.state import when
from samkit.words import number_text

MAX_COLUMNS = 8
USUAL_COLUMNS = 4
KEY_FIGURES = 3
"""Of a run in a list of several experiments."""


class Column(NamedTuple):
    """A metric (timings among them) or a parameter, by its name in the store."""

    kind: Literal["metric", "param"]
    name: str

    @property
    def title(self) -> str:
        return metric_words(self.name) if self.kind == "metric" else self.name.replace("_", " ")

    @property
    def option(self) -> str:
        """As a choice among metrics and parameters."""
        return self.title if self.kind == "metric" else f"{self.title} (parameter)"

    def order(self, descending: bool) -> Order:
        return Order(self.kind, self.name, descending)

    def text(self, run: RunSummary) -> str:
        """The run's value for people; a dash where it has none."""
        if self.kind == "metric":
            value = run.metrics.get(self.name)
            return "–" if value is None else number_text(value, 4)
        text = run.params.get(self.name)
        return "–" if text is None or text in NO_VALUE else text.removesuffix(".0")


@st.cache_data(ttl=30, show_spinner=False)
def known_columns(uri: str, experiment: str | None, owner: str | None = None) -> list[Column]:
    """Those that the latest runs have, of one experiment and owner or of all: metrics, timings, parameters."""
    runs = search_runs(RunStore(uri), StoreQuery(experiment=experiment, owner=owner), size=200).runs
    metrics = sorted({name for run in runs for name in run.metrics}, key=lambda name: (name.endswith("_ms"), name))
    params = sorted({name for run in runs for name in run.params})
    return [*(Column("metric", name) for name in metrics), *(Column("param", name) for name in params)]


def shown_columns(chosen: list[Column] | None, order: Order, runs: Sequence[RunSummary]) -> list[Column]:
    """The chosen ones, or for runs of one experiment its key figures; and what the list is sorted by."""
    columns = list(chosen or [])
    if chosen is None and len({run.experiment for run in runs}) == 1:
        figures = dict.fromkeys(name for run in runs for name in run.key_figures)
        columns = [Column("metric", name) for name in list(figures)[:USUAL_COLUMNS]]
    sorted_by = Column(order.kind, order.name) if order.kind in ("metric", "param") else None
    return columns if sorted_by is None or sorted_by in columns else [*columns, sorted_by]


def cells_html(run: RunSummary, columns: Sequence[Column], with_figures: bool) -> str:
    """A run's columns and when it was kept. with_figures: first its own key figures, each with its name."""
    cells = ""
    if with_figures:
        figures = list(run.key_figures.items())[:KEY_FIGURES]
        cells = "".join(
            f'<span class="figure" title="{escape(metric_words(name))}"><b>{number_text(value, 4)}</b> '
            f"<i>{escape(metric_words(name))}</i></span>"
            for name, value in figures
        )
        cells += '<span class="figure"></span>' * (KEY_FIGURES - len(figures))
    for column in columns:
        text = escape(column.text(run))
        cells += f'<span class="cell" title="{text}"><b>{text}</b> <i>{escape(column.title)}</i></span>'
    return f'<div class="samkit-run-cells">{cells}<span class="when">{when(run.created_ms)}</span></div>'
