"""Two pictures side by side of which one is prompted: placing a prompt on one of them clears the other."""

from dataclasses import dataclass, field

import streamlit as st
from streamlit.errors import StreamlitAPIException

from samkit.media.pictures import Picture
from samkit.media.samples import SAMPLE_PAIRS, SamplePair, load_sample, mirrored
from samkit.prompts import Prompts
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.controls.prompt_editor import prompt_editor
from samkit.ui.state.workspace import Workspace

_KEY = "samkit.picture_pair"
NO_PROMPT = "No prompt here."


@dataclass
class PicturePair:
    """a: the visitor's workspace, whose picture and prompts all pages share. b: the second picture, of the pages with
    two.

    settled: the prompts of both when it was last decided which of them count
    """

    a: Workspace
    b: Workspace = field(default_factory=Workspace)
    settled: tuple[Prompts, Prompts] = (Prompts(), Prompts())

    @property
    def prompt_on(self) -> str | None:
        """ "a" or "b", or None while there is no prompt."""
        return "a" if not self.a.prompts.is_empty else "b" if not self.b.prompts.is_empty else None

    @property
    def prompts(self) -> Prompts:
        return self.b.prompts if self.prompt_on == "b" else self.a.prompts

    def show(self, first: Picture, second: Picture, prompts: Prompts, prompt_on: str = "a") -> None:
        """Put two pictures on the table, with prompts on one of them."""
        self.a.show_picture(first, prompts if prompt_on == "a" else None)
        self.b.show_picture(second, prompts if prompt_on == "b" else None)
        self.settled = self.a.prompts, self.b.prompts

    def show_sample(self, pair: SamplePair) -> None:
        self.show(load_sample(pair.first), load_sample(pair.second), pair.prompts)

    def exchange(self) -> None:
        """A becomes B and B becomes A, each with its prompts."""
        a, b = (self.a.picture, self.a.prompts), (self.b.picture, self.b.prompts)
        self.show(b[0], a[0], b[1] if a[1].is_empty else a[1], "a" if a[1].is_empty else "b")

    def settle(self) -> bool:
        """Clear the picture that was not prompted last where both have prompts. True if one was cleared."""
        changed_b = self.b.prompts != self.settled[1] and not self.b.prompts.is_empty
        both = not self.a.prompts.is_empty and not self.b.prompts.is_empty
        if both:
            (self.a if changed_b else self.b).edit(Prompts())
        self.settled = self.a.prompts, self.b.prompts
        return both


def _unused_picture_pair(work: Workspace) -> PicturePair:
    """This visitor's pair. A first visit finds a second picture in which the first one's object can be looked for."""
    pair = st.session_state.get(_KEY)
    if pair is None:
        pair = st.session_state[_KEY] = PicturePair(work)
        known = next((sample for sample in SAMPLE_PAIRS if sample.first == work.picture.name), None)
        pair.b.show_picture(load_sample(known.second) if known else mirrored(work.picture))
    return pair


def pair_tools(pair: PicturePair, page: str) -> None:
    """Sample pairs, and a button that exchanges the pictures. Their callbacks run before the canvases are drawn."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.popover(
            "Sample pairs", icon=":material/photo_library:", help="Two pictures with the same thing in them"
        ):
            for index, sample in enumerate(SAMPLE_PAIRS):
                st.button(
                    sample.title, key=f"pair_{page}_{index}", type="tertiary", on_click=pair.show_sample, args=(sample,)
                )
        st.button(
            "Swap",
            icon=":material/swap_horiz:",
            key=f"swap_{page}",
            help="Exchange the pictures A and B",
            on_click=pair.exchange,
        )
        st.caption("Prompt either picture: the other one is segmented. Prompting one clears the other.")


def pair_editor(pair: PicturePair, page: str) -> None:
    """Both pictures with their canvases. Draws again where a prompt drawn on the second cleared the first, which is
    drawn before it.
    """
    pair.settle()
    with st.container(key="row_pair"):
        left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**A** · {_role(pair, 'a')}")
        picture_picker(pair.a)
        prompt_editor(pair.a, page, no_prompt=NO_PROMPT)
    pair.settle()
    with right:
        st.markdown(f"**B** · {_role(pair, 'b')}")
        picture_picker(pair.b, "change_picture_b")
        prompt_editor(pair.b, f"{page}-b", second=True, no_prompt=NO_PROMPT)
    if pair.settle():
        _rerun()


def _rerun() -> None:
    """Of the fragment alone where it is one that runs."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()


def _role(pair: PicturePair, side: str) -> str:
    if pair.prompt_on is None:
        return "prompt this one or the other"
    return "prompted" if pair.prompt_on == side else "segmented"
