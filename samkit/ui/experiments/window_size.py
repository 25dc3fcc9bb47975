"""The Window size page: the encoder's attention windows at other sizes, and what that does to mask, encoding and
time.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.errors import BadInput
from samkit.experiments.params import build_params
from samkit.experiments.result import Result
from samkit.experiments.window_size import (
    LOGIT_RANGE,
    MAX_WINDOW,
    STAGES,
    TIMES,
    Params,
    padded_size,
    refusal,
    refused_row,
    row_of_run,
    swept_windows,
)
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.chosen_mask import draw_binary, draw_original
from samkit.ui.bench.page import About, ExperimentPage, Scene
from samkit.ui.bench.sweeping.draft import AtHand, Choices
from samkit.ui.bench.sweeping.page_sweep import find_page_sweep, follow_sweep, start_from_page, sweep_buttons
from samkit.ui.bench.tables.one_picture import OnePicture
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import ColourScale, Knob, Panel, Quiet, Slider
from samkit.ui.controls.token_map import TokenMap, ground_of, map_view, token_ground
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.figures import PLOT, map_figure, plain_colorscale, sweep_iou_figure, sweep_ms_figure
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.tables import masks_table, table_with_csv, three_decimals
from samkit.ui.state.sweep_standing import standing
from samkit.ui.state.sweeps import app_workers
from samkit.ui.state.workspace import Workspace
from samkit.work.sweep.live_table import LiveTable

COMMON_SIZES = (2, 4, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
ALL_STAGES = "All"
SWEPT = ("sweep_stage", "sweep_sizes", "sweep_repeats")
"""The parameters that say what is swept."""
TURNS = (1, 3, 5, 9)
"""How many times each size may be encoded."""
OPENED = "opened"
"""What a sweep of an opened run belongs to: the picture, prompts and settings that the page shows first."""
STARTED = "started_sweep"
"""Where the sweep that was started here is kept among the knobs."""
HINT = "another mask hint"

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
    "- Encode times vary: look at the median of several repeats, and whether the ranges overlap.",
    try_label="Try it: the cat, wider windows in stages 2 and 3",
)


@dataclass(frozen=True)
class Windows(Knob):
    """One slider a stage. Windows that can't be run are refused, and the model's own are run in their place."""

    def draw(self, panel: Panel) -> dict[str, Any]:
        knobs, info = panel.values, panel.model.info
        own = info.window_sizes
        for stage, (window, blocks) in enumerate(zip(own, info.blocks_per_stage, strict=True), start=1):
            # The text is the same whatever the other stages' windows are: the browser knows a slider's value by it.
            text = {size: f"{size}, default" if size == window else str(size) for size in range(1, MAX_WINDOW + 1)}
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
class Sweep(Knob):
    """The sweep that is part of an opened run, as long as the page shows what it was made with. It has no widget."""

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
        if not params["sweep_sizes"]:
            return values | {"sweep_of": None}
        values |= {"sweep_choice": str(params["sweep_stage"] or ALL_STAGES), "sweep_of": OPENED, STARTED: None}
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


def swept_scene(panel: Panel) -> dict[str, str]:
    """What a sweep depends on, each under the words for a sweep that was made with something else there."""
    model, inputs = panel.model, panel.inputs
    return {
        "another model": model.info.sha256,
        "another device": model.device,
        "another number type": model.dtype,
        "another picture": inputs.picture.sha256,
        "other prompts": json.dumps(inputs.prompts.to_dict()),
        HINT: inputs.mask_hint.sha256 if inputs.mask_hint else "",
        "another truth": inputs.truth.sha256 if inputs.truth else "",
        "another side": str(panel.encoding["side"]),
        "another fit": str(panel.encoding["fit"]),
    }


def differing(before: Mapping[str, str], shown: Mapping[str, str]) -> str:
    """What is not the same in two `swept_scene`, in words; empty where they are the same. What `before` says nothing of
    makes no difference.
    """
    return " and ".join(words for words, value in before.items() if shown.get(words) != value)


def try_it(work: Workspace, knobs: KnobValues) -> None:
    work.show_picture(load_sample("chelsea"), SAMPLES["chelsea"].prompts)
    knobs.set({"window_2": 8, "window_3": 16, "repeats": 3, "view": "Logits", "mask_index": None})


def draw_logits(scene: Scene) -> None:
    result = scene.result
    values = result.arrays["picture_logits"][result.index()].astype(np.float32)
    shown = TokenMap("Logits", values, ground=ground_of(scene.inputs.picture))
    map_view(scene.knobs, "logits", shown, unit="", colormap=result.params.colormap)


def draw_drift(scene: Scene) -> None:
    values, params = scene.result.arrays["drift_map"], scene.result.params
    ground = token_ground(scene.inputs.picture, scene.model.info, params.side, params.fit, values.shape)
    shown = TokenMap("Drift", values, ground=ground)
    map_view(scene.knobs, "drift", shown, unit="", colormap=scene.result.params.colormap)
    st.caption("How far each feature token moves from its value with the default windows (L2 distance).")


def summary(result: Result[Any]) -> str:
    """The setting in one line."""
    timings, repeats = result.timings, result.params.repeats
    windows = " ".join(str(result.index(f"window_{stage}")) for stage in range(1, STAGES + 1))
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


@dataclass(frozen=True)
class Asked:
    """A sweep as it was asked for, which is kept as plain values among the knobs. stage: from 1; 0 for all of them"""

    stage: int
    sizes: tuple[int, ...]
    repeats: int

    def windows(self, own: Sequence[int]) -> dict[int, tuple[int, ...]]:
        """Each size with the windows of all stages. own: the model's"""
        return {size: swept_windows(own, self.stage, size) for size in self.sizes}


def draw_sweep(scene: Scene) -> None:
    """Start, follow and stop a sweep; its charts and its table."""
    knobs, result = scene.knobs, scene.result
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="sweep_tools"):
        started = _sweep_tools(scene)
    shown, of_run = swept_scene(_panel(scene)), "sweep" in result.tables
    before = knobs.get("sweep_of") if started is None else started["of"]
    other = differing(before, shown) if isinstance(before, dict) else ""
    sweep = find_page_sweep(started["id"]) if started is not None else None
    if sweep is not None and started is not None:
        if other and standing(sweep).active:
            st.warning(f"The running sweep uses {other}.", icon=":material/difference:")
        elif other:
            st.warning(f"This sweep used {other}: run it again.", icon=":material/difference:")
            return
        asked = Asked(started["stage"], tuple(started["sizes"]), started["repeats"])
        follow_sweep(sweep, "window sizes", lambda table: _draw_found(scene, asked, table))
    elif of_run:
        _draw_rows(scene, result.tables["sweep"], Asked(0, result.params.sweep_sizes, result.params.sweep_repeats))
    elif other:
        st.warning(f"This sweep used {other}: run it again.", icon=":material/difference:")
    else:
        st.info(
            "A sweep encodes the picture with one window size after another and compares each with the default.",
            icon=":material/stacked_line_chart:",
        )


def _panel(scene: Scene) -> Panel:
    params = scene.result.params
    encoding = {"side": params.side, "fit": params.fit}
    return Panel(scene.knobs, Params, scene.model, scene.inputs, encoding)


def _sweep_tools(scene: Scene) -> dict[str, Any] | None:
    """What to sweep, and the buttons. What was started: its id, what was asked for, and the scene that it is of."""
    knobs = scene.knobs
    unused = scene.model.config.convolution_stages
    stages = [ALL_STAGES, *(str(stage) for stage in range(1, STAGES + 1) if stage not in unused)]
    stage = knobs.choose("Stage", "sweep_choice", stages, ALL_STAGES, help="All: every stage gets the same window")
    common = ", ".join(map(str, COMMON_SIZES))
    every = knobs.toggle("All sizes from 1 to 32", "sweep_every", False, help=f"Off: {common}")
    sizes = tuple(range(1, MAX_WINDOW + 1)) if every else COMMON_SIZES
    turns = knobs.choose("Repeats", "sweep_turns", TURNS, 3, help="Of each size, for the median and range of its time")
    started = knobs.get(STARTED)
    sweep = find_page_sweep(started["id"]) if started is not None else None
    now = standing(sweep) if sweep is not None else None
    pressed = st.button(
        "Sweep",
        icon=":material/play_arrow:",
        type="primary",
        key="run_sweep",
        disabled=now is not None and now.active,
    )
    if sweep is not None and now is not None:
        sweep_buttons(sweep, now)
    if pressed:
        with sentences():
            _start(scene, Asked(0 if stage == ALL_STAGES else int(stage), sizes, turns))
            st.rerun()
    return started


def _refused(scene: Scene, asked: Asked) -> dict[int, str]:
    """The sizes that can't be run, each with the reason."""
    size = padded_size(scene.model, scene.inputs, scene.result.params)
    windows = asked.windows(scene.model.info.window_sizes)
    return {each: reason for each in windows if (reason := refusal(scene.model, windows[each], size)) is not None}


def _start(scene: Scene, asked: Asked) -> None:
    """A sweep of the sizes that can be run, of what the page shows but for its windows and refined edges."""
    refused, work, inputs = _refused(scene, asked), scene.work, scene.inputs
    windows = asked.windows(scene.model.info.window_sizes)
    possible = [list(windows[size]) for size in asked.sizes if size not in refused]
    if not possible:
        raise BadInput("None of these sizes can be run in this stage: choose another one, or all sizes.")
    params = {"window_sizes": possible, "repeats": asked.repeats}
    params |= {name: value for name, value in _panel(scene).encoding.items() if value != getattr(Params(), name)}
    sweep = start_from_page(
        Choices(
            scene.page.name,
            (work.model_ref,),
            params,
            AtHand(inputs.picture, inputs.prompts, inputs.truth),
            name=f"Window sizes, {f'stage {asked.stage}' if asked.stage else 'all stages'}: {inputs.picture.name}",
            device=work.device,
            dtype=work.dtype,
            threads=app_workers()[1],
        )
    )
    # A mask hint is no part of a sweep.
    of = {words: value for words, value in swept_scene(_panel(scene)).items() if words != HINT}
    scene.knobs.set({"sweep_of": None, STARTED: {"id": sweep.id, "of": of} | asdict(asked)})


def _draw_found(scene: Scene, asked: Asked, table: LiveTable) -> None:
    """What there is of a sweep that was started here."""
    refused, with_truth = _refused(scene, asked), scene.inputs.truth is not None
    found = {
        tuple(cell.params["window_sizes"]): outcome
        for index, cell in enumerate(table.cells)
        if (outcome := table.outcome(index)) is not None
    }
    rows = []
    for size, windows in asked.windows(scene.model.info.window_sizes).items():
        outcome = found.get(windows)
        if size in refused or (outcome is not None and outcome.status == "failed"):
            reason = refused.get(size) or (outcome.reason if outcome is not None else "")
            rows.append(refused_row(size, windows, reason, with_truth))
        elif outcome is not None:
            rows.append(row_of_run(size, windows, outcome.metrics, outcome.timings))
    if _run_rows(rows):
        _draw_rows(scene, rows, asked)


def _draw_rows(scene: Scene, rows: list[dict[str, Any]], asked: Asked) -> None:
    drawn, chosen = _run_rows(rows), scene.result.index()
    default, span = _default_window(drawn), (min(asked.sizes), max(asked.sizes))
    with st.container(key="row_sweep"):
        left, right = st.columns(2, gap="medium")
    with left:
        right_too = bool(drawn) and "true_iou_0" in drawn[0]
        st.markdown(f"**Masks**: IoU with those of the default windows{', and with the truth' if right_too else ''}")
        st.plotly_chart(sweep_iou_figure(drawn, chosen, default, span), key="sweep_chart", config=PLOT)
    with right:
        repeats = asked.repeats
        st.markdown(f"**Encode time**: {'one encoding' if repeats == 1 else f'median and range of {repeats}'}")
        st.plotly_chart(sweep_ms_figure(drawn, default, span), key="sweep_times", config=PLOT)
    st.caption(
        "Masks as the model gave them: edges are never refined here. Both axes begin where the values do. A sweep "
        "leaves a core to other visitors, so its times compare with each other and not with those above. Window sizes "
        "that can't be run are in the table, with the reason."
        + (" A mask hint is no part of a sweep." if scene.inputs.mask_hint is not None else "")
    )
    ious = (f"{name}_{index}" for name in ("iou", "true_iou") for index in range(4))
    decimals = three_decimals("drift", *ious)
    decimals |= {name: st.column_config.NumberColumn(format="%.1f") for name in TIMES}
    table_with_csv(rows, "window_sweep", decimals, height=300)


def draw_numbers(scene: Scene) -> None:
    names = "predicted_iou", "stability_score", "area_share", "iou_default", "default_predicted_iou"
    masks_table(scene.result.tables["masks"], *names, "true_iou", "default_true_iou")


PAGE = ExperimentPage(
    name="window-size",
    about=ABOUT,
    table=OnePicture(),
    knobs=(Windows(), Slider("repeats"), ColourScale(), Sweep(), Quiet("mask_index")),
    views={"Logits": draw_logits, "Original": draw_original, "Binary": draw_binary, "Drift": draw_drift},
    tabs={"Sweep": draw_sweep, "Numbers": draw_numbers},
    figures=figures,
    try_it=try_it,
    arrows=("window_1", "window_2"),
    summary=summary,
)
