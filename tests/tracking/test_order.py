"""The order of a list of runs: by any metric or parameter, numbers by their size, those without a value last, and pages
that follow each other.
"""

from dataclasses import replace

import pytest

from samkit.experiments.mask_stability import Params
from samkit.experiments.result import higher
from samkit.tracking.bundle.bundle import write_bundle
from samkit.tracking.store.edit import delete_run
from samkit.tracking.store.search import Order, Query, search_runs
from samkit.tracking.store.store import RunStore
from tests.tracking.conftest import MODEL, made_up_result

RUNS = {
    "a": ({"predicted_iou": 0.5}, {"side": 1024}),
    "b": ({"predicted_iou": 0.9, "stability_score": 0.3}, {"side": 96, "stability_offset": 2.0}),
    "c": ({}, {}),
    "d": ({"predicted_iou": -2.0, "stability_at_2": 0.7}, {"side": 512, "fit": "aspect", "stability_offset": 2.0}),
    "e": ({"predicted_iou": 0.5}, {"side": 1024, "fit": "stretch"}),
}
"""Name -> metrics and parameters that are set, in the order of keeping."""


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> RunStore:
    folder = tmp_path_factory.mktemp("order")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMKIT_HOME", str(folder))
        store = RunStore(f"sqlite:///{folder / 'mlflow.db'}")
        for name, (metrics, params) in RUNS.items():
            result, inputs = made_up_result()
            result = replace(
                result, params=Params(**params), metrics={key: higher(value) for key, value in metrics.items()}
            )
            parts = dict(inputs=inputs, model_info=MODEL, device="cpu", dtype="float32")
            store.keep(write_bundle(folder / name, result=result, name=name, **parts))
    return store


def names(store: RunStore, order: Order, query: Query = Query(), size: int = 2) -> str:  # noqa: B008
    """Of all pages, one after the other."""
    seen, token = [], None
    while token is not None or not seen:
        page = search_runs(store, query, token, size, order)
        assert len(page.runs) == size or page.next is None
        seen += [run.name for run in page.runs]
        token = page.next
    return "".join(seen)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order(), "edcba"),
        (Order(descending=False), "abcde"),
        (Order("name", descending=False), "abcde"),
        (Order("metric", "predicted_iou"), "beadc"),
        (Order("metric", "predicted_iou", False), "deabc"),
        (Order("metric", "no such `metric"), "edcba"),
        (Order("param", "side"), "eadbc"),
        (Order("param", "side", False), "bdeac"),
        (Order("param", "fit", False), "dcbae"),
        (Order("param", "no_such"), "edcba"),
        # One was kept before the metric was called so.
        (Order("metric", "stability_at_2"), "dbeca"),
        (Order("metric", "stability_at_2", False), "bdeca"),
    ],
)
def test_runs_are_in_order_on_pages_of_any_size(store, order, expected):
    assert [names(store, order, size=size) for size in (1, 2, 5, 9)] == [expected] * 4


def test_a_search_narrows_what_is_sorted(store):
    query = Query(text="params.side = '1024'")
    assert names(store, Order("param", "fit"), query) == "ea" and names(store, Order("metric", "x"), query) == "ea"


def test_a_picture_that_is_looked_for_here_is_sorted_too(store):
    assert names(store, Order("param", "side", False), Query(picture="noise.png")) == "bdeac"


def test_what_is_deleted_meanwhile_is_left_out(store):
    first = search_runs(store, page=None, size=2, order=Order("param", "side"))
    gone = next(run for run in search_runs(store).runs if run.name == "d")
    delete_run(store, gone.run_id)
    try:
        assert [run.name for run in search_runs(store, page=first.next, size=2).runs] == ["b"]
    finally:
        store.client().restore_run(gone.run_id)
