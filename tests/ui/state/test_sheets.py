"""List and canvases as a state machine: whatever is drawn, undone, removed, loaded and looked at in whatever order, and
however late a canvas reports, the list is what the visitor meant, and the canvas comes to show it.
"""

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samkit.media.pictures import Picture
from samkit.media.samples import load_sample
from samkit.prompts import MAX_PROMPTS, Prompts
from samkit.ui.state.sheets import SAME_PLACE_PX, CanvasSheets, Report, Sheet
from samkit.ui.state.workspace import Workspace

SIZE = (620, 413)
PAGES = ("first", "second")


def point(number: int) -> tuple[float, float, int]:
    """Points that all lie apart: no two numbers name the same place."""
    return (number % 40) / 40, (number // 40 % 26) / 26, number % 2


def box(number: int) -> tuple[float, float, float, float]:
    return 0.0, 0.0, 0.1 + (number % 40) / 50, 0.1 + (number // 40 % 26) / 50


# One canvas


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


# Many of them, in any order


@dataclass
class Browser:
    """The canvas on the screen: what it was handed, and what was drawn on it since."""

    page: str
    sheet: int
    handed: Prompts
    drawn: list = field(default_factory=list)

    @property
    def shows(self) -> Prompts:
        points = [shape for shape in self.drawn if len(shape) == 3]
        boxes = [shape for shape in self.drawn if len(shape) == 4]
        return Prompts((*self.handed.points, *points), (*self.handed.boxes, *boxes))


class World:
    """A visitor, their browser, the server, and what is on its way between them. Each way keeps its order; a run of the
    server answers all that has arrived, as Streamlit does: reports first, for each edit looks at them first.
    """

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.work = Workspace(picture)
        self.page = PAGES[0]
        self.reported: dict[str, Report] = {}
        self.to_server: deque = deque()
        self.to_browser: deque = deque()
        self.edits = 0
        self.meant: list[Prompts] = [Prompts()]
        self.removed: set = set()
        self.browser = Browser("none", 0, Prompts())
        self._answer()
        self.arrive()

    # The server

    def serve(self, count: int) -> None:
        """A run that answers the next `count` messages."""
        for _ in range(min(count, len(self.to_server))):
            kind, *content = self.to_server.popleft()
            if kind == "report":
                self.reported[content[0]] = content[1]
            elif kind == "page":
                self._take()
                self.page = content[0]
                self.reported.pop(self.page, None)
                self.work.canvases.pop(self.page, None)
            elif kind == "mounted again":
                self.work.canvases[content[0]].mounted_again(content[1])
            else:
                self._take()
                content[0](self.work)
                self.work.edits += 1
        self._take()
        self._answer()

    def _take(self) -> None:
        for key, report in self.reported.items():
            self.work.draw(key, report)

    def _answer(self) -> None:
        canvas = self.work.canvases.setdefault(self.page, CanvasSheets(*SIZE))
        sheet = canvas.sheet_for(self.work.prompts)
        self.to_browser.append((self.page, sheet.number, sheet.handed, self.work.edits))

    # The browser

    def arrive(self) -> None:
        """What the server has sent reaches the browser, which draws another sheet only."""
        while self.to_browser:
            page, number, prompts, self.answered = self.to_browser.popleft()
            if (page, number) != (self.browser.page, self.browser.sheet):
                self.browser = Browser(page, number, prompts)

    @property
    def waits(self) -> bool:
        """Whether an edit is on its way: then the browser keeps a press back."""
        return self.answered != self.edits or bool(self.to_browser)

    def settle(self) -> None:
        while self.to_server or self.to_browser:
            self.serve(1)
            self.arrive()

    # The visitor

    def draw(self, shape, hurried: bool = False) -> None:
        if not hurried:
            while self.waits:
                self.serve(1)
                self.arrive()
        self.browser.drawn.append(shape)
        self.to_server.append(("report", self.browser.page, Report(self.browser.sheet, tuple(self.browser.drawn))))
        last = self.meant[-1]
        self.meant.append(last.with_point(*shape) if len(shape) == 3 else last.with_box(*shape))

    def edit(self, change, meant: list[Prompts]) -> None:
        self.edits += 1
        self.to_server.append(("edit", change))
        self.meant = meant

    def undo(self) -> None:
        self.edit(Workspace.undo, self.meant[:-1] or self.meant)

    def load(self, prompts: Prompts) -> None:
        unchanged = prompts == self.meant[-1]
        self.edit(lambda work: work.edit(prompts), self.meant if unchanged else [*self.meant, prompts])

    def remove(self, index: int) -> None:
        """By its chip: one of those that the list holds in the visitor's eyes."""
        every = [*self.meant[-1].points, *self.meant[-1].boxes]
        if not every:
            return
        gone = every[index % len(every)]
        self.removed.add(gone)

        def change(work: Workspace) -> None:
            work.edit(without(work.prompts, gone))

        self.edit(change, [*self.meant, without(self.meant[-1], gone)])

    def show_picture(self) -> None:
        """The same picture again, with prompts of its own, as the first try of a page has it."""
        prompts = Prompts([point(1039)])
        self.edit(lambda work: work.show_picture(self.picture, prompts), [prompts])

    def go(self, page: str) -> None:
        """To another page: nothing is drawn until it is there."""
        self.to_server.append(("page", page))
        self.settle()

    def build_anew(self) -> None:
        """The browser builds the canvas again with the sheet that it has."""
        self.browser.drawn = []
        self.to_server.append(("mounted again", self.browser.page, self.browser.sheet))


def without(prompts: Prompts, shape) -> Prompts:
    if shape in prompts.points:
        return prompts.without_point(prompts.points.index(shape))
    return prompts.without_box(prompts.boxes.index(shape)) if shape in prompts.boxes else prompts


@pytest.fixture(scope="module")
def picture() -> Picture:
    return load_sample("coffee")


whatever_order = {
    "draw": st.booleans(),
    "remove": st.integers(0, 20),
    "clear": st.none(),
    "load": st.integers(0, 5),
    "go": st.sampled_from(PAGES),
    "build anew": st.none(),
    "serve": st.integers(1, 4),
    "arrive": st.none(),
}


def actions(**kinds: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(st.one_of([st.tuples(st.just(kind), value) for kind, value in kinds.items()]), max_size=40)


def act(world: World, number: int, kind: str, value, hurried: bool = False) -> None:
    if kind == "draw":
        world.draw(box(number) if value else point(number), hurried)
    elif kind == "undo":
        world.undo()
    elif kind == "remove":
        world.remove(value)
    elif kind == "clear":
        world.load(Prompts())
    elif kind == "load":
        world.load(Prompts([point(900 + i) for i in range(value)]))
    elif kind == "show picture":
        world.show_picture()
    elif kind == "go":
        world.go(value)
    elif kind == "build anew":
        world.settle()
        world.build_anew()
    elif kind == "serve":
        world.serve(value)
    else:
        world.arrive()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(actions(**whatever_order, **{"undo": st.none(), "show picture": st.none()}))
def test_the_list_is_what_the_visitor_meant_and_the_canvas_shows_it(picture, steps):
    """With the browser's part played: a press is kept back while an edit is on its way."""
    world = World(picture)
    for number, (kind, value) in enumerate(steps):
        act(world, number, kind, value)
    world.settle()
    assert world.work.prompts == world.meant[-1]
    assert world.browser.shows == world.work.prompts


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(actions(**whatever_order))
def test_a_press_that_is_not_kept_back_is_drawn_and_brings_nothing_back(picture, steps):
    """On a sheet that may be old already: then list and canvas still agree in the end, what was drawn last is in the
    list, and what was removed is not.
    """
    world, drawn, last = World(picture), set(), None
    for number, (kind, value) in enumerate(steps):
        act(world, number, kind, value, hurried=True)
        if kind == "draw":
            last = box(number) if value else point(number)
            drawn.add(last)
        elif kind in ("remove", "clear", "load"):
            last = None
    world.settle()
    listed = {*world.work.prompts.points, *world.work.prompts.boxes}
    assert world.browser.shows == world.work.prompts
    assert not listed & world.removed & drawn
    assert last is None or last in listed
