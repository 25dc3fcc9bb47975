"""The Window size page: the encoder's attention windows at other sizes, and what that does to mask, encoding and
time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.params import PlainParams, build_params
from samkit.experiments.result import Result
from samkit.experiments.window_size import (
    LOGIT_RANGE,
    STAGES,
    TIMES,
    Params,
    WindowSweep,
    padded_size,
    refusal,
)
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.chosen_mask import draw_binary, draw_original
from samkit.ui.bench.page import About, ExperimentPage, Scene
from samkit.ui.bench.queued_work import Buttons, draw_buttons, finished, follow
from samkit.ui.bench.tables.one_picture import OnePicture
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Choice, ColourScale, Knob, Panel, Quiet, Slider, Toggle
from samkit.ui.controls.token_map import Ground, TokenMap, ground_of, map_view, token_ground
from samkit.ui.parts.figures import PLOT, map_figure, plain_colorscale, sweep_iou_figure, sweep_ms_figure
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.tables import masks_table, table_with_csv, three_decimals
from samkit.ui.state.swept import SweepTable, sweep_table
from samkit.ui.state.workspace import Workspace

COMMON_SIZES = (2, 4, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 36, 48, 72)
ALL_STAGES = "All"
SWEPT = ("sweep_stage", "sweep_sizes", "sweep_repeats")
"""The parameters that say what is swept."""
READ = ("window_reading", "both_readings")
"""The parameters that say how windows are read."""
READINGS_HELP = (
    "step: neighbours stay as far apart as in training. span: every window reaches as far as the trained one. Both are "
    "the same at the default windows."
)
TURNS = (1, 3, 5, 9)
"""How many times each size may be encoded."""
BUTTONS = Buttons("sweep", "Sweep", "Sweep", "Stop", "Show these")
OPENED = "opened"
"""What a sweep of an opened run belongs to: the picture, prompts and settings that the page shows first."""

ABOUT = About(
    idea="Most blocks of the image encoder let a token attend only to its own window. The window's size is not part "
    "of the weights, so it can be changed after training: larger ones see more and cost more, and one that "
    "divides the map needs no padding.",
    paper="v1's windows are those of [ViTDet](https://arxiv.org/abs/2203.16527); that v1 runs faster with 16 than "
    "with 14, at about the same quality, was measured for "
    "[segment-anything](https://github.com/facebookresearch/segment-anything/pull/594).",
    look_for="- The mask may stay while the encoding drifts: the decoder tolerates a lot.\n"
    "- Which stage is most sensitive? Sweep them one by one.\n"
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


@dataclass(frozen=True)
class Readings(Knob):
    """Which of its ways the model reads windows of another size in, and whether the other is shown too; nothing for a
    model that has no choice.
    """

    def draw(self, panel: Panel) -> dict[str, Any]:
        readings = panel.model.config.window_readings
        if not readings:
            return {name: panel.values.only(name, panel.info(name).default) for name in READ}
        return Choice("window_reading", help=READINGS_HELP).draw(panel) | Toggle("both_readings").draw(panel)

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: params[name] for name in READ}


@dataclass(frozen=True)
class Sweep(Knob):
    """The sweep under the chart's tab, as long as it was made with what the page shows. It has no widget here."""

    def draw(self, panel: Panel) -> dict[str, Any]:
        knobs = panel.values
        scene = swept_scene(panel)
        if knobs.get("sweep_of") == OPENED:
            knobs.keep("sweep_of", scene)
        if knobs.get("sweep_of") != scene:
            return {name: panel.info(name).default for name in SWEPT}
        return {name: panel.value(name) for name in SWEPT}

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: params[name] for name in SWEPT}
        values |= {"sweep_choice": str(params["sweep_stage"] or ALL_STAGES), "sweep_of": OPENED}
        return values | ({"sweep_turns": params["sweep_repeats"]} if params["sweep_repeats"] in TURNS else {})


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


def swept_scene(panel: Panel) -> dict[str, Any]:
    """What a sweep depends on, each under the words for a sweep that was made with something else there."""
    model, inputs = panel.model, panel.inputs
    return {
        "another model": model.info.sha256,
        "another device": model.device,
        "another number type": model.dtype,
        "another picture": inputs.picture.sha256,
        "other prompts": inputs.prompts,
        "another mask hint": inputs.mask_hint and inputs.mask_hint.sha256,
        "another truth": inputs.truth and inputs.truth.sha256,
        "another side": panel.encoding["side"],
        "another fit": panel.encoding["fit"],
        "another reading of windows": panel.value("window_reading"),
    }


def differing(before: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    """What is not the same in two `swept_scene`, in words; empty where they are the same."""
    return " and ".join(words for words, value in shown.items() if before[words] != value)


def try_it(work: Workspace, knobs: KnobValues) -> None:
    work.show_picture(load_sample("chelsea"), SAMPLES["chelsea"].prompts)
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
    drawn = {"logits": logits_figure(result)}
    if "sweep" in result.tables:
        drawn |= {"sweep_iou": swept_iou_figure(result), "sweep_ms": swept_ms_figure(result)}
    return drawn


def swept_iou_figure(result: Result[Any]) -> go.Figure:
    rows = _run_rows(result.tables["sweep"])
    return sweep_iou_figure(rows, result.index(), _default_window(rows))


def swept_ms_figure(result: Result[Any]) -> go.Figure:
    rows = _run_rows(result.tables["sweep"])
    return sweep_ms_figure(rows, _default_window(rows))


def _run_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if not row["refused"]]


def _default_window(rows: list[dict[str, Any]]) -> int | None:
    """The default window of the swept stage; None where all stages were swept together."""
    return next((row["window"] for row in rows if row["drift"] == 0), None)


def draw_sweep(scene: Scene) -> None:
    """Start, follow and stop a sweep; then its chart and table."""
    knobs, result = scene.knobs, scene.result
    table = sweep_table()
    shown = swept_scene(_panel(scene))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="sweep_tools"):
        _sweep_tools(scene, table)
    job = table.job
    swept = finished(job) if job is not None else None
    if job is not None and swept is None:
        if other := differing(table.scene, shown):
            st.warning(
                f"The running sweep uses {other}, so it is not part of this run.",
                icon=":material/difference:",
            )
        follow(job)
    elif swept is not None:
        _take(scene, table, swept.result.params)
    if "sweep" in result.tables:
        _draw_rows(result)
    elif job is None and knobs.get("sweep_sizes") and (other := differing(knobs.get("sweep_of"), shown)):
        st.warning(f"This sweep used {other}: run it again.", icon=":material/difference:")
    elif job is None:
        st.info(
            "A sweep encodes the picture with one window size after another and compares each with the default.",
            icon=":material/stacked_line_chart:",
        )


def _panel(scene: Scene) -> Panel:
    params = scene.result.params
    encoding = {"side": params.side, "fit": params.fit}
    return Panel(scene.knobs, Params, scene.model, scene.inputs, encoding)


def _sweep_tools(scene: Scene, table: SweepTable) -> None:
    knobs, params = scene.knobs, scene.result.params
    unused = scene.model.config.convolution_stages
    stages = [ALL_STAGES, *(str(stage) for stage in range(1, STAGES + 1) if stage not in unused)]
    stage = knobs.choose("Stage", "sweep_choice", stages, ALL_STAGES, help="All: every stage gets the same window")
    largest = scene.model.max_window
    usual = tuple(size for size in COMMON_SIZES if size <= largest)
    common = ", ".join(map(str, usual))
    every = knobs.toggle(f"All sizes from 1 to {largest}", "sweep_every", False, help=f"Off: {common}")
    sizes = tuple(range(1, largest + 1)) if every else usual
    turns = knobs.choose("Repeats", "sweep_turns", TURNS, 3, help="Of each size, for the median and range of its time")
    swept = {"sweep_stage": 0 if stage == ALL_STAGES else int(stage), "sweep_sizes": sizes, "sweep_repeats": turns}
    values = {"side": params.side, "fit": params.fit, "repeats": params.repeats, **swept}
    values["window_reading"] = params.window_reading
    if table.was_asked():
        _start(scene, build_params(Params, values))
    draw_buttons(BUTTONS, table)


def _start(scene: Scene, params: Params) -> None:
    """The same run as the page's, with a sweep in it."""
    table = sweep_table()
    table.scene = swept_scene(_panel(scene))
    spec = replace(scene.side.computed.spec, params=params.model_dump(mode="json"), threads=None)
    table.start(WindowSweep, spec, scene.model, scene.inputs, "Encoding")


def _take(scene: Scene, table: SweepTable, swept: PlainParams) -> None:
    """A finished sweep becomes the page's, and is part of its run as long as that is of the same picture, prompts and
    settings. Not so where the page shows a sweep of its own run, a kept one that was opened meanwhile, and this one is
    of another.
    """
    table.drop_run()
    if "sweep" not in scene.result.tables or table.scene == swept_scene(_panel(scene)):
        scene.knobs.set({"sweep_of": table.scene} | {name: getattr(swept, name) for name in SWEPT})
    st.rerun()


def _draw_rows(result: Result[Any]) -> None:
    with st.container(key="row_sweep"):
        left, right = st.columns(2, gap="medium")
    with left:
        right_too = "true_iou_0" in result.tables["sweep"][0]
        st.markdown(f"**Masks**: IoU with those of the default windows{', and with the truth' if right_too else ''}")
        st.plotly_chart(swept_iou_figure(result), key="sweep_chart", config=PLOT)
    with right:
        repeats = result.params.sweep_repeats
        st.markdown(f"**Encode time**: {'one encoding' if repeats == 1 else f'median and range of {repeats}'}")
        st.plotly_chart(swept_ms_figure(result), key="sweep_times", config=PLOT)
    st.caption(
        "Masks as the model gave them: edges are never refined here. Both axes begin where the values do. A sweep "
        "leaves a core to other visitors, so its times compare with each other and not with those above. Window sizes "
        "that can't be run are in the table, with the reason."
    )
    ious = (f"{name}_{index}" for name in ("iou", "true_iou") for index in range(4))
    decimals = three_decimals("drift", *ious)
    decimals |= {name: st.column_config.NumberColumn(format="%.1f") for name in TIMES}
    table_with_csv(result.tables["sweep"], "window_sweep", decimals, height=300)


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
    knobs=(Windows(), Readings(), Slider("repeats"), ColourScale(), Sweep(), Quiet("mask_index")),
    views={"Logits": draw_logits, "Original": draw_original, "Binary": draw_binary, "Drift": draw_drift},
    tabs={"Sweep": draw_sweep, "Numbers": draw_numbers},
    figures=figures,
    try_it=try_it,
    arrows=("window_1", "window_2"),
    summary=summary,
)
