"""The Video with image priors page: memories of pictures, and what they find in a film."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.film.film_run import FilmRun
from samkit.experiments.film.outcome import numbered
from samkit.experiments.inputs import Prior
from samkit.experiments.result import Result
from samkit.experiments.steering import NOT_STEERED, STEERING_FILE, FilmObject, Steering
from samkit.media.film import zip_mask_folders
from samkit.media.sample_videos import load_sample_video
from samkit.media.samples import SAMPLES, load_sample
from samkit.models.memory_rules import SAM2_RULES
from samkit.ui.bench.page import About, ExperimentPage, Scene
from samkit.ui.bench.tables.film import Film
from samkit.ui.controls.keys import FRAMES
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Knob, Panel, Quiet, Slider, Switched, Toggle
from samkit.ui.controls.masks_panel import REFINE_EDGES
from samkit.ui.controls.running_film import frame_masks
from samkit.ui.parts.downloads import Download, download_row
from samkit.ui.parts.figures import curves_figure
from samkit.ui.state.recorded import film_table
from samkit.ui.state.workspace import Workspace
from samkit.work.sources import bank_file

FILM_WIDTH_PX = 640
FILES_OF_ONE = (
    "The memory bank holds the recorded memories: a copied command that can't name them starts from it, and "
    "`samkit.MemoryBank.load` reads it."
)
FILES_OF_SEVERAL = "Each object has files of its own. Where masks overlap, they stay as the model gives them."

ABOUT = About(
    idea="SAM v2 and SAM 3 follow an object with a memory of the earlier frames. Here the first memories come from "
    "pictures instead: record any number of them, then run a film that may have nothing to do with those pictures. "
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


RULES_IN_WORDS = {
    "own": "The model's own",
    "sam2": "SAM 2.1's",
    "sam3": "SAM 3's",
    "sam3-every-frame": "SAM 3's, with every frame",
    "transformers": "Those of transformers",
}


@dataclass(frozen=True)
class MemoryRulesKnob(Knob):
    """By which rules is remembered: of a model that can follow others than SAM 2.1's, or of a run that did."""

    name: str = "memory_rules"

    def draw(self, panel: Panel) -> dict[str, Any]:
        info, own = panel.info(self.name), panel.model.memory_rules
        opened = panel.values.base.get(self.name, info.default)
        if own == SAM2_RULES and opened == info.default:
            return {}
        options = [each for each in info.options if each != own.name or each == opened]
        value = panel.values.select(
            info.label,
            self.name,
            options,
            info.default,
            format_func=RULES_IN_WORDS.__getitem__,
            help=info.help,
            disabled=panel.disabled,
        )
        return {self.name: value}

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self.name: params[self.name]}


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
    MemoryRulesKnob(),
    REFINE_EDGES,
    Quiet("mask_index", counts=False),
)


def try_it(work: Workspace, knobs: KnobValues) -> None:
    table = film_table()
    work.open_picture(load_sample("coins"), SAMPLES["coins"].prompts)
    table.show_film(load_sample_video("coin"), anew=True)
    table.recorded, table.objects, table.object = [], [FilmObject()], 0
    table.record_prior(Prior(load_sample("coins"), SAMPLES["coins"].prompts))
    values: dict[str, Any] = {
        "remember": True,
        "skip_absent": True,
        "max_frames": 6,
        "max_pointers": 16,
        "mask_index": None,
    }
    knobs.set(values | {"start": 0, "backwards": False, "some": False, "memory_rules": "own"})


def draw_frame(scene: Scene) -> None:
    """The player's frame with all four masks."""
    assert isinstance(scene.run, FilmRun)
    frame_masks(scene.run, film_table().frame)


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
    for name, title in (("objects", "Objects"), ("corrections", "Marks on frames"), ("switches", "Switches")):
        if name in result.tables:
            st.markdown(f"**{title}**")
            st.dataframe(result.tables[name], hide_index=True)


def score_figure(result: Result[Any]) -> go.Figure:
    return _figure_of(result, {"object_score": "Object score"}, "object score")


def area_figure(result: Result[Any]) -> go.Figure:
    return _figure_of(result, {"area_share": "Area", "predicted_iou": "Predicted IoU"}, "share")


def _figure_of(result: Result[Any], columns: dict[str, str], y_title: str) -> go.Figure:
    """Lines over the film, of several objects each with its own."""
    if "objects" not in result.tables:
        rows = sorted(result.tables["frames"], key=lambda row: row["frame"])
        return curves_figure(rows, "frame", columns, next(iter(columns)), "frame", y_title, {})
    by_frame: dict[int, dict[str, Any]] = {}
    for row in result.tables["frames"]:
        known = by_frame.setdefault(row["frame"], {"frame": row["frame"]})
        known |= {f"{column}_{row['object']}": row[column] for column in columns}
    names = {
        f"{column}_{each['object']}": f"{title} of {each['name']}"
        for each in result.tables["objects"]
        for column, title in columns.items()
    }
    rows = [dict.fromkeys(names) | by_frame[frame] for frame in sorted(by_frame)]
    return curves_figure(rows, "frame", names, next(iter(names)), "frame", y_title, {})


def figures(result: Result[Any]) -> dict[str, go.Figure]:
    return {"object_score": score_figure(result), "area": area_figure(result)}


def draw_files(scene: Scene) -> None:
    """What came out, to take away; and the film, to play."""
    st.caption(FILES_OF_ONE if "objects" not in scene.result.tables else f"{FILES_OF_ONE} {FILES_OF_SEVERAL}")
    download_row(scene.page.name, _downloads(scene))
    with st.container(width=FILM_WIDTH_PX):
        st.video(scene.result.files["film.mp4"])


def _downloads(scene: Scene) -> tuple[Download, ...]:
    result, steering = scene.result, scene.inputs.steering
    files, frames = result.files, result.tables["frames"]
    film, masks = files["film.mp4"], {name: content for name, content in files.items() if name.startswith("masks")}
    folders = dict(zip(_folders(steering), masks.values(), strict=False))
    several = steering.count > 1
    names = [f" of {steering.name(number)}" if several else "" for number in range(steering.count)]
    downloads = [
        Download("Film", "movie", "film.mp4", "video/mp4", lambda: film),
        Download("Masks, PNG", "contrast", "masks.zip", "application/zip", lambda: zip_mask_folders(folders)),
    ]
    for number, (content, whose) in enumerate(zip(masks.values(), names, strict=False), start=1):
        # As the page counts objects; in kept runs the second one's file is masks_1.json.
        file = f"masks_object{number}.json" if several else "masks.json"
        downloads.append(Download(f"Masks, COCO RLE{whose}", "data_object", file, "application/json", content))
    downloads.append(Download("Table, JSON", "table", "frames.json", "application/json", lambda: json.dumps(frames)))
    for number, whose in enumerate(names):
        bank = result.arrays.get(numbered("memory_bank", number))
        if bank is not None:
            mime = "application/octet-stream"
            downloads.append(Download(f"Memory bank{whose}", "memory", bank_file(number), mime, bank.tobytes))
    if steering != NOT_STEERED:
        downloads.append(Download("Steering", "tune", STEERING_FILE, "application/json", steering.to_json))
    return tuple(downloads)


def _folders(steering: Steering) -> list[str]:
    """Of the masks of each object in a zip file; none where there is one object."""
    names = [re.sub(r"[^\w\- ]", "_", steering.name(number)) for number in range(steering.count)]
    return [""] if len(names) == 1 else [f"{number} {name}" for number, name in enumerate(names, start=1)]


PAGE = ExperimentPage(
    name="video-priors",
    about=ABOUT,
    table=Film(),
    knobs=KNOBS,
    views={},
    tabs={"Masks of a frame": draw_frame, "Numbers": draw_numbers, "Files": draw_files},
    figures=figures,
    try_it=try_it,
    arrows=(FRAMES, "start"),
)
