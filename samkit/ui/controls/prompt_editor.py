"""Above the canvas its tools, below it the list of prompts: every way to edit them but drawing."""

import streamlit as st

from samkit.errors import SamkitError
from samkit.prompts import Prompts
from samkit.ui.controls.canvas import prompt_canvas
from samkit.ui.state.workspace import Workspace

TOOL_LABELS = {
    "foreground": ":material/add_circle: Foreground",
    "background": ":material/do_not_disturb_on: Background",
    "box": ":material/select: Box",
}
CHIPS_SHOWN = 12
NO_PROMPT = "No prompt yet: click the picture, or drag a box. Until then the masks are the model's own guess."


def prompt_editor(work: Workspace, page: str, second: bool = False, no_prompt: str = NO_PROMPT) -> None:
    """Tools, canvas, chips, and loading and saving, in reading order. Call inside a fragment: only that reruns.

    second:    for the second canvas on a page, which leaves the keyboard to the first
    no_prompt: what stands in place of the prompts while there is none
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        tool = st.segmented_control(
            "Tool",
            list(TOOL_LABELS),
            default=work.tool,
            required=True,
            format_func=TOOL_LABELS.get,
            key=f"tool_{page}",
            label_visibility="collapsed",
            help="Click the picture to place a point; drag to draw a box.",
        )
        work.tool = tool or work.tool
        # Callbacks run before the page does, so the canvas is told of the change in the same run.
        st.button(
            "",
            icon=":material/undo:",
            key=f"undo_{page}",
            help="Undo the last change",
            on_click=work.undo,
            shortcut=None if second else "Ctrl+Z",
        )
        st.button(
            "",
            icon=":material/delete_sweep:",
            key=f"clear_{page}",
            help="Remove all prompts",
            on_click=lambda: work.edit(Prompts()),
        )
    prompt_canvas(work, page, frame="canvas_frame_second" if second else "canvas_frame")
    _chips(work, page, no_prompt)


def _chips(work: Workspace, page: str, no_prompt: str) -> None:
    """One small button for each prompt, which removes it; then load and save."""
    with st.container(horizontal=True, gap="xsmall", key=f"chips_{page}"):
        prompts = work.prompts
        named = [
            (f"{'+' if label else '−'} {x:.2f}, {y:.2f}", "point", i) for i, (x, y, label) in enumerate(prompts.points)
        ]
        named += [
            (f"□ {x1:.2f}, {y1:.2f} – {x2:.2f}, {y2:.2f}", "box", i) for i, (x1, y1, x2, y2) in enumerate(prompts.boxes)
        ]
        for text, kind, index in named[:CHIPS_SHOWN]:
            remove = prompts.without_point if kind == "point" else prompts.without_box
            st.button(
                text,
                icon=":material/close:",
                icon_position="right",
                key=f"chip_{page}_{kind}_{index}",
                help=f"Remove this {kind}",
                on_click=lambda remove=remove, index=index: work.edit(remove(index)),
            )
        if len(named) > CHIPS_SHOWN:
            st.caption(f"and {len(named) - CHIPS_SHOWN} more")
        if not named:
            st.caption(no_prompt)
        _load_and_save(work, page)


def _load_and_save(work: Workspace, page: str) -> None:
    with st.popover("JSON", icon=":material/data_object:", help="Load or save the prompts", key=f"chip_{page}_json"):
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
            help="samkit's own JSON, or the one MuggledSAM saves.",
            max_upload_size=1,
        )
        if loaded is not None and st.session_state.get(f"samkit.loaded.{page}") != loaded.file_id:
            st.session_state[f"samkit.loaded.{page}"] = loaded.file_id
            try:
                work.edit(Prompts.from_json(loaded.getvalue()))
                st.rerun(scope="fragment")
            except SamkitError as error:
                st.error(str(error))
