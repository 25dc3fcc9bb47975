"""The prompt canvas: streamlit-drawable-canvas with the workspace's picture and prompts on it.

The list of prompts is the truth. What a canvas is handed is a numbered sheet, and what it reports is taken for that
sheet (`samkit.ui.state.sheets`). At its side a script in the browser sees to the order of things: it has each drawing
reported at once, and keeps a press back while an edit or another tool is on its way to the canvas.
"""

from pathlib import Path

import streamlit as st
from streamlit_drawable_canvas import st_canvas

from samkit.ui.controls.canvas_shapes import (
    CLEAR,
    POINT_RADIUS_PX,
    STROKE_PX,
    background_jpeg,
    canvas_size,
    read_report,
    to_drawing,
)
from samkit.ui.parts import style
from samkit.ui.state.sheets import CanvasSheets
from samkit.ui.state.workspace import Workspace

TOOLS = {
    "foreground": {"drawing_mode": "point", "stroke_color": style.FOREGROUND, "fill_color": style.FOREGROUND},
    "background": {"drawing_mode": "point", "stroke_color": style.BACKGROUND, "fill_color": CLEAR},
    "box": {"drawing_mode": "rect", "stroke_color": style.BOX, "fill_color": CLEAR},
}

_browser_side = st.components.v2.component(
    "samkit_prompt_canvas",
    html="<div></div>",
    js=(Path(__file__).parents[1] / "parts" / "prompt_canvas.js").read_text(),
)


def take_drawn(work: Workspace) -> None:
    """Take into the list what the canvases on the screen have reported. To be called before the list is read or
    changed, so that a change comes after what was drawn before it.
    """
    for key, canvas in list(work.canvases.items()):
        state = st.session_state.get(key)
        report = read_report(state["drawing"]["raw"], canvas.width, canvas.height) if state else None
        if report is not None:
            work.draw(key, report)


def prompt_canvas(
    work: Workspace, page: str, max_width: int = 620, max_height: int = 460, frame: str = "canvas_frame"
) -> None:
    """Draw the canvas with the workspace's picture and prompts.

    page:  of the tools and buttons around the canvas, whose keys end in it
    frame: the key of its container; another one that begins alike for a second canvas
    """
    width, height = canvas_size(work.picture, max_width, max_height)
    key = f"canvas_{page}_{work.picture.sha256[:12]}_{width}"
    if key not in st.session_state:
        # The browser builds it anew: at a first visit, after its page was left, or with another picture.
        work.canvases.pop(key, None)
    canvas = work.canvases.setdefault(key, CanvasSheets(width, height))
    sheet = canvas.sheet_for(work.prompts)
    # The canvas writes this limit, which is none, into its style: by it the browser's script sees what has arrived.
    arrival = height + 1 + canvas.arrival_of(sheet, work.tool)
    # The frame is as wide as its column; the style sheet shrinks a canvas that is wider, and cuts off the canvas's own
    # tool bar below it.
    st.html(
        f"<style>.st-key-{frame} {{--canvas-w: {width}px; --canvas-h: {height}px; --canvas-ratio: "
        f"{height / width:.5f}}}</style>"
    )
    with st.container(key=frame):
        st_canvas(
            **TOOLS[work.tool],
            stroke_width=STROKE_PX,
            point_display_radius=POINT_RADIUS_PX,
            background_image=background_jpeg(work.picture, width, height),
            initial_drawing=to_drawing(sheet, width, height),
            width=width,
            height=height,
            max_display_height=arrival,
            # By itself it reports late, and also what it was handed, which costs a run of the page for each edit.
            update_streamlit=False,
            key=key,
            on_change=lambda: take_drawn(work),
        )
        _browser_side(
            data={
                "frame": frame,
                "page": page,
                "tool": list(TOOLS).index(work.tool),
                "sheet": sheet.number,
                "arrival": arrival,
                "edits": work.edits,
            },
            key=f"{key}_browser",
            on_mounted_again_change=lambda: _mounted_again(canvas, f"{key}_browser"),
        )


def _mounted_again(canvas: CanvasSheets, key: str) -> None:
    number = st.session_state[key].mounted_again
    if number is not None:
        canvas.mounted_again(int(number))
