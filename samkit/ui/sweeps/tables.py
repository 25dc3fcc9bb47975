"""The tables of a sweep: settings, sizes, worst pictures, failures, all cells. A click on a row chooses its cell."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from samkit.scratch import scratch
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.tables import table_height
from samkit.ui.sweeps.charts import Shown
from samkit.ui.sweeps.columns import mean_text, metrics, title, trimmed, value_text
from samkit.ui.sweeps.looked_at import LookedAt
from samkit.words import number_text
from samkit.work.sweep.paired import SettingDifference, from_best
from samkit.work.sweep.report.figures import better_end
from samkit.work.sweep.summary import FEWEST, SIZES, SettingSummary, summarize, swept_columns
from samkit.work.sweep.table import write_table

MORE_METRICS = 4
TABLE_PX, MAX_ROWS, MAX_WORST, MAX_SETTINGS = 290, 2_000, 200, 40


def settings_of(looked: LookedAt, metric: str) -> list[SettingSummary]:
    """All settings, the best one first."""
    columns = swept_columns(looked.sweep.spec)
    done = [row for row in looked.rows if row["status"] == "done"]
    found = summarize(trimmed(done, columns, metric), columns, looked.sweep.spec.seed, by_size=False) if done else []
    sign = 1 if better_end(metric) == "lower" else -1
    return sorted((each for each in found if metric in each.means), key=lambda each: sign * each.means[metric].value)


def _others_of(looked: LookedAt, shown: list[SettingSummary], names: list[str]) -> dict[str, SettingSummary]:
    """Other metrics of these settings."""
    columns = swept_columns(looked.sweep.spec)
    wanted = {repr(each.setting) for each in shown}
    rows = [
        {name: row.get(name) for name in ("picture", "group", "status", *columns)}
        | {name: row[name] for name in names if row.get(name) is not None}
        for row in looked.rows
        if row["status"] == "done" and repr({column: row.get(column) for column in columns}) in wanted
    ]
    found = summarize(rows, columns, looked.sweep.spec.seed, by_size=False) if rows else []
    return {repr(each.setting): each for each in found}


def best_sentence(looked: LookedAt, found: Sequence[SettingSummary], metric: str) -> str:
    """Which setting is best, and whether it can be told from the next one on the cases that both have."""
    if len(found) < 2:
        return ""
    best, following = found[:2]
    columns, two = swept_columns(looked.sweep.spec), (best.setting, following.setting)
    rows = [row for row in looked.rows if {column: row.get(column) for column in columns} in two]
    differences = from_best(rows, columns, metric, best.setting, looked.sweep.spec.seed)
    text = f"**Best {plain_text(title(metric))}:** {_setting_text(best)}, {mean_text(best.means[metric])}."
    return text + (f" {_difference_text(differences[0], metric)}" if differences else "")


def _difference_text(found: SettingDifference, metric: str) -> str:
    """How the best setting compares with the next one, as a sentence."""
    mean, sign = found.mean, -1 if better_end(metric) == "lower" else 1
    following = f"the next one ({_setting_text(found)})"
    on_same = f"on the same {f'{mean.cells:,} cases' if mean.cells != 1 else 'case'}"
    better = f"{'better' if sign * mean.value > 0 else 'worse'} by {number_text(abs(mean.value), 3)}"
    better = better if mean.value else "equal"
    if mean.low is None or mean.high is None:
        return f"Against {following} it is {better} {on_same}. {mean.too_few}"
    low, high = (number_text(edge, 3) for edge in sorted((sign * mean.low, sign * mean.high)))
    if found.told_apart:
        return f"Against {following} it is {better} {on_same} (95 % interval {low} to {high})."
    return f"It can't be told apart from {following} {on_same}: {better} (95 % interval {low} to {high})."


def _setting_text(each: SettingSummary | SettingDifference) -> str:
    return plain_text(", ".join(f"{title(name)} {value_text(name, value)}" for name, value in each.setting.items()))


def draw_settings(looked: LookedAt, shown: Shown) -> None:
    """Best settings first, with the metrics that people ask for first."""
    found = settings_of(looked, shown.metric)
    names = [shown.metric, *(name for name in metrics(looked) if name != shown.metric)][: 1 + MORE_METRICS]
    others = _others_of(looked, found[:MAX_SETTINGS], names[1:])
    rows = []
    for each in found[:MAX_SETTINGS]:
        row: dict[str, Any] = {title(name): value_text(name, value) for name, value in each.setting.items()}
        row["cells"] = each.means[shown.metric].cells
        row[title(shown.metric)] = mean_text(each.means[shown.metric])
        more = others.get(repr(each.setting))
        for name in names[1:]:
            row[title(name)] = mean_text(more.means[name]) if more is not None and name in more.means else "–"
        rows.append(row)
    if sentence := best_sentence(looked, found, shown.metric):
        st.markdown(sentence)
    if len(found) > MAX_SETTINGS:
        st.caption(f"The best {MAX_SETTINGS} of {len(found):,} settings.")
    st.dataframe(rows, hide_index=True, height=table_height(len(rows), TABLE_PX), key=f"settings_{looked.sweep.id}")


def draw_sizes(looked: LookedAt, shown: Shown) -> None:
    """Each setting for small, medium and large objects."""
    columns = swept_columns(looked.sweep.spec)
    done = [row for row in looked.rows if row["status"] == "done" and row.get("size")]
    if not done:
        st.info("Sizes are known where pictures come with true masks.", icon=":material/straighten:")
        return
    found = summarize(trimmed(done, columns, shown.metric), columns, looked.sweep.spec.seed)
    by_size: dict[str, dict[str, SettingSummary]] = {}
    for each in found:
        by_size.setdefault(each.size, {})[repr(each.setting)] = each
    # Where all objects are of one size, its means are those of all.
    present = [size for size in SIZES if size in by_size]
    alone = next((size for size in SIZES if any(row["size"] == size for row in done)), "")
    rows = []
    for key, each in by_size[""].items():
        row: dict[str, Any] = {title(name): value_text(name, value) for name, value in each.setting.items()}
        for size in present or [alone]:
            of_size = by_size.get(size if present else "", {}).get(key)
            mean = of_size.means.get(shown.metric) if of_size else None
            row[size] = f"{mean_text(mean)} ({mean.cells})" if mean else "–"
        rows.append(row)
    st.caption(
        f"{plain_text(title(shown.metric))}, 95 % intervals (of {FEWEST} pictures or more), and how many cells. Small "
        "objects have less than 32² pixels, large ones 96² or more."
    )
    st.dataframe(rows, hide_index=True, height=table_height(len(rows), TABLE_PX), key=f"sizes_{looked.sweep.id}")


def draw_worst(looked: LookedAt, shown: Shown) -> None:
    """Pictures by the mean of the metric, the worst first."""
    lower = better_end(shown.metric) == "lower"
    pictures: dict[str, list[int]] = {}
    for index, row in enumerate(looked.rows):
        if row.get(shown.metric) is not None:
            pictures.setdefault(row["picture"], []).append(index)
    values = {name: sum(looked.rows[at][shown.metric] for at in own) / len(own) for name, own in pictures.items()}
    order = sorted(values, key=lambda name: values[name], reverse=lower)[:MAX_WORST]
    pick = max if lower else min
    cells = [pick(pictures[name], key=lambda at: looked.rows[at][shown.metric]) for name in order]
    rows = [
        {
            "picture": name,
            f"mean {title(shown.metric)}": values[name],
            "worst cell": looked.rows[cell][shown.metric],
            "object": looked.rows[cell]["case"],
            "cells": len(pictures[name]),
        }
        for name, cell in zip(order, cells, strict=True)
    ]
    st.caption("A click on the box before a row shows the worst cell of that picture.")
    _chosen_table(looked, rows, cells, "worst")


def draw_failures(looked: LookedAt) -> None:
    """Cells that failed, with the reason of each."""
    failed = [index for index, row in enumerate(looked.rows) if row["status"] == "failed"]
    if not failed:
        st.info("No cell has failed.", icon=":material/check_circle:")
        return
    rows = [
        {"reason": row["reason"], "case": row["case"], **_setting(looked, row)}
        for row in (looked.rows[index] for index in failed[:MAX_ROWS])
    ]
    _chosen_table(looked, rows, failed, "failed")


def draw_cells(looked: LookedAt, shown: Shown) -> None:
    """Cells, at most so many that a browser takes."""
    names = [shown.metric, *(name for name in metrics(looked) if name != shown.metric)][:8]
    numbers = list(range(min(len(looked.rows), MAX_ROWS)))
    rows = [
        {
            "case": row["case"],
            "prompts": row["prompts"],
            **_setting(looked, row),
            "state": row["status"],
            **{title(name): row.get(name) for name in names},
        }
        for row in (looked.rows[index] for index in numbers)
    ]
    if len(looked.rows) > MAX_ROWS:
        st.caption(f"The first {MAX_ROWS:,} of {len(looked.rows):,} cells; the CSV has all of them.")
    _chosen_table(looked, rows, numbers, "cells")


def _setting(looked: LookedAt, row: dict[str, Any]) -> dict[str, str]:
    return {title(name): value_text(name, row.get(name)) for name in swept_columns(looked.sweep.spec)}


def _chosen_table(looked: LookedAt, rows: list[dict[str, Any]], cells: Sequence[int], name: str) -> None:
    """rows: plain values; cells: of each row, which is shown when it is clicked."""
    key = f"{name}_{looked.sweep.id}"

    def clicked() -> None:
        event: Any = st.session_state.get(key)
        for row in event.selection.rows if event else ():
            looked.choose(cells[row])

    decimals = {
        column: st.column_config.NumberColumn(format="%.3f")
        for column in (rows[0] if rows else ())
        if any(isinstance(row[column], float) for row in rows[:20])
    }
    st.dataframe(
        rows,
        hide_index=True,
        height=table_height(len(rows), TABLE_PX),
        key=key,
        column_config=decimals,
        on_select=clicked,
        selection_mode="single-row",
    )


def csv_of(looked: LookedAt) -> Callable[[], bytes]:
    """The whole table, made when it is asked for."""

    def made() -> bytes:
        with scratch("sweep-table") as folder:
            file = Path(folder) / "cells.csv"
            write_table(list(looked.rows), file)
            return file.read_bytes()

    return made
