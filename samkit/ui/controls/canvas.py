"""The prompt canvas: streamlit-drawable-canvas for the mouse, and the stage above it with picture, mask and prompts.

The list of prompts is the truth. What a canvas is handed is a numbered sheet, and what it reports is taken for that
sheet (`samkit.ui.state.sheets`). At its side a script in the browser sees to the order of things: it has each drawing
reported at once, and keeps a press back while an edit is on its way to the canvas. It also draws what
is seen (`stage.js`), and sends what the canvas can't do as gestures (`samkit.ui.state.gestures`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from streamlit_drawable_canvas import st_canvas

from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.ui.controls.canvas_shapes import (
    CLEAR,
    POINT_RADIUS_PX,
    STROKE_PX,
    canvas_size,
    read_report,
    to_drawing,
)
from samkit.ui.controls.keys import CANVAS_KEYS
from samkit.ui.parts import style
from samkit.ui.parts.inline_image import fit_within_size, gray_png_url, shrink_mask
from samkit.ui.parts.picture_view import view_name
from samkit.ui.state.gestures import read_gestures
from samkit.ui.state.picture_files import FULL_PX, SHOWN_PX, picture_url
from samkit.ui.state.sheets import CanvasSheets
from samkit.ui.state.workspace import Workspace

TOOLS = {
    "foreground": {"drawing_mode": "point", "stroke_color": style.FOREGROUND, "fill_color": style.FOREGROUND},
    "background": {"drawing_mode": "point", "stroke_color": style.BACKGROUND, "fill_color": CLEAR},
    "box": {"drawing_mode": "rect", "stroke_color": style.BOX, "fill_color": CLEAR},
}

MASK_PX = 1024
"""Longest side of the masks that the stage draws."""
_MOVES = "Arrows move (Shift: further)"
CROSSHAIR_HINTS = {
    "foreground": f"{_MOVES} · Enter: point (Shift: background) · Esc leaves",
    "background": f"{_MOVES} · Enter: background point · Esc leaves",
    "box": f"{_MOVES} · Enter: a corner of a box · Esc leaves",
    "corner": f"{_MOVES} · Enter: the other corner · Esc drops the first",
    "prompt": f"{_MOVES} · Enter selects · Delete removes · Esc leaves",
    "same_place": "No box: this is where its first corner is · Arrows move to the other",
    "too_small": "No box: the corners are too close to each other · Arrows move further",
}
"""What the keys do where the crosshair is, by the tool and by what it is about; then why a box was not made."""
STAGE_HTML = """<div class="stage" tabindex="0" role="application">
<div class="inner"><img class="picture" alt=""><canvas class="mask"></canvas></div>
<svg class="prompts" aria-hidden="true"></svg><div class="hint" role="status"></div></div>"""
CROSSHAIR_LABEL = (
    "{}. Arrow keys move a crosshair, with Shift in bigger steps. Enter or Space places a point of the chosen tool "
    "there, or a corner of a box; with Shift a background point. Delete removes the prompt there. Escape leaves."
)
"""What a picture is called, with its name."""

_browser_side = st.components.v2.component(
    "samkit_prompt_canvas",
    html=STAGE_HTML,
    css=style.part("stage.css"),
    js="\n".join(style.part(name) for name in ("view.js", "live.js", "stage.js", "crosshair.js", "prompt_canvas.js")),
)
_bar = st.components.v2.component(
    "samkit_stage_bar",
    html=style.part("stage_bar.html"),
    css=style.part("stage_bar.css"),
    js=style.part("stage_bar.js"),
)
_masks = st.components.v2.component("samkit_stage_masks", html="<div></div>", js=style.part("stage_masks.js"))


@dataclass(frozen=True)
class LiveLink:
    """Where a page's script asks for live masks, and the token that says of what."""

    path: str
    token: str


@dataclass(frozen=True)
class Layer:
    """What is seen beside the canvas's own mask and prompts, under them. color: RGB; mask: bool [H, W]"""

    color: tuple[int, int, int]
    mask: np.ndarray | None
    prompts: Prompts = Prompts()


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
    work: Workspace,
    page: str,
    max_width: int = 620,
    max_height: int = 460,
    frame: str = "canvas_frame",
    live: LiveLink | None = None,
    color: tuple[int, int, int] = style.MASK_COLOR,
) -> None:
    """Draw the canvas with the workspace's picture and prompts.

    page:  of the tools and buttons around the canvas, whose keys end in it
    frame: the key of its container; another one that begins alike for a second canvas
    live:  where masks under the pointer come from, if anywhere
    color: RGB of the mask
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
    # The style sheet scales the canvas to its frame, and cuts off the canvas's own tool bar below it.
    shape = f"--w: {work.picture.width}; --h: {work.picture.height}"
    st.html(f"<style>.st-key-{frame} {{{shape}; --canvas-w: {width}px}} .st-key-main_view {{{shape}}}</style>")
    sent = {"sheet": sheet.number, "arrival": arrival, "size": [*work.picture.size[::-1], width], "color": color}
    with st.container(key=frame):
        st_canvas(
            **TOOLS[work.tool],
            stroke_width=STROKE_PX,
            point_display_radius=POINT_RADIUS_PX,
            background_color="",
            initial_drawing=to_drawing(sheet, width, height),
            width=width,
            height=height,
            max_display_height=arrival,
            # By itself it reports late, and also what it was handed, which costs a run of the page for each edit.
            update_streamlit=False,
            key=key,
            on_change=lambda: take_drawn(work),
        )
        with st.container(key=f"stage_layer_{frame}"):
            _stage(work, canvas, f"{key}_browser", _stage_data(work, page, frame, live) | sent)
    with st.container(key=f"stage_bar_{frame}"):
        view = {"view": view_name(work.picture), "width": work.picture.width}
        _bar(data={"frame": frame, "live": live is not None} | view, key=f"bar_{frame}")


def _stage(work: Workspace, canvas: CanvasSheets, key: str, data: Mapping[str, Any]) -> None:
    """What is seen of the canvas, and the hands on it."""
    _browser_side(
        data=data,
        key=key,
        # Asks for a run of the page and nothing else: it makes the encoding that the pointer has missed.
        on_missed_change=lambda: None,
        on_mounted_again_change=lambda: _mounted_again(canvas, key),
        on_gesture_change=lambda: _take_gestures(work, key),
    )


def _stage_data(work: Workspace, page: str, frame: str, live: LiveLink | None) -> dict[str, Any]:
    """What the stage shows, and what the browser's script has to know of the list of prompts."""
    large = max(work.picture.width, work.picture.height) > SHOWN_PX
    return {
        "frame": frame,
        "page": page,
        "tool": list(TOOLS).index(work.tool),
        "label": CROSSHAIR_LABEL.format(work.picture.name),
        "keys": CANVAS_KEYS,
        "tools": list(TOOLS),
        "hints": CROSSHAIR_HINTS,
        "edits": work.edits,
        "done": work.gesture,
        "past": len(work.history),
        "ahead": len(work.undone),
        "hinted": work.given.hint is not None,
        "prompts": work.prompts.to_dict(),
        "view": view_name(work.picture),
        "picture": picture_url(work.picture, SHOWN_PX, frame),
        "full": picture_url(work.picture, FULL_PX, frame) if large else "",
        "strip": page,
        "colors": {"foreground": style.FOREGROUND, "background": style.BACKGROUND, "box": style.BOX},
        "live": None if live is None else {"path": live.path, "token": live.token},
    }


def lay_masks(
    frame: str,
    picture: Picture,
    prompts: Prompts,
    masks: Sequence[np.ndarray],
    chosen: int,
    threshold: float = 0.0,
    own: bool = False,
    others: Sequence[Layer] = (),
) -> None:
    """Hand masks to the stage of a canvas, to be laid over its picture.

    masks:  bool [H, W], of the picture's size; chosen: index of the one that is seen
    prompts: that they were made with: what the visitor has done since stays in sight
    threshold: at which the page cuts logits, and live masks too
    own: whether the visitor has chosen that mask
    others: what is there beside it
    """
    size = fit_within_size(picture.height, picture.width, MASK_PX)
    with st.container(key=f"stage_masks_{frame}"):
        _masks(
            data={
                "frame": frame,
                "view": view_name(picture),
                "prompts": prompts.to_dict(),
                "masks": [gray_png_url(shrink_mask(mask, size)) for mask in masks],
                "chosen": chosen,
                "threshold": threshold,
                "own": own,
                "others": [
                    {
                        "color": layer.color,
                        "mask": gray_png_url(shrink_mask(layer.mask, size)) if layer.mask is not None else None,
                        "prompts": layer.prompts.to_dict(),
                    }
                    for layer in others
                ],
            },
            key=f"masks_{frame}",
        )


def _take_gestures(work: Workspace, key: str) -> None:
    """After what was drawn before them."""
    take_drawn(work)
    sent: Mapping[str, Any] | None = _said(key, "gesture")
    if sent is not None:
        work.take_gestures(read_gestures(sent))


def _mounted_again(canvas: CanvasSheets, key: str) -> None:
    number = _said(key, "mounted_again")
    for each in list(canvas.sheets) if number is None else [int(number)]:
        canvas.mounted_again(each)


def _said(key: str, event: str) -> Any:
    """What the browser's script has just said; None where nothing is left of it, as after a run that was broken off
    when the canvas had just moved to another place of the page.
    """
    state = st.session_state.get(key)
    return None if state is None else state.get(event)
