"""What each canvas shows of the list of prompts, as numbered sheets. Pure: no Streamlit, no pixels of a drawing.

The list of prompts is the truth, and a canvas reports late: a drawing that arrives may have been made before the list
was changed. So every drawing handed to a canvas is a sheet with a number of its own, and a report says which sheet it
was drawn on. Three rules hold list and canvas together, in whatever order edits and reports arrive:

- A shape is judged once on its sheet. So no report, however late or often repeated, brings back what was removed.
- A report only adds. So none takes away what came to the list in the meantime.
- A sheet that does not show exactly the list is followed by another one. So the canvas comes to show the list, and a
  shape that is no prompt vanishes.
"""

import itertools
import math
import secrets
from dataclasses import dataclass, field

from samkit.prompts import MAX_PROMPTS, Box, Point, Prompts

SAME_PLACE_PX = 6.0
"""A point this near to another one of its label, in pixels of the canvas, is the same point clicked again."""
SHEETS_REMEMBERED = 64
"""Of a canvas. Reports are late by a few sheets at most."""

_numbers = itertools.count(secrets.randbits(40))
"""Never used twice, not even by a server that was started anew while a browser stayed open."""

Drawn = Point | Box


@dataclass(frozen=True)
class Report:
    """What a visitor has drawn on a sheet so far, in the order of drawing. None stands for a shape that is no prompt,
    such as the box of a mere click.
    """

    sheet: int
    drawn: tuple[Drawn | None, ...]


@dataclass
class Sheet:
    """
    handed: the prompts that the canvas was handed with it
    judged: what was drawn on it -> whether that became a prompt
    exact:  whether it shows these prompts and nothing else, as far as was reported
    """

    number: int
    handed: Prompts
    judged: dict[Drawn, bool] = field(default_factory=dict)
    exact: bool = True

    @property
    def shows(self) -> Prompts:
        """What was handed over, and what of the shapes drawn since became a prompt."""
        taken = [shape for shape, is_prompt in self.judged.items() if is_prompt]
        points = [shape for shape in taken if len(shape) == 3]
        boxes = [shape for shape in taken if len(shape) == 4]
        return Prompts((*self.handed.points, *points), (*self.handed.boxes, *boxes))


@dataclass
class CanvasSheets:
    """The sheets of one canvas from when it appears on the screen until it leaves it. width, height: in pixels."""

    width: int
    height: int
    sheets: dict[int, Sheet] = field(default_factory=dict)
    last_report: Report | None = None
    last_sent: tuple[int, str] | None = None
    arrivals: int = 0

    def sheet_for(self, prompts: Prompts) -> Sheet:
        """The sheet to hand to the canvas: the last one if it shows exactly these prompts, else another one."""
        if self.sheets:
            last = next(reversed(self.sheets.values()))
            if last.exact and last.shows == prompts:
                return last
        sheet = Sheet(next(_numbers), prompts)
        self.sheets[sheet.number] = sheet
        while len(self.sheets) > SHEETS_REMEMBERED:
            del self.sheets[next(iter(self.sheets))]
        return sheet

    def arrival_of(self, sheet: Sheet, tool: str) -> int:
        """Counts what the canvas is sent: another number for each other sheet or tool."""
        if self.last_sent != (sheet.number, tool):
            self.last_sent = sheet.number, tool
            self.arrivals += 1
        return self.arrivals

    def take(self, report: Report, prompts: Prompts) -> list[Prompts]:
        """The list after each prompt that the report adds to it, one longer each time; none for a report that was taken
        before, or that belongs to a sheet of another picture or visit.
        """
        sheet = self.sheets.get(report.sheet)
        if sheet is None or report == self.last_report:
            return []
        self.last_report = report
        steps = []
        for shape in report.drawn:
            if shape is None or shape in sheet.judged:
                continue
            sheet.judged[shape] = self._is_prompt_beside(prompts, shape)
            if sheet.judged[shape]:
                prompts = prompts.with_point(*shape) if len(shape) == 3 else prompts.with_box(*shape)
                steps.append(prompts)
        # Each shape that became a prompt once, and no other one.
        taken = [shape for shape, is_prompt in sheet.judged.items() if is_prompt]
        sheet.exact = len(report.drawn) == len(taken) and set(report.drawn) == set(taken)
        return steps

    def mounted_again(self, number: int) -> None:
        """The browser has built this canvas anew from a sheet it had before: what was drawn on it is gone there."""
        if number in self.sheets:
            self.sheets[number].exact = not any(self.sheets[number].judged.values())

    def _is_prompt_beside(self, prompts: Prompts, shape: Drawn) -> bool:
        """Whether a shape says something that the list does not say, and there is room for it."""
        if prompts.count >= MAX_PROMPTS:
            return False
        if len(shape) == 4:
            return shape not in prompts.boxes
        x, y, label = shape
        return not any(
            label == other and math.hypot((x - other_x) * self.width, (y - other_y) * self.height) < SAME_PLACE_PX
            for other_x, other_y, other in prompts.points
        )
