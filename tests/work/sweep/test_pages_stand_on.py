"""What the pages of sweeps stand on: tables that grow, tallies, paired differences, specs written out."""

import pytest

from samkit.work.sweep.live_table import LiveTable, cell_count, opened_sweep, tally
from samkit.work.sweep.paired import Pair, by_picture, count_unpaired, from_best, mean_difference, paired
from samkit.work.sweep.results import OUTCOMES
from samkit.work.sweep.spec import spec_from_text
from samkit.work.sweep.spec_text import spec_text
from samkit.work.sweep.summary import FEWEST, summarize
from samkit.work.sweep.table import rows
from tests.work.sweep.made_up import made_up_sweep, outcome

CELLS = 3 * 2 * 2


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))


def test_a_table_grows_with_its_sweep_and_is_that_of_the_command_line():
    sweep = made_up_sweep("grows", computed=5, failed=2)
    table = LiveTable(opened_sweep(sweep.path))
    assert table.refresh() == 5 and table.refresh() == 0 and list(table.rows) == rows(sweep)
    assert (cell_count(sweep), tally(sweep.path).computed, tally(sweep.path).failed) == (CELLS, 5, 2)
    again = [outcome(cell) for cell in sweep.cells]
    with (sweep.path / OUTCOMES).open("ab") as file:
        file.write(again[0].line() + again[5].line() + again[6].line()[:20])
    assert table.refresh() == 2 and [row["status"] for row in table.rows].count("done") == 5, "half a line waits"
    with (sweep.path / OUTCOMES).open("ab") as file:
        file.write(again[6].line()[20:])
    assert table.refresh() == 1 and list(table.rows) == rows(sweep)
    assert (tally(sweep.path).computed, tally(sweep.path).failed) == (7, 1)
    assert table.index(sweep.cells[6].id) == 6 and table.outcome(6) == again[6] and table.index("none") is None


def test_cells_of_two_sweeps_are_paired_whatever_their_model():
    base, tuned = made_up_sweep("base"), made_up_sweep("tuned", "nano-sam1", better=0.02)
    found = paired(rows(base), rows(tuned), "metric.true_iou")[0]
    mean = mean_difference(found, seed=0)
    assert len(found) == CELLS and mean is not None and mean.pictures == 3
    assert mean.value == pytest.approx(0.02) and mean.low is None and "3 pictures or films are too few" in mean.too_few
    assert mean_difference(found, 0, "large").cells == 4 and mean_difference(found, 0, "small") is None
    assert [each.cells for each in by_picture(found)] == [4, 4, 4]
    part = rows(made_up_sweep("part", computed=3, failed=1))
    fewer = paired(rows(base), part, "metric.true_iou")[0]
    assert len(fewer) == 2, "a cell that failed has no pair"
    assert count_unpaired(rows(base), part, "metric.true_iou", ("", ""), fewer) == (CELLS - 2, 0)


def test_a_cell_that_was_opened_and_swept_again_is_paired_by_its_very_prompts_or_its_object():
    base = rows(made_up_sweep("base"))
    again = [
        row | {"prompts": "1 box", "case": "a photo's object", "metric.true_iou": row["metric.true_iou"] + 0.02}
        for row in base
        if row["prompts"] == "box" and row["picture"] == "coin#4"
    ]
    for row in again:
        row["used_prompts"] = row["used_prompts"].replace("0.1", "0.100001")
        row.setdefault("param.mask_index", None)
    defaults = {"side": None, "mask_index": None}
    found, way = paired(again, [row for row in base if row["prompts"] == "box"], "metric.true_iou", defaults=defaults)
    assert (len(found), way) == (2, "prompts") and all(pair.b - pair.a == pytest.approx(-0.02) for pair in found)
    assert paired(again, base, "metric.true_iou")[0] == [], "a parameter that only one of them has, and no default"
    moved = [row | {"used_prompts": ""} for row in again]
    assert paired(moved, base, "metric.true_iou", defaults=defaults) == ([], "cell"), "two kinds: which is meant?"
    inside = [row for row in base if row["prompts"] == "inside"]
    assert paired(moved, inside, "metric.true_iou", defaults=defaults)[1] == "object"


def by_side(pictures: int, gains: tuple[float, ...]) -> list[dict]:
    """Rows of a sweep over two sides: pictures differ far more than sides do, and the larger side gains a little."""
    return [
        {"picture": f"{at}", "case": f"{at}", "status": "done", "repeat": repeat, "param.side": side,
         "metric.true_iou": 0.1 * at + (gains[at % len(gains)] if side == 512 else 0.0)}
        for side in (256, 512)
        for at in range(pictures)
        for repeat in range(2 if side == 512 else 1)
    ]  # fmt: skip


def test_settings_are_compared_on_the_same_cases_and_not_by_their_own_intervals():
    table, best = by_side(8, (0.01, 0.02)), {"param.side": 512}
    small, large = (each.means["metric.true_iou"] for each in summarize(table, ["param.side"], 0))
    assert large.low < small.high, "the pictures differ so much that the settings' own intervals overlap"
    (found,) = from_best(table, ["param.side"], "metric.true_iou", best, 0)
    assert found.setting == {"param.side": 256} and found.told_apart and found.mean.cells == found.mean.pictures == 8
    assert found.mean.value == pytest.approx(0.015) and 0.0099 < found.mean.low < 0.015 < found.mean.high < 0.0201
    (found,) = from_best(by_side(8, (0.01, -0.01)), ["param.side"], "metric.true_iou", best, 0)
    assert found.told_apart is False and found.mean.low < 0 < found.mean.high
    assert from_best(table[:8], ["param.side"], "metric.true_iou", {"param.side": 256}, 0) == []


def test_so_few_pictures_have_no_interval():
    for count in (1, FEWEST - 1, FEWEST):
        table = by_side(count, (0.01,))
        means = [each.means["metric.true_iou"] for each in summarize(table, ["param.side"], 0)]
        (found,) = from_best(table, ["param.side"], "metric.true_iou", {"param.side": 512}, 0)
        for mean in (*means, found.mean):
            assert (mean.low is None) == (mean.high is None) == bool(mean.too_few) == (count < FEWEST)
            assert ("[" in mean.text) == (count >= FEWEST)
        assert (found.told_apart is None) == (count < FEWEST)


def test_pairs_of_one_folder_are_redrawn_together():
    alike = [Pair(f"{at}", f"{at}", "", at, at, 0.0, 0.1, "one folder") for at in range(9)]
    assert mean_difference(alike, 0).pictures == 1


def test_two_models_of_one_sweep_can_be_compared():
    both = rows(made_up_sweep("both", "nano-sam1, nano-sam2"))
    found = paired(both, both, "metric.true_iou", ("nano-sam1", "nano-sam2"))[0]
    assert len(found) == CELLS and all(both[pair.index_b]["model"] == "nano-sam2" for pair in found)


@pytest.mark.parametrize(
    "text",
    [
        "experiment: mask-stability\nmodels: nano-sam2\npictures: coffee\n",
        "experiment: window-size\nmodels: [nano-sam1, nano-sam2]\npictures: [coins, 'coin#4']\nprompts: [{truth: box, "
        "jitter: 5}, {truth: clicks, count: 3}]\nrepeats: 3\nparams: {window_sizes: [[8, 8, 8, 8], null], side: {from: "
        "256, to: 512, step: 128}}\nkeep: masks\nthreads: 1\n",
        "experiment: mask-stability\nmodels: nano-sam2\npictures: {files: a/*.png, masks: m, limit: 3}\nprompts: none\n"
        "zip: [{side: [256, 512], mask_index: [0, 1]}]\n",
    ],
)
def test_a_spec_written_out_says_the_same(text):
    spec = spec_from_text(text)
    assert spec_from_text(spec_text(spec)) == spec
