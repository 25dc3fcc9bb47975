"""Compared runs as HTML: the page and the report that needs no server show the same."""

from collections.abc import Sequence
from html import escape

import numpy as np

from samkit.tracking.compare import BOTH, COLORS, FIRST, SECOND, Comparison, Row, compare_pair
from samkit.ui.parts.style import style_sheet

CSS = style_sheet("compare.css")


def number_chip(index: int) -> str:
    """A run's number on its colour."""
    return f'<span class="samkit-run-no" style="background: rgb{COLORS[index]}">{index + 1}</span>'


def rows_table(rows: Sequence[Row], count: int, first: str) -> str:
    """A row for each, a column for each of `count` runs. first: head of the column of names."""
    head = f"<th>{escape(first)}</th>" + "".join(f"<th>{number_chip(index)}</th>" for index in range(count))
    body = "".join(_row(row) for row in rows)
    return (
        '<div class="samkit-scroll"><table '
        f'class="samkit-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(row: Row) -> str:
    cells = "".join(_cell(value, index in row.best) for index, value in enumerate(row.values))
    return f'<tr class="{"" if row.differs else "same"}"><td>{escape(row.name.replace("_", " "))}</td>{cells}</tr>'


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


def number_text(value: float, digits: int = 5) -> str:
    """At least so many digits, and never a power of ten where the number can be read."""
    return f"{value:,.0f}" if 10 ** (digits - 1) <= abs(value) < 1e12 else f"{value:.{digits}g}"


def matrix_table(matrix: np.ndarray, indices: Sequence[int]) -> str:
    """float [N, N] of 0..1 as a table; the depth of colour is the value. indices: which runs they are."""
    head = "<th></th>" + "".join(f"<th>{number_chip(index)}</th>" for index in indices)
    body = ""
    for index, values in zip(indices, matrix, strict=True):
        cells = "".join(
            f'<td style="background: rgba(22,160,170,{0.65 * value:.2f})">{value:.3f}</td>' for value in values
        )
        body += f"<tr><td>{number_chip(index)}</td>{cells}</tr>"
    style = f"width: auto; min-width: {4 * len(indices)}rem"
    return (
        '<div class="samkit-scroll"><table class="samkit-table samkit-matrix" '
        f'style="{style}"><tr>{head}</tr>{body}</table></div>'
    )


def difference_caption(comparison: Comparison, mask: str, pair: tuple[int, int]) -> str:
    """HTML: how many pixels each has alone and both have."""
    first, second = pair
    counts = compare_pair(*comparison.masks_of(pair, mask))
    swatches = [
        f'<span style="display:inline-block;width:.8em;height:.8em;border:1px solid #888;background:rgb{color}"></span>'
        for color in (FIRST, SECOND, BOTH)
    ]
    return (
        f"{swatches[0]} only {number_chip(first)}: {counts.only_first:,} px &emsp;{swatches[1]} only "
        f"{number_chip(second)}: {counts.only_second:,} px "
        f"&emsp;{swatches[2]} both: {counts.both:,} px &emsp;IoU {counts.iou:.4f}"
    )
