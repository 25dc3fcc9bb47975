"""Masks that come along with a picture: a hint that the model starts from, and the truth that its masks are measured
by. Each is loaded from a file, taken from the page, or painted.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import streamlit as st
from streamlit_drawable_canvas import st_canvas

from samkit.errors import SamkitError
from samkit.media.drawing import overlay
from samkit.media.given_masks import MaskHint, Truth, fit_mask, hint_of, read_hint, truth_of
from samkit.media.mask_files import NPY_START, MaskFile, read_mask_file
from samkit.media.pictures import clean_name
from samkit.ui.controls.brush_strokes import ERASE, PAINT, paint_strokes
from samkit.ui.controls.canvas_shapes import canvas_size
from samkit.ui.controls.dialogs import close_dialog, dismissed, stays_open
from samkit.ui.parts import style
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.inline_image import data_url, fit_within, inline_image, shrink_mask
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.public import check_upload
from samkit.ui.state.workspace import Workspace

FILE_TYPES = ["png", "webp", "npy", "bmp", "tif", "tiff", "gif", "jpg", "jpeg"]
MAX_MB = 64
PREVIEW_PX = (260, 160)
BRUSH_PX = (660, 460)
CHIP_CHARACTERS = 18
ALL = "All of them"
NOTHING, PRESENT, CHOSEN = "Nothing", "What is there", "The chosen mask"


@dataclass(frozen=True)
class Role:
    """What a mask is brought along for."""

    name: Literal["hint", "truth"]
    title: str
    icon: str
    help: str
    idea: str


HINT = Role(
    "hint",
    "Hint",
    "gesture",
    "A rough mask that the model starts from",
    "A rough mask that the model starts from, together with the prompts or alone.",
)
TRUTH = Role(
    "truth",
    "Truth",
    "fact_check",
    "The right mask: every mask then shows its true IoU",
    "The mask that is right. Every mask then has its true IoU beside the one that the model predicts.",
)
ROLES = (HINT, TRUTH)


def mask_inputs(work: Workspace, page: str) -> None:
    """Two popovers, a chip for what is there, which removes it, and the dialog with the brush while it is open. page:
    as in the keys of the chips beside them.
    """
    for role in ROLES:
        with st.popover(role.title, icon=f":material/{role.icon}:", help=role.help, key=f"chip_{role.name}_{page}"):
            pressed = _choices(work, page, role)
        if stays_open(work, f"brush_{role.name}_{page}", pressed):
            _brush_dialog(work, page, role)
    for role in ROLES:
        if _present(work, role) is not None:
            name = _name(work, role)
            short = name if len(name) <= CHIP_CHARACTERS else f"{name[: CHIP_CHARACTERS - 1]}…"
            st.button(
                f":material/{role.icon}: {plain_text(short)}",
                icon=":material/close:",
                icon_position="right",
                key=f"chip_{role.name}_on_{page}",
                help=f"Remove the {role.name} {plain_text(name)}",
                on_click=_remove,
                args=(work, role),
            )


def _choices(work: Workspace, page: str, role: Role) -> bool:
    """What the popover shows. Whether the brush was asked for."""
    st.caption(role.idea)
    present = _present(work, role)
    if present is not None:
        _preview(work, role)
    complaint_key, file_key = f"samkit.mask_error.{role.name}.{page}", f"{role.name}_file_{page}_{work.given.edits}"
    st.file_uploader(
        f"A mask of this picture: PNG, WebP, or a numpy array (.npy){', or logits (.npy)' if role is HINT else ''}",
        type=FILE_TYPES,
        key=file_key,
        max_upload_size=MAX_MB,
        on_change=_take_file,
        args=(work, role, file_key, complaint_key),
        help="Black and white, or a number for each object; 255 beside other numbers is not counted.",
    )
    if complaint := st.session_state.get(complaint_key):
        st.error(plain_text(complaint))
    _choose_object(work, page, role)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Use the chosen mask",
            icon=":material/step_over:" if role is HINT else ":material/done:",
            key=f"{role.name}_found_{page}",
            help="The mask that is framed below; as a hint exactly as the model gave it, before it was cut at 0"
            if role is HINT
            else "The mask that is framed below: other models and settings are then measured by it",
            on_click=_take_found,
            args=(work, role, complaint_key),
        )
        pressed = st.button("Paint", icon=":material/brush:", key=f"{role.name}_brush_{page}", help="With a brush")
        if present is not None:
            suffix = present.suffix if isinstance(present, MaskHint) else ".png"
            file_name = f"{'mask_hint' if role is HINT else 'truth'}{suffix}"
            st.download_button(
                "Save", present.file, file_name, icon=":material/download:", key=f"{role.name}_save_{page}"
            )
            st.button(
                "Remove",
                icon=":material/close:",
                key=f"{role.name}_remove_{page}",
                on_click=_remove,
                args=(work, role),
            )
    return pressed


def _preview(work: Workspace, role: Role) -> None:
    small = fit_within(work.picture.rgb, *PREVIEW_PX)
    mask = _mask(work, role)
    if mask is not None:
        small = overlay(small, shrink_mask(mask, (small.shape[0], small.shape[1])), style.MASK_COLOR, alpha=0.5)
        inline_image(small, f"The {role.name} over the picture", "samkit-given")
    st.caption(f"{plain_text(_name(work, role))}{_details(work, role)}")


def _details(work: Workspace, role: Role) -> str:
    if role is HINT:
        return " · logits of an earlier mask" if work.given.hint and work.given.hint.kind == "logits" else ""
    truth = work.given.truth
    ignored = 0 if truth is None or truth.ignore is None else int(np.count_nonzero(truth.ignore))
    return f" · {ignored:,} pixels are not counted" if ignored else ""


def _choose_object(work: Workspace, page: str, role: Role) -> None:
    """Which object of the file, where it holds several."""
    file = work.given.files.get(role.name)
    if file is None or len(file.objects) < 2:
        return
    key = f"{role.name}_object_{page}_{work.given.edits}"
    current = _name(work, role).rpartition("#")[2]
    options = [ALL, *map(str, file.objects)]
    st.selectbox(
        f"This file holds {len(file.objects)} objects: which one?",
        options,
        index=options.index(current) if current in options else 0,
        key=key,
        on_change=lambda: _take_object(work, role, file, st.session_state[key]),
    )


def _take_object(work: Workspace, role: Role, file: MaskFile, chosen: str) -> None:
    _put_file(work, role, file, None if chosen == ALL else int(chosen))


def _take_file(work: Workspace, role: Role, file_key: str, complaint_key: str) -> None:
    """The mask of the file that lies in the box; a sentence where it holds none."""
    upload, complaint = st.session_state[file_key], None
    try:
        if upload is not None:
            check_upload(upload.name, upload.size)
            content, name = upload.getvalue(), clean_name(upload.name)
            if role is HINT and content.startswith(NPY_START) and (hint := read_hint(content, name)).kind == "logits":
                work.take_hint(hint)
            else:
                _put_file(work, role, read_mask_file(content, name))
    except SamkitError as error:
        complaint = str(error)
    st.session_state[complaint_key] = complaint


def _put_file(work: Workspace, role: Role, file: MaskFile, number: int | None = None) -> None:
    size = work.picture.size
    if role is HINT:
        work.take_hint(hint_of(file, number).fitted(size), file=file)
    else:
        work.given.take_truth(truth_of(file, number).fitted(size))
        work.given.files[role.name] = file


def _take_found(work: Workspace, role: Role, complaint_key: str) -> None:
    found = work.given.found
    if found is None:
        st.session_state[complaint_key] = "There is no mask yet: place a prompt first."
        return
    st.session_state[complaint_key] = None
    if role is HINT:
        work.take_hint(found.as_hint(), found.share)
    else:
        work.given.take_truth(Truth(found.mask, name=found.name))


def _remove(work: Workspace, role: Role) -> None:
    if role is HINT:
        work.take_hint(None)
    else:
        work.given.take_truth(None)


def _present(work: Workspace, role: Role) -> MaskHint | Truth | None:
    return work.given.hint if role is HINT else work.given.truth


def _name(work: Workspace, role: Role) -> str:
    present = _present(work, role)
    return "" if present is None else present.name


def _mask(work: Workspace, role: Role) -> np.ndarray | None:
    """bool [H, W] of what is there. Of logits the part above 0, at their own resolution; their padding is cut off."""
    given = work.given
    if role is TRUTH:
        return None if given.truth is None else given.truth.mask
    if given.hint is None:
        return None
    if given.hint.kind == "mask":
        return given.hint.values
    logits = given.hint.values
    rows, columns = (max(1, round(n * part)) for n, part in zip(logits.shape, given.share or (1, 1), strict=True))
    return logits[:rows, :columns] > 0


@st.dialog("Paint a mask", width="large", on_dismiss=dismissed)
def _brush_dialog(work: Workspace, page: str, role: Role) -> None:
    found = work.given.found
    bases = {NOTHING: None, PRESENT: _mask(work, role), CHOSEN: None if found is None else found.mask}
    offered = [name for name, mask in bases.items() if name == NOTHING or mask is not None]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        tool = st.segmented_control(
            "Brush", ["Paint", "Erase"], default="Paint", required=True, key=f"brush_tool_{role.name}_{page}"
        )
        brush_px = st.slider("Width", 2, 80, 24, key=f"brush_width_{role.name}_{page}", width=200)
        start = st.selectbox(
            "Start from",
            offered,
            index=offered.index(PRESENT) if PRESENT in offered else 0,
            key=f"brush_base_{role.name}_{page}",
            width=200,
        )
    picture, base = work.picture, bases[start]
    whole = np.zeros(picture.size, bool) if base is None else shrink_mask(base, picture.size)
    width, height = canvas_size(picture, *BRUSH_PX)
    drawing = st_canvas(
        stroke_width=brush_px,
        stroke_color=PAINT if tool == "Paint" else ERASE,
        background_image=_background(work, whole, (height, width)),
        drawing_mode="freedraw",
        width=width,
        height=height,
        key=f"brush_canvas_{role.name}_{page}_{picture.sha256[:12]}_{work.given.edits}",
    ).json_data
    mask, strokes = paint_strokes(drawing, (height, width), whole)
    share = np.count_nonzero(mask) / mask.size
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        used = st.button(
            f"Use as {role.name}", type="primary", icon=":material/check:", disabled=not mask.any(), key="brush_use"
        )
        painted = f"{strokes} stroke{'' if strokes == 1 else 's'} · {100 * share:.1f} % of the picture"
        st.caption(f"Blue strokes add to the mask, dark ones take away from it. {painted}")
    if used:
        with sentences():
            if role is HINT:
                work.take_hint(MaskHint(fit_mask(mask, picture.size, "brush"), "brush"))
            else:
                work.given.take_truth(Truth(mask, name="brush"))
            close_dialog(work)


def _background(work: Workspace, mask: np.ndarray, size: tuple[int, int]) -> str:
    """The picture with what the brush begins with, as an address."""
    small = fit_within(work.picture.rgb, size[1], size[0])
    if mask.any():
        small = overlay(small, shrink_mask(mask, (small.shape[0], small.shape[1])), style.MASK_COLOR, alpha=0.5)
    return data_url(small, lossless=False)
