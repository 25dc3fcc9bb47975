"""The Mask stability page: the logits behind a mask, and how much of it stays when the cut, the picture or the prompt
moves a little.
"""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.mask_stability import Params, rescaled
from samkit.experiments.measures.stability import is_official, stability_label, stability_name
from samkit.experiments.result import Result
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.chosen_mask import draw_binary, draw_original
from samkit.ui.bench.page import About, ExperimentPage, Scene
from samkit.ui.bench.tables.one_picture import OnePicture
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import ColourScale, Quiet, Range, Slider, Switched, opened_with, without_prompts
from samkit.ui.controls.masks_panel import MASK_TITLES
from samkit.ui.controls.token_map import TokenMap, ground_of, map_view
from samkit.ui.parts.figures import PLOT, band_colorscale, curves_figure, map_figure, shrink_map
from samkit.ui.parts.tables import masks_table
from samkit.ui.state.workspace import Workspace
from samkit.words import share_text

COLUMNS = {f"mask_{index}": title for index, title in enumerate(MASK_TITLES)}

ABOUT = About(
    idea="A mask is a map of logits cut at 0. Where the logits rise steeply the edge is sure; where they climb "
    "slowly, any small change moves it. This page shows the logits between two thresholds in colour, lower ones in "
    "black and higher ones in white: from −2 to 2 at first, where the model is less than 88 % sure.",
    paper="The stability score is the one of SAM's automatic mask generator ([Segment "
    "Anything](https://arxiv.org/abs/2304.02643), section B): the IoU of the masks cut at +1 and at −1. Only that "
    "one is called so; cuts elsewhere have their offset in the name.",
    look_for="- A thin coloured rim is a stable mask; a wide one is a guess.\n"
    "- Lower the input scale: which parts lose their certainty first?\n"
    "- Move the prompt by jitter, some per cent of the picture's longer side: does the mask depend on the exact "
    "click?\n"
    "- Compare predicted IoU with stability: the model may be sure of an unstable mask.",
    try_label="Try it: the cat, one click, at a quarter of its detail",
)
JITTER = Switched(
    "jitter",
    "Move the prompt (jitter)",
    off={"jitter_copies": 0},
    knobs=(Slider("jitter_copies"), Slider("jitter_percent", disabled_by=opened_with("jitter_px"))),
    help="Predicts moved copies of the prompt; takes longer",
    idle=without_prompts,
)
KNOBS = (
    Range("lower_threshold", "upper_threshold", "thresholds", "Thresholds (logits)"),
    Slider("input_scale"),
    Slider("max_delta"),
    JITTER,
    ColourScale(),
    Quiet("mask_index"),
)


def try_it(work: Workspace, knobs: KnobValues) -> None:
    work.open_picture(load_sample("chelsea"), SAMPLES["chelsea"].prompts)
    knobs.set({"thresholds": (-2.0, 2.0), "input_scale": 0.25, "view": "Logits", "mask_index": None})


def logits_figure(result: Result[Params]) -> go.Figure:
    params, logits = result.params, result.arrays["picture_logits"][result.index()]
    limits = params.lower_threshold, params.upper_threshold
    size = result.masks["mask_chosen"].pixels.shape
    return map_figure(logits, size, *limits, band_colorscale(params.colormap), "logit")


def stability_figure(result: Result[Params]) -> go.Figure:
    marks = {result.params.stability_offset: "score"}
    rows, chosen = result.tables["stability_curve"], chosen_column(result)
    return curves_figure(rows, "delta", COLUMNS, chosen, "delta (logits)", "IoU", marks)


def area_figure(result: Result[Params]) -> go.Figure:
    rows, chosen = result.tables["area_curve"], chosen_column(result)
    return curves_figure(rows, "threshold", COLUMNS, chosen, "threshold (logits)", "share of the picture", {0.0: "cut"})


def true_iou_figure(result: Result[Params]) -> go.Figure:
    rows, chosen = result.tables["true_iou_curve"], chosen_column(result)
    marks = {0.0: "cut"}
    return curves_figure(rows, "threshold", COLUMNS, chosen, "threshold (logits)", "true IoU", marks)


def chosen_column(result: Result[Params]) -> str:
    return f"mask_{result.index()}"


def figures(result: Result[Params]) -> dict[str, go.Figure]:
    drawn = {
        "logits": logits_figure(result),
        "stability_curve": stability_figure(result),
        "area_curve": area_figure(result),
    }
    return drawn | ({"true_iou_curve": true_iou_figure(result)} if "true_iou_curve" in result.tables else {})


def draw_logits(scene: Scene) -> None:
    result, params = scene.result, scene.result.params
    values = shrink_map(result.arrays["picture_logits"][result.index()])
    shown = TokenMap("Logits", values, ground=ground_of(scene.inputs.picture))
    limits = params.lower_threshold, params.upper_threshold
    map_view(
        scene.knobs,
        "logits",
        shown,
        unit="logit",
        colormap=params.colormap,
        limits=limits,
        clip=True,
        follow="thresholds",
    )


def draw_jitter(scene: Scene) -> None:
    result = scene.result
    if "jitter_map" not in result.arrays:
        st.info(
            "How often each pixel is chosen when the prompt moves: place a point or a box, and switch on “Move the "
            "prompt”.",
            icon=":material/vibration:",
        )
        return
    shown = TokenMap("Jitter", shrink_map(result.arrays["jitter_map"]), ground=ground_of(scene.inputs.picture))
    colormap = result.params.colormap
    map_view(scene.knobs, "jitter_map", shown, unit="share of the copies", colormap=colormap, limits=(0.0, 1.0))
    st.caption(
        f"Mean IoU with the unmoved prompt's mask: {result.value('jitter_iou'):.3f}; between copies: "
        f"{result.value('jitter_pairwise_iou'):.3f}"
    )


def cuts_sentence(cuts: list[dict[str, Any]]) -> str:
    """How large the mask is where it is cut elsewhere than at 0. cuts: as `cut_rows` gives them"""
    if any(row["of_mask"] is None for row in cuts):
        return "nothing lies above the cut at 0"
    others = [f"{100 * row['of_mask']:.0f} % at {row['threshold']:g}" for row in cuts if row["threshold"]]
    return f"cut elsewhere, the mask's area is {' and '.join(others)}" if others else "both cuts are the model's own"


def summary(result: Result[Any]) -> str:
    """The chosen mask in one line."""
    params, metrics = result.params, {name: metric.value for name, metric in result.metrics.items()}
    parts = [f"true IoU {metrics['true_iou']:.3f}"] if "true_iou" in metrics else []
    parts.append(f"stability score {metrics['stability_score']:.3f}")
    if (wide := stability_name(params.stability_offset)) in metrics and not is_official(params.stability_offset):
        parts.append(f"{stability_label(params.stability_offset)} {metrics[wide]:.3f}")
    parts += [
        f"{cuts_sentence(result.tables['cuts'])} (IoU of the two cuts {metrics['threshold_iou']:.3f})",
        f"area {share_text(metrics['area_share'])} of the picture",
    ]
    if "refine_iou" in metrics:
        parts.append(f"edges refined after the model, IoU with its own mask {metrics['refine_iou']:.3f}")
    if "iou_unscaled" in metrics:
        parts.append(f"IoU with the mask of the unscaled picture: {metrics['iou_unscaled']:.3f}")
    if "object_score" in metrics:
        parts.append(f"object score {metrics['object_score']:.1f}")
    return " · ".join(parts)


def draw_curves(scene: Scene) -> None:
    with_truth = "true_iou_curve" in scene.result.tables
    with st.container(key="row_curves"):
        left, right, *more = st.columns(3 if with_truth else 2, gap="medium")
    with left:
        st.markdown("**Stability**: IoU of the masks cut at −delta and +delta")
        st.plotly_chart(stability_figure(scene.result), key="stability_curve", config=PLOT)
    with right:
        st.markdown("**Area**: share of the picture above a threshold")
        st.plotly_chart(area_figure(scene.result), key="area_curve", config=PLOT)
    if with_truth:
        with more[0]:
            st.markdown("**True IoU**: with the truth, of masks cut at a threshold")
            st.plotly_chart(true_iou_figure(scene.result), key="true_iou_curve", config=PLOT)


def draw_numbers(scene: Scene) -> None:
    tables = scene.result.tables
    wide = stability_name(scene.result.params.stability_offset)
    decimals = "predicted_iou", "stability_score", wide, "area_share", "iou_unscaled", "true_iou"
    masks_table(tables["masks"], *decimals)
    if "jitter" in tables:
        st.dataframe(tables["jitter"], hide_index=True, height=240)


PAGE = ExperimentPage(
    name="mask-stability",
    about=ABOUT,
    table=OnePicture(),
    knobs=KNOBS,
    views={"Logits": draw_logits, "Original": draw_original, "Binary": draw_binary, "Jitter": draw_jitter},
    tabs={"Curves": draw_curves, "Numbers": draw_numbers},
    figures=figures,
    try_it=try_it,
    arrows=("thresholds", "input_scale"),
    summary=summary,
    encoded=lambda params, picture: rescaled(picture, params.input_scale),
)
