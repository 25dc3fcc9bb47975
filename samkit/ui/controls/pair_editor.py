"""Two pictures with their canvases, of which one is prompted."""

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.media.samples import SAMPLE_PAIRS
from samkit.ui.controls.canvas import LiveLink, take_drawn
from samkit.ui.controls.prompt_editor import prompt_editor
from samkit.ui.state.picture_pair import PicturePair

NO_PROMPT = "No prompt here."


def pair_tools(pair: PicturePair, page: str) -> None:
    """Sample pairs, and a button that exchanges the pictures. Their callbacks run before the canvases are drawn."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.popover("Sample pairs", icon=":material/photo_library:", help="Two pictures that show the same thing"):
            for index, sample in enumerate(SAMPLE_PAIRS):
                st.button(
                    sample.title, key=f"pair_{page}_{index}", type="tertiary", on_click=pair.show_sample, args=(sample,)
                )
        st.button(
            "Swap",
            icon=":material/swap_horiz:",
            key=f"swap_{page}",
            help="Swap pictures A and B",
            on_click=pair.exchange,
        )
        st.caption("Prompt either picture: the other one is segmented. Prompting one clears the other.")


def pair_editor(
    pair: PicturePair,
    page: str,
    left: DeltaGenerator,
    right: DeltaGenerator,
    live: Callable[[str], LiveLink | None] = lambda letter: None,
) -> None:
    """Both pictures with their canvases, in two places. What was drawn on either is known before the first is drawn, so
    that a prompt on the second clears the first at once.

    live: "a" or "b" -> where masks under the pointer come from
    """
    take_drawn(pair.a)
    take_drawn(pair.b)
    pair.settle()
    with left:
        prompt_editor(pair.a, page, no_prompt=NO_PROMPT, live=live("a"), title=f"**A**, {_role(pair, 'a')} · ")
    with right:
        title = f"**B**, {_role(pair, 'b')} · "
        prompt_editor(pair.b, f"{page}-b", second=True, no_prompt=NO_PROMPT, live=live("b"), title=title)


def _role(pair: PicturePair, side: str) -> str:
    if pair.prompt_on is None:
        return "prompt this one or the other"
    return "prompted" if pair.prompt_on == side else "segmented"
