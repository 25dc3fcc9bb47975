"""A film that plays and scrubs beside its charts: a line runs through them with the film, and a click on a chart goes
to that moment.

Streamlit's own player tells the server nothing of where it stands, so film and charts are one small page of their own,
made of plain HTML.
"""

import base64
import json
from pathlib import Path

import streamlit as st

from samkit.ui.parts.style import ACCENTS, is_dark

HEIGHT_PX = 590
CHARTS = (
    ("object_score", "Object score", 0.0),
    ("predicted_iou", "Predicted IoU", None),
    ("area_share", "Share of the frame", None),
)
"""column, title, value of the dashed line."""

_PAGE = (Path(__file__).parent / "film_player.html").read_text(encoding="utf-8")


def film_player(film: bytes, rows: list[dict], fps: float) -> None:
    """Draw the player. film: an MP4 file whose frames are `rows`, in order of frame; fps: its frames per second."""
    dark = is_dark()
    columns = [
        {name: row[name] for name in ("frame", "time_s", "object_score", "best", "predicted_iou", "area_share")}
        for row in rows
    ]
    parts = {
        "TEXT": "#e6eaed" if dark else "#22303a",
        "ACCENT": ACCENTS["dark" if dark else "light"],
        "FILM": base64.b64encode(film).decode(),
        "ROWS": json.dumps(columns),
        "CHARTS": json.dumps(CHARTS),
        "FPS": repr(float(fps)),
    }
    page = _PAGE
    for name, value in parts.items():
        page = page.replace("{{" + name + "}}", value)
    st.iframe(page, height=HEIGHT_PX, alt="The film with its masks, and charts that follow it")
