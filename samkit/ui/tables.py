"""Tables that sort by a click on a column's head, and leave as CSV."""

import csv
import io

import streamlit as st


def table_with_csv(rows: list[dict], name: str, column_config: dict | None = None, height: int | str = "auto") -> None:
    """rows: plain values, the same columns in each; name: of the file."""
    st.dataframe(rows, hide_index=True, column_config=column_config, height=height, key=f"table_{name}")
    st.download_button("CSV", lambda: rows_to_csv(rows), f"{name}.csv", "text/csv", key=f"csv_{name}", icon=":material/table_view:", on_click="ignore")


def rows_to_csv(rows: list[dict]) -> bytes:
    """UTF-8, with a head; nothing for no rows."""
    written = io.StringIO()
    if rows:
        writer = csv.DictWriter(written, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return written.getvalue().encode()
