"""A sweep that an experiment's page starts by itself and shows while it goes on. It is one like all others: it has a
page of its own, goes on when the visitor leaves, and is kept as any other.
"""

from collections.abc import Callable
from contextlib import suppress

import streamlit as st

from samkit.errors import SamkitError
from samkit.ui.bench.sweeping.draft import Choices, make_draft
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.page_links import SWEEP_PAGE
from samkit.ui.state.public import owner_only
from samkit.ui.state.sweep_standing import Standing, standing
from samkit.ui.state.sweeps import cancel_sweep, is_own, live_table, resume_sweep, seen_sweep, start_sweep
from samkit.work.sweep.cells import make_cells
from samkit.work.sweep.keeping import keep_sweep, kept_as
from samkit.work.sweep.live_table import LiveTable
from samkit.work.sweep.results import SweepFolder

POLL_S = 1.0
KEPT = "samkit.sweep_kept"
BEGINNING = "The first one takes longer: a process of its own loads the model."


def start_from_page(choices: Choices) -> SweepFolder:
    """A new sweep of this visitor's, in the queue. Raises BadInput where something is missing, or it is too much."""
    spec, cases = make_draft(choices).placed()
    return start_sweep(spec, cases, len(make_cells(spec, cases)))


def find_page_sweep(sweep_id: str | None) -> SweepFolder | None:
    """The sweep of that id, where it is still there and this visitor may see it."""
    with suppress(SamkitError):
        return seen_sweep(sweep_id) if sweep_id else None
    return None


def sweep_buttons(sweep: SweepFolder, now: Standing) -> None:
    """Stop it or go on with it, keep it, open its own page; in the present row, which has little room."""
    if is_own(sweep):
        if now.active:
            st.button("Stop", icon=":material/stop:", key="stop_page_sweep", on_click=_do, args=(cancel_sweep, sweep))
        elif now.computed < now.cells:
            st.button(
                "Go on", icon=":material/resume:", key="resume_page_sweep", on_click=_do, args=(resume_sweep, sweep)
            )
    if now.computed and not now.active and owner_only():
        keep_sweep_button(sweep, now.computed, "keep_page_sweep")
    st.page_link(
        SWEEP_PAGE,
        label="Open",
        icon=":material/open_in_new:",
        query_params={"id": sweep.id},
        help="The sweep's own page: every metric over every setting, each cell's mask, a report",
    )


def keep_sweep_button(sweep: SweepFolder, computed: int, key: str) -> None:
    """Puts what is known of the sweep into the run store, as one run however often that is done."""
    if told := st.session_state.pop(f"{KEPT}.{key}", None):
        st.toast(told[0], icon=told[1], duration="long")
    kept = kept_as(sweep)
    pressed = st.button(
        "Kept" if kept else "Keep",
        icon=":material/bookmark_added:" if kept else ":material/bookmark_add:",
        key=key,
        disabled=not computed,
        help="One run in MLflow, with the spec, the table of cells and the means; whole runs of cells lie below it",
    )
    if pressed:
        with st.spinner("Keeping the sweep"):
            outcome = keep_sweep(sweep)
        icon = ":material/bookmark_added:" if outcome.run is not None else ":material/cloud_off:"
        # Told by the next run, whose button says that it is kept.
        st.session_state[f"{KEPT}.{key}"] = plain_text(outcome.sentence), icon
        st.rerun()


def _do(action: Callable[[SweepFolder], None], sweep: SweepFolder) -> None:
    with sentences():
        action(sweep)


def follow_sweep(sweep: SweepFolder, unit: str, draw: Callable[[LiveTable], None]) -> None:
    """What there is of the sweep, drawn anew every second while it goes on, with its progress above; the whole page
    when it has come to rest.

    unit: what its cells are to the page, such as "window sizes"
    """
    drawn = standing(sweep)

    @st.fragment(run_every=POLL_S if drawn.active else None)
    def poll() -> None:
        with sentences():
            now = standing(sweep)
            if now.active or now.computed < now.cells:
                line = now.told(unit) if now.computed or not now.active else f"{now.told(unit)}. {BEGINNING}"
                st.progress(now.share, text=f"{now.state.capitalize()}: {line}")
            if now.error:
                st.error(plain_text(now.error), icon=":material/error:")
            table = live_table(str(sweep.path))
            table.refresh()
            draw(table)
            if now.state != drawn.state:
                st.rerun()

    poll()
