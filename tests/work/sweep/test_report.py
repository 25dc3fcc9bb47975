"""The report of a sweep: everything a person asks for is in it, and nothing of a stranger's words runs in it."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from samkit.cli import app
from samkit.media.mask_files import mask_png
from samkit.work.sweep.cells import Cell
from samkit.work.sweep.compute import mask_file
from samkit.work.sweep.report.charts import Series, chart
from samkit.work.sweep.report.figures import better_end, title, value_text
from samkit.work.sweep.report.page import make_report
from samkit.work.sweep.results import Outcome, SweepFolder
from samkit.work.sweep.summary import Mean
from tests.work.sweep import tiny

HOSTILE = '<img src=x onerror=alert(1)>"'
SPEC = tiny.SPEC.replace("[null, 0]", "[0, 1]") + f"keep: masks\nname: '{HOSTILE} sides'\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / "home"))
    (tmp_path / "files").mkdir()
    return tiny.make_files(tmp_path / "files")


def made_up(sweep: SweepFolder, cell: Cell, number: int) -> Outcome:
    """As if it had been computed; cells of mask_index 1 are better."""
    iou = 0.5 + 0.4 * cell.params["mask_index"] + 0.01 * (number % 3)
    size = "small" if number % 3 else "medium"
    mask = np.zeros((40, 60), bool)
    mask[:20] = True
    file = mask_file(sweep.path, cell.id)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(mask_png(mask))
    return Outcome(
        cell.id,
        "done",
        run=f"{number:032x}",
        metrics={"true_iou": iou, "predicted_iou": 0.7, "area_px": 12.0},
        facts={"size": size, "true_area_px": 700},
        timings={"encode_ms": 10.0 + number},
        prompts={"points": [[0.5, 0.5, 1]], "boxes": [[0.1, 0.1, 0.8, 0.9]]},
        encoded=(f"key{number}",) if number % 2 else (),
        seconds=0.5,
    )


def fill(sweep: SweepFolder, failed: int = 1) -> SweepFolder:
    """Outcomes for all cells; the last ones failed."""
    with sweep.running() as file:
        for number, cell in enumerate(sweep.cells):
            outcome = made_up(sweep, cell, number)
            if number >= len(sweep.cells) - failed:
                outcome = replace(Outcome(cell.id, "failed", f"No room. {HOSTILE}"), seconds=0.1)
            file.add(outcome)
    return sweep


def test_a_report_says_what_came_out_and_needs_no_network(folder):
    text = make_report(fill(tiny.sweep(folder, SPEC)))
    plain = re.sub("<[^>]*>", " ", text)
    for said in ("What was swept", "Best settings", "Means by setting", "By size of the object", "Over mask index",
                 "Over prompts", "What failed", "Where it came out worst", "No room."):  # fmt: skip
        assert said in plain, said
    assert "2 pictures or films are too few for an interval" in plain and " to 0" not in plain
    assert f"{tiny.CELLS - 1}" in plain and "box; mask index 1" in plain
    assert text.count("<svg") == 2 * 3, "a chart for each swept thing and each of true_iou, predicted_iou, encode_ms"
    assert "mask, truth outlined" in plain and text.count("data:image/webp;base64,") == 3 * 3
    assert not re.search(r"(src|href)=\"(?!data:)", text) and "http" not in text.replace("http-equiv", "")


def test_no_word_of_a_stranger_is_markup(folder):
    text = make_report(fill(tiny.sweep(folder, SPEC)))
    assert "<img src=x" not in text and "&lt;img src=x onerror=alert(1)&gt;&quot;" in text
    assert "<script" not in text


def test_what_is_not_there_is_left_out(folder):
    empty = tiny.sweep(folder, SPEC)
    assert "No cell has been computed yet" in make_report(empty)
    filled = fill(empty, failed=0)
    (folder / "photos" / "0.png").unlink()
    Image.new("RGB", (10, 10)).save(folder / "photos" / "1.png")
    text = make_report(filled)
    assert "What failed" not in text and text.count("can’t be shown") == 1
    assert text.count("data:image/webp") == 2, "another picture of that name: no truth and no mask lies on it"


def test_the_command_writes_the_report(folder, tmp_path):
    sweep = fill(tiny.sweep(folder, SPEC), failed=0)
    out = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["sweep", "report", sweep.id, "--out", str(out)])
    assert result.exit_code == 0 and out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not out.with_name("report.html.part").exists()
    shown = CliRunner().invoke(app, ["sweep", "show", sweep.id]).output
    assert "Means without an interval: 2 pictures or films are too few" in shown and "[" not in shown


def test_charts_stand_numbers_where_they_are_and_words_side_by_side():
    means = {value: Mean(value / 100, value / 100 - 0.1, value / 100 + 0.1, 3, 2) for value in (1, 2, 10)}
    drawn = chart("IoU", "side", [1, 2, 10], [Series("", means)])
    first, second, third = (float(x) for x in re.findall(r'circle cx="([\d.]+)"', drawn))
    assert (third - first) == pytest.approx(9 * (second - first), rel=0.01) and "polyline" in drawn
    words = chart("IoU", "model", ["a", "b<"], [Series("", {"a": means[1], "b<": means[2]})])
    assert "polyline" not in words and "b&lt;" in words
    flat = chart("IoU", "side", [1, 2], [Series("", {1: Mean(0.5, 0.5, 0.5, 1, 1), 2: Mean(0.5, None, None, 1, 1)})])
    assert "nan" not in flat and flat.count("<circle") == 2
    assert chart("IoU", "side", [1], [Series("", {1: Mean(float("nan"), None, None, 1, 1)})]) == ""


def test_words_of_figures():
    assert title("metric.true_iou") == "true IoU" and title("time.encode_ms") == "encode, ms"
    assert value_text([8, 8]) == "8, 8" == value_text("[8, 8]") and value_text(None) == "auto"
    assert better_end("metric.true_iou") == "higher" and better_end("time.encode_ms") == "lower"
    assert better_end("metric.predicted_iou_error") == "lower" and better_end("metric.area_px") is None
