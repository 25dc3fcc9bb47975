"""The Fine-tuning page: the model in the sidebar beside the one it was trained from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from samkit.errors import SamkitError
from samkit.experiments.result import Result
from samkit.media.samples import SAMPLES, load_sample
from samkit.models.files.catalogue import catalogue, resolve_model
from samkit.models.files.folders import own_checkpoints
from samkit.models.files.reference import split_reference, with_choices
from samkit.models.sam import SamModel
from samkit.ui.bench.chosen_mask import draw_original
from samkit.ui.bench.page import About, ExperimentPage, Scene
from samkit.ui.bench.tables.one_picture import OnePicture
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import ColourScale, Knob, Panel, Quiet
from samkit.ui.controls.model_names import model_name
from samkit.ui.controls.own_models import loadable_own
from samkit.ui.controls.token_map import TokenMap, map_view, token_ground
from samkit.ui.parts.figures import PLOT, curves_figure, group_bars_figure, plain_colorscale, token_figure
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.picture_view import picture_view, view_name
from samkit.ui.parts.tables import masks_table, table_with_csv, three_decimals
from samkit.ui.state.models import shared_model
from samkit.ui.state.workspace import Workspace
from samkit.words import share_text

NONE = ""
"""Where no other model is chosen."""
DRIFT = {"drift": "relative distance"}
NORMS = {
    "max_norm": "largest",
    "other_max_norm": "largest, before",
    "median_norm": "median",
    "other_median_norm": "median, before",
}

ABOUT = About(
    idea="Fine-tuning moves some weights of a model and leaves others. The model in the sidebar is compared with the "
    "one it was trained from: how far each part's weights moved, how far the tokens are apart after each block, and "
    "what that does to the masks of your prompts. Both are run on the same picture at the same side.",
    paper="Relative change is the L2 distance of the weights over the L2 norm of those before; drift is the same of "
    "the tokens. Two files of one model in float32 and float16 differ by rounding alone, and the page says so.",
    look_for="- Was really trained what should have been? A frozen part has a change of 0.\n"
    "- A small change of weights may move features a lot, and the other way round.\n"
    "- Features may drift while the masks stay: the decoder tolerates a lot.\n"
    "- Add the right mask: is the trained model better on this picture?",
    try_label="Try it: the cat with one click",
)


@dataclass(frozen=True)
class TrainedFrom(Knob):
    """Which model the one in the sidebar is compared with, and the hash of its file."""

    def draw(self, panel: Panel) -> dict[str, Any]:
        refs = [NONE, *other_models(panel.model)]
        ref = panel.values.select(
            panel.info("other_model").label,
            "other_model",
            refs,
            NONE,
            format_func=lambda ref: model_name(ref) if ref else "Choose a model",
            help="A model of the same architecture. Files of your own are offered where SAMKIT_EXTRA_MODELS names "
            "their folder.",
        )
        if ref:
            try:
                with st.spinner(f"Loading {plain_text(model_name(ref))}", show_time=True):
                    other = shared_model(ref, panel.model.device, panel.model.dtype)
                return {"other_model": ref, "other_sha256": other.info.sha256}
            except SamkitError as error:
                st.error(plain_text(str(error)), icon=":material/block:")
        elif len(refs) == 1:
            st.info(
                "There is no other model of this family on this machine: put your files into a folder, and start the "
                "app with SAMKIT_EXTRA_MODELS naming it.",
                icon=":material/folder:",
            )
        return {"other_model": None, "other_sha256": None}

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        ref, sha256 = params["other_model"], params["other_sha256"]
        if ref is None:
            return {"other_model": NONE}
        same = next((entry.name for entry in catalogue() if entry.on_disk and entry.sha256 == sha256), None)
        place, choices = split_reference(ref)
        named = [str(path) for path in own_checkpoints() if Path(place).name in (path.name, path.stem)]
        own = place if place in named else next(iter(named), None)
        return {"other_model": same or (with_choices(own, choices) if own else ref)}


def other_models(model: SamModel) -> list[str]:
    """References of the models on this machine that may be of the same architecture, but for this one itself."""
    known = [entry.name for entry in catalogue() if entry.on_disk and entry.family == model.info.family]
    refs = [*known, *loadable_own(model.info.family)]
    return [ref for ref in refs if "#" in ref or resolve_model(ref) != model.info.path]


def try_it(work: Workspace, knobs: KnobValues) -> None:
    work.open_picture(load_sample("chelsea"), SAMPLES["chelsea"].prompts)
    knobs.set({"view": "Masks", "mask_index": None})


def summary(result: Result[Any]) -> str:
    """What changed, in one line."""
    if result.params.other_model is None:
        return "No weights are compared yet: that takes a second model, the one that this one was trained from."
    name, changed, count = result.facts["other_name"], result.index("changed_weights"), result.index("weights")
    settings = result.facts["settings_differ"]
    read = (
        f" · Not the weights alone: the two files are read with other settings ({settings}). “This file” at the left "
        "sets them."
        if settings
        else ""
    )
    if not changed:
        return f"None of the {count} weights differs from {name}'s.{read}"
    rounding = " (rounding to half precision, no more)" if result.facts["rounding_only"] else ""
    drift = result.value("drift")
    drifted = f"features drift by {100 * drift:.2g} %" if drift else "features are the same"
    right = ""
    if "true_iou" in result.metrics:
        right = f" · true IoU {result.value('true_iou'):.3f}, before {result.value('other_true_iou'):.3f}"
    return (
        f"{changed} of {count} weights differ from {name}'s{rounding} · relative change "
        f"{100 * result.value('weight_change'):.3g} %, most in the {result.facts['most_changed']} · {drifted} · "
        f"IoU of both masks {result.value('iou_other'):.3f}{right}{read}"
    )


def draw_masks(scene: Scene) -> None:
    view = view_name(scene.inputs.picture)
    picture_view(scene.result.images["masks"], "Outlines of both models' masks", view)
    if scene.result.params.other_model is None:
        st.caption("Pink: this model's mask. That of the model it was trained from comes beside it.")
    else:
        st.caption("Pink: this model's mask. Yellow: that of the model it was trained from, where the two differ.")


def draw_drift(scene: Scene) -> None:
    values, params = scene.result.arrays["drift_map"], scene.result.params
    ground = token_ground(scene.inputs.picture, scene.model.info, params.side, params.fit, values.shape)
    map_view(scene.knobs, "drift", TokenMap("Drift", values, ground=ground), unit="", colormap=params.colormap)
    st.caption("How far each feature token is from the other model's (L2 distance).")


def parts_figure(result: Result[Any]) -> go.Figure:
    percent = [row | {"relative_change": 100 * row["relative_change"]} for row in result.tables["parts"]]
    return group_bars_figure(percent, "part", "group", "relative_change", "relative change (%)")


def _stage_marks(rows: list[dict[str, Any]]) -> dict[float, str]:
    return {
        row["block"] - 0.5: f"stage {row['stage']}"
        for before, row in zip(rows, rows[1:], strict=False)
        if row["stage"] != before["stage"]
    }


def drift_figure(result: Result[Any]) -> go.Figure:
    rows = result.tables["blocks"]
    return curves_figure(rows, "block", DRIFT, "drift", "block", "relative distance", _stage_marks(rows))


def norms_figure(result: Result[Any]) -> go.Figure:
    rows = result.tables["blocks"]
    return curves_figure(rows, "block", NORMS, "max_norm", "block", "norm", _stage_marks(rows))


def figures(result: Result[Any]) -> dict[str, go.Figure]:
    return {
        "weights": parts_figure(result),
        "blocks": drift_figure(result),
        "norms": norms_figure(result),
        "drift": token_figure(result.arrays["drift_map"], plain_colorscale(result.params.colormap), "distance"),
    }


def draw_weights(scene: Scene) -> None:
    result = scene.result
    if result.params.other_model is None:
        st.info("Shown once a second model is chosen under Trained from.", icon=":material/difference:")
        return
    if result.facts["rounding_only"]:
        st.info(
            "The two differ by rounding to half precision alone: they are one model in two files.",
            icon=":material/compress:",
        )
    st.markdown("**How far the weights moved**, part by part")
    st.plotly_chart(parts_figure(result), key="parts_chart", config=PLOT)
    share = share_text(result.value("changed_share"))
    st.caption(
        f"L2 distance over the L2 norm before. {result.index('changed_weights')} of {result.index('weights')} weights "
        f"differ, {share} of all numbers."
    )
    if result.index("only_in_one"):
        st.caption(f"{result.index('only_in_one')} weights are in one of the two files alone and are not compared.")
    decimals = {"relative_change": st.column_config.NumberColumn(format="%.6f")}
    rows = result.tables["weights"]
    if rows:
        table_with_csv(rows, "changed_weights", decimals, height=300)


def draw_blocks(scene: Scene) -> None:
    result = scene.result
    with st.container(key="row_block_drift"):
        left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Drift**: how far each block's tokens are from the other model's")
        st.plotly_chart(drift_figure(result), key="block_drift_chart", config=PLOT)
    with right:
        st.markdown("**Norms** of each block's tokens, in both models")
        st.plotly_chart(norms_figure(result), key="block_norms_chart", config=PLOT)
    decimals = three_decimals("max_norm", "median_norm", "other_max_norm", "other_median_norm")
    decimals |= {name: st.column_config.NumberColumn(format="%.6f") for name in ("drift", "cosine")}
    table_with_csv(result.tables["blocks"], "drift_blocks", decimals)


def draw_numbers(scene: Scene) -> None:
    names = "predicted_iou", "stability_score", "area_share", "iou_other", "other_predicted_iou", "true_iou"
    masks_table(scene.result.tables["masks"], *names)


PAGE = ExperimentPage(
    name="fine-tuning",
    about=ABOUT,
    table=OnePicture(),
    knobs=(TrainedFrom(), ColourScale(), Quiet("mask_index")),
    views={"Masks": draw_masks, "Original": draw_original, "Drift": draw_drift},
    tabs={"Weights": draw_weights, "Blocks": draw_blocks, "Numbers": draw_numbers},
    figures=figures,
    try_it=try_it,
    summary=summary,
)
