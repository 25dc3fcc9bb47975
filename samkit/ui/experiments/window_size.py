"""The Window size page: the encoder's attention windows at other sizes, and what that does to mask, encoding and
time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.params import build_params
from samkit.experiments.result import Result
from samkit.experiments.window_size import LOGIT_RANGE, STAGES, Params, padded_size, refusal
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.chosen_mask import draw_binary, draw_original
from samkit.ui.bench.page import About, ExperimentPage, Scene
from samkit.ui.bench.tables.one_picture import OnePicture
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Choice, ColourScale, Knob, Panel, Quiet, Slider, Toggle
from samkit.ui.controls.token_map import Ground, TokenMap, ground_of, map_view, token_ground
from samkit.ui.experiments.window_sweep import Sweep, draw_sweep, draw_sweep_table, sweep_figures
from samkit.ui.parts.figures import map_figure, plain_colorscale
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.tables import masks_table, table_with_csv, three_decimals
from samkit.ui.state.workspace import Workspace

READINGS_HELP = (
    "step: neighbours stay as far apart as in training. span: every window reaches as far as the trained one. Both are "
    "the same at the default windows."
)

ABOUT = About(
    idea="Most blocks of the image encoder let a token attend only to its own window. The window's size is not part "
    "of the weights, so it can be changed after training: larger ones see more and cost more, and one that "
    "divides the map needs no padding.",
    paper="v1's windows are those of [ViTDet](https://arxiv.org/abs/2203.16527); that v1 runs faster with 16 than "
    "with 14, at about the same quality, was measured for "
    "[segment-anything](https://github.com/facebookresearch/segment-anything/pull/594).",
    look_for="- The mask may stay while the encoding drifts: the decoder tolerates a lot.\n"
    "- Which stage is most sensitive? Sweep them one by one, under the view *Sweep*.\n"
    "- SAM v2's first stages take only even windows, because the next stage halves them.\n"
    "- MobileSAM's first stage is made of convolutions, so it has no window; the others' learned biases are stretched "
    "to another window.\n"
    "- SAM 3 has rotary positions, so its windows go up to 72 tokens and can be read in two ways. Switch on *Both side "
    "by side*: which one keeps the mask in larger windows, and which in smaller ones?\n"
    "- Encode times vary: look at the median of several repeats, and whether the ranges overlap.",
    try_label="Try it: the cat, wider windows in stages 2 and 3",
)


@dataclass(frozen=True)
class Windows(Knob):
    """One slider a stage. Windows that can't be run are refused, and the model's own are run in their place."""

    def draw(self, panel: Panel) -> dict[str, Any]:
        knobs, info = panel.values, panel.model.info
        own, sizes = info.window_sizes, range(1, panel.model.max_window + 1)
        for stage, (window, blocks) in enumerate(zip(own, info.blocks_per_stage, strict=True), start=1):
            # The text is the same whatever the other stages' windows are: the browser knows a slider's value by it.
            text = {size: f"{size}, default" if size == window else str(size) for size in sizes}
            unused = stage in panel.model.config.convolution_stages
            kind = "convolutions, no windows" if unused else f"default {window}"
            label = f"Stage {stage} · {blocks} block{'s' if blocks > 1 else ''} · {kind}"
            knobs.step(
                label,
                f"window_{stage}",
                list(text),
                window,
                format_func=text.__getitem__,
                help="Side of the windows, in tokens; global blocks have none",
                disabled=unused,
            )
        chosen = tuple(int(knobs.get(f"window_{stage}")) for stage in range(1, STAGES + 1))
        _default_button(knobs, own, chosen)
        size = padded_size(panel.model, panel.inputs, build_params(Params, panel.encoding))
        reason = refusal(panel.model, chosen, size)
        if reason:
            st.error(f"{plain_text(reason)} The model's own windows are shown.", icon=":material/block:")
        kept = knobs.base.get("window_sizes")
        if kept is not None and len(kept) != len(own):
            knobs.move("window_sizes", own, f"this model has {len(own)} stages, so it needs {len(own)} window sizes")
        return {"window_sizes": None if reason or chosen == own != kept else chosen}

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        windows = params["window_sizes"] or ()
        whole = len(windows) == STAGES
        values = {f"window_{stage}": windows[stage - 1] if whole else None for stage in range(1, STAGES + 1)}
        return values | {"window_sizes": params["window_sizes"]}


def _has_readings(panel: Panel) -> bool:
    return bool(panel.model.config.window_readings)


READINGS = (
    Choice("window_reading", help=READINGS_HELP, offered=_has_readings),
    Toggle("both_readings", offered=_has_readings),
)


def _default_button(knobs: KnobValues, own: tuple[int, ...], chosen: tuple[int, ...]) -> None:
    reset = {f"window_{stage}": window for stage, window in enumerate(own, start=1)}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Default windows",
            on_click=knobs.set,
            args=(reset,),
            icon=":material/restart_alt:",
            key="windows_default",
            disabled=chosen == own,
        )


def try_it(work: Workspace, knobs: KnobValues) -> None:
    work.open_picture(load_sample("chelsea"), SAMPLES["chelsea"].prompts)
    knobs.set({"window_2": 8, "window_3": 16, "repeats": 3, "view": "Logits", "mask_index": None})


def draw_logits(scene: Scene) -> None:
    index, ground = scene.result.index(), ground_of(scene.inputs.picture)
    _draw_maps(scene, "Logits", "picture_logits", "other_logits", lambda values: values[index], ground)


def draw_drift(scene: Scene) -> None:
    shape, params = scene.result.arrays["drift_map"].shape, scene.result.params
    ground = token_ground(scene.inputs.picture, scene.model.info, params.side, params.fit, shape)
    _draw_maps(scene, "Drift", "drift_map", "other_drift_map", lambda values: values, ground)
    st.caption("How far each feature token moves from its value with the default windows (L2 distance).")


def _draw_maps(
    scene: Scene, title: str, own: str, other: str, pick: Callable[[np.ndarray], np.ndarray], ground: Ground
) -> None:
    """A map of the run, beside the same of the other reading where both are asked for. own, other: their arrays; pick:
    the map [h, w] of such an array.
    """
    result, readings = scene.result, scene.model.config.window_readings
    shown = {result.params.window_reading: pick(result.arrays[own]).astype(np.float32)}
    if other not in result.arrays:
        _draw_map(scene, title, title.lower(), shown[result.params.window_reading], ground)
        return
    shown |= {each: pick(result.arrays[other]).astype(np.float32) for each in readings if each not in shown}
    limits = min(float(each.min()) for each in shown.values()), max(float(each.max()) for each in shown.values())
    with st.container(key=f"row_{title.lower()}_readings"):
        columns = st.columns(len(readings), gap="small")
    for reading, column in zip(readings, columns, strict=True):
        with column:
            st.markdown(f"Windows read as **{reading}**")
            _draw_map(scene, title, f"{title.lower()}_{reading}", shown[reading], ground, limits)


def _draw_map(
    scene: Scene,
    title: str,
    name: str,
    values: np.ndarray,
    ground: Ground,
    limits: tuple[float, float] | None = None,
) -> None:
    shown = TokenMap(title, values, ground=ground)
    map_view(scene.knobs, name, shown, unit="", colormap=scene.result.params.colormap, limits=limits)


def summary(result: Result[Any]) -> str:
    """The setting in one line."""
    timings, repeats = result.timings, result.params.repeats
    windows = " ".join(str(result.index(f"window_{stage}")) for stage in range(1, STAGES + 1))
    windows += f", read as {result.params.window_reading}" if "readings" in result.tables else ""
    measured = "measured only once" if repeats == 1 else f"median of {repeats}"
    if result.params.window_sizes is None:
        return f"windows {windows}, the default · encoded in {timings['encode_ms']:.0f} ms ({measured})"
    ratio = f": {timings['encode_ms'] / max(timings['default_encode_ms'], 1e-9):.2f} times"
    if repeats == 1:
        ratio, measured = "", "each measured only once: raise Repeats to compare"
    right = f" · true IoU {result.value('true_iou'):.3f}" if "true_iou" in result.metrics else ""
    return (
        f"windows {windows} · encoded in {timings['encode_ms']:.0f} ms, the default in "
        f"{timings['default_encode_ms']:.0f} ms{ratio} ({measured}) · IoU with the default's mask "
        f"{result.value('iou_default'):.3f} · encoding drifts by {100 * result.value('drift'):.1f} %{right}"
    )


def logits_figure(result: Result[Any]) -> go.Figure:
    logits, size = result.arrays["picture_logits"][result.index()], result.masks["mask_chosen"].pixels.shape
    scale = plain_colorscale(result.params.colormap)
    return map_figure(logits, size, -LOGIT_RANGE, LOGIT_RANGE, scale, "logit")


def figures(result: Result[Any]) -> dict[str, go.Figure]:
    return {"logits": logits_figure(result)} | sweep_figures(result)


def draw_numbers(scene: Scene) -> None:
    names = "predicted_iou", "stability_score", "area_share", "iou_default", "default_predicted_iou"
    if "readings" in scene.result.tables:
        st.markdown("**Both ways to read windows**, the chosen mask")
        decimals = three_decimals(*(name for name in scene.result.tables["readings"][0] if name != "reading"))
        table_with_csv(scene.result.tables["readings"], "window_readings", decimals)
    masks_table(scene.result.tables["masks"], *names, "true_iou", "default_true_iou")


PAGE = ExperimentPage(
    name="window-size",
    about=ABOUT,
    table=OnePicture(),
    knobs=(Windows(), *READINGS, Slider("repeats"), ColourScale(), Sweep(), Quiet("mask_index")),
    views={
        "Logits": draw_logits,
        "Original": draw_original,
        "Binary": draw_binary,
        "Drift": draw_drift,
        "Sweep": draw_sweep,
    },
    tabs={"Sweep": draw_sweep_table, "Numbers": draw_numbers},
    figures=figures,
    try_it=try_it,
    arrows=("window_1", "window_2"),
    summary=summary,
)
