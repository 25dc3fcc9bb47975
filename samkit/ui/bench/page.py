"""What an experiment's page is, as data: the bench reads it, and all its draw functions take the same thing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from samkit.experiments.inputs import Inputs
from samkit.experiments.registry import Entry, find_entry
from samkit.experiments.result import Result
from samkit.media.pictures import Picture
from samkit.models.sam import SamModel
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Knob
from samkit.ui.parts.downloads import Download
from samkit.ui.state.workspace import Workspace
from samkit.work.execute import Computed
from samkit.work.queue import SteppedRun

if TYPE_CHECKING:
    from samkit.ui.bench.tables.table import Table


@dataclass(frozen=True)
class About:
    """idea, paper and look_for are Markdown; try_label names what `ExperimentPage.try_it` sets up."""

    idea: str
    paper: str
    look_for: str
    try_label: str


@dataclass(frozen=True)
class Side:
    """One of the one or two results on the bench. letter: A, or B for the second of two models or pictures."""

    letter: str
    computed: Computed

    @property
    def result(self) -> Result[Any]:
        return self.computed.result

    @property
    def model(self) -> SamModel:
        return self.computed.model

    @property
    def inputs(self) -> Inputs:
        return self.computed.inputs

    @property
    def title(self) -> str:
        picture = self.inputs.image
        return f"{self.letter} · {self.model.info.name}" + (f" · {picture.name}" if picture else "")

    def key(self, name: str) -> str:
        """A widget's key on this side."""
        return f"{name}_{self.letter.lower()}"


@dataclass(frozen=True)
class Scene:
    """What is on the bench when it is drawn.

    sides: one, or two models or pictures side by side
    run:   the stepped run that the result comes from, where work is queued
    """

    page: "ExperimentPage"
    work: Workspace
    knobs: KnobValues
    sides: tuple[Side, ...]
    run: SteppedRun | None = None

    @property
    def side(self) -> Side:
        """The first one, or the only one."""
        return self.sides[0]

    @property
    def result(self) -> Result[Any]:
        return self.side.result

    @property
    def inputs(self) -> Inputs:
        return self.side.inputs

    @property
    def model(self) -> SamModel:
        return self.side.model


Draw = Callable[[Scene], None]


@dataclass(frozen=True)
class ExperimentPage:
    """One experiment's page.

    table:   what lies on it: one picture, a pair, two sides or a film; and whether work is done at once or queued
    knobs:   beside the main picture, in the order one turns them; side, fit and edges are the bench's
    views:   title -> draws the main picture; a switch chooses where there are several
    tabs:    title -> draws it, below; the bench adds Recipe and Timings
    summary: a result in one line, under the main picture
    figures: title -> interactive figure, made when a run is kept
    try_it:  sets up the good first try that the About text names
    files:   more to take away under Download than all pages have
    arrows:  knobs, or the frames of a film, that arrow keys move: left and right the first, up and down the second
    no_prompt: what to do, where nothing can be run without a prompt; empty where it can
    encoded: the picture that is really encoded, given parameters and picture, where that is another one
    """

    name: str
    about: About
    table: "Table"
    knobs: tuple[Knob, ...]
    views: Mapping[str, Draw]
    tabs: Mapping[str, Draw]
    figures: Callable[[Result[Any]], dict[str, go.Figure]]
    try_it: Callable[[Workspace, KnobValues], None]
    summary: Callable[[Result[Any]], str] | None = None
    files: "Callable[[Scene], Sequence[Download]] | None" = None
    arrows: Sequence[str] = ()
    no_prompt: str = ""
    encoded: Callable[[Any, Picture], Picture] | None = None
    entry: Entry = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entry", find_entry(self.name))
