"""What a list of runs is narrowed by, in which order it is, and which columns it has."""

from dataclasses import replace
from datetime import date

import streamlit as st

from samkit.tracking.store.search import EVERYTHING, NEWEST, Order, Query, kept_experiments, search_runs
from samkit.tracking.store.store import RunStore
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.metric_words import metric_words
from samkit.ui.runs.columns import MAX_COLUMNS, Column, known_columns
from samkit.ui.runs.state import RunsTable, runs_table
from samkit.ui.state.page_links import experiment_title

SEARCH_KEY = "runs_search_"
ORDER_KEY, COLUMNS_KEY = "runs_order", "runs_columns"
LATEST_DAY = date(2200, 1, 1)
SEARCH_HELP = (
    "Plain words are searched for in name, note, tags, experiment, model and picture. Conditions in MLflow's filter "
    "language may be mixed in:\n\n"
    "`metrics.predicted_iou > 0.8`\n\n`params.side = '512' and tags.keeper = 'yes'`\n\n`run_name ILIKE '%cup%'`"
)
PLAIN_ORDERS = {
    NEWEST: "Newest first",
    Order(descending=False): "Oldest first",
    Order("name", descending=False): "Name, A to Z",
    Order("name"): "Name, Z to A",
}


def search_row(table: RunsTable, store: RunStore) -> None:
    query = table.query
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs_search"):
        text = st.text_input(
            "Search",
            key=_seeded("text", query.text),
            placeholder="Search: words, or metrics.predicted_iou > 0.8",
            help=SEARCH_HELP,
            icon=":material/search:",
            label_visibility="collapsed",
        )
        with sentences():
            experiments = sorted({*kept_experiments(store), *([query.experiment] if query.experiment else [])})
            experiment = st.selectbox(
                "Experiment",
                experiments,
                None,
                experiment_title,
                placeholder="All experiments",
                key=_seeded("experiment", query.experiment),
                label_visibility="collapsed",
                width=230,
            )
            used = sum(map(bool, (query.model, query.picture, query.tag, query.since, query.until, query.deleted)))
            with st.popover(f"Filters ({used})" if used else "Filters", icon=":material/filter_list:"):
                filtered = _filters(query, store)
            table.look_for(replace(filtered, text=text.strip(), experiment=experiment))
            known = known_columns(store.uri, experiment, query.owner)
            _order_choice(table, known)
            with st.popover("Columns", icon=":material/view_column:"):
                _columns_choice(table, known)


def _seeded(name: str, value: object) -> str:
    """The key of a widget of the search, its state as `value` says where Streamlit has dropped it."""
    key = f"{SEARCH_KEY}{name}"
    if key not in st.session_state:
        st.session_state[key] = value
    return key


def _order_choice(table: RunsTable, known: list[Column]) -> None:
    options: dict[Order, str] = dict(PLAIN_ORDERS)
    for column in known:
        options[column.order(True)] = f"{column.option}, highest first"
        options[column.order(False)] = f"{column.option}, lowest first"
    options.setdefault(table.order, metric_words(table.order.name))
    st.session_state[ORDER_KEY] = table.order
    st.selectbox(
        "Order",
        list(options),
        format_func=lambda order: options.get(order, order.name),
        key=ORDER_KEY,
        on_change=_take_order,
        label_visibility="collapsed",
        width=250,
    )


def _take_order() -> None:
    runs_table().sort_by(st.session_state[ORDER_KEY])


def _columns_choice(table: RunsTable, known: list[Column]) -> None:
    chosen = table.columns or []
    if COLUMNS_KEY not in st.session_state:
        st.session_state[COLUMNS_KEY] = chosen
    st.multiselect(
        "Columns",
        list(dict.fromkeys([*chosen, *known])),
        format_func=lambda column: column.option,
        key=COLUMNS_KEY,
        on_change=_take_columns,
        max_selections=MAX_COLUMNS,
        placeholder="The key figures of each run",
        help="Metrics and parameters, one a column. A click on a column's head sorts by it.",
        width=360,
    )


def _take_columns() -> None:
    runs_table().columns = list(st.session_state[COLUMNS_KEY]) or None


def _filters(query: Query, store: RunStore) -> Query:
    """The query as the filters in the popover say it."""
    models, pictures = _seen(store.uri, query.owner)
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
        "Clear all", icon=":material/filter_list_off:", on_click=forget_query, width="stretch", key="clear_search"
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
        help=f"Each {label.lower()} of the latest runs; for another one, type its exact name.",
    )
    return chosen or None


@st.cache_data(ttl=30, show_spinner=False)
def _seen(uri: str, owner: str | None) -> tuple[list[str], list[str]]:
    """Models and pictures of the latest runs."""
    tags = [run.tags for run in search_runs(RunStore(uri), Query(owner=owner), size=200).runs]

    def names(*keys: str) -> list[str]:
        return sorted({each[key] for each in tags for key in keys if key in each})

    return names("samkit.model"), names("samkit.picture", "samkit.picture_b", "samkit.video")


def forget_query() -> None:
    for key in [key for key in st.session_state if str(key).startswith(SEARCH_KEY)]:
        del st.session_state[key]
    table = runs_table()
    table.look_for(replace(EVERYTHING, zone=table.query.zone, owner=table.query.owner))
