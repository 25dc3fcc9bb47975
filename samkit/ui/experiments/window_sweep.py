"""Sweeps of window sizes on the Window size page: started there, and shown while they go on. They are sweeps like all
others; one that is part of a kept run is shown as that run has it.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from samkit.errors import BadInput
from samkit.experiments.result import Result
from samkit.experiments.window_size import (
    STAGES,
    TIMES,
    Params,
    padded_size,
    refusal,
    refused_row,
    row_of_run,
    swept_windows,
)
from samkit.ui.bench.page import Scene
from samkit.ui.bench.sweeping.draft import AtHand, Choices
from samkit.ui.bench.sweeping.page_sweep import find_page_sweep, follow_sweep, start_from_page, sweep_buttons
from samkit.ui.controls.knobs import Knob, Panel
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.figures import PLOT, OverWindows, readings_iou_figure, sweep_iou_figure, sweep_ms_figure
from samkit.ui.parts.tables import table_height, table_with_csv, three_decimals
from samkit.ui.state.sweep_standing import standing
from samkit.ui.state.sweeps import app_workers, live_table
from samkit.work.sweep.live_table import LiveTable
from samkit.work.sweep.results import SweepFolder

COMMON_SIZES = (2, 4, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 36, 48, 72)
ALL_STAGES = "All"
SWEPT = ("sweep_stage", "sweep_sizes", "sweep_repeats")
"""The parameters that say what is swept in a kept run that has a sweep."""
TURNS = (1, 3, 5, 9)
"""How many times each size may be encoded."""
IOU_PX, TIME_PX = 205, 180
"""Heights of the charts, which stand one above the other beside the picture."""
OPENED = "opened"
"""What a sweep of an opened run belongs to: the picture, prompts and settings that the page shows first."""
STARTED = "started_sweep"
"""Where the sweep that was started here is kept among the knobs."""
HINT = "another mask hint"


@dataclass(frozen=True)
class Sweep(Knob):
    """The sweep that is part of an opened run, as long as the page shows what it was made with. It has no widget."""

    def draw(self, panel: Panel) -> dict[str, Any]:
        knobs = panel.values
        scene = swept_scene(panel)
        if knobs.get("sweep_of") == OPENED:
            knobs.keep("sweep_of", scene)
        if knobs.get("sweep_of") != scene:
            # Of an opened run without a sweep all stays as it was; none is shown either way.
            kept = {} if knobs.base.get("sweep_sizes") else knobs.base
            return {name: kept.get(name, panel.info(name).default) for name in SWEPT}
        return {name: panel.value(name) for name in SWEPT}

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: params[name] for name in SWEPT}
        if not params["sweep_sizes"]:
            return values | {"sweep_of": None}
        values |= {"sweep_choice": str(params["sweep_stage"] or ALL_STAGES), "sweep_of": OPENED, STARTED: None}
        return values | ({"sweep_turns": params["sweep_repeats"]} if params["sweep_repeats"] in TURNS else {})


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
        "another reading of windows": "both" if panel.value("both_readings") else panel.value("window_reading"),
    }


def differing(before: Mapping[str, str], shown: Mapping[str, str]) -> str:
    """What is not the same in two `swept_scene`, in words; empty where they are the same. What `before` says nothing of
    makes no difference.
    """
    return " and ".join(words for words, value in before.items() if shown.get(words) != value)


def sweep_figures(result: Result[Any]) -> dict[str, go.Figure]:
    """Of a run that a sweep is part of."""
    if "sweep" not in result.tables:
        return {}
    rows = _run_rows(result.tables["sweep"])
    how = OverWindows(_default_window(rows))
    return {"sweep_iou": sweep_iou_figure(rows, result.index(), how), "sweep_ms": sweep_ms_figure(rows, how)}


def _run_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if not row["refused"]]


def _default_window(rows: list[dict[str, Any]]) -> int | None:
    """The default window of the swept stage; None where all stages were swept together."""
    return next((row["window"] for row in rows if row["drift"] == 0), None)


@dataclass(frozen=True)
class Asked:
    """A sweep as it was asked for, which is kept as plain values among the knobs.

    stage:    from 1; 0 for all of them
    readings: in which ways the model reads windows, one after the other
    """

    stage: int
    sizes: tuple[int, ...]
    repeats: int
    readings: tuple[str, ...] = ("step",)

    @classmethod
    def of(cls, started: Mapping[str, Any]) -> "Asked":
        """As it was kept."""
        readings = tuple(started.get("readings", ("step",)))
        return cls(started["stage"], tuple(started["sizes"]), started["repeats"], readings)

    def windows(self, own: Sequence[int]) -> dict[int, tuple[int, ...]]:
        """Each size with the windows of all stages. own: the model's"""
        return {size: swept_windows(own, self.stage, size) for size in self.sizes}


@dataclass(frozen=True)
class Known:
    """What the page knows of a sweep. sweep: the one that was started here, as long as it is there; asked: what was
    asked for; other: what the page shows that the sweep was not made with, in words
    """

    sweep: SweepFolder | None
    asked: Asked | None
    other: str


def _known(scene: Scene) -> Known:
    started = scene.knobs.get(STARTED)
    sweep = find_page_sweep(started["id"]) if started is not None else None
    before = scene.knobs.get("sweep_of") if sweep is None else started["of"]
    other = differing(before, swept_scene(_panel(scene))) if isinstance(before, dict) else ""
    return Known(sweep, None if sweep is None else Asked.of(started), other)


def draw_sweep(scene: Scene) -> None:
    """Start, follow and stop a sweep; its charts."""
    known, tables = _known(scene), scene.result.tables
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="sweep_tools"):
        asked = _sweep_tools(scene, known.sweep)
    if known.sweep is not None and known.asked is not None and _belongs(known, known.sweep):
        kept = known.asked
        follow_sweep(known.sweep, "window sizes", lambda table: _draw_charts(scene, _found(scene, kept, table), kept))
    elif known.sweep is None and "sweep" in tables:
        _draw_charts(scene, tables["sweep"], _of_run(scene))
    elif known.sweep is None and known.other:
        st.warning(f"This sweep used {known.other}: run it again.", icon=":material/difference:")
    elif known.sweep is None:
        where = f"stage {asked.stage}" if asked.stage else "all stages"
        st.info(
            f"A sweep encodes the picture with {len(asked.sizes)} window sizes in {where}, one after the other, and "
            "compares each with the default. It goes on while you look at other pages.",
            icon=":material/stacked_line_chart:",
        )


def _belongs(known: Known, sweep: SweepFolder) -> bool:
    """Whether there is something to show of it; says where it is of something else than the page."""
    if not known.other:
        return True
    running = standing(sweep).active
    said = f"The running sweep uses {known.other}." if running else f"This sweep used {known.other}: run it again."
    st.warning(said, icon=":material/difference:")
    return running


def draw_sweep_table(scene: Scene) -> None:
    """The rows behind the charts, as far as they are known when the page is drawn."""
    known, rows = _known(scene), list[dict[str, Any]]()
    if known.sweep is None:
        rows = scene.result.tables.get("sweep", [])
    elif known.asked is not None and not known.other:
        table = live_table(str(known.sweep.path))
        table.refresh()
        rows = _found(scene, known.asked, table)
    if not rows:
        st.info("The view **Sweep** has charts; their numbers show here.", icon=":material/stacked_line_chart:")
        return
    ious = (f"{name}_{index}" for name in ("iou", "true_iou") for index in range(4))
    decimals = three_decimals("drift", *ious)
    decimals |= {name: st.column_config.NumberColumn(format="%.1f") for name in TIMES}
    table_with_csv(rows, "window_sweep", decimals, height=table_height(len(rows), 300))
    st.caption(
        "Masks as the model gave them: edges are never refined here. A sweep leaves a core to other visitors, so its "
        "times compare with each other and not with those above. Window sizes that can't be run have the reason."
        + (" A mask hint is no part of a sweep." if scene.inputs.mask_hint is not None else "")
    )


def _of_run(scene: Scene) -> Asked:
    params = scene.result.params
    return Asked(params.sweep_stage, params.sweep_sizes, params.sweep_repeats, (params.window_reading,))


def _panel(scene: Scene) -> Panel:
    params = scene.result.params
    encoding = {"side": params.side, "fit": params.fit}
    return Panel(scene.knobs, Params, scene.model, scene.inputs, encoding)


def _sweep_tools(scene: Scene, sweep: SweepFolder | None) -> Asked:
    """What to sweep, and the buttons."""
    knobs = scene.knobs
    unused = scene.model.config.convolution_stages
    stages = [ALL_STAGES, *(str(stage) for stage in range(1, STAGES + 1) if stage not in unused)]
    with st.popover("Sizes", icon=":material/tune:", help="Which stage, which sizes, how often each"):
        stage = knobs.choose("Stage", "sweep_choice", stages, ALL_STAGES, help="All: every stage gets the same window")
        largest = scene.model.max_window
        usual = tuple(size for size in COMMON_SIZES if size <= largest)
        common = ", ".join(map(str, usual))
        every = knobs.toggle(f"All sizes from 1 to {largest}", "sweep_every", False, help=f"Off: {common}")
        help_text = "Of each size, for the median and range of its time"
        turns = knobs.choose("Repeats", "sweep_turns", TURNS, 3, help=help_text)
    sizes = tuple(range(1, largest + 1)) if every else usual
    params, readings = scene.result.params, scene.model.config.window_readings
    read = readings if params.both_readings else (params.window_reading,)
    asked = Asked(0 if stage == ALL_STAGES else int(stage), sizes, turns, read)
    now = standing(sweep) if sweep is not None else None
    running = now is not None and now.active
    if not running and st.button("Sweep", icon=":material/play_arrow:", type="primary", key="run_sweep"):
        with sentences():
            _start(scene, asked)
            st.rerun()
    if sweep is not None and now is not None:
        sweep_buttons(sweep, now)
    return asked


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
    read: Any = list(asked.readings) if len(asked.readings) > 1 else asked.readings[0]
    shown = {**_panel(scene).encoding, "window_reading": read}
    params |= {name: value for name, value in shown.items() if value != getattr(Params(), name)}
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


def _found(scene: Scene, asked: Asked, table: LiveTable) -> list[dict[str, Any]]:
    """The rows that there are of a sweep that was started here."""
    refused, with_truth = _refused(scene, asked), scene.inputs.truth is not None
    found = {
        (tuple(cell.params["window_sizes"]), cell.params.get("window_reading", "step")): outcome
        for index, cell in enumerate(table.cells)
        if (outcome := table.outcome(index)) is not None
    }
    rows = []
    each_way = itertools.product(asked.windows(scene.model.info.window_sizes).items(), asked.readings)
    for (size, windows), reading in each_way:
        outcome = found.get((windows, reading))
        read = {"reading": reading} if len(asked.readings) > 1 else {}
        if size in refused or (outcome is not None and outcome.status == "failed"):
            reason = refused.get(size) or (outcome.reason if outcome is not None else "")
            rows.append(read | refused_row(size, windows, reason, with_truth))
        elif outcome is not None:
            rows.append(read | row_of_run(size, windows, outcome.metrics, outcome.timings))
    return rows


def _draw_charts(scene: Scene, rows: list[dict[str, Any]], asked: Asked) -> None:
    """One above the other, at the same sizes."""
    drawn = _run_rows(rows)
    default, span = _default_window(drawn), (min(asked.sizes), max(asked.sizes))
    right_too = bool(drawn) and "true_iou_0" in drawn[0]
    st.markdown(f"**IoU** with the masks of the default windows{', and with the truth' if right_too else ''}")
    figure = readings_iou_figure if len(asked.readings) > 1 else sweep_iou_figure
    ious = figure(drawn, scene.result.index(), OverWindows(default, span, IOU_PX, titled=False))
    st.plotly_chart(ious, key="sweep_chart", config=PLOT)
    st.markdown(f"**Encode time**: {'one encoding' if asked.repeats == 1 else f'median and range of {asked.repeats}'}")
    one_way = [row for row in drawn if row.get("reading", asked.readings[0]) == asked.readings[0]]
    times = sweep_ms_figure(one_way, OverWindows(default, span, TIME_PX))
    st.plotly_chart(times, key="sweep_times", config=PLOT)
