"""What stands at the side of every experiment page: model, encoding, cache, store."""

import streamlit as st

from samkit.tracking.store.spool import Spool
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.model_picker import model_picker
from samkit.ui.state.encodings import encoding_cache, limit_mb
from samkit.ui.state.store_state import store_panel
from samkit.ui.state.workspace import Workspace
from samkit.words import format_bytes

FIT_HELP = (
    "native: as the official package does. stretch: to a square. aspect: keeps the proportions on a token grid that is "
    "not square."
)


_DRAWN = "samkit.sidebar"


def _counts() -> tuple[int, int, int]:
    """What the meters at the bottom say: bytes of encodings, of one that was too large, and runs in the spool."""
    state = encoding_cache().state()
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


def encoding_knobs(knobs: Knobs, info) -> tuple[int | None, str]:
    """Side and fit: (None for the native side, fit). A side that a kept run had can be chosen, however large."""
    with st.sidebar:
        st.divider()
        first = info.side_step * -(-32 // info.side_step)
        kept = {
            side
            for side in (knobs.get("side"), knobs.base.get("side"))
            if side and side >= first and side % info.side_step == 0
        }
        sides = sorted({*range(first, 2 * info.native_side + 1, info.side_step), *kept})
        text = {side: f"{side} px, native" if side == info.native_side else f"{side} px" for side in sides}
        side = knobs.step(
            "Encoding side",
            "side",
            sides,
            info.native_side,
            format_func=text.get,
            help="Longest side of what the encoder sees",
        )
        fit = knobs.choose("Fit", "fit", ["native", "stretch", "aspect"], "native", help=FIT_HELP)
    # A run may have named its model's native side.
    return (None if side == info.native_side != knobs.base.get("side") else side), fit


def sidebar_bottom() -> None:
    """Cache meter and store."""
    with st.sidebar:
        st.divider()
        cache = encoding_cache()
        state = cache.state()
        st.progress(
            min(1.0, state.used / state.limit),
            text=f"Encodings kept: {state.entries}, {format_bytes(state.used)} of {format_bytes(state.limit)}",
        )
        st.button(
            "Clear the cache",
            icon=":material/mop:",
            key="clear_cache",
            on_click=cache.clear,
            disabled=not state.entries,
            width="stretch",
        )
        if state.too_large:
            st.caption(
                f":orange[The last encoding has {format_bytes(state.too_large)}, more than all that are kept "
                "together may have, so every change encodes "
                "again: choose a smaller side, or start the app with a larger SAMKIT_CACHE_MB.]"
            )
        if complaint := limit_mb()[1]:
            st.caption(f":orange[{complaint}]")
        st.divider()
        store_panel()
    st.session_state[_DRAWN] = _counts()
