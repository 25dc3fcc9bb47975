"""Compared runs as HTML: the page and the report that needs no server show the same."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from samkit.tracking.bundle.frame_masks import frame_of, whose
from samkit.tracking.compare import (
    BOTH,
    COLORS,
    STRIPE_SHADE,
    Comparison,
    Row,
    Shown,
    color_of,
    compare_pair,
    equal_masks,
)
from samkit.ui.parts.metric_words import metric_words
from samkit.ui.parts.style import part
from samkit.words import listed, number_text

CSS = part("compare.css")


def number_chip(index: int, color: tuple[int, int, int] | None = None) -> str:
    """A run's number on its colour, or on another one."""
    return f'<span class="samkit-run-no" style="background: rgb{color or COLORS[index]}">{index + 1}</span>'


def shown_chip(comparison: Comparison, name: str, shown: Shown) -> str:
    """HTML: the run's number, and which of its masks it is where the run has several under that name."""
    words = mask_words(comparison, name, shown)
    return number_chip(shown.run, color_of(shown)) + (f" {escape(words)}" if words else "")


def shown_text(comparison: Comparison, name: str, shown: Shown) -> str:
    """The same without colour, for a choice."""
    words = mask_words(comparison, name, shown)
    return f"run {shown.run + 1}" + (f", {words}" if words else "")


def mask_words(comparison: Comparison, name: str, shown: Shown) -> str:
    """Which of a run's masks it is; "" where that is plain from the name that all are shown under."""
    several = sum(other.run == shown.run for other in comparison.shown(name)) > 1
    if several and frame_of(shown.mask) is not None:
        return f"object {whose(shown.mask) + 1}"
    return shown.mask.removeprefix("mask_").replace("_", " ") if several else ""


def rows_table(rows: Sequence[Row], count: int, first: str) -> str:
    """A row for each of which a run says anything, a column for each of `count` runs. first: head of the column of
    names.
    """
    head = f"<th>{escape(first)}</th>" + "".join(f"<th>{number_chip(index)}</th>" for index in range(count))
    body = "".join(_row(row) for row in rows if not row.is_empty)
    return (
        f'<div class="samkit-scroll"><table class="samkit-table even" style="min-width: {10 + 5 * count}rem">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: Row) -> str:
    cells = "".join(_cell(value, index in row.best) for index, value in enumerate(row.values))
    return f'<tr class="{"" if row.differs else "same"}"><td>{escape(metric_words(row.name))}</td>{cells}</tr>'


def _cell(value: object, best: bool) -> str:
    return f'<td class="{"best" if best else ""}">{escape(value_text(value))}</td>'


def value_text(value: object) -> str:
    """A parameter or metric for people."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, tuple):
        return ", ".join(map(value_text, value))
    return str(value)


def best_sentence(comparison: Comparison) -> str:
    """Among which runs the best is marked."""
    groups = [", ".join(str(index + 1) for index in group) for group in comparison.peers]
    if not groups:
        return "No two of these runs are of one experiment on one picture, so none is marked as the best."
    if groups == [", ".join(str(index + 1) for index in range(len(comparison.bundles)))]:
        return "The best value is marked where higher or lower is better."
    among = "; and ".join(f"runs {group}" for group in groups)
    return (
        "The best value is marked where higher or lower is better, among runs of one experiment on one picture: "
        f"{among}."
    )


def metric_rows(comparison: Comparison) -> tuple[Row, ...]:
    """All metrics; first what the masks lie on, where that is not one picture."""
    on = comparison.measured_on
    return (on, *comparison.metrics) if on.differs else comparison.metrics


def pictures_sentence(comparison: Comparison) -> str:
    """That figures in one row are of masks on different pictures; "" where all are of one."""
    if not comparison.measured_on.differs:
        return ""
    return (
        "These runs’ masks lie on different pictures, as the first row says (of two pictures, the one on which the "
        "object was found): figures of one picture do not compare with those of another."
    )


def run_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """A row for each run: number, name, the conditions that differ, and all metrics; None where it has none."""
    rows = [row for row in (*comparison.conditions, *comparison.metrics) if not row.is_empty]
    told = [row for row in rows if row.differs or row in comparison.metrics]
    return [
        {"run": index + 1, "name": bundle.name} | {row.name: _plain_value(row, index) for row in told}
        for index, bundle in enumerate(comparison.bundles)
    ]


def _plain_value(row: Row, index: int) -> Any:
    """A number where all that there are of the row are numbers, else text."""
    value = row.values[index]
    if value is None or is_number_row(row):
        return value
    return value_text(value)


def is_number_row(row: Row) -> bool:
    """Whether every value that is not missing is a number."""
    there = [value for value in row.values if value is not None]
    return bool(there) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)


def sortable_table(rows: Sequence[dict[str, Any]]) -> str:
    """A table whose heads are buttons; the report's script sorts it by them."""
    head = "".join(f'<th><button type="button">{escape(metric_words(name))}</button></th>' for name in rows[0])
    body = "".join(f"<tr>{''.join(_sortable_cell(*each) for each in row.items())}</tr>" for row in rows)
    return (
        '<div class="samkit-scroll"><table class="samkit-table samkit-sortable"><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _sortable_cell(name: str, value: Any) -> str:
    shown = number_chip(value - 1) if name == "run" else escape(value_text(value))
    return f'<td data-value="{"" if value is None else escape(str(value))}">{shown}</td>'


def matrix_table(matrix: np.ndarray, heads: Sequence[str]) -> str:
    """float [N, N] of 0..1 as a table; the depth of colour is the value. heads: HTML of the N masks."""
    head = "<th></th>" + "".join(f"<th>{each}</th>" for each in heads)
    body = ""
    for each, values in zip(heads, matrix, strict=True):
        cells = "".join(
            f'<td style="background: rgba(22,160,170,{0.65 * value:.2f})">{value:.3f}</td>' for value in values
        )
        body += f"<tr><td>{each}</td>{cells}</tr>"
    style = f"width: auto; min-width: {4 * len(heads)}rem"
    return (
        '<div class="samkit-scroll"><table class="samkit-table samkit-matrix" '
        f'style="{style}"><tr>{head}</tr>{body}</table></div>'
    )


def difference_caption(comparison: Comparison, name: str, pair: tuple[Shown, Shown]) -> str:
    """HTML: the legend of a difference map, with how many pixels each has alone and both have."""
    counts = compare_pair(*comparison.masks_of(pair))
    first, second = (shown_chip(comparison, name, shown) for shown in pair)
    swatches = [_stripes(color_of(pair[0]), 135), _stripes(color_of(pair[1]), 45), f"rgb{BOTH}"]
    legend = [
        f'<span class="samkit-swatch" style="background: {swatch}"></span>{words}: {count:,} px'
        for swatch, words, count in zip(
            swatches,
            (f"only {first}", f"only {second}", "both"),
            (counts.only_first, counts.only_second, counts.both),
            strict=True,
        )
    ]
    return legend_html([*legend, f"IoU {counts.iou:.4f}"])


def equal_sentence(comparison: Comparison, name: str, group: Sequence[Shown]) -> str:
    """Which masks of one picture are equal; "" where none are."""
    masks = [each for each in group if each.mask]
    parts = [
        listed([shown_text(comparison, name, masks[index]) for index in equal])
        for equal in equal_masks(comparison.masks_of(masks))
        if len(equal) > 1
    ]
    if not parts:
        return ""
    return f"Equal pixel for pixel, one outline in dashes of their colours: {'; and '.join(parts)}."


def legend_html(parts: Sequence[str]) -> str:
    """Parts of HTML side by side, as many in a line as there is room for."""
    return f'<div class="samkit-legend">{"".join(f"<span>{part}</span>" for part in parts)}</div>'


def _stripes(color: tuple[int, int, int], degrees: int) -> str:
    """CSS: the stripes of a difference map."""
    dark = tuple(round(STRIPE_SHADE * value) for value in color)
    return f"repeating-linear-gradient({degrees}deg, rgb{color} 0 3px, rgb{dark} 3px 6px)"
