"""What stands at the side of every experiment page: model, encoding, cache, store."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from samkit.tracking.store.spool import Spool
from samkit.ui.controls.knobs import Choice, Knob, Panel
from samkit.ui.controls.model_picker import model_picker
from samkit.ui.state.labs import encoding_memory, limit_mb, part_memory
from samkit.ui.state.store_state import store_panel
from samkit.ui.state.workspace import Workspace
from samkit.words import format_bytes

FIT_HELP = (
    "native: as the official package does. stretch: to a square. aspect: keeps the proportions on a token grid that is "
    "not square."
)
SMALLEST_SIDE = 32
SIDE_HELP = "Longest side of the picture that the encoder sees"
_DRAWN = "samkit.sidebar"


def _counts() -> tuple[int, int, int]:
    """What the meters at the bottom say: bytes of encodings, of one that was too large, and runs in the spool."""
    state = encoding_memory().state()
    return state.used, state.too_large, len(Spool().waiting())


def sidebar_is_old() -> bool:
    """Whether the meters say something else than they should: a fragment's rerun does not draw the sidebar. False while
    it is being drawn.
    """
    drawn = st.session_state.get(_DRAWN)
    return drawn is not None and drawn != _counts()


def sidebar_top(work: Workspace, takes_dtype: bool = True) -> None:
    """The model; drawn first, because everything else needs it."""
    st.session_state[_DRAWN] = None
    with st.sidebar:
        model_picker(work, takes_dtype)


def _forget_everything() -> None:
    encoding_memory().clear()
    part_memory().clear()


class EncodingSide(Knob):
    """The longest side of what the encoder sees, in the steps the model allows. A side that a kept run had can be
    chosen, however large.
    """

    def draw(self, panel: Panel) -> dict[str, Any]:
        info, knobs = panel.model.info, panel.values
        first = info.side_step * -(-SMALLEST_SIDE // info.side_step)
        chosen = {side for side in (knobs.get("side"), knobs.base.get("side")) if side}
        allowed = {side for side in chosen if side >= first and side % info.side_step == 0}
        sides = sorted({*range(first, 2 * info.native_side + 1, info.side_step), *allowed})
        text = {side: f"{side} px, native" if side == info.native_side else f"{side} px" for side in sides}
        side = knobs.step(
            "Encoding side", "side", sides, info.native_side, format_func=text.__getitem__, help=SIDE_HELP
        )
        # A run may have named its model's native side.
        return {"side": None if side == info.native_side != knobs.base.get("side") else side}

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"side": params["side"]}


ENCODING_KNOBS: tuple[Knob, ...] = (EncodingSide(), Choice("fit", "Fit", FIT_HELP))


def sidebar_bottom() -> None:
    """Cache meter and store."""
    with st.sidebar:
        st.divider()
        cache = encoding_memory()
        state = cache.state()
        st.progress(
            min(1.0, state.used / state.limit),
            text=f"Encodings kept: {state.entries}, {format_bytes(state.used)} of {format_bytes(state.limit)}",
        )
        st.button(
            "Clear the cache",
            icon=":material/mop:",
            key="clear_cache",
            on_click=_forget_everything,
            disabled=not state.entries,
            width="stretch",
        )
        if state.too_large:
            st.caption(
                f":orange[The last encoding takes {format_bytes(state.too_large)}, more than the whole cache may hold, "
                "so every change encodes again: choose a smaller side, or start the app with a larger SAMKIT_CACHE_MB.]"
            )
        if complaint := limit_mb()[1]:
            st.caption(f":orange[{complaint}]")
        st.divider()
        store_panel()
    st.session_state[_DRAWN] = _counts()
