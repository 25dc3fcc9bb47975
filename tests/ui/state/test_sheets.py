"""The sheets of one canvas: which report counts, and when the canvas is handed another sheet."""

import numpy as np
import pytest

from samkit.media.pictures import Picture
from samkit.prompts import MAX_PROMPTS, Prompts
from samkit.ui.state.sheets import SAME_PLACE_PX, CanvasSheets, Report, Sheet
from samkit.ui.state.workspace import Workspace

SIZE = (620, 413)
PICTURE = Picture(np.zeros((4, 6, 3), np.uint8), "blank")


def point(number: int) -> tuple[float, float, int]:
    """Points that all lie apart: no two numbers name the same place."""
    return (number % 40) / 40, (number // 40 % 26) / 26, number % 2


def box(number: int) -> tuple[float, float, float, float]:
    return 0.0, 0.0, 0.1 + (number % 40) / 50, 0.1 + (number // 40 % 26) / 50


def handed(canvas: CanvasSheets, prompts: Prompts = Prompts()) -> Sheet:
    return canvas.sheet_for(prompts)


def test_a_sheet_lasts_while_it_shows_the_list():
    canvas = CanvasSheets(*SIZE)
    sheet = handed(canvas)
    (prompts,) = canvas.take(Report(sheet.number, (point(1),)), Prompts())
    assert prompts == Prompts(points=[point(1)]) and canvas.sheet_for(prompts) is sheet
    *_, prompts = canvas.take(Report(sheet.number, (point(1), box(2), point(3))), prompts)
    assert prompts == Prompts([point(1), point(3)], [box(2)]) and canvas.sheet_for(prompts) is sheet
    other = canvas.sheet_for(Prompts([point(1)]))
    assert other.number > sheet.number and other.handed == Prompts([point(1)])


def test_each_shape_of_a_report_is_a_change_of_its_own():
    canvas = CanvasSheets(*SIZE)
    steps = canvas.take(Report(handed(canvas).number, (point(1), None, point(2))), Prompts())
    assert [prompts.count for prompts in steps] == [1, 2]


def test_a_late_or_repeated_report_brings_nothing_back_and_takes_nothing_away():
    canvas = CanvasSheets(*SIZE)
    old = handed(canvas)
    canvas.take(Report(old.number, (point(1),)), Prompts())
    new = canvas.sheet_for(Prompts([point(7)]))
    assert canvas.take(Report(old.number, (point(1),)), new.handed) == []
    (prompts,) = canvas.take(Report(old.number, (point(1), point(2))), new.handed)
    assert prompts == Prompts([point(7), point(2)]), "what was drawn late is kept, what was removed is not"
    assert canvas.take(Report(old.number, (point(1), point(2))), Prompts()) == []
    assert canvas.sheet_for(prompts) not in (old, new)


def test_a_report_of_another_visit_or_picture_is_nothing():
    canvas, other = CanvasSheets(*SIZE), CanvasSheets(*SIZE)
    handed(canvas)
    assert canvas.take(Report(handed(other).number, (point(1),)), Prompts()) == []


@pytest.mark.parametrize("stray", [None, (0.5, 0.5, 1), (0.1, 0.1, 0.4, 0.4)])
def test_a_shape_that_adds_nothing_makes_another_sheet_once(stray):
    canvas, prompts = CanvasSheets(*SIZE), Prompts([(0.5, 0.5, 1)], [(0.1, 0.1, 0.4, 0.4)])
    sheet = handed(canvas, prompts)
    assert canvas.take(Report(sheet.number, (stray,)), prompts) == []
    cleaned = canvas.sheet_for(prompts)
    assert cleaned is not sheet and cleaned.handed == prompts and canvas.sheet_for(prompts) is cleaned


def test_a_second_click_on_a_point_is_the_same_point_and_one_beside_it_or_of_the_other_label_is_not():
    canvas, prompts = CanvasSheets(*SIZE), Prompts([(0.5, 0.5, 1)])
    sheet, reach = handed(canvas, prompts), SAME_PLACE_PX / SIZE[0]
    assert canvas.take(Report(sheet.number, ((0.5 + 0.9 * reach, 0.5, 1),)), prompts) == []
    beside, other = (0.5 + 1.1 * reach, 0.5, 1), (0.5, 0.5, 0)
    *_, after = canvas.take(Report(sheet.number, (beside, other)), prompts)
    assert after.points == ((0.5, 0.5, 1), beside, other)


def test_a_full_list_takes_no_more():
    canvas, full = CanvasSheets(*SIZE), Prompts([point(number) for number in range(MAX_PROMPTS)])
    sheet = handed(canvas, full)
    assert canvas.take(Report(sheet.number, (point(MAX_PROMPTS),)), full) == []
    assert canvas.sheet_for(full) is not sheet


def test_a_canvas_built_anew_gets_the_list_where_its_sheet_does_not_hold_it():
    canvas = CanvasSheets(*SIZE)
    sheet = handed(canvas)
    canvas.mounted_again(sheet.number)
    assert canvas.sheet_for(Prompts()) is sheet, "nothing was drawn on it"
    (prompts,) = canvas.take(Report(sheet.number, (point(1),)), Prompts())
    canvas.mounted_again(sheet.number)
    assert canvas.take(Report(sheet.number, (point(1),)), prompts) == []
    assert canvas.sheet_for(prompts).handed == prompts


def test_a_report_that_lacks_what_was_drawn_takes_nothing_away():
    canvas = CanvasSheets(*SIZE)
    sheet = handed(canvas)
    (prompts,) = canvas.take(Report(sheet.number, (point(1),)), Prompts())
    (prompts,) = canvas.take(Report(sheet.number, (point(2),)), prompts)
    assert prompts == Prompts([point(1), point(2)]) and canvas.sheet_for(prompts) is not sheet


def test_what_was_drawn_on_the_picture_before_does_not_count():
    work = Workspace(PICTURE)
    canvas = work.canvases["canvas"] = CanvasSheets(*SIZE)
    report = Report(handed(canvas).number, (point(1),))
    work.show_picture(PICTURE, Prompts([point(2)]))
    work.draw("canvas", report)
    assert work.prompts == Prompts([point(2)])
    handed(work.canvases.setdefault("canvas", CanvasSheets(*SIZE)), work.prompts)
    work.draw("canvas", report)
    assert work.prompts == Prompts([point(2)])
