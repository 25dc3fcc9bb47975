"""Above the canvas the picture's button and the tools, below it the list of prompts: every way to edit them but
drawing.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.errors import SamkitError
from samkit.prompts import FOREGROUND, Box, Point, Prompts
from samkit.ui.controls.canvas import LiveLink, prompt_canvas, take_drawn
from samkit.ui.controls.keys import with_key
from samkit.ui.controls.mask_inputs import mask_inputs
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.parts import style
from samkit.ui.parts.leftovers import nothing_below
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.public import check_upload
from samkit.ui.state.workspace import Workspace

TOOL_LABELS = {
    "foreground": ":material/add_circle: Foreground",
    "background": ":material/do_not_disturb_on: Background",
    "box": ":material/select: Box",
}
CHIPS_IN_SIGHT = 12
CHIPS_HEIGHT_PX = 110
"""Of more chips the others are reached by scrolling."""
NO_PROMPT = "No prompt yet: click the picture, or choose Box and drag. Until then the masks are the model's own guess."


def prompt_editor(
    work: Workspace,
    page: str,
    second: bool = False,
    no_prompt: str = NO_PROMPT,
    live: LiveLink | None = None,
    pick_picture: bool = True,
    title: str = "",
    color: tuple[int, int, int] = style.MASK_COLOR,
    between: str = "",
) -> DeltaGenerator | None:
    """Tools, canvas and chips, in reading order. Call inside a fragment: only that reruns.

    Gives a place between canvas and chips, where `between` is its key.

    second:    for the second canvas on a page, which leaves the keyboard to the first
    no_prompt: what stands in place of the prompts while there is none
    live:      where masks under the pointer come from
    color:     RGB of the mask on the canvas
    pick_picture: whether another picture can be chosen here
    title:     in front of the picture's name, where there are several canvases
    """
    take_drawn(work)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"tools_{page}"):
        if pick_picture:
            picture_picker(work, "change_picture_b" if second else "change_picture")
        tool = st.segmented_control(
            "Tool",
            list(TOOL_LABELS),
            default=work.tool,
            required=True,
            format_func=lambda name: TOOL_LABELS[name],
            key=f"tool_{page}",
            label_visibility="collapsed",
            help="Click the picture to place a point; drag to draw a box.",
        )
        work.tool = tool or work.tool
        # Callbacks run before the page does, so the canvas shows the change in the same run.
        for name, label, icon, text, edit in (
            ("undo", "Undo", "undo", "Undo the last change of prompts or hint", work.undo),
            ("redo", "Redo", "redo", "Do again what was undone", work.redo),
            ("clear", "Remove all prompts", "delete_sweep", "Remove all prompts and the hint", work.clear),
        ):
            st.button(
                label,
                icon=f":material/{icon}:",
                key=f"{name}_{page}",
                help=with_key(text, name),
                on_click=_after_what_was_drawn,
                args=(work, edit),
            )
    prompt_canvas(work, page, frame=canvas_frame(second), live=live, color=color)
    place = st.container(horizontal=True, gap="xsmall", key=between) if between else None
    _chips(work, page, no_prompt, title)
    return place


def canvas_frame(second: bool = False) -> str:
    """The key of a canvas's frame on the page."""
    return "canvas_frame_second" if second else "canvas_frame"


def _after_what_was_drawn(work: Workspace, edit: Callable[[], None]) -> None:
    take_drawn(work)
    edit()
    work.edits += 1


def _chips(work: Workspace, page: str, no_prompt: str, title: str) -> None:
    """Loading and saving, and one small button for each prompt, which removes it."""
    prompts = work.prompts
    height: int | Literal["content"] = CHIPS_HEIGHT_PX if prompts.count > CHIPS_IN_SIGHT else "content"
    with st.container(horizontal=True, gap="xsmall", key=f"chips_{page}", height=height):
        picture = work.picture
        st.caption(f"{title}{plain_text(picture.name)} · {picture.width} × {picture.height} px", width="content")
        _load_and_save(work, page)
        mask_inputs(work, page)
        if not work.is_marked:
            st.caption(no_prompt)
        seen: Counter[str] = Counter()
        every: list[Point | Box] = [*prompts.points, *prompts.boxes]
        for prompt in every:
            kind = "point" if len(prompt) == 3 else "box"
            # By its value, so that a second press in a hurry does not remove the prompt that comes next.
            name = f"{kind}_" + "_".join(f"{number:g}" for number in prompt).replace(".", "-")
            seen[name] += 1
            st.button(
                _text(prompt),
                icon=":material/close:",
                icon_position="right",
                key=f"chip_{page}_{name}_{seen[name]}",
                help=f"Remove this {kind}",
                on_click=_after_what_was_drawn,
                args=(work, partial(_remove, work, prompt)),
            )
        nothing_below()


def _text(prompt: Point | Box) -> str:
    if len(prompt) == 3:
        x, y, label = prompt
        return f"{'+' if label == FOREGROUND else '−'} {x:.2f}, {y:.2f}"
    x1, y1, x2, y2 = prompt
    return f"□ {x1:.2f}, {y1:.2f} – {x2:.2f}, {y2:.2f}"


def _remove(work: Workspace, prompt: Point | Box) -> None:
    """Take a prompt out of the list, if it is still there."""
    prompts = work.prompts
    if len(prompt) == 3 and prompt in prompts.points:
        work.edit(prompts.without_point(prompts.points.index(prompt)))
    if len(prompt) == 4 and prompt in prompts.boxes:
        work.edit(prompts.without_box(prompts.boxes.index(prompt)))


def _load_and_save(work: Workspace, page: str) -> None:
    with st.popover("JSON", icon=":material/data_object:", help="Load or save the prompts", key=f"chip_json_{page}"):
        st.download_button(
            "Save prompts",
            work.prompts.to_json(),
            "prompts.json",
            "application/json",
            icon=":material/download:",
            key=f"save_{page}",
        )
        loaded = st.file_uploader(
            "Load prompts",
            type="json",
            key=f"load_{page}",
            help="JSON saved by samkit or by MuggledSAM.",
            max_upload_size=1,
            on_change=_after_what_was_drawn,
            args=(work, lambda: _load(work, page)),
        )
        complaint = st.session_state.get(f"samkit.load_error.{page}")
        if loaded is not None and complaint:
            st.error(plain_text(complaint))


def _load(work: Workspace, page: str) -> None:
    """The prompts of the file that lies in the uploader; a sentence where it holds none."""
    loaded, complaint = st.session_state[f"load_{page}"], None
    try:
        if loaded is not None:
            check_upload(loaded.name, loaded.size)
            work.edit(Prompts.from_json(loaded.getvalue()))
    except SamkitError as error:
        complaint = str(error)
    st.session_state[f"samkit.load_error.{page}"] = complaint
