"""What the Window size page draws: its knobs, its main picture, the sweep, and the figures kept with a run."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.params import build_params
from samkit.experiments.result import Result
from samkit.experiments.window_size import (
    LOGIT_RANGE,
    MAX_REPEATS,
    MAX_WINDOW,
    STAGES,
    Params,
    WindowSweep,
    padded_size,
    refusal,
)
from samkit.ui.bench.workbench import Scene
from samkit.ui.controls.token_map import TokenMap, map_view
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.figures import map_figure, plain_colorscale, sweep_figure
from samkit.ui.parts.inline_image import inline_image
from samkit.ui.parts.tables import table_with_csv
from samkit.ui.state.encodings import encoding_cache
from samkit.ui.state.jobs import job_queue
from samkit.ui.state.last_few import LastFew
from samkit.work.queue import PAUSED, BackgroundJob

VIEWS = ("Logits", "Original", "Binary", "Drift")
PLOT = {"displaylogo": False}
COMMON_SIZES = (2, 4, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
ALL_STAGES = "All"
POLL_S = 0.5
_JOB = "samkit.window_sweep"
OPENED = "opened"
"""What a sweep of an opened run belongs to: the picture, prompts and settings that the page shows first."""


def stores() -> dict:
    """What runs on this page keep for each other: milliseconds of encodings, rows of sweeps, and masks."""
    kept = {name: st.session_state.setdefault(f"samkit.windows.{name}", {}) for name in ("times", "known")}
    return kept | {"predicted": st.session_state.setdefault("samkit.windows.predicted", LastFew())}


def swept_scene(scene: Scene, repeats: int) -> dict:
    """What a sweep depends on, each under the words for a sweep that was made with something else there."""
    model, work = scene.model, scene.work
    return {
        "another model": model.info.sha256,
        "another device": model.device,
        "another number type": model.dtype,
        "another picture": work.picture.sha256,
        "other prompts": work.prompts,
        "another side": scene.encoding["side"],
        "another fit": scene.encoding["fit"],
        "another number of repeats": repeats,
    }


def made_with(made: dict, shown: dict) -> str:
    """What is not the same in two `swept_scene`, in words; empty where they are the same."""
    return " and ".join(words for words, value in shown.items() if made[words] != value)


def draw_knobs(scene: Scene) -> dict:
    """The experiment's parameters by name. Windows that can't be run are refused here, and the model's own are shown in
    their place.
    """
    knobs, model = scene.knobs, scene.model
    own = model.info.window_sizes
    size = padded_size(model, scene.inputs, build_params(Params, scene.encoding))
    for stage, (window, blocks) in enumerate(zip(own, model.info.blocks_per_stage, strict=True), start=1):
        # A text that also told which are impossible would change with the other stages' windows, and the browser knows
        # a slider's value by its text.
        text = {n: f"{n}, default" if n == window else str(n) for n in range(1, MAX_WINDOW + 1)}
        label = f"Stage {stage} · {blocks} block{'s' if blocks > 1 else ''} · default {window}"
        knobs.step(
            label,
            f"window_{stage}",
            list(text),
            window,
            format_func=text.get,
            help="Side of the windows, in tokens; global blocks have none",
        )
    chosen = tuple(int(knobs.get(f"window_{stage}")) for stage in range(1, STAGES + 1))
    with st.container(horizontal=True, vertical_alignment="center"):
        reset = {f"window_{stage}": window for stage, window in enumerate(own, start=1)}
        st.button(
            "Default windows",
            icon=":material/restart_alt:",
            key="windows_default",
            on_click=knobs.set,
            args=(reset,),
            disabled=chosen == own,
        )
    reason = refusal(model, chosen, size)
    if reason:
        st.error(f"{reason} Shown are the model's own windows.", icon=":material/block:")
    often = "Each setting is encoded so often, and its time is the median: a busy machine fools nobody"
    repeats = knobs.slider("Repeats", "repeats", 1, MAX_REPEATS, 1, 1, help=often)
    told = knobs.base.get("window_sizes")
    if told is not None and len(told) != len(own):
        knobs.move("window_sizes", own, f"this model has {len(own)} stages, and so many windows")
    values = {
        "window_sizes": None if reason or chosen == own != told else chosen,
        "repeats": repeats,
        "colormap": knobs.colormap(),
    }
    if knobs.get("sweep_of") == OPENED:
        knobs.keep("sweep_of", swept_scene(scene, repeats))
    swept = knobs.get("sweep_of") == swept_scene(scene, repeats)
    return values | {
        "sweep_stage": knobs.get("sweep_stage", 0) if swept else 0,
        "sweep_sizes": knobs.get("sweep_sizes", ()) if swept else (),
    }


def restore(params: dict) -> dict:
    """A kept run's parameters -> values of the knobs that make them."""
    windows = params["window_sizes"] or ()
    values = {
        f"window_{stage}": windows[stage - 1] if len(windows) == STAGES else None for stage in range(1, STAGES + 1)
    }
    values |= {
        "window_sizes": params["window_sizes"],
        "sweep_choice": str(params["sweep_stage"] or ALL_STAGES),
        "sweep_of": OPENED,
    }
    return values | {name: params[name] for name in ("repeats", "colormap", "sweep_stage", "sweep_sizes")}


def draw_main(result: Result, scene: Scene) -> None:
    """The view switch, the chosen view, and the setting in one line."""
    view = scene.knobs.choose("View", "view", list(VIEWS), VIEWS[0], label_visibility="collapsed")
    if view == "Logits":
        logits = result.arrays["picture_logits"][int(result.metrics["mask_index"])].astype(np.float32)
        map_view(scene.knobs, "logits", TokenMap("Logits", logits), unit="", colormap=result.params.colormap)
    elif view == "Drift":
        shown = TokenMap("Drift", result.arrays["drift_map"])
        map_view(scene.knobs, "drift", shown, unit="", colormap=result.params.colormap)
        st.caption("How far each token of the features is from where it is with the default windows (L2).")
    else:
        inline_image(
            result.images[view.lower()], f"{view} view of the chosen mask", "samkit-figure", lossless=view == "Binary"
        )
    st.caption(summary(result))


def summary(result: Result) -> str:
    """The setting in one line."""
    metrics, timings = result.metrics, result.timings
    windows = " ".join(f"{metrics[f'window_{stage}']:.0f}" for stage in range(1, STAGES + 1))
    measured = "measured once, the first time" if result.params.repeats == 1 else f"median of {result.params.repeats}"
    if result.params.window_sizes is None:
        return f"windows {windows}, the default · encoded in {timings['encode_ms']:.0f} ms ({measured})"
    ratio = f": {timings['encode_ms'] / max(timings['default_encode_ms'], 1e-9):.2f} times"
    if result.params.repeats == 1:
        ratio, measured = "", "each measured once, the first time: set Repeats higher to compare"
    return (
        f"windows {windows} · encoded in {timings['encode_ms']:.0f} ms, the default in "
        f"{timings['default_encode_ms']:.0f} ms{ratio} "
        f"({measured}) · IoU with the default's mask {metrics['iou_default']:.3f} · encoding drifts by "
        f"{100 * metrics['drift']:.1f} %"
    )


def logits_figure(result: Result) -> go.Figure:
    logits = result.arrays["picture_logits"][int(result.metrics["mask_index"])]
    return map_figure(
        logits,
        result.masks["chosen"].shape,
        -LOGIT_RANGE,
        LOGIT_RANGE,
        plain_colorscale(result.params.colormap),
        "logit",
    )


def figures(result: Result) -> dict:
    made = {"logits": logits_figure(result)}
    if "sweep" in result.tables:
        made["sweep"] = sweep_figure(
            _run_rows(result.tables["sweep"]), int(result.metrics["mask_index"]), _default_window(result)
        )
    return made


def _run_rows(rows: list[dict]) -> list[dict]:
    return [row for row in rows if not row["refused"]]


def _default_window(result: Result) -> int | None:
    """The default window of the swept stage; None where all stages were swept together."""
    same = [row for row in _run_rows(result.tables["sweep"]) if row["drift"] == 0]
    return same[0]["window"] if same else None


def draw_sweep(result: Result, scene: Scene) -> None:
    """Start, follow and stop a sweep; then its chart and table."""
    knobs, job, shown = scene.knobs, st.session_state.get(_JOB), swept_scene(scene, result.params.repeats)
    stages = [ALL_STAGES, *map(str, range(1, STAGES + 1))]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="sweep_tools"):
        stage = knobs.choose("Stage", "sweep_choice", stages, ALL_STAGES, help="All: every stage gets the same window")
        every = knobs.toggle(
            "All sizes from 1 to 32", "sweep_every", False, help=f"Off: {', '.join(map(str, COMMON_SIZES))}"
        )
        sizes = tuple(range(1, MAX_WINDOW + 1)) if every else COMMON_SIZES
        values = scene.encoding | {
            "sweep_stage": 0 if stage == ALL_STAGES else int(stage),
            "sweep_sizes": sizes,
            "repeats": result.params.repeats,
        }
        params = build_params(Params, values)
        busy = job is not None and job.active
        st.button(
            "Sweep",
            icon=":material/play_arrow:",
            type="primary",
            key="sweep_run",
            disabled=busy,
            on_click=_start,
            args=(scene, params),
        )
        if job is not None:
            paused = job.state == PAUSED
            st.button("Stop", icon=":material/stop:", key="sweep_stop", disabled=not busy, on_click=job.pause)
            st.button("Go on", icon=":material/resume:", key="sweep_resume", disabled=not paused, on_click=job.resume)
            st.button(
                "Show these",
                icon=":material/done:",
                key="sweep_finish",
                disabled=not (paused and job.run and job.run.done),
                on_click=job.finish_here,
            )
    if job is not None and job.result is None:
        if other := made_with(job.scene, shown):
            st.warning(
                f"The sweep under way is made with {other}: it is no part of the run that is shown and kept.",
                icon=":material/difference:",
            )
        _follow(job)
    elif job is not None and not job.active:
        _take(scene, job, "sweep" in result.tables and job.scene != shown)
    if "sweep" in result.tables:
        _draw_rows(result)
    elif job is None and knobs.get("sweep_sizes") and (other := made_with(knobs.get("sweep_of"), shown)):
        st.warning(f"This sweep was made with {other}: run it again.", icon=":material/difference:")
    elif job is None:
        st.info(
            "A sweep encodes the picture with one window size after the other and compares each with the default.",
            icon=":material/stacked_line_chart:",
        )


def _start(scene: Scene, params: Params) -> None:
    kept, inputs = {name: store for name, store in stores().items() if name != "predicted"}, scene.inputs
    encode = encoding_cache().encode
    job = BackgroundJob(lambda: WindowSweep(scene.model, inputs, params, encode, **kept), job_queue(), "Encoding")
    job.scene = swept_scene(scene, params.repeats)
    st.session_state[_JOB] = job


def _take(scene: Scene, job: BackgroundJob, outdated: bool) -> None:
    """A finished sweep becomes the page's, and is part of its run as long as that is of the same picture, prompts and
    settings.

    outdated: the page shows a sweep of its own run by now, a kept one that was opened meanwhile, and this one is of
              another
    """
    done = job.result.params
    st.session_state[_JOB] = None
    if not outdated:
        scene.knobs.set({"sweep_of": job.scene, "sweep_stage": done.sweep_stage, "sweep_sizes": done.sweep_sizes})
    st.rerun()


def _follow(job: BackgroundJob) -> None:
    """Progress, drawn anew twice a second; the whole page when the job changes its state."""
    state = job.state

    @st.fragment(run_every=POLL_S if job.active else None)
    def poll() -> None:
        with sentences():
            if job.error:
                st.error(job.error, icon=":material/error:")
                return
            run = job.run
            share = run.done / max(1, len(run.params.sweep_sizes)) if run else 0.0
            st.progress(
                min(1.0, share), text=f"Stopped after {run.done} sizes" if job.state == PAUSED and run else job.line
            )
        if job.state != state or job.result is not None:
            st.rerun()

    poll()


def _draw_rows(result: Result) -> None:
    rows, mask = result.tables["sweep"], int(result.metrics["mask_index"])
    st.plotly_chart(sweep_figure(_run_rows(rows), mask, _default_window(result)), key="sweep_chart", config=PLOT)
    st.caption(
        "IoU with the masks of the default windows, as the model gave them (edges are never refined here), and the "
        "encode time. "
        "A sweep leaves a core to other visitors, so its times compare with each other and not with those above. "
        "Window sizes that can't be run are in the table, with the reason."
    )
    decimals = {
        name: st.column_config.NumberColumn(format="%.3f") for name in ("drift", *(f"iou_{i}" for i in range(4)))
    }
    decimals["encode_ms"] = st.column_config.NumberColumn(format="%.1f")
    table_with_csv(rows, "window_sweep", decimals, height=300)


def draw_numbers(result: Result, scene: Scene) -> None:
    names = ("predicted_iou", "stability_score", "area_share", "iou_default", "default_predicted_iou")
    st.dataframe(
        result.tables["masks"],
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.3f") for name in names},
    )
