"""The Video with image priors page: memories of pictures, and what they find in a film."""

import json
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.inputs import Prior
from samkit.experiments.result import Result
from samkit.experiments.video_priors import FilmRun
from samkit.media.film import zip_masks
from samkit.media.sample_videos import load_sample_video
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.page import About, ExperimentPage, Scene
from samkit.ui.bench.tables.film import Film
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Panel, Quiet, Slider, Switched, Toggle
from samkit.ui.controls.masks_panel import REFINE_EDGES
from samkit.ui.controls.running_film import frame_masks
from samkit.ui.parts.downloads import Download, download_row
from samkit.ui.parts.figures import curves_figure
from samkit.ui.parts.film_player import film_player
from samkit.ui.state.recorded import film_table
from samkit.ui.state.workspace import Workspace
from samkit.work.sources import BANK_FILE

ABOUT = About(
    idea="SAM v2 follows an object with a memory of the earlier frames. Here the first memories come from pictures "
    "instead: record any number of them, then run a film that may have nothing to do with those pictures. "
    "Frames of the film can be recorded too.",
    paper="The memory is that of [SAM 2](https://arxiv.org/abs/2408.00714), section 4. Memories of pictures have no "
    "time of their own: each counts as a prompted frame one frame back, however long the film runs.",
    look_for="- The object score: does it fall below 0 while the object is hidden, and rise again?\n"
    "- Switch “Remember frames” off: what do the pictures alone find?\n"
    "- Record the same object twice, from two sides: does it help?\n"
    "- Run backwards from the end: are the masks the same?",
    try_label="Try it: a coin on a picture, then a film with that coin",
)


def _last_frame(panel: Panel) -> int:
    assert panel.inputs.video is not None
    return panel.inputs.video.length - 1


def _frames_ahead(panel: Panel) -> int:
    """How many frames there are from the start on, in the direction that the run takes."""
    start = panel.value("start")
    return start + 1 if panel.value("backwards") else _last_frame(panel) + 1 - start


def _forgets(panel: Panel) -> bool:
    return not panel.value("remember")


KNOBS = (
    Slider("start", high=_last_frame),
    Toggle("backwards"),
    Switched(
        "some",
        "Only some frames",
        off={"count": None},
        knobs=(Slider("count", high=_frames_ahead, start=_frames_ahead),),
        hides=True,
        impossible=lambda panel: _frames_ahead(panel) < 2,
    ),
    Toggle("remember"),
    Toggle("skip_absent", disabled_by=_forgets),
    Slider("max_frames", disabled_by=_forgets),
    Slider("max_pointers"),
    Switched(
        "reset",
        "Reset the frame memory now and then",
        off={"reset_every": None},
        knobs=(Slider("reset_every"),),
        hides=True,
        impossible=_forgets,
    ),
    REFINE_EDGES,
    Quiet("mask_index", counts=False),
)


def try_it(work: Workspace, knobs: KnobValues) -> None:
    table = film_table()
    work.show_picture(load_sample("coins"), SAMPLES["coins"].prompts)
    table.show_film(load_sample_video("coin"))
    table.recorded = []
    table.record_prior(Prior(load_sample("coins"), SAMPLES["coins"].prompts))
    values = {"remember": True, "skip_absent": True, "max_frames": 6, "max_pointers": 16, "mask_index": None}
    knobs.set(values | {"start": 0, "backwards": False, "some": False})


def draw_film(scene: Scene) -> None:
    """The film beside its charts."""
    assert scene.inputs.video is not None
    film_player(scene.result.files["film.mp4"], _by_frame(scene.result), scene.inputs.video.fps)


def draw_inspect(scene: Scene) -> None:
    """Any frame with all four masks."""
    run = scene.run
    assert isinstance(run, FilmRun)
    last, place = run.done - 1, 0
    if last:
        place = scene.knobs.slider("Frame of the run", "inspect", 0, last, 0, 1, limited=True)
    frame_masks(run, place)


def draw_numbers(scene: Scene) -> None:
    result, value = scene.result, scene.result.value
    st.caption(
        f"{result.index('frames')} frames · judged present on {100 * value('present_share'):.0f} % · object score "
        f"{value('mean_object_score'):.1f} · mean predicted IoU {value('mean_predicted_iou'):.2f} · mean area "
        f"{100 * value('mean_area_share'):.1f} % of the frame"
    )
    st.dataframe(result.tables["frames"], hide_index=True, height=320)
    st.markdown("**Memories**")
    st.dataframe(result.tables["priors"], hide_index=True)


def score_figure(result: Result[Any]) -> go.Figure:
    names = {"object_score": "Object score"}
    return curves_figure(_by_frame(result), "frame", names, "object_score", "frame", "object score", {})


def area_figure(result: Result[Any]) -> go.Figure:
    names = {"area_share": "Area", "predicted_iou": "Predicted IoU"}
    return curves_figure(_by_frame(result), "frame", names, "area_share", "frame", "share", {})


def _by_frame(result: Result[Any]) -> list[dict[str, Any]]:
    return sorted(result.tables["frames"], key=lambda row: row["frame"])


def figures(result: Result[Any]) -> dict[str, go.Figure]:
    return {"object_score": score_figure(result), "area": area_figure(result)}


def draw_files(scene: Scene) -> None:
    """What came out, to take away."""
    st.caption(
        "The memory bank holds the recorded memories: a copied command that can't name them starts from it, and "
        "`samkit.MemoryBank.load` reads it."
    )
    download_row(scene.page.name, _downloads(scene.result))


def _downloads(result: Result[Any]) -> tuple[Download, ...]:
    files, frames, bank = result.files, result.tables["frames"], result.arrays["memory_bank"]
    film, masks = files["film.mp4"], files["masks.json"]
    return (
        Download("Film", "movie", "film.mp4", "video/mp4", lambda: film),
        Download("Masks, PNG", "contrast", "masks.zip", "application/zip", lambda: zip_masks(masks)),
        Download("Masks, COCO RLE", "data_object", "masks.json", "application/json", lambda: masks),
        Download("Table, JSON", "table", "frames.json", "application/json", lambda: json.dumps(frames)),
        Download("Memory bank", "memory", BANK_FILE, "application/octet-stream", bank.tobytes),
    )


PAGE = ExperimentPage(
    name="video-priors",
    about=ABOUT,
    table=Film(),
    knobs=KNOBS,
    views={},
    tabs={"Film": draw_film, "Masks of a frame": draw_inspect, "Numbers": draw_numbers, "Files": draw_files},
    figures=figures,
    try_it=try_it,
    arrows=("inspect", "start"),
)
