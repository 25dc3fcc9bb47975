"""What the pages of sweeps stand on: tables that grow, tallies, paired differences, specs written out."""

import pytest

from samkit.work.sweep.live_table import LiveTable, cell_count, opened_sweep, tally
from samkit.work.sweep.paired import by_picture, mean_difference, pairs
from samkit.work.sweep.results import OUTCOMES
from samkit.work.sweep.spec import spec_from_text
from samkit.work.sweep.spec_text import spec_text
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
    found = pairs(rows(base), rows(tuned), "metric.true_iou")
    mean = mean_difference(found, seed=0)
    assert len(found) == CELLS and mean is not None and mean.pictures == 3
    assert mean.value == pytest.approx(0.02) and mean.low == pytest.approx(0.02) and mean.high == pytest.approx(0.02)
    assert mean_difference(found, 0, "large").cells == 4 and mean_difference(found, 0, "small") is None
    assert [each.cells for each in by_picture(found)] == [4, 4, 4]
    fewer = pairs(rows(base), rows(made_up_sweep("part", computed=3, failed=1)), "metric.true_iou")
    assert len(fewer) == 2, "a cell that failed has no pair"


def test_two_models_of_one_sweep_can_be_compared():
    both = rows(made_up_sweep("both", "nano-sam1, nano-sam2"))
    found = pairs(both, both, "metric.true_iou", ("nano-sam1", "nano-sam2"))
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
