"""What every table does for the bench."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.errors import SamkitError
from samkit.experiments.inputs import Inputs
from samkit.media.pictures import Picture
from samkit.models.sam import SamModel
from samkit.tracking.bundle.bundle import Bundle
from samkit.ui.bench.long_encoding import ask_for_encoding
from samkit.ui.bench.page import ExperimentPage, Scene, Side
from samkit.ui.bench.results import shown_result
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import adapt_knobs
from samkit.ui.controls.sidebar import Sidebar
from samkit.ui.parts.leftovers import nothing_below, nothing_here
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.workspace import Workspace
from samkit.work.long_encoding import LongEncoding


@dataclass(frozen=True)
class Visit:
    """One drawing of a page for one visitor. load: another model by its reference, on the same device.

    encoding: the parameters side and fit, where the experiment has them
    """

    page: ExperimentPage
    work: Workspace
    knobs: KnobValues
    model: SamModel
    load: Callable[[str], SamModel]
    sidebar: Sidebar
    encoding: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """One run to be made. letter: of the side it is shown on; model_ref: how the model is opened."""

    model: SamModel
    model_ref: str
    inputs: Inputs
    letter: str = "A"


@dataclass(frozen=True)
class Places:
    """Where the bench puts things. beside: the knobs; notes: above the main picture; progress: below it, while work
    goes on; masks: None where the experiment has no masks.
    """

    beside: DeltaGenerator
    notes: DeltaGenerator
    main: DeltaGenerator
    progress: DeltaGenerator
    masks: DeltaGenerator | None = None


PANORAMA = 2.2
"""Width by height from which on two pictures are larger one below the other."""
PORTRAIT = 0.7
"""Width by height up to which the masks stand beside the two pictures, which are higher then."""
KNOBS_SHARE = 0.22
"""Of the width, for the knobs at the right."""


@dataclass(frozen=True)
class Rows:
    """One screen: two pictures of the same size side by side, notes above and what belongs below them, and the knobs at
    the right.
    """

    notes: DeltaGenerator
    left: DeltaGenerator
    right: DeltaGenerator
    below: DeltaGenerator
    beside: DeltaGenerator


def screen_rows(picture: Picture | None = None) -> Rows:
    """picture: what is shown in both places; a panorama's two pictures lie one below the other, and what belongs below
    those of a portrait stands beside them.
    """
    with st.container(key="row_screen"):
        pictures, beside = st.columns([1 - KNOBS_SHARE, KNOBS_SHARE], gap="medium")
    with pictures:
        notes = notes_place()
        shape = 1.0 if picture is None else picture.width / picture.height
        # Each way of laying them out has a place of its own, so that nothing of another one is left in it.
        if shape <= PORTRAIT:
            with st.container(key="portrait_pictures"):
                left, right, below = st.columns([3, 3, 2], gap="small")
            nothing_below()
            return Rows(notes, left, right, below, beside)
        nothing_here()
        if shape > PANORAMA:
            with st.container(key="stacked_pictures", gap="xsmall"):
                left, right = st.container(gap="xsmall"), st.container(gap="xsmall")
            nothing_here()
        else:
            nothing_here()
            with st.container(key="row_pictures"):
                left, right = st.columns(2, gap="small")
        below = st.container(key="below_pictures", gap="xsmall")
    return Rows(notes, left, right, below, beside)


def notes_place() -> DeltaGenerator:
    """Above both pictures, which stay side by side; it takes no room while it is empty."""
    return st.container(key="notes")


def result_places(place: DeltaGenerator) -> tuple[DeltaGenerator, DeltaGenerator]:
    """(main, progress) from top to bottom of a place."""
    with place:
        # A container, not an empty: the last picture stays in it until the next one comes.
        main = st.container(key="main_view", gap="xsmall")
        # It takes no room of its own, so that nothing moves when a bar comes and goes.
        return main, st.container(key="progress")


class Table(ABC):
    """takes_picture: whether experiments on it encode one; needs_memory: what takes a model with a memory, the
    beginning of a sentence, or "" where any model will do; two_canvases: whether both pictures of the pair can be
    prompted; hovers_beside: whether the page does not wait until what the pointer has missed is encoded.
    """

    takes_picture: bool = True
    needs_memory: str = ""
    two_canvases: bool = False
    hovers_beside: bool = False

    def refresh(self, work: Workspace, knobs: KnobValues) -> None:  # noqa: B027 (most tables have nothing to do)
        """Before a kept run is opened: what a change of the things on the table does to the knobs."""

    def begin(self, visit: Visit) -> None:  # noqa: B027 (most tables have nothing to do)
        """Before anything of the table is drawn."""

    @abstractmethod
    def arrange(self, visit: Visit) -> Places:
        """Draw what lies on the table, and say where the rest goes."""

    @abstractmethod
    def setups(self, visit: Visit) -> list[Setup]:
        """The runs to be made; the first one has the visitor's own model."""

    def params(self, visit: Visit) -> dict[str, Any]:
        """Parameters that follow from what lies on the table."""
        return {}

    def blocked(self, visit: Visit) -> str:
        """What to do first, where nothing can be run yet; empty where it can."""
        return ""

    def scene(self, visit: Visit, params: Mapping[str, Any], places: Places) -> Scene | None:
        """What there is to be shown: of work that is done at once, the results. None where there is nothing yet."""
        sides: list[Side] = []
        for setup in self.setups(visit):
            side_params = params if setup.model is visit.model else adapt_knobs(visit.page.knobs, params, setup.model)
            try:
                built = visit.knobs.params(visit.page.entry.experiment.Params, side_params)
                sides.append(Side(setup.letter, shown_result(visit.page, visit.work, setup, built, places.progress)))
            except SamkitError as error:
                if not sides:
                    raise
                if isinstance(error, LongEncoding):
                    ask_for_encoding(error, visit.page, visit.work, places.main)
                    continue
                name = setup.model.info.name
                places.main.warning(
                    f"{plain_text(name)} can't be shown beside it: {plain_text(str(error))}", icon=":material/compare:"
                )
        return Scene(visit.page, visit.work, visit.knobs, tuple(sides))

    def draw_masks(self, scene: Scene, place: DeltaGenerator) -> None:  # noqa: B027 (some experiments have none)
        """The masks of a scene, where the experiment has some to choose from."""

    @abstractmethod
    def show(self, work: Workspace, knobs: KnobValues, inputs: Inputs, params: Mapping[str, Any]) -> None:
        """Put a kept run's inputs on the table. params: all of its parameters."""

    def show_found(self, bundle: Bundle) -> None:  # noqa: B027 (most tables make it again at once)
        """After `show`: put what the kept run has found on the table, where making it again would take long."""
