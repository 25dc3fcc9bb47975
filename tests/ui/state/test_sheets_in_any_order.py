"""List and canvases as a state machine: whatever is drawn, undone, removed, loaded and looked at in whatever order, and
however late a canvas reports, the list is what the visitor meant, and the canvas comes to show it.
"""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from samkit.prompts import Prompts
from samkit.ui.state.sheets import CanvasSheets, Report
from samkit.ui.state.workspace import Workspace
from tests.ui.state.test_sheets import PICTURE, SIZE, box, point

PAGES = ("first", "second")


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
    """A visitor, their browser, the server, and what is on its way between them. Each way keeps its order, but a run of
    the server that answers several messages knows no order between reports and edits, as one of Streamlit's does not:
    reports come first.
    """

    def __init__(self) -> None:
        self.work = Workspace(PICTURE)
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

    def serve(self, count: int) -> None:
        """A run that answers the next `count` messages."""
        messages = [self.to_server.popleft() for _ in range(min(count, len(self.to_server)))]
        for kind, *content in messages:
            if kind == "report":
                self.reported[content[0]] = content[1]
        for kind, *content in messages:
            self._take()
            if kind == "page":
                self.page = content[0]
                self.reported.pop(self.page, None)
                self.work.canvases.pop(self.page, None)
            elif kind == "mounted again":
                self.work.canvases[content[0]].mounted_again(content[1])
            elif kind == "edit":
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
        self.edit(lambda work: work.show_picture(PICTURE, prompts), [prompts])

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


@settings(max_examples=300)
@given(actions(**whatever_order, **{"undo": st.none(), "show picture": st.none()}))
def test_the_list_is_what_the_visitor_meant_and_the_canvas_shows_it(steps):
    """With the browser's part played: a press is kept back while an edit is on its way."""
    world = World()
    for number, (kind, value) in enumerate(steps):
        act(world, number, kind, value)
    world.settle()
    assert world.work.prompts == world.meant[-1]
    assert world.browser.shows == world.work.prompts


@settings(max_examples=300)
@given(actions(**whatever_order | {"serve": st.just(1)}))
def test_a_press_that_is_not_kept_back_is_drawn_and_brings_nothing_back(steps):
    """On a sheet that may be old already: then list and canvas still agree in the end, what was drawn last is in the
    list, and what was removed is not, if the server answers one message at a time.
    """
    world, drawn, last = World(), set(), None
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
