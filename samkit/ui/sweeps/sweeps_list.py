"""The list of sweeps: what each is, how far it is, and what can be done with it."""

from collections.abc import Sequence
from functools import partial
from html import escape

import streamlit as st

from samkit.errors import SamkitError
from samkit.experiments.registry import find_entry
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.clock import shown_moment
from samkit.ui.state.page_links import COMPARE_SWEEPS_PAGE, SWEEP_PAGE, experiment_title, page_file, page_icon
from samkit.ui.state.sweep_standing import ICONS, Standing, standing
from samkit.ui.state.sweeps import cancel_sweep, resume_sweep, shown_sweeps
from samkit.ui.sweeps.delete_dialog import delete_button
from samkit.work.sweep.live_table import opened_sweep
from samkit.work.sweep.results import SweepFolder, sweeps_folder

ON_A_PAGE = 20
POLL_S = 2.0
_PAGE, _CHOSEN = "samkit.sweeps_page", "samkit.sweeps_chosen"


def list_view() -> None:
    names = shown_sweeps()
    if not names:
        st.info(
            "There is no sweep yet. Open an experiment and press **Sweep this…**, or write one down and run "
            "`python -m samkit sweep SPEC.yaml`.",
            icon=":material/stacked_line_chart:",
        )
        entry = find_entry("window-size")
        st.page_link(page_file(entry), label=f"Begin with {entry.title}", icon=page_icon(entry))
        return
    pages = -(-len(names) // ON_A_PAGE)
    page = min(st.session_state.get(_PAGE, 0), pages - 1)
    shown = names[page * ON_A_PAGE : (page + 1) * ON_A_PAGE]
    _chosen().intersection_update(names)
    _rows(shown)
    if pages > 1:
        _pager(page, pages)


def _rows(names: list[str]) -> None:
    sweeps = []
    for name in names:
        try:
            sweeps.append(opened_sweep(sweeps_folder() / name))
        except SamkitError as error:
            st.warning(plain_text(str(error)), icon=":material/error:")
    active = any(standing(sweep).active for sweep in sweeps)

    @st.fragment(run_every=POLL_S if active else None)
    def draw() -> None:
        with sentences():
            found = [(sweep, standing(sweep)) for sweep in sweeps]
            _actions()
            with st.container(key="sweeps_rows", gap=None):
                for sweep, now in found:
                    _row(sweep, now)
            if active and not any(now.active for _, now in found):
                st.rerun()

    draw()


def _actions() -> None:
    """What can be done with those that are ticked, on whichever page of the list. The older one is the base."""
    pair = [opened_sweep(sweeps_folder() / name) for name in sorted(_chosen())]
    wanted = what_to_choose([sweep.spec.experiment for sweep in pair])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(wanted or "Ready to compare, cell by cell", width="content")
        st.space("stretch")
        if st.button(
            "Compare",
            icon=":material/compare_arrows:",
            disabled=bool(wanted),
            type="primary",
            key="compare_sweeps",
            help=wanted or None,
        ):
            first, second = pair
            st.switch_page(COMPARE_SWEEPS_PAGE, query_params={"a": first.id, "b": second.id})


def what_to_choose(experiments: Sequence[str]) -> str:
    """What is still to be done before two sweeps can be compared; "" where they can be. experiments: of those that are
    ticked
    """
    if not experiments:
        return "To compare two sweeps, tick both"
    if len(experiments) == 1:
        return f"1 ticked: tick another one of {experiment_title(experiments[0])} to compare them"
    if len(experiments) > 2:
        return f"{len(experiments)} ticked: leave two of them to compare"
    first, second = experiments
    if first != second:
        return (
            f"These are of {experiment_title(first)} and {experiment_title(second)}: only two of one experiment can be "
            "compared"
        )
    return ""


def _chosen() -> set[str]:
    return st.session_state.setdefault(_CHOSEN, set())


def _choose(sweep_id: str, key: str) -> None:
    (_chosen().add if st.session_state[key] else _chosen().discard)(sweep_id)


def _row(sweep: SweepFolder, now: Standing) -> None:
    with st.container(key=f"sweep_row_{sweep.id}", gap=None):
        key = f"choose_sweep_{sweep.id}"
        st.checkbox(
            f"Choose {plain_text(sweep.spec.name)}",
            sweep.id in _chosen(),
            key=key,
            label_visibility="collapsed",
            on_change=_choose,
            args=(sweep.id, key),
        )
        st.page_link(SWEEP_PAGE, label=f"**{plain_text(sweep.spec.name or sweep.id)}**", query_params={"id": sweep.id})
        st.html(
            f'<div class="samkit-small">{escape(experiment_title(sweep.spec.experiment))} · '
            f"{escape(shown_moment(sweep.created))}</div>"
        )
        if now.active:
            st.progress(now.share, text=f"{ICONS[now.state]} {now.state.capitalize()}: {now.text}")
        else:
            st.markdown(f"{ICONS[now.state]} {now.state.capitalize()}: {now.text}")
        with st.container(horizontal=True, gap="small", horizontal_alignment="right"):
            _row_buttons(sweep, now)


def _row_buttons(sweep: SweepFolder, now: Standing) -> None:
    if now.active:
        st.button(
            "Cancel",
            icon=":material/stop:",
            key=f"cancel_{sweep.id}",
            type="tertiary",
            on_click=_do,
            args=(sweep, False),
        )
    elif now.computed < now.cells:
        st.button(
            "Resume",
            icon=":material/resume:",
            key=f"resume_{sweep.id}",
            type="tertiary",
            on_click=_do,
            args=(sweep, True),
        )
    delete_button(sweep, now.active, f"delete_{sweep.id}", quiet=True)


def _do(sweep: SweepFolder, goes_on: bool) -> None:
    with sentences():
        (resume_sweep if goes_on else cancel_sweep)(sweep)


def _pager(page: int, pages: int) -> None:
    def go(to: int) -> None:
        st.session_state[_PAGE] = to

    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="center"):
        st.button(
            "Newer",
            icon=":material/chevron_left:",
            disabled=page == 0,
            on_click=partial(go, page - 1),
            key="newer_sweeps",
        )
        st.markdown(f"Page {page + 1} of {pages}")
        st.button(
            "Older",
            icon=":material/chevron_right:",
            disabled=page + 1 == pages,
            on_click=partial(go, page + 1),
            key="older_sweeps",
        )
