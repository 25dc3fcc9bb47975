"""The figures of compared runs: which axes there are, where the runs stand on them, and pictures of one size."""

from types import SimpleNamespace

import pytest

from samkit.tracking.compare import Row
from samkit.ui.runs.compare_figures import MAX_AXES, lines_figure, told_apart


def figure_of(params=(), metrics=()):
    count = len((*params, *metrics)[0].values)
    bundles = [SimpleNamespace(name=f"run {index}") for index in range(count)]
    return lines_figure(SimpleNamespace(bundles=bundles, circumstances=(), params=params, metrics=metrics))


def labels(params: int, metrics: int) -> list[str]:
    names = "abcdefghijklmnop"
    rows = {
        kind: tuple(Row(f"{kind}_{names[i]}", (i, i + 1.5)) for i in range(count))
        for kind, count in (("param", params), ("metric", metrics))
    }
    return list(figure_of(rows["param"], rows["metric"]).layout.xaxis.ticktext)


@pytest.mark.parametrize(
    ("params", "metrics", "shown"),
    [(12, 14, (5, 5)), (14, 3, (7, 3)), (2, 14, (2, 8)), (12, 0, (10, 0)), (0, 12, (0, 10)), (3, 4, (3, 4))],
)
def test_metrics_keep_their_half_of_the_axes(params, metrics, shown):
    shown_labels = labels(params, metrics)
    assert (
        sum(label.startswith("param") for label in shown_labels),
        sum(label.startswith("metric") for label in shown_labels),
    ) == shown and len(shown_labels) <= MAX_AXES


def test_a_missing_number_is_a_gap_and_its_axis_stays_one_of_numbers():
    rows = (Row("side", (None, 512, 1024)), Row("fit", ("native", None, "aspect")), Row("score", (0.25, 0.75, None)))
    figure = figure_of(rows)
    assert [line.y for line in figure.data] == [(None, 1, 0), (0, None, 1), (1, 0, None)]
    assert not any(line.connectgaps for line in figure.data)
    assert [note.text for note in figure.layout.annotations] == ["512", "1024", "aspect", "native", "0.25", "0.75"]
    assert "score: –" in figure.data[2].text


def test_lines_are_told_apart_without_colour():
    figure = figure_of((Row("a", tuple(range(12))), Row("b", tuple(range(12)))))
    looks = {(line.line.dash, line.marker.symbol) for line in figure.data}
    assert len(looks) == 12 and [line.name for line in figure.data][:2] == ["1 · run 0", "2 · run 1"]


def test_where_fewer_than_two_rows_differ_there_is_no_figure():
    assert figure_of((Row("a", (1, 2)), Row("b", (3, 3)))) is None


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["Mask stability, coffee, side 512 px", "Mask stability, coffee, mask 2"], ["side 512 px", "mask 2"]),
        (["Mask stability, coffee", "Mask stability, coffee, mask 2"], ["coffee", "coffee, mask 2"]),
        (["one", "one"], ["one", "one"]),
        (["a, b", "c, b"], ["a, b", "c, b"]),
        (["word " * 40, "other"], [f"{'word ' * 15}…", "other"]),
    ],
)
def test_a_line_is_named_by_what_tells_its_run_from_the_others(names, told):
    assert told_apart(names) == told
