"""The Cross-image segmentation page: prompt one picture, and see what the model finds in another."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.cross_image import BANK_FILE
from samkit.experiments.measures.stability import OFFICIAL, stability_label, stability_name
from samkit.experiments.result import Result
from samkit.media.drawing import cut_out, overlay
from samkit.media.pictures import Picture
from samkit.media.samples import SAMPLE_PAIRS
from samkit.ui.bench.page import About, ExperimentPage, Scene
from samkit.ui.bench.tables.pair import Pair
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import ColourScale, Quiet, Slider, Switched, Toggle, opened_with, without_prompts
from samkit.ui.parts import style
from samkit.ui.parts.downloads import Download
from samkit.ui.parts.figures import PLOT, curves_figure, map_figure, plain_colorscale
from samkit.ui.parts.inline_image import fit_within, inline_image, shrink_mask
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.tables import masks_table, three_decimals
from samkit.ui.state.picture_pair import picture_pair
from samkit.ui.state.workspace import Workspace
from samkit.words import share_text

BOTH = "Both"
SHOWN_PX = 1000

ABOUT = About(
    idea="SAM v2 and SAM 3 follow objects through films with a memory. Two pictures are as good as two frames: the "
    "mask on the prompted one becomes a memory, and the other one is segmented with its help. Each repeat looks again, "
    "with the best masks of the earlier passes in the memory too.",
    paper="The memory is that of [SAM 2](https://arxiv.org/abs/2408.00714), section 4; that two unrelated pictures "
    "work was found by users.",
    look_for="- The object score: below 0 the model judges the object absent, and the mask is empty.\n"
    "- Do repeats settle on a mask, or wander?\n"
    "- The same object by a point and by a box: users report that they differ.\n"
    "- Swap the pictures: is it found both ways?",
    try_label="Try it: the motorcycle from two sides, four passes",
)
JITTER = Switched(
    "jitter",
    "Move the prompt (jitter)",
    off={"jitter_copies": 0},
    knobs=(Slider("jitter_copies"), Slider("jitter_percent", disabled_by=opened_with("jitter_px")), ColourScale()),
    help="Follow moved copies of the prompt, one pass each; takes longer",
    idle=without_prompts,
)
KNOBS = (
    Slider("repeats"),
    Slider("threshold"),
    Toggle("point_and_box"),
    JITTER,
    Quiet("mask_index"),
    Quiet("tracked_index"),
)


def try_it(work: Workspace, knobs: KnobValues) -> None:
    picture_pair(work).show_sample(SAMPLE_PAIRS[2])
    knobs.set({"repeats": 3, "threshold": 0.0, "view": BOTH, "mask_index": None, "tracked_index": None})


def prompted_and_other(scene: Scene) -> tuple[Picture, Picture]:
    """The picture with the prompts, and the one that was segmented."""
    first, second = scene.inputs.picture, scene.inputs.image_b
    assert second is not None
    return (first, second) if scene.result.params.prompt_on == "a" else (second, first)


def draw_absent(result: Result[Any]) -> None:
    """Say so where the other picture has no mask, because the model judges the object absent."""
    score = result.value("object_score")
    if score <= 0:
        st.warning(
            f"The model judges the object absent from the other picture (object score {score:.1f}), so its mask is "
            "empty.",
            icon=":material/visibility_off:",
        )


def draw_both(scene: Scene) -> None:
    result, pictures = scene.result, prompted_and_other(scene)
    draw_absent(result)
    shown = [
        (_covered(picture.rgb, result, f"mask_{name}"), f"{name.capitalize()}, {_letter(result, name)}")
        for name, picture in zip(("prompted", "tracked"), pictures, strict=True)
    ]
    _side_by_side("both", *(shown if result.params.prompt_on == "a" else reversed(shown)))


def draw_tracked(scene: Scene) -> None:
    draw_absent(scene.result)
    shown = _covered(prompted_and_other(scene)[1].rgb, scene.result, "mask_tracked")
    inline_image(shown, "The picture that was segmented, with the tracked mask", "samkit-figure")


def draw_cut_out(scene: Scene) -> None:
    draw_absent(scene.result)
    rgba = cut_out(prompted_and_other(scene)[1].rgb, scene.result.masks["mask_tracked"].pixels)
    inline_image(on_checks(rgba), "The tracked object, cut out", "samkit-figure", lossless=True)


def draw_point_and_box(scene: Scene) -> None:
    result, pictures = scene.result, prompted_and_other(scene)
    if "point_and_box" not in result.tables:
        st.info(
            "Switch on “By point and by box” to see whether the kind of prompt changes the mask.",
            icon=":material/compare:",
        )
        return
    for name, picture in (("tracked", pictures[1]), ("prompted", pictures[0])):
        shown = []
        for kind, row in zip(("point", "box"), result.tables["point_and_box"], strict=True):
            area = share_text(row[f"{name}_area_share"])
            text = f"By a {kind}, {name}: predicted IoU {row[f'{name}_predicted_iou']:.2f}, {area} of the picture"
            shown.append((_covered(picture.rgb, result, f"mask_by_{kind}_{name}"), text))
        _side_by_side(name, *shown)
    ious = result.value("point_box_iou"), result.value("prompted_point_box_iou")
    st.caption(f"IoU of the two masks: {ious[0]:.3f} tracked, {ious[1]:.3f} prompted")


def draw_jitter(scene: Scene) -> None:
    result = scene.result
    if "jitter" not in result.tables:
        st.info(
            "How often each pixel is chosen when the prompt moves: place a point or a box, and switch on “Move the "
            "prompt”.",
            icon=":material/vibration:",
        )
        return
    with st.container(key="row_jitter"):
        columns = st.columns(2, gap="small")
    for name, column in zip(("prompted", "tracked"), columns, strict=True):
        with column:
            # One colour bar serves both.
            figure = jitter_figure(result, name).update_traces(showscale=name == "tracked")
            st.plotly_chart(figure, key=f"jitter_{name}", config=PLOT)
            st.caption(plain_text(name.capitalize()))
    value = result.value
    st.caption(
        f"Mean IoU with the unmoved prompt's mask: {value('prompted_jitter_iou'):.3f} prompted, "
        f"{value('jitter_iou'):.3f} tracked; {100 * value('jitter_found'):.0f} % of the copies have an object score "
        "above 0"
    )


def _side_by_side(key: str, *shown: tuple[np.ndarray, str]) -> None:
    with st.container(key=f"row_side_{key}"):
        columns = st.columns(len(shown), gap="small")
    for (rgb, text), column in zip(shown, columns, strict=True):
        with column:
            inline_image(rgb, text, "samkit-figure")
            st.caption(plain_text(text))


def _covered(rgb: np.ndarray, result: Result[Any], mask: str) -> np.ndarray:
    """The picture, no larger than it is shown, with one of the masks laid over it."""
    small = fit_within(rgb, SHOWN_PX, SHOWN_PX)
    pixels = shrink_mask(result.masks[mask].pixels, small.shape[:2])
    return overlay(small, pixels, style.MASK_COLOR, alpha=0.45)


def on_checks(rgba: np.ndarray, size: int = 12) -> np.ndarray:
    """uint8 [H, W, 3] of [H, W, 4]: over grey checks where it is transparent."""
    rows, columns = np.ogrid[: rgba.shape[0], : rgba.shape[1]]
    checks = np.where((rows // size + columns // size) % 2 == 0, np.uint8(150), np.uint8(180))[..., None]
    return fit_within(np.where(rgba[..., 3:] > 0, rgba[..., :3], checks), SHOWN_PX, SHOWN_PX)


def _letter(result: Result[Any], name: str) -> str:
    return "A" if (result.params.prompt_on == "a") == (name == "prompted") else "B"


def summary(result: Result[Any]) -> str:
    """What was tracked, in one line."""
    value, cuts = result.value, (result.params.stability_offset, result.params.threshold)
    parts = [f"object score {value('object_score'):.1f}", f"predicted IoU {value('predicted_iou'):.2f}"]
    for name, label in {OFFICIAL: "stability score", stability_name(*cuts): stability_label(*cuts)}.items():
        parts.append(f"{label} {value(f'prompted_{name}'):.3f} prompted, {value(name):.3f} tracked")
    parts.append(f"area {share_text(value('area_share'))} of the picture")
    if "refine_iou" in result.metrics:
        parts.append(f"edges refined after the model, IoU with its own mask {value('refine_iou'):.3f}")
    if "true_iou" in result.metrics:
        parts.append(f"true IoU {value('true_iou'):.3f}")
    if result.params.repeats:
        parts.append(f"IoU of the last pass with the first {value('repeat_iou'):.3f}")
    return " · ".join(parts)


def jitter_figure(result: Result[Any], name: str) -> go.Figure:
    size, scale = result.masks[f"mask_{name}"].pixels.shape, plain_colorscale(result.params.colormap)
    return map_figure(result.arrays[f"jitter_map_{name}"], size, 0, 1, scale, "share")


def score_figure(result: Result[Any]) -> go.Figure:
    return _over_passes(result, {"object_score": "Object score"}, "object score", level=0.0)


def passes_figure(result: Result[Any]) -> go.Figure:
    names = {
        "predicted_iou": "Predicted IoU",
        "change": "Change since the previous pass",
        "iou_with_first": "IoU with the first pass",
    }
    if "true_iou" in result.tables["passes"][0]:
        names["true_iou"] = "True IoU"
    return _over_passes(result, names, "share")


def _over_passes(result: Result[Any], names: Mapping[str, str], y_title: str, level: float | None = None) -> go.Figure:
    """Passes are few and whole: each is a point. The first of the names is drawn thicker."""
    rows, first = result.tables["passes"], next(iter(names))
    figure = curves_figure(rows, "pass", dict(names), first, "pass", y_title, {}, mode="lines+markers", level=level)
    figure.layout.xaxis.dtick = 1
    return figure


def figures(result: Result[Any]) -> dict[str, go.Figure]:
    drawn = {"object_score": score_figure(result), "passes": passes_figure(result)}
    if "jitter" in result.tables:
        drawn |= {f"jitter_{name}": jitter_figure(result, name) for name in ("prompted", "tracked")}
    return drawn


def draw_passes(scene: Scene) -> None:
    result = scene.result
    if not result.params.repeats:
        st.info(
            "Raise “Repeats” to see what looking again changes: each pass remembers the best masks of the earlier "
            "ones.",
            icon=":material/repeat:",
        )
        return
    with st.container(key="row_passes"):
        left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Object score**: above 0 the model judges the object present")
        st.plotly_chart(score_figure(result), key="passes_score", config=PLOT)
    with right:
        st.markdown("**Masks**: predicted IoU, and how they change from pass to pass")
        st.plotly_chart(passes_figure(result), key="passes_masks", config=PLOT)


def draw_numbers(scene: Scene) -> None:
    tables = scene.result.tables
    params = scene.result.params
    wide = stability_name(params.stability_offset, params.threshold)
    decimals = "predicted_iou", "stability_score", wide, "area_share", "object_score", "change"
    for title, table in (("Prompted masks", "prompted_masks"), ("Tracked masks", "tracked_masks")):
        st.markdown(f"**{title}**")
        masks_table(tables[table], *decimals)
    st.markdown("**Passes**")
    st.dataframe(tables["passes"], hide_index=True, column_config=three_decimals(*decimals))
    for title, table in (("By point and by box", "point_and_box"), ("Moved prompts", "jitter")):
        if table in tables:
            st.markdown(f"**{title}**")
            st.dataframe(tables[table], hide_index=True, height="auto" if len(tables[table]) < 8 else 240)


def files(scene: Scene) -> tuple[Download, ...]:
    """The found object's contours, and the memories it was found with."""
    result, other = scene.result, prompted_and_other(scene)[1]
    contours, bank = result.tables["contours"], result.files[BANK_FILE]
    stem = other.name.rpartition(".")[0] or other.name
    return (
        Download(
            "Contours, JSON", "polyline", f"{stem}_contours.json", "application/json", lambda: json.dumps(contours)
        ),
        Download("Memory bank", "memory", BANK_FILE, "application/octet-stream", bank),
    )


PAGE = ExperimentPage(
    name="cross-image",
    about=ABOUT,
    table=Pair(),
    knobs=KNOBS,
    views={
        BOTH: draw_both,
        "Tracked": draw_tracked,
        "Cut-out": draw_cut_out,
        "Point and box": draw_point_and_box,
        "Jitter": draw_jitter,
    },
    tabs={"Passes": draw_passes, "Numbers": draw_numbers},
    figures=figures,
    try_it=try_it,
    arrows=("threshold", "repeats"),
    summary=summary,
    files=files,
)
