"""Two to twelve kept runs side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from samkit.errors import SamkitError
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.frame_masks import frame_name, frame_of
from samkit.tracking.compare import (
    MAX_COMPARED,
    MIN_COMPARED,
    Comparison,
    Shown,
    color_of,
    difference_map,
    iou_matrix,
    outlines,
)
from samkit.tracking.store.edit import read_run
from samkit.ui.parts.inline_image import inline_image
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.metric_words import mask_name_words, metric_words
from samkit.ui.parts.tables import table_with_csv
from samkit.ui.runs.compare_figures import lines_figure, mask_tiles, shrunk, swipe_captions, swipe_pictures
from samkit.ui.runs.compare_report import report_html
from samkit.ui.runs.compare_tables import (
    best_sentence,
    difference_caption,
    equal_sentence,
    legend_html,
    matrix_table,
    metric_rows,
    number_chip,
    pictures_sentence,
    rows_table,
    run_rows,
    shown_chip,
    shown_text,
)
from samkit.ui.runs.state import present_store, run_files
from samkit.ui.runs.swipe import swipe
from samkit.ui.state.page_links import RUN_PAGE, RUNS_PAGE, experiment_title
from samkit.words import listed

TILE_PX = 420, 320
PER_ROW = 4
LISTED = 40
A_FRAME = "a frame of the film"
SIDE_BY_SIDE, AS_TABLE = "Side by side", "One line a run"
SWIPE, DIFFERENCE = "Swipe", "Difference"
PAIR = "First", "Second"
REPORT_HELP = "One HTML file with all of this, which needs no server and no network"


class Choice(NamedTuple):
    """name: which masks are shown, as `Comparison.shown` takes it; pair: the two that are set against each other"""

    name: str
    pair: tuple[Shown, Shown] | None


def compare_view(run_ids: list[str]) -> None:
    run_ids = list(dict.fromkeys(run_ids))
    with st.container(horizontal=True, vertical_alignment="center", key="compare_top"):
        st.page_link(RUNS_PAGE, label="All runs", icon=":material/arrow_back:")
        st.title(f"Compare {len(run_ids)} runs", anchor=False, width="content")
        st.space("stretch")
        report_place = st.container(width="content")
    if len(run_ids) > MAX_COMPARED:
        _too_many(run_ids)
        return
    fetched = _fetch(run_ids)
    if len(fetched) < MIN_COMPARED:
        st.info("Choose at least two runs in the list, then press Compare.", icon=":material/compare_arrows:")
        return
    comparison = Comparison([bundle for _, bundle in fetched])
    _legend(fetched)
    choice = _masks(comparison)
    _numbers(comparison)
    with report_place:
        st.download_button(
            "Report",
            lambda: report_html(comparison, choice.name, choice.pair),
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
                _leave_button(run_id, name, run_ids)
    if len(run_ids) > LISTED:
        st.caption(f"and {len(run_ids) - LISTED} more")
        st.button(
            f"Keep the first {MAX_COMPARED}",
            key="compare_first_ones",
            on_click=_compare_others,
            args=(run_ids[:MAX_COMPARED],),
        )


def _leave_button(run_id: str, name: str, run_ids: list[str]) -> None:
    others = [other for other in run_ids if other != run_id]
    st.button(
        f"Take {plain_text(name)} out",
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
            st.error(plain_text(str(error)), icon=":material/error:")
    place.empty()
    return fetched


def _legend(fetched: list[tuple[str, Bundle]]) -> None:
    """Number, colour, name and what it ran on; a name opens its run, x takes it out."""
    ids = [run_id for run_id, _ in fetched]
    with st.container(key="compare_legend", gap=None):
        for index, (run_id, bundle) in enumerate(fetched):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"compare_row_{index}"):
                st.html(number_chip(index), width="content")
                st.page_link(RUN_PAGE, label=f"**{plain_text(bundle.name)}**", query_params={"id": run_id})
                record = bundle.record
                told = record.name.lower()
                parts = (experiment_title(record.experiment), record.model.name, record.source_name)
                untold = [*(part for part in parts if part.lower() not in told), record.note[:80]]
                st.caption(" · ".join(plain_text(part) for part in untold if part))
                _leave_button(run_id, bundle.name, ids)


def _compare_others(run_ids: list[str]) -> None:
    st.query_params["runs"] = ",".join(run_ids)


def _masks(comparison: Comparison) -> Choice:
    """Everything about masks and pictures."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Masks", anchor=False, width="content")
        # What a film's runs have found says more of them than what they were given.
        options = [*([A_FRAME] if comparison.frames else []), *comparison.mask_names]
        name = st.selectbox(
            "Which mask", options, format_func=_mask_title, key="compare_mask", label_visibility="collapsed", width=260
        )
        if name == A_FRAME:
            name = _object_choice(_frame_choice(comparison.frames), max(comparison.objects))
    shown = comparison.shown(name)
    _tiles(comparison, name, shown)
    if frame_of(name) is None and (several := _objects_text(comparison.objects)):
        st.caption(several)
    lacking = [str(index + 1) for index in range(len(comparison.bundles)) if index not in {each.run for each in shown}]
    if lacking:
        runs = "Run" if len(lacking) == 1 else "Runs"
        st.caption(f"{runs} {plain_text(', '.join(lacking))} {'has' if len(lacking) == 1 else 'have'} no such mask.")
    return Choice(name, _laid_over(comparison, name, shown))


def _frame_choice(frames: tuple[int, ...]) -> str:
    """The name of the masks of the frame that was chosen."""
    if len(frames) == 1:
        return frame_name(frames[0])
    return frame_name(st.select_slider("Frame", frames, key="compare_frame", label_visibility="collapsed", width=420))


def _object_choice(name: str, objects: int) -> str:
    """The name of the frame's masks of all objects, or of the one that was chosen. objects: how many there are"""
    if objects < 2:
        return name
    number = st.selectbox(
        "Object",
        range(objects + 1),
        format_func=lambda each: f"Object {each}" if each else "All objects",
        key="compare_object",
        label_visibility="collapsed",
        width=160,
    )
    return f"{name} of object {number}" if number else name


def _objects_text(objects: Sequence[int]) -> str:
    """That a run follows objects whose masks are not among those shown; "" where none does."""
    parts = [f"run {index + 1} follows {count} objects" for index, count in enumerate(objects) if count > 1]
    text = listed(parts)
    return f"{text[0].upper()}{text[1:]}: choose “{A_FRAME}” above to compare each of them." if parts else ""


def _mask_title(name: str) -> str:
    return mask_name_words(name) if name else "each run's own"


def _tiles(comparison: Comparison, name: str, shown: tuple[Shown, ...]) -> None:
    tiles = mask_tiles(comparison, shown, *TILE_PX)
    widest = max((tile.shape[1] for tile in tiles if tile is not None), default=TILE_PX[0])
    for start in range(0, len(tiles), PER_ROW):
        with st.container(key=f"compare_tiles_{start}"):
            columns = st.columns(min(PER_ROW, max(2, len(tiles))), gap="small")
        for index, column in zip(range(start, min(start + PER_ROW, len(tiles))), columns, strict=False):
            with column, st.container(gap="xxsmall"):
                tile, each = tiles[index], shown[index]
                if tile is None:
                    st.caption("No picture was kept with this run.")
                else:
                    # A column that is narrower than the widest shrinks all of them alike.
                    with st.container(width=widest):
                        what = "mask over the picture" if each.mask else "its picture"
                        share = tile.shape[1] / widest
                        inline_image(
                            tile, f"{comparison.bundles[each.run].name}, {what}", "samkit-compared", share=share
                        )
                words = shown_chip(comparison, name, each) + ("" if each.mask else " no mask")
                st.html(legend_html([words]))


def _laid_over(comparison: Comparison, name: str, shown: tuple[Shown, ...]) -> tuple[Shown, Shown] | None:
    """Outlines and the pairwise IoU of masks on one picture, and any two against each other. Gives the two."""
    if len(shown) < 2:
        return None
    grounds = comparison.grounds(name)
    with st.container(key="row_laid_over"):
        left, right = st.columns(2, gap="medium")
    with left:
        group = _outlines(comparison, name, grounds) if grounds else shown
        if not grounds:
            st.caption("No two of these masks lie on the same picture, so they can't be overlaid.")
    with right:
        pair = _two(comparison, name, shown, group)
    if grounds:
        st.markdown("**Pairwise IoU**")
        st.html(
            matrix_table(iou_matrix(comparison.masks_of(group)), [shown_chip(comparison, name, one) for one in group])
        )
    return pair


def _outlines(comparison: Comparison, name: str, grounds: tuple[tuple[Shown, ...], ...]) -> tuple[Shown, ...]:
    """All masks on one picture; gives them."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="compare_outlines"):
        st.markdown("**Outlines**", width="content")
        # By number: a tuple as the default would be taken for several choices.
        number = len(grounds) > 1 and st.segmented_control(
            "On",
            range(len(grounds)),
            default=0,
            required=True,
            key="compare_ground",
            format_func=lambda each: _group_text(comparison, name, grounds[each]),
            label_visibility="collapsed",
        )
    group = grounds[number or 0]
    rgb = comparison.picture(group[0])
    if rgb is not None:
        drawn = outlines(rgb, comparison.masks_of(group), list(map(color_of, group)))
        inline_image(shrunk(drawn), "All outlines on the picture", "samkit-figure")
    st.html(legend_html([shown_chip(comparison, name, each) for each in group]))
    if equal := equal_sentence(comparison, name, group):
        st.caption(plain_text(equal))
    return group


def _group_text(comparison: Comparison, name: str, group: tuple[Shown, ...]) -> str:
    texts = [shown_text(comparison, name, each).removeprefix("run ").replace(",", "") for each in group]
    return f"runs {', '.join(texts)}"


def _two(comparison: Comparison, name: str, shown: tuple[Shown, ...], group: tuple[Shown, ...]) -> tuple[Shown, Shown]:
    """Two of them, in one place by turns or where they differ; those of one picture are offered first."""
    options = [*group, *(each for each in shown if each not in group)]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="compare_two"):
        way = st.segmented_control(
            "How", [SWIPE, DIFFERENCE], default=SWIPE, required=True, key="compare_way", label_visibility="collapsed"
        )
        # Of two runs the same object is set against each other, and not two objects of the first one.
        other = next((at for at, each in enumerate(options) if each.run != options[0].run), 1)
        first, second = (
            _one_of(comparison, name, options, label, at) for label, at in zip(PAIR, (0, other), strict=True)
        )
    pair = first, second
    if way == SWIPE:
        swipe(swipe_pictures(comparison, pair), swipe_captions(comparison, name, pair), key="compare_swipe")
        return pair
    on_one = any({*pair} <= {*each} for each in comparison.grounds(name))
    rgb = comparison.picture(first) if on_one else None
    if rgb is not None:
        colors = color_of(first), color_of(second)
        drawn = difference_map(rgb, *comparison.masks_of(pair), colors=colors)
        inline_image(shrunk(drawn), "Where the two masks differ", "samkit-figure")
    if on_one:
        st.html(difference_caption(comparison, name, pair))
    else:
        st.caption("These two do not lie on the same picture, so their difference can't be drawn. Swipe shows them.")
    return pair


def _one_of(comparison: Comparison, name: str, options: list[Shown], label: str, index: int) -> Shown:
    """The choice is a text: streamlit knows options by their texts, and those of another frame have the same ones."""
    texts = {shown_text(comparison, name, each): each for each in options}
    chosen = st.selectbox(
        label, list(texts), index, key=f"compare_{label.lower()}", label_visibility="collapsed", width=160
    )
    return texts[chosen]


def _numbers(comparison: Comparison) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="compare_numbers"):
        st.subheader("Numbers", anchor=False, width="content")
        view = st.segmented_control(
            "As",
            [SIDE_BY_SIDE, AS_TABLE],
            default=SIDE_BY_SIDE,
            required=True,
            key="compare_numbers_as",
            label_visibility="collapsed",
        )
        everything = view == SIDE_BY_SIDE and st.toggle(
            "Also parameters that are the same in all runs", False, key="compare_all_params"
        )
    if view == SIDE_BY_SIDE:
        _side_by_side(comparison, everything)
    else:
        _table(comparison)
    figure = lines_figure(comparison)
    if figure is not None:
        st.subheader("A line for each run", anchor=False)
        st.caption("Each axis goes from the least to the largest value. A gap: the run has no such value.")
        st.plotly_chart(figure, key="compare_lines", config={"displaylogo": False, "displayModeBar": False})


def _side_by_side(comparison: Comparison, everything: bool) -> None:
    count = len(comparison.bundles)
    rows = [row for row in comparison.conditions if (everything or row.differs) and not row.is_empty]
    if rows:
        st.html(rows_table(rows, count, "parameter"))
    else:
        st.caption("All parameters are the same.")
    if comparison.metrics:
        st.html(rows_table(metric_rows(comparison), count, "metric"))
        st.caption(plain_text(best_sentence(comparison)))
        if other_pictures := pictures_sentence(comparison):
            st.caption(plain_text(other_pictures))


def _table(comparison: Comparison) -> None:
    """A line for each run, sorted by a click on a head, as CSV."""
    rows = run_rows(comparison)
    names = list(rows[0])[2:]
    wanted = st.multiselect(
        "Columns",
        names,
        format_func=metric_words,
        key="compare_columns",
        placeholder="All columns",
        help="A click on a column's head sorts by it.",
    )
    kept = ["run", "name", *(wanted or names)]
    heads = {name: st.column_config.Column(metric_words(name)) for name in names}
    table_with_csv([{name: row[name] for name in kept} for row in rows], f"compare-{len(rows)}-runs", heads)
