"""Two pictures side by side of which one is prompted: placing a prompt on one of them clears the other."""

from dataclasses import dataclass, field

import streamlit as st

from samkit.media.pictures import Picture
from samkit.media.samples import SAMPLE_PAIRS, SamplePair, load_sample, mirrored
from samkit.prompts import Prompts
from samkit.ui.state.workspace import Workspace

PAIR_KEY = "samkit.picture_pair"
"""Where the session has it, once a page with two pictures was visited."""


@dataclass
class PicturePair:
    """a: the visitor's workspace, whose picture and prompts all pages share. b: the second picture, of the pages with
    two.
    """

    a: Workspace
    b: Workspace = field(default_factory=Workspace)

    @property
    def prompt_on(self) -> str | None:
        """ "a" or "b": the picture with prompts, else the one with a mask hint; None where neither has any."""
        for side, work in (("a", self.a), ("b", self.b)):
            if not work.prompts.is_empty:
                return side
        return "a" if self.a.given.hint is not None else "b" if self.b.given.hint is not None else None

    @property
    def prompts(self) -> Prompts:
        return self.b.prompts if self.prompt_on == "b" else self.a.prompts

    def show(self, first: Picture, second: Picture, prompts: Prompts, prompt_on: str = "a") -> None:
        """Put two pictures on the table, with prompts on one of them."""
        self.a.show_picture(first, prompts if prompt_on == "a" else None)
        self.b.show_picture(second, prompts if prompt_on == "b" else None)

    def open(self, first: Picture, second: Picture, prompts: Prompts, prompt_on: str = "a") -> None:
        """`show`, and what was on the pictures before can be come back to."""
        self.a.open_picture(first, prompts if prompt_on == "a" else None)
        self.b.open_picture(second, prompts if prompt_on == "b" else None)

    def show_sample(self, pair: SamplePair) -> None:
        self.open(load_sample(pair.first), load_sample(pair.second), pair.prompts)

    def exchange(self) -> None:
        """A becomes B and B becomes A, each with its prompts."""
        a, b = (self.a.picture, self.a.prompts), (self.b.picture, self.b.prompts)
        given = self.b.given, self.a.given
        self.show(b[0], a[0], b[1] if a[1].is_empty else a[1], "a" if a[1].is_empty else "b")
        self.a.given, self.b.given = given

    def settle(self) -> None:
        """Where both pictures have prompts, clear those that were changed earlier."""
        if not self.a.prompts.is_empty and not self.b.prompts.is_empty:
            earlier = self.a if self.a.changed < self.b.changed else self.b
            earlier.edit(Prompts())


def picture_pair(work: Workspace) -> PicturePair:
    """This visitor's pair. A first visit finds a second picture in which the first one's object can be looked for."""
    pair = st.session_state.get(PAIR_KEY)
    if pair is None:
        pair = st.session_state[PAIR_KEY] = PicturePair(work)
        known = next((sample for sample in SAMPLE_PAIRS if sample.first == work.picture.name), None)
        pair.b.show_picture(load_sample(known.second) if known else mirrored(work.picture))
    return pair
