"""The figures of compared runs: which axes there are."""

from types import SimpleNamespace

import pytest

from samkit.tracking.compare import Row
from samkit.ui.runs.compare_figures import MAX_AXES, parallel_figure


def labels(params: int, metrics: int) -> list[str]:
    names = "abcdefghijklmnop"
    rows = {
        kind: tuple(Row(f"{kind}_{names[i]}", (i, i + 1.5)) for i in range(count))
        for kind, count in (("param", params), ("metric", metrics))
    }
    comparison = SimpleNamespace(bundles=(None, None), circumstances=(), params=rows["param"], metrics=rows["metric"])
    return [axis.label for axis in parallel_figure(comparison).data[0].dimensions]


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
