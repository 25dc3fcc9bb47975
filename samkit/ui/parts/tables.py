"""Tables that leave as CSV: most sort by a click on a column's head; one whose rows change with a slider is plain,
because it is drawn much faster.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import streamlit as st

Height = int | Literal["auto"]
HEAD_PX, ROW_PX = 35, 33
"""Of a table, at the theme's size of letters."""


def table_height(rows: int, most: int) -> int:
    """In pixels: as high as its rows, and at most so high."""
    return min(most, HEAD_PX + ROW_PX * max(1, rows))


def three_decimals(*columns: str) -> dict[str, Any]:
    """How a table shows those columns of numbers."""
    return {column: st.column_config.NumberColumn(format="%.3f") for column in columns}


def timings_table(timings: Mapping[str, float]) -> None:
    """timings: a run's, in milliseconds, each under a name such as `encode_ms` or `encode_ms_low`."""
    rows = [
        {"step": name.replace("_ms", "", 1).replace("_", " "), "ms": round(value, 1)} for name, value in timings.items()
    ]
    st.dataframe(rows, hide_index=True, width="content")


def masks_table(rows: Sequence[Mapping[str, Any]], *decimals: str) -> None:
    """The four masks of a prediction, numbered from 1 as on their pictures. decimals: columns of numbers"""
    numbered = [{**row, "mask": row["mask"] + 1} for row in rows]
    st.dataframe(numbered, hide_index=True, column_config=three_decimals(*decimals))


def table_with_csv(
    rows: list[dict[str, Any]], name: str, column_config: dict | None = None, height: Height = "auto"
) -> None:
    """rows: plain values, the same columns in each; name: of the file."""
    st.dataframe(rows, hide_index=True, column_config=column_config, height=height, key=f"table_{name}")
    _csv_button(rows, name)


def plain_table_with_csv(rows: list[dict[str, Any]], name: str, height: int) -> None:
    """The same without sorting, fractions with three digits. height: of its place in pixels, in which it scrolls."""
    text = lambda value: f"{value:.3f}" if isinstance(value, float) else escape(str(value))  # noqa: E731
    head = "".join(f"<th>{escape(column)}</th>" for column in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{text(value)}</td>' for value in row.values())}</tr>" for row in rows)
    with st.container(height=height):
        st.html(f'<table class="samkit-rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')
    _csv_button(rows, name)


def _csv_button(rows: list[dict[str, Any]], name: str) -> None:
    st.download_button(
        "CSV",
        lambda: rows_to_csv(rows),
        f"{name}.csv",
        "text/csv",
        key=f"csv_{name}",
        icon=":material/table_view:",
        on_click="ignore",
    )


def rows_to_csv(rows: list[dict[str, Any]]) -> bytes:
    """UTF-8, with a head; nothing for no rows."""
    written = io.StringIO()
    if rows:
        writer = csv.DictWriter(written, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return written.getvalue().encode()
