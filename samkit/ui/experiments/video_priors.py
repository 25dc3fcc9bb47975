"""The parts of the Video with image priors page: recorded memories, the film, its knobs, a run while it goes on, and
what came out.
"""

import json
import tempfile

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.errors import BadInput, PictureError
from samkit.experiments.result import Prior, Result
from samkit.experiments.video_priors import MASK_COUNT, FilmRun
from samkit.media.drawing import mask_from_png, overlay
from samkit.media.film import masks_from_json
from samkit.media.rle import rle_to_mask
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.masks_panel import MASK_TITLES
from samkit.ui.parts import style
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.figures import curves_figure
from samkit.ui.parts.film_player import film_player
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.state.films import film_uploader, stored_film
from samkit.ui.state.recorded import FilmTable
from samkit.ui.state.workspace import Workspace

FILM_MAX_SIDE = 1280
"""Frames of uploaded films are shrunk to this while they are decoded, in pixels."""
PLOT = {"displaylogo": False}
MEMORIES_IN_A_ROW = 4


def draw_recorded(table: FilmTable) -> None:
    """Each memory as a thumbnail with its mask; a button forgets it."""
    st.markdown(f"**Memories** · {len(table.recorded)} recorded")
    if table.bank is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f":material/memory: {len(table.bank.prompts)} from a memory bank, {table.bank.sha256[:12]}")
            st.button("Forget", icon=":material/close:", key="forget_bank", type="tertiary", on_click=table.forget_bank)
    if not table.recorded and table.bank is None:
        st.info(
            "Mark an object at the left and press “Record this memory”. Memories of other pictures, and of frames "
            "of the film, can be added.",
            icon=":material/memory:",
        )
        return
    for start in range(0, len(table.recorded), MEMORIES_IN_A_ROW):
        with st.container(key=f"memories_{start}"):
            columns = st.columns(MEMORIES_IN_A_ROW, gap="small")
        for (index, each), column in zip(
            list(enumerate(table.recorded))[start : start + MEMORIES_IN_A_ROW], columns, strict=False
        ):
            prior = each.prior
            with column:
                inline_image(each.thumbnail, f"Memory {index + 1}: {prior.picture.name} with its mask", "samkit-mask")
                where = f"frame {prior.film_frame} of the film" if prior.film_frame is not None else prior.picture.name
                st.button(
                    where,
                    icon=":material/close:",
                    icon_position="right",
                    key=f"forget_{index}",
                    type="tertiary",
                    help="Forget this memory",
                    on_click=table.remove,
                    args=(index,),
                )


def record_mask_file(work: Workspace, table: FilmTable) -> None:
    """A memory from a mask that was made elsewhere."""
    with st.popover(
        "From a mask file", icon=":material/contrast:", help="A black and white picture, as large as this one"
    ):
        loaded = st.file_uploader(
            "Mask of this picture, PNG: white is the object", type="png", key="mask_upload", max_upload_size=16
        )
        if loaded is not None and st.session_state.get("samkit.mask_loaded") != loaded.file_id:
            st.session_state["samkit.mask_loaded"] = loaded.file_id
            with sentences():
                mask = mask_from_png(loaded)
                if mask.shape != work.picture.size:
                    raise PictureError(
                        f"The mask has {mask.shape[1]} × {mask.shape[0]} pixels, the picture {work.picture.width} "
                        f"× {work.picture.height}: make them equal."
                    )
                table.record(Prior(work.picture, mask=mask), mask)
                st.rerun(scope="fragment")


def load_bank_file(table: FilmTable, model) -> None:
    """Memories that were saved earlier."""
    with st.popover("From a memory bank", icon=":material/memory:", help="A file that samkit saved"):
        loaded = st.file_uploader("Memory bank", type="safetensors", key="bank_upload", max_upload_size=200)
        if loaded is not None and st.session_state.get("samkit.bank_loaded") != loaded.file_id:
            st.session_state["samkit.bank_loaded"] = loaded.file_id
            with sentences():
                table.bank = read_bank(loaded.getvalue(), model)
                st.rerun(scope="fragment")


def read_bank(content: bytes, model):
    """The MemoryBank in a file's content. Raises BadInput where it is none, is empty, or is another model's."""
    from samkit.models.memory_bank import MemoryBank

    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(content)
        file.flush()
        bank = MemoryBank.load(file.name)
    if not bank.prompts:
        raise BadInput("This memory bank is empty: record a memory and save it again.")
    if bank.prompts[0].memory.model_sha256 != model.info.sha256:
        raise BadInput(
            f"This memory bank was made by another model than {model.info.name}, and models don't read each "
            "other's: choose that model, or record anew."
        )
    return bank


def film_picker(table: FilmTable) -> None:
    """The film's name, length and size, and a button that opens the choice."""
    video = table.video
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Film", icon=":material/movie:", key="change_film", help="Samples, or your own"):
            _film_dialog(table)
        height, width = video.size
        st.caption(
            f"{video.name} · {video.length} frames, {video.seconds:.1f} s at {video.fps:.3g} a second · {width} × "
            f"{height} px"
        )
    if video.warning:
        st.warning(video.warning, icon=":material/broken_image:")


@st.dialog("Choose a film", width="large")
def _film_dialog(table: FilmTable) -> None:
    uploaded = film_uploader("film_upload")
    if uploaded is not None:
        with sentences(), st.spinner("Reading the film"):
            table.show_film(stored_film(uploaded, FILM_MAX_SIDE))
            st.rerun()
    st.caption("Samples, made from the sample pictures: an object that moves, grows and is hidden for a while")
    for sample, column in zip(SAMPLE_VIDEOS.values(), st.columns(len(SAMPLE_VIDEOS)), strict=True):
        with column:
            made = load_sample_video(sample.name)
            inline_image(made.frame(made.length // 4), sample.title, "samkit-mask")
            if st.button(sample.title, key=f"film_{sample.name}", type="tertiary", width="stretch"):
                table.show_film(made)
                st.rerun()


def film_frame(work: Workspace, table: FilmTable, knobs: Knobs) -> int:
    """A slider over the film; the frame under it; a button that takes it as the picture to mark an object on. Returns
    the frame's index.
    """
    last = table.video.length - 1
    if knobs.get("frame", 0) > last:
        knobs.set({"frame": 0})
    index = knobs.slider("Frame", "frame", 0, last, 0, 1) if last else 0
    shown = table.video.frame(index)
    masks = _masks_of(table.job)
    if index in masks:
        shown = overlay(shown, rle_to_mask(masks[index]), style.MASK_COLOR)
    inline_image(
        fit_within(shown, 900, 520),
        f"Frame {index} of the film" + (" with its mask" if index in masks else ""),
        "samkit-figure",
    )
    st.button(
        "Mark an object on this frame",
        icon=":material/ads_click:",
        key="take_frame",
        on_click=_take_frame,
        args=(work, table, index),
    )
    return index


def _take_frame(work: Workspace, table: FilmTable, index: int) -> None:
    work.show_picture(table.video.picture(index))


def _masks_of(job) -> dict[int, dict]:
    return {row["frame"]: row["rle"] for row in list(job.run.masks)} if job is not None and job.run is not None else {}


def draw_knobs(table: FilmTable, knobs: Knobs) -> dict:
    """The experiment's parameters by name."""
    length = table.video.length
    if knobs.get("start", 0) >= length:
        knobs.move("start", 0, f"the film has the frames 0 to {length - 1}")
    start = knobs.slider("Start at frame", "start", 0, length - 1, 0, 1) if length > 1 else 0
    backwards = knobs.toggle("Backwards", "backwards", False, help="From the start towards the film's beginning")
    most = start + 1 if backwards else length - start
    some = knobs.toggle("Only some frames", "some", False, disabled=most < 2)
    count = (
        (knobs.slider("How many", "count", 1, most, most, 1, limited=True) if most > 1 else knobs.only("count", 1))
        if some
        else None
    )
    remember = knobs.toggle(
        "Remember frames",
        "remember",
        True,
        help="Each frame's best mask goes into the frame memory; off: only the recorded memories count",
    )
    skip = knobs.toggle(
        "Forget frames without the object",
        "skip_absent",
        True,
        disabled=not remember,
        help="Frames whose object score is not above 0 are not remembered",
    )
    max_frames = knobs.slider("Frames looked at", "max_frames", 0, 6, 6, 1, disabled=not remember)
    max_pointers = knobs.slider(
        "Object pointers looked at", "max_pointers", 0, 32, 16, 1, help="Those of the recorded memories counted"
    )
    reset = knobs.toggle("Reset the frame memory now and then", "reset", False, disabled=not remember)
    every = (
        knobs.slider("Reset after every (frames)", "reset_every", 2, 200, 24, 1, disabled=not remember)
        if reset
        else None
    )
    values = {"start": start, "backwards": backwards, "count": count, "remember": remember, "skip_absent": skip}
    return values | {"max_frames": max_frames, "max_pointers": max_pointers, "reset_every": every}


def restore(params: dict) -> dict:
    """A kept run's parameters -> values of the knobs that make them."""
    values = {
        name: params[name] for name in ("start", "backwards", "remember", "skip_absent", "max_frames", "max_pointers")
    }
    values |= {"some": params["count"] is not None, "reset": params["reset_every"] is not None}
    return values | {name: params[name] for name in ("count", "reset_every") if params[name] is not None}


def draw_running(job, knobs: Knobs) -> None:
    """How far a run is, with its last frame and all four masks of it."""
    run: FilmRun | None = job.run
    share = run.done / len(run.order) if run is not None else 0.0
    st.progress(share, text=job.line)
    if job.state == "failed":
        st.error(job.error, icon=":material/error:")
    if run is not None and run.rows:
        draw_frame_masks(run, run.done - 1)


def draw_frame_masks(run: FilmRun, place: int) -> None:
    """All four masks of the frame at that place of the run, the best one framed."""
    row, candidates = run.rows[place], run.candidates[place]
    small = fit_within(run.video.frame(row["frame"]), 240, 240)
    st.caption(
        f"Frame {row['frame']}: object score {row['object_score']:.1f}"
        + ("" if row["object_score"] > 0 else ", held to be absent")
    )
    with st.container(key="film_masks"):
        columns = st.columns(MASK_COUNT, gap="small")
    for index, column in enumerate(columns):
        mask = rle_to_mask(candidates[index])
        steps = (np.linspace(0, mask.shape[axis] - 1, small.shape[axis]).astype(int) for axis in (0, 1))
        shown = overlay(small, np.ascontiguousarray(mask[np.ix_(*steps)]), style.MASK_COLOR, alpha=0.5)
        with column:
            best = index == row["best"]
            inline_image(
                shown, f"Mask {index} of frame {row['frame']}", "samkit-mask chosen" if best else "samkit-mask"
            )
            st.caption(
                f"{'**' if best else ''}{MASK_TITLES[index]} · IoU "
                f"{row[f'predicted_iou_{index}']:.2f}{' · best**' if best else ''}"
            )


def draw_film(result: Result, fps: float) -> None:
    """The film beside its charts."""
    rows = sorted(result.tables["frames"], key=lambda row: row["frame"])
    film_player(result.files["film.mp4"], rows, fps)


def draw_inspect(run: FilmRun, knobs: Knobs) -> None:
    """Any frame with all four masks."""
    if run.done > 1:
        place = knobs.slider(
            "Frame of the run", "inspect", 0, run.done - 1, min(knobs.get("inspect", 0), run.done - 1), 1
        )
    else:
        place = 0
    draw_frame_masks(run, place)


def draw_numbers(result: Result) -> None:
    metrics = result.metrics
    st.caption(
        f"{metrics['frames']:.0f} frames · held to be present on {100 * metrics['present_share']:.0f} % · object "
        f"score {metrics['mean_object_score']:.1f} · "
        f"mean predicted IoU {metrics['mean_predicted_iou']:.2f} · mean area "
        f"{100 * metrics['mean_area_share']:.1f} % of the frame"
    )
    st.dataframe(result.tables["frames"], hide_index=True, height=320)
    st.markdown("**Memories**")
    st.dataframe(result.tables["priors"], hide_index=True)


def score_figure(result: Result) -> go.Figure:
    return curves_figure(
        _by_frame(result), "frame", {"object_score": "Object score"}, "object_score", "frame", "object score", {}
    )


def area_figure(result: Result) -> go.Figure:
    return curves_figure(
        _by_frame(result),
        "frame",
        {"area_share": "Area", "predicted_iou": "Predicted IoU"},
        "area_share",
        "frame",
        "share",
        {},
    )


def _by_frame(result: Result) -> list[dict]:
    return sorted(result.tables["frames"], key=lambda row: row["frame"])


def figures(result: Result) -> dict:
    return {"object_score": score_figure(result), "area": area_figure(result)}


def draw_files(result: Result, page: str) -> None:
    """What came out, to take away."""
    files = (
        ("Film", ":material/movie:", "film.mp4", "video/mp4", lambda: result.files["film.mp4"]),
        ("Masks, PNG", ":material/contrast:", "masks.zip", "application/zip", lambda: _zip(result)),
        (
            "Masks, COCO RLE",
            ":material/data_object:",
            "masks.json",
            "application/json",
            lambda: result.files["masks.json"],
        ),
        (
            "Table, JSON",
            ":material/table:",
            "frames.json",
            "application/json",
            lambda: json.dumps(result.tables["frames"]),
        ),
        (
            "Memory bank",
            ":material/memory:",
            "memory_bank.safetensors",
            "application/octet-stream",
            result.arrays["memory_bank"].tobytes,
        ),
    )
    st.caption(
        "The memory bank holds the recorded memories: the copied command starts from it, and "
        "`samkit.MemoryBank.load` reads it."
    )
    with st.container(horizontal=True, gap="small"):
        for label, icon, name, mime, make in files:
            st.download_button(label, make, name, mime, icon=icon, key=f"file_{page}_{label}", on_click="ignore")


def _zip(result: Result) -> bytes:
    from io import BytesIO
    from zipfile import ZIP_STORED, ZipFile

    from samkit.media.drawing import mask_to_png

    file = BytesIO()
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for frame, mask in masks_from_json(result.files["masks.json"]).items():
            archive.writestr(f"{frame:06d}.png", mask_to_png(mask))
    return file.getvalue()
