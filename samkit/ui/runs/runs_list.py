"""The list of kept runs: rows with thumbnails, pages, and what is done with those chosen."""

from dataclasses import replace
from html import escape

import streamlit as st

from samkit.experiments.registry import ENTRIES
from samkit.tracking.compare import MAX_COMPARED
from samkit.tracking.store.differences import shown_differences
from samkit.tracking.store.edit import read_run, restore_run
from samkit.tracking.store.search import EVERYTHING, Order, RunPage, Token, search_runs
from samkit.tracking.store.store import RunStore, RunSummary
from samkit.tracking.store.tags import NOTE, THUMBNAIL
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.runs.columns import KEY_FIGURES, Column, cells_html, shown_columns
from samkit.ui.runs.delete_dialog import ask_to_delete, runs_text
from samkit.ui.runs.runs_search import forget_query, search_row
from samkit.ui.runs.state import RunsTable, present_store, runs_table
from samkit.ui.runs.tag_line import tag_line
from samkit.ui.runs.transfer import download_zip
from samkit.ui.state.page_links import COMPARE_PAGE, RUN_PAGE, experiment_title, page_file, page_icon
from samkit.ui.state.public import check_may_change

FEW_COLUMNS = 5
"""For so many there is room on a usual screen; more of them are narrower."""
MAX_CHOSEN = 500
"""Runs that one press on "All found" chooses."""


def list_view() -> None:
    table, store = runs_table(), present_store()
    search_row(table, store)
    with sentences():
        page = _present_page(table, store)
        if not page.runs:
            _nothing(table)
            return
        columns = shown_columns(table.columns, table.order, page.runs)
        with_figures = table.columns is None and len({run.experiment for run in page.runs}) > 1
        _actions(table, store, page)
        st.html(f"<style>{_grid_css(len(columns), with_figures)}</style>")
        with st.container(key="runs_rows", gap=None):
            _heads(table, page.runs, columns, with_figures)
            for run in page.runs:
                _row(table, run, columns, with_figures)
        _pager(table, page.next)


def _present_page(table: RunsTable, store: RunStore) -> RunPage:
    """The last page that has runs, where those of the present one were deleted."""
    while True:
        page = search_runs(store, table.query, table.tokens[-1], order=table.order)
        if page.runs or len(table.tokens) == 1:
            return page
        table.tokens.pop()


def _grid_css(columns: int, with_figures: bool) -> str:
    """How wide the cells of all rows are, so that they stand below each other."""
    figures = f"repeat({KEY_FIGURES}, 8.6rem) " if with_figures else ""
    own = f"repeat({columns}, {6.6 if columns <= FEW_COLUMNS else 5.2}rem) " if columns else ""
    return f".st-key-runs_rows {{--samkit-cells: {figures}{own}7.6rem}}"


def _nothing(table: RunsTable) -> None:
    if replace(table.query, zone=None, owner=None) != EVERYTHING:
        st.info("No runs match.", icon=":material/search_off:")
        st.button("Show all runs", on_click=forget_query)
        return
    st.info(
        "Nothing is kept yet. Open an experiment, look at its result, and press **Keep**.",
        icon=":material/bookmark_add:",
    )
    first = ENTRIES[0]
    st.page_link(page_file(first), label=f"Begin with {first.title}", icon=page_icon(first))


def _actions(table: RunsTable, store: RunStore, page: RunPage) -> None:
    """What is done with the chosen runs; the row is there without any, so that nothing moves."""
    count, ids = len(table.chosen), list(table.chosen)
    with st.container(horizontal=True, vertical_alignment="center", key="runs_actions", gap="small"):
        st.markdown(_chosen_text(table, page.runs), width="content")
        st.button(
            "All found",
            icon=":material/select_all:",
            type="tertiary",
            on_click=_choose_all_found,
            key="choose_found",
            help=f"Choose every run that this search finds, on all pages, at most {MAX_CHOSEN}",
        )
        st.button(
            "None",
            icon=":material/deselect:",
            type="tertiary",
            disabled=not count,
            on_click=table.clear,
            key="choose_none",
            help="Choose none",
        )
        st.space("stretch")
        compared = 2 <= count <= MAX_COMPARED
        wish = "" if compared else f"Choose 2 to {MAX_COMPARED} runs"
        if st.button(
            "Compare",
            icon=":material/compare_arrows:",
            disabled=not compared,
            help=wish or None,
            type="primary",
            key="compare_chosen",
        ):
            st.switch_page(COMPARE_PAGE, query_params={"runs": ",".join(ids)})
        download_zip(store, ids, "Export", "export_chosen")
        if table.query.deleted:
            st.button(
                "Restore",
                icon=":material/restore_from_trash:",
                disabled=not count,
                on_click=_restore,
                key="restore_chosen",
            )
        elif (
            st.button(
                f"Delete {count}" if count else "Delete",
                icon=":material/delete:",
                disabled=not count,
                key="delete_chosen",
            )
            and count
        ):
            ask_to_delete(table.chosen)


def _chosen_text(table: RunsTable, shown: tuple[RunSummary, ...]) -> str:
    count = len(table.chosen)
    elsewhere = count - sum(run.run_id in table.chosen for run in shown)
    if not count:
        return "Choose runs to compare or export"
    return f"**{count}** chosen" + (f", {elsewhere} of them not on this page" if elsewhere else "")


def _choose_all_found() -> None:
    table = runs_table()
    with sentences():
        found = search_runs(present_store(), table.query, size=MAX_CHOSEN, order=table.order)
        for run in found.runs:
            table.choose(run.run_id, run.name, True)
        table.redraw()
        if found.next:
            st.toast(f"The first {MAX_CHOSEN} runs are chosen; there are more.", icon=":material/select_all:")


def _restore() -> None:
    table, store = runs_table(), present_store()
    with sentences():
        for run_id in table.chosen:
            check_may_change(read_run(store, run_id).tags)
            restore_run(store, run_id)
        st.toast(f"Restored {runs_text(len(table.chosen))}.")
        table.clear()


def _heads(table: RunsTable, shown: tuple[RunSummary, ...], columns: list[Column], with_figures: bool) -> None:
    """A box for all of the page, and what the list can be sorted by."""
    every = all(run.run_id in table.chosen for run in shown)
    with st.container(key="runs_head_row", gap=None):
        key = f"choose_page_{table.round}_{every}_{shown[0].run_id}"
        st.checkbox(
            "All on this page",
            every,
            label_visibility="collapsed",
            key=key,
            on_change=_choose_page,
            args=(shown, not every),
            help="Choose all on this page",
        )
        st.html("<span></span>")
        _head(table, "Name", Order("name", descending=False), "name")
        st.html("<span></span>")
        with st.container(horizontal=True, gap=None, key="runs_heads"):
            if with_figures:
                st.html('<div class="samkit-run-head">Key figures</div>')
            for column in columns:
                _head(table, column.title, column.order(True), f"{column.kind}_{column.name}")
            _head(table, "Kept", Order(), "created")


def _head(table: RunsTable, title: str, first: Order, key: str) -> None:
    """A button that sorts by a column, and the other way round at the next press."""
    present, other = table.order, replace(first, descending=not first.descending)
    arrow = {first: first.descending, other: other.descending}.get(present)
    sign = "" if arrow is None else " :material/arrow_downward:" if arrow else " :material/arrow_upward:"
    st.button(
        f"{plain_text(title)}{sign}",
        type="tertiary",
        key=f"sort_{key}",
        on_click=table.sort_by,
        args=(other if present == first else first,),
        help=f"Sort by {plain_text(title)}",
    )


def _choose_page(shown: tuple[RunSummary, ...], wanted: bool) -> None:
    table = runs_table()
    for run in shown:
        table.choose(run.run_id, run.name, wanted)
    table.redraw()


def _row(table: RunsTable, run: RunSummary, columns: list[Column], with_figures: bool) -> None:
    with st.container(key=f"run_row_{run.run_id}", gap=None):
        key = f"choose_{table.round}_{run.run_id}"
        wanted = st.checkbox(
            f"Choose {plain_text(run.name)}",
            run.run_id in table.chosen,
            label_visibility="collapsed",
            key=key,
            on_change=_chosen,
            args=(key, run),
        )
        if wanted:
            table.chosen.setdefault(run.run_id, run.name)
        st.html(thumbnail_html(run))
        st.page_link(RUN_PAGE, label=f"**{plain_text(run.name)}**", query_params={"id": run.run_id})
        st.html(f'<div class="samkit-small samkit-run-line" title="{_line(run)}">{_line(run)}</div>')
        st.html(cells_html(run, columns, with_figures))


def _line(run: RunSummary) -> str:
    """HTML: what the run's name does not say yet, its tags and its note."""
    parts = [
        experiment_title(run.experiment),
        run.tags.get("samkit.model", ""),
        run.tags.get("samkit.video") or run.tags.get("samkit.picture", ""),
        "" if run.tags.get("samkit.video") else run.tags.get("samkit.picture_b", ""),
        shown_differences(run.experiment, run.params, run.tags),
    ]
    told = run.name.lower()
    note, tags = run.tags.get(NOTE, "").replace("\n", " "), tag_line(run.tags)
    more = [f"[{tags}]" if tags else "", note[:200]]
    return escape(" · ".join(part for part in [*(p for p in parts if p.lower() not in told), *more] if part))


def _chosen(key: str, run: RunSummary) -> None:
    runs_table().choose(run.run_id, run.name, st.session_state[key])


def thumbnail_html(run: RunSummary) -> str:
    picture = run.tags.get(THUMBNAIL)
    if not picture:
        return '<div class="samkit-run-thumb none">no picture</div>'
    return f'<img class="samkit-run-thumb" alt="{escape(run.name)}" src="{escape(picture)}">'


def _pager(table: RunsTable, following: Token | None) -> None:
    def forward() -> None:
        table.tokens.append(following)

    def backward() -> None:
        table.tokens.pop()

    by_time = table.order == Order()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="center"):
        at_start = len(table.tokens) == 1
        st.button(
            "Newer" if by_time else "Before",
            icon=":material/chevron_left:",
            disabled=at_start,
            on_click=backward,
            key="newer_runs",
            shortcut="Left",
        )
        st.markdown(f"Page {len(table.tokens)}" + ("" if following else ", the last"))
        st.button(
            "Older" if by_time else "Next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=not following,
            on_click=forward,
            key="older_runs",
            shortcut="Right",
        )
