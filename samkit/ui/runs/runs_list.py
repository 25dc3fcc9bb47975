"""The list of kept runs: search, filters, rows with thumbnails, pages, and what is done with those chosen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from html import escape

import streamlit as st

from samkit.experiments.registry import ENTRIES
from samkit.tracking.compare import MAX_COMPARED
from samkit.tracking.store.edit import delete_run, restore_run
from samkit.tracking.store.search import EVERYTHING, Query, Token, kept_experiments, search_runs
from samkit.tracking.store.store import RunStore, RunSummary
from samkit.tracking.store.tags import NOTE, THUMBNAIL
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.runs.compare_tables import number_text
from samkit.ui.runs.state import RunsTable, present_store, runs_table, when
from samkit.ui.runs.tag_line import tag_line
from samkit.ui.runs.transfer import download_zip
from samkit.ui.state.page_links import COMPARE_PAGE, RUN_PAGE, experiment_title, page_file, page_icon

SEARCH_KEY = "runs_search_"
LATEST_DAY = date(2200, 1, 1)
SEARCH_HELP = (
    "Plain words are searched for in name, note, tags, experiment, model and picture. Conditions in MLflow's filter "
    "language may be mixed in:\n\n"
    "`metrics.predicted_iou > 0.8`\n\n`params.side = '512' and tags.keeper = 'yes'`\n\n`run_name ILIKE '%cup%'`"
)


def list_view() -> None:
    table, store = runs_table(), present_store()
    _search_row(table, store)
    with sentences():
        page = search_runs(store, table.query, table.tokens[-1])
        if not page.runs:
            _nothing(table)
            return
        _actions(table, store, page.runs)
        with st.container(key="runs_rows", gap="xsmall"):
            for run in page.runs:
                _row(table, run)
        _pager(table, page.next)


def _search_row(table: RunsTable, store: RunStore) -> None:
    query = table.query
    with st.container(key="row_runs_search"):
        text_place, experiment_place, more_place = st.columns([6, 3, 2], vertical_alignment="bottom", gap="small")
    text = text_place.text_input(
        "Search",
        key=_seeded("text", query.text),
        placeholder="Words, or metrics.predicted_iou > 0.8",
        help=SEARCH_HELP,
        icon=":material/search:",
    )
    with sentences():
        experiments = sorted({*kept_experiments(store), *([query.experiment] if query.experiment else [])})
        key = _seeded("experiment", query.experiment)
        experiment = experiment_place.selectbox(
            "Experiment", experiments, None, experiment_title, placeholder="All", key=key
        )
        used = sum(map(bool, (query.model, query.picture, query.tag, query.since, query.until, query.deleted)))
        with more_place.popover(
            f"Filters ({used})" if used else "Filters", icon=":material/filter_list:", width="stretch"
        ):
            filtered = _filters(query, store)
        table.look_for(replace(filtered, text=text.strip(), experiment=experiment))


def _seeded(name: str, value: object) -> str:
    """The key of a widget of the search, its state as `value` says where Streamlit has dropped it."""
    key = f"{SEARCH_KEY}{name}"
    if key not in st.session_state:
        st.session_state[key] = value
    return key


def _filters(query: Query, store: RunStore) -> Query:
    """The query as the filters in the popover say it."""
    models, pictures = _seen(store.uri)
    model = _choice("Model", "model", query.model, models)
    picture = _choice("Picture", "picture", query.picture, pictures)
    tag = st.text_input("Tag", placeholder="keeper, or figure=3", key=_seeded("tag", query.tag or ""))
    days = st.columns(2)
    since = days[0].date_input(
        "From", None, key=_seeded("since", query.since), format="YYYY-MM-DD", max_value=LATEST_DAY
    )
    until = days[1].date_input(
        "Up to", None, key=_seeded("until", query.until), format="YYYY-MM-DD", max_value=LATEST_DAY
    )
    deleted = st.toggle("Deleted runs instead", key=_seeded("deleted", query.deleted))
    st.button(
        "Clear all", icon=":material/filter_list_off:", on_click=_forget_query, width="stretch", key="clear_search"
    )
    return replace(
        query, model=model, picture=picture, tag=tag.strip() or None, since=since, until=until, deleted=deleted
    )


def _choice(label: str, name: str, value: str | None, options: list[str]) -> str | None:
    chosen = st.selectbox(
        label,
        sorted({*options, *([value] if value else [])}),
        None,
        key=_seeded(name, value),
        accept_new_options=True,
        placeholder="Any",
        help="The models of the latest runs; for another one, type its exact name.",
    )
    return chosen or None


@st.cache_data(ttl=30, show_spinner=False)
def _seen(uri: str) -> tuple[list[str], list[str]]:
    """Models and pictures of the latest runs."""
    tags = [run.tags for run in search_runs(RunStore(uri), size=200).runs]

    def names(key: str) -> list[str]:
        return sorted({each[key] for each in tags if key in each})

    return names("samkit.model"), names("samkit.picture")


def _forget_query() -> None:
    for key in [key for key in st.session_state if str(key).startswith(SEARCH_KEY)]:
        del st.session_state[key]
    table = runs_table()
    table.look_for(replace(EVERYTHING, zone=table.query.zone))


def _nothing(table: RunsTable) -> None:
    if replace(table.query, zone=None) != EVERYTHING:
        st.info("No runs match.", icon=":material/search_off:")
        st.button("Show all runs", on_click=_forget_query)
        return
    st.info(
        "Nothing is kept yet. Open an experiment, look at its result, and press **Keep this run** below it.",
        icon=":material/bookmark_add:",
    )
    first = ENTRIES[0]
    st.page_link(page_file(first), label=f"Begin with {first.title}", icon=page_icon(first))


def _actions(table: RunsTable, store: RunStore, shown: tuple[RunSummary, ...]) -> None:
    """What is done with the chosen runs; the row is there without any, so that nothing moves."""
    count, ids = len(table.chosen), list(table.chosen)
    with st.container(horizontal=True, vertical_alignment="center", key="runs_actions", gap="small"):
        st.markdown(f"**{count}** chosen" if count else "Choose runs to compare or export")
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
                on_click=_each,
                args=(restore_run, "Restored"),
                key="restore_chosen",
            )
        else:
            st.button(
                "Delete",
                icon=":material/delete:",
                disabled=not count,
                on_click=_each,
                args=(delete_run, "Deleted"),
                key="delete_chosen",
            )
        st.button(
            "None",
            icon=":material/deselect:",
            disabled=not count,
            on_click=table.clear,
            key="choose_none",
            help="Clear selection",
        )


def _each(change: Callable[[RunStore, str], None], done: str) -> None:
    table, store = runs_table(), present_store()
    with sentences():
        for run_id in table.chosen:
            change(store, run_id)
        where = "They are listed under Filters, “Deleted runs instead”." if change is delete_run else ""
        st.toast(f"{done} {len(table.chosen)}. {where}")
        table.clear()


def _row(table: RunsTable, run: RunSummary) -> None:
    with st.container(border=True, key=f"run_row_{run.run_id}"):
        box, picture, text, numbers = st.columns([1, 4, 14, 11], vertical_alignment="center", gap="small")
        key = f"choose_{table.round}_{run.run_id}"
        wanted = box.checkbox(
            f"Choose {run.name}",
            run.run_id in table.chosen,
            label_visibility="collapsed",
            key=key,
            on_change=_chosen,
            args=(key, run),
        )
        if wanted:
            table.chosen.setdefault(run.run_id, run.name)
        picture.html(thumbnail_html(run))
        with text.container(gap=None):
            st.page_link(RUN_PAGE, label=f"**{plain_text(run.name)}**", query_params={"id": run.run_id})
            parts = [
                experiment_title(run.experiment),
                run.tags.get("samkit.model", ""),
                run.tags.get("samkit.video") or run.tags.get("samkit.picture", ""),
            ]
            line = " · ".join(escape(part) for part in parts if part)
            note, tags = run.tags.get(NOTE, ""), tag_line(run.tags)
            more = " ".join(part for part in (f"[{tags}]" if tags else "", note.replace("\n", " ")) if part)
            st.html(f'<div class="samkit-small">{line}<br>{when(run.created_ms)} <i>{escape(more[:140])}</i></div>')
        numbers.html(key_figures_html(run))


def _chosen(key: str, run: RunSummary) -> None:
    runs_table().choose(run.run_id, run.name, st.session_state[key])


def thumbnail_html(run: RunSummary) -> str:
    picture = run.tags.get(THUMBNAIL)
    if not picture:
        return '<div class="samkit-run-thumb none">no picture</div>'
    return f'<img class="samkit-run-thumb" alt="{escape(run.name)}" src="{escape(picture)}">'


def key_figures_html(run: RunSummary) -> str:
    """The metrics that sum the run up, as small pairs."""
    pairs = "".join(
        f"<span><b>{number_text(value, 4)}</b> {escape(name.replace('_', ' '))}</span>"
        for name, value in run.key_figures.items()
    )
    return f'<div class="samkit-run-metrics">{pairs}</div>'


def _pager(table: RunsTable, following: Token | None) -> None:
    def forward() -> None:
        table.tokens.append(following)

    def backward() -> None:
        table.tokens.pop()

    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="center"):
        at_start = len(table.tokens) == 1
        st.button(
            "Newer",
            icon=":material/chevron_left:",
            disabled=at_start,
            on_click=backward,
            key="newer_runs",
            shortcut="Left",
        )
        st.markdown(f"Page {len(table.tokens)}" + ("" if following else ", the last"))
        st.button(
            "Older",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=not following,
            on_click=forward,
            key="older_runs",
            shortcut="Right",
        )
