"""Charts show every value: lone points have a dot, one axis a chart, and axes that begin where values do."""

import pytest

from samkit.ui.parts.figures import (
    LONE_PX,
    TOOLBAR_PX,
    OverWindows,
    curves_figure,
    histogram_figure,
    lone_points,
    sweep_iou_figure,
    sweep_ms_figure,
)
from samkit.ui.parts.plain_figures import rebuilt_figure
from samkit.ui.parts.sweep_figures import heat_figure


def sweep(window: int, iou: float, ms: tuple[float, float, float]) -> dict:
    times = dict(zip(("encode_ms_low", "encode_ms", "encode_ms_high"), ms, strict=True))
    return {"window": window} | times | {f"iou_{index}": iou for index in range(4)}


ROWS = [sweep(4, 0.9, (90, 100, 140)), sweep(8, 1.0, (70, 80, 85))]


def test_a_value_between_gaps_is_lone():
    nan = float("nan")
    assert lone_points([None, 0.5, None, 0.2, 0.3]) == [1] and lone_points([0.5]) == [0]
    assert lone_points([nan, 0.5, nan]) == [1] and lone_points([0.1, 0.2]) == lone_points([]) == []


def test_a_lone_point_gets_a_dot_and_others_none():
    values = [None, 0.5, None, 0.2, 0.3]
    rows = [{"block": index, "similarity": value} for index, value in enumerate(values)]
    (trace,) = curves_figure(rows, "block", {"similarity": "cosine"}, "similarity", "block", "cosine", {}).data
    assert trace.mode == "lines+markers" and list(trace.marker.size) == [0, LONE_PX, 0, 0, 0]
    (line,) = curves_figure(rows[3:], "block", {"similarity": "cosine"}, "similarity", "block", "cosine", {}).data
    assert line.mode == "lines"


def test_the_ious_of_a_sweep_have_an_axis_of_their_own():
    figure = sweep_iou_figure(ROWS, 1, OverWindows(8))
    low, high = figure.layout.yaxis.range
    assert 0.85 < low < 0.9 and 1 < high < 1.02 and len(figure.data) == 4 and figure.layout.annotations[0].x == 8
    assert not any(trace.yaxis for trace in figure.data)


def test_a_curve_that_grows_stays_where_it_is():
    figures = [sweep_ms_figure(ROWS[:count], OverWindows(None, (2, 32))) for count in (1, 2)]
    assert figures[0].layout.xaxis.range == figures[1].layout.xaxis.range and figures[0].layout.xaxis.range[0] < 2


def test_a_time_of_a_sweep_has_its_range():
    (trace,) = sweep_ms_figure(ROWS, OverWindows(None)).data
    assert list(trace.y) == [100, 80]
    assert list(trace.error_y.array) == [40, 5] and list(trace.error_y.arrayminus) == [10, 10]


@pytest.mark.parametrize(
    "figure",
    [
        histogram_figure([1.0, 2.0], "x", "y"),
        curves_figure([{"x": 1, "y": 2}], "x", {"y": "y"}, "y", "x", "y", {1.0: "cut"}),
        heat_figure(["a"], ["b"], [[1.0]], ("x", "y", "z")),
    ],
    ids=["plain", "marked", "sweep"],
)
def test_the_toolbar_has_room_of_its_own_and_no_ground_in_either_theme(figure):
    assert figure.layout.modebar.bgcolor == "rgba(0,0,0,0)" and "128,128,128" in figure.layout.modebar.color
    assert figure.layout.margin.t >= TOOLBAR_PX


def test_a_kept_figures_toolbar_is_that_of_the_page():
    kept = histogram_figure([1.0, 2.0], "x", "y").to_plotly_json()
    shown = rebuilt_figure(kept["data"], kept["layout"] | {"modebar": {"bgcolor": "black", "remove": ["zoom"]}})
    assert shown.layout.modebar.bgcolor == "rgba(0,0,0,0)" and not shown.layout.modebar.remove
