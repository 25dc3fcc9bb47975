"""Two to twelve kept runs side by side."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from samkit.errors import SamkitError
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.compare import COLORS, MAX_COMPARED, MIN_COMPARED, Comparison, difference_map, iou_matrix, outlines
from samkit.tracking.store.edit import read_run
from samkit.ui.parts.inline_image import inline_image
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.runs.compare_figures import mask_tiles, parallel_figure, shrunk
from samkit.ui.runs.compare_report import report_html
from samkit.ui.runs.compare_tables import difference_caption, matrix_table, number_chip, rows_table
from samkit.ui.runs.state import present_store, run_files
from samkit.ui.state.page_links import RUN_PAGE, RUNS_PAGE

TILE_PX = 420, 320
PER_ROW = 4
LISTED = 40
REPORT_HELP = "One HTML file with all of this, which needs no server and no network"


def compare_view(run_ids: list[str]) -> None:
    run_ids = list(dict.fromkeys(run_ids))
    with st.container(horizontal=True, vertical_alignment="center", key="compare_top"):
        st.page_link(RUNS_PAGE, label="All runs", icon=":material/arrow_back:")
        st.space("stretch")
        report_place = st.container(width="content")
    st.title(f"Compare {len(run_ids)} runs", anchor=False)
    if len(run_ids) > MAX_COMPARED:
        _too_many(run_ids)
        return
    fetched = _fetch(run_ids)
    if len(fetched) < MIN_COMPARED:
        st.info("Choose at least two runs in the list, then press Compare.", icon=":material/compare_arrows:")
        return
    comparison = Comparison([bundle for _, bundle in fetched])
    _legend(fetched)
    mask, pair = _masks(comparison) if comparison.mask_names else ("", None)
    _numbers(comparison)
    with report_place:
        st.download_button(
            "Report",
            lambda: report_html(comparison, mask, pair),
            f"compare-{len(fetched)}-runs.html",
            "text/html",
            icon=":material/description:",
            key="compare_report",
            on_click="ignore",
            help=REPORT_HELP,
        )


def _too_many(run_ids: list[str]) -> None:
    """Which runs there are, to take some out."""
    st.info(
        f"At most {MAX_COMPARED} runs are compared: take {len(run_ids) - MAX_COMPARED} out.",
        icon=":material/compare_arrows:",
    )
    store = present_store()
    with st.container(key="compare_legend", gap=None):
        for run_id in run_ids[:LISTED]:
            try:
                name = read_run(store, run_id).name
            except SamkitError:
                name = run_id
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link(RUN_PAGE, label=f"**{plain_text(name)}**", query_params={"id": run_id})
                _leave_button(run_id, run_ids)
    if len(run_ids) > LISTED:
        st.caption(f"and {len(run_ids) - LISTED} more")
        st.button(
            f"Keep the first {MAX_COMPARED}",
            key="compare_first_ones",
            on_click=_compare_others,
            args=(run_ids[:MAX_COMPARED],),
        )


def _leave_button(run_id: str, run_ids: list[str]) -> None:
    others = [other for other in run_ids if other != run_id]
    st.button(
        "",
        icon=":material/close:",
        type="tertiary",
        key=f"leave_{run_id}",
        help="Take it out",
        on_click=_compare_others,
        args=(others,),
    )


def _fetch(run_ids: list[str]) -> list[tuple[str, Bundle]]:
    store, fetched = present_store(), []
    place = st.empty()
    for number, run_id in enumerate(run_ids):
        place.progress(number / len(run_ids), text=f"Fetching run {number + 1} of {len(run_ids)}")
        try:
            fetched.append((run_id, run_files().open(store, read_run(store, run_id))))
        except SamkitError as error:
            st.error(str(error), icon=":material/error:")
    place.empty()
    return fetched


def _legend(fetched: list[tuple[str, Bundle]]) -> None:
    """Number, colour, name and what it ran on; a name opens its run, x takes it out."""
    ids = [run_id for run_id, _ in fetched]
    with st.container(key="compare_legend", gap=None):
        for index, (run_id, bundle) in enumerate(fetched):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.html(number_chip(index), width="content")
                st.page_link(RUN_PAGE, label=f"**{plain_text(bundle.name)}**", query_params={"id": run_id})
                record = bundle.record
                parts = (record.experiment, record.model.name, record.source_name, record.note[:80])
                st.caption(" · ".join(plain_text(part) for part in parts if part))
                _leave_button(run_id, ids)


def _compare_others(run_ids: list[str]) -> None:
    st.query_params["runs"] = ",".join(run_ids)


def _masks(comparison: Comparison) -> tuple[str, tuple[int, int] | None]:
    """Everything about masks; (which masks are shown, which two are set against each other)."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("Masks", anchor=False)
        options = list(comparison.mask_names)
        name = st.selectbox(
            "Which mask", options, format_func=_mask_title, key="compare_mask", label_visibility="collapsed", width=260
        )
    tiles = mask_tiles(comparison, name, *TILE_PX)
    for start in range(0, len(tiles), PER_ROW):
        with st.container(key=f"masks_grid_compared_{start}"):
            columns = st.columns(min(PER_ROW, max(2, len(tiles))), gap="small")
        for index, column in zip(range(start, min(start + PER_ROW, len(tiles))), columns, strict=False):
            with column:
                _tile(tiles[index], index, comparison, max(tile.shape[1] for tile in tiles if tile is not None))
    grounds = comparison.grounds(name)
    if not grounds:
        st.caption("No two of these masks lie on the same picture, so they can't be overlaid.")
        return name, None
    return name, _laid_over(comparison, name, grounds)


def _mask_title(name: str) -> str:
    return name.replace("_", " ") if name else "each run's own"


def _tile(tile: np.ndarray | None, index: int, comparison: Comparison, widest: int) -> None:
    """widest: of all tiles, in pixels; a column that is narrower than that shrinks all of them alike."""
    if tile is None:
        st.caption("This run has no such mask.")
    else:
        with st.container(width=widest):
            inline_image(
                tile,
                f"{comparison.bundles[index].name}, mask over the picture",
                "samkit-mask",
                share=tile.shape[1] / widest,
            )
    st.html(number_chip(index))


def _laid_over(comparison: Comparison, name: str, grounds: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    """Outlines, the difference of two, and the pairwise IoU, for masks on one picture. Gives the two."""
    with st.container(key="row_laid_over"):
        left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Outlines**")
        group = grounds[0]
        if len(grounds) > 1:
            group = st.segmented_control(
                "On", grounds, default=grounds[0], required=True, key="compare_ground", format_func=_numbers_text
            )
        masks, rgb = comparison.masks_of(group, name), comparison.picture(group[0], name)
        if rgb is not None:
            drawn = shrunk(outlines(rgb, masks, [COLORS[index] for index in group]))
            inline_image(drawn, "All outlines on the picture", "samkit-figure")
            st.html(" ".join(number_chip(index) for index in group))
    with right:
        pair = _difference(comparison, name, group, rgb)
    st.markdown("**Pairwise IoU**")
    st.html(matrix_table(iou_matrix(masks), group))
    return pair


def _difference(comparison: Comparison, name: str, group: tuple[int, ...], rgb: np.ndarray | None) -> tuple[int, int]:
    """Two of the group, chosen below the picture that shows where they differ, so that this picture and that of the
    outlines begin at one height.
    """
    st.markdown("**Difference**")
    place, options = st.container(), list(group)
    with st.container(horizontal=True):
        first = st.selectbox("Of", options, 0, format_func=_number_text, key="compare_first")
        second = st.selectbox("And", options, 1, format_func=_number_text, key="compare_second")
    pair = first, second
    with place:
        if rgb is not None:
            drawn = shrunk(difference_map(rgb, *comparison.masks_of(pair, name)))
            inline_image(drawn, "Where the two masks differ", "samkit-figure")
        st.html(f'<div class="samkit-small">{difference_caption(comparison, name, pair)}</div>')
    return pair


def _number_text(index: int) -> str:
    return f"run {index + 1}"


def _numbers_text(group: tuple[int, ...]) -> str:
    return "runs " + ", ".join(str(index + 1) for index in group)


def _numbers(comparison: Comparison) -> None:
    count = len(comparison.bundles)
    st.subheader("Parameters", anchor=False)
    everything = st.toggle("Show also those that are the same in all runs", False, key="compare_all_params")
    rows = [row for row in comparison.conditions if everything or row.differs]
    if rows:
        st.html(rows_table(rows, count, "parameter"))
    else:
        st.caption("All parameters are the same.")
    st.subheader("Metrics", anchor=False)
    st.html(rows_table(comparison.metrics, count, "metric"))
    st.caption("The best value is marked where higher or lower is better. Times are in ms.")
    figure = parallel_figure(comparison)
    if figure is not None:
        st.subheader("A line for each run", anchor=False)
        st.plotly_chart(figure, key="compare_parallel", config={"displaylogo": False})
