"""The prompt canvas: streamlit-drawable-canvas with the workspace's picture and prompts on it.

The list of prompts is the truth. The canvas is told to draw anew only when the list was changed from elsewhere, and
what it reports is taken only when it differs from its last report, so that an old drawing never overwrites an edit.
"""

import hashlib
import json

import streamlit as st
from streamlit_drawable_canvas import st_canvas

from samkit.ui.controls.canvas_shapes import (
    CLEAR,
    POINT_RADIUS_PX,
    STROKE_PX,
    background_jpeg,
    canvas_size,
    from_drawing,
    same_on_canvas,
    to_drawing,
)
from samkit.ui.parts import style
from samkit.ui.state.workspace import Workspace

TOOLS = {
    "foreground": {"drawing_mode": "point", "stroke_color": style.FOREGROUND, "fill_color": style.FOREGROUND},
    "background": {"drawing_mode": "point", "stroke_color": style.BACKGROUND, "fill_color": CLEAR},
    "box": {"drawing_mode": "rect", "stroke_color": style.BOX, "fill_color": CLEAR},
}


def prompt_canvas(
    work: Workspace, page: str, max_width: int = 620, max_height: int = 460, frame: str = "canvas_frame"
) -> None:
    """Draw the canvas with the workspace's picture and prompts, and take what the visitor drew since the last run into
    the workspace.

    frame: the key of its container; another one that begins alike for a second canvas
    """
    width, height = canvas_size(work.picture, max_width, max_height)
    mounted = st.session_state.setdefault(f"samkit.canvas.{page}", {"version": None})
    at = (work.drawing_version, work.picture.sha256, width, height)
    if mounted["version"] != at:
        # The drawing handed over is kept until the next outside change: handing over another one would make the canvas
        # draw anew.
        mounted |= {"version": at, "drawing": to_drawing(work.prompts, width, height)}
    key = f"canvas_{page}_{work.picture.sha256[:12]}_{width}"
    # The frame is as wide as its column; the style sheet shrinks a canvas that is wider, and cuts off the canvas's own
    # tool bar below it.
    st.html(
        f"<style>.st-key-{frame} {{--canvas-w: {width}px; --canvas-h: {height}px; --canvas-ratio: "
        f"{height / width:.5f}}}</style>"
    )
    with st.container(key=frame):
        result = st_canvas(
            **TOOLS[work.tool],
            stroke_width=STROKE_PX,
            point_display_radius=POINT_RADIUS_PX,
            background_image=background_jpeg(work.picture, width, height),
            initial_drawing=mounted["drawing"],
            width=width,
            height=height,
            key=key,
        )
    report = hashlib.sha256(json.dumps(result.json_data, sort_keys=True).encode()).hexdigest()
    if mounted.get("key") != key:
        # A canvas just mounted reports its first drawing, which is the prompts themselves.
        mounted |= {"key": key, "report": report}
        return
    if report == mounted["report"]:
        return
    mounted["report"] = report
    drawn = from_drawing(result.json_data, width, height)
    if not same_on_canvas(drawn, work.prompts, width, height):
        work.draw(drawn)
