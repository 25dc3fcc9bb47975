"""What stands at the side of every experiment page: model, encoding, cache, store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.ui.controls.keys import with_key
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Choice, Knob, Panel
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.labs import encoding_memory, limit_mb, part_memory
from samkit.ui.state.store_state import store_panel
from samkit.words import format_bytes

FIT_HELP = (
    "native: as the official package does. stretch: to a square. aspect: keeps the proportions on a token grid that is "
    "not square."
)
SMALLEST_SIDE = 32
SIDE_HELP = "Longest side of the picture that the encoder sees"


@dataclass(frozen=True)
class Sidebar:
    """Places at the side, from top to bottom. The meters hold no widgets, so that a fragment's rerun can draw them anew
    without a rerun of the page, which would close an open dialog.
    """

    model: DeltaGenerator
    encoding: DeltaGenerator
    meter: DeltaGenerator
    complaints: DeltaGenerator

    def show_cache(self) -> None:
        """How full the cache of encodings is."""
        state = encoding_memory().state()
        self.meter.progress(
            min(1.0, state.used / state.limit),
            text=f"Encodings kept: {state.entries}, {format_bytes(state.used)} of {format_bytes(state.limit)}",
        )
        complaint = limit_mb()[1]
        sentences = [complaint] if complaint else []
        if state.too_large:
            sentences.append(
                f"The last encoding takes {format_bytes(state.too_large)}, more than the whole cache may hold, so "
                "every change encodes again: choose a smaller side, or start the app with a larger SAMKIT_CACHE_MB."
            )
        self.complaints.caption(" ".join(f":orange[{plain_text(sentence)}]" for sentence in sentences))


def draw_sidebar() -> Sidebar:
    """The cache and the store, and places for the model and the encoding above them."""
    with st.sidebar:
        model, encoding = st.container(), st.container()
        st.divider()
        meter = st.empty()
        st.button(
            "Clear the cache", icon=":material/mop:", key="clear_cache", on_click=_forget_everything, width="stretch"
        )
        sidebar = Sidebar(model, encoding, meter, st.empty())
        sidebar.show_cache()
        st.divider()
        store_panel()
    return sidebar


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
        self._fit(knobs, range(first, 2 * info.native_side + 1, info.side_step))
        text = {side: f"{side} px, native" if side == info.native_side else f"{side} px" for side in sides}
        side = knobs.step(
            "Encoding side",
            "side",
            sides,
            info.native_side,
            format_func=text.__getitem__,
            help=with_key(SIDE_HELP, "side"),
        )
        # A run may have named its model's native side.
        return {"side": None if side == info.native_side != knobs.base.get("side") else side}

    def _fit(self, knobs: KnobValues, usual: range) -> None:
        """Another model's side, or a first try's, becomes the nearest that this one can run."""
        side = knobs.get("side")
        if knobs.left_at_default("side", side):
            return
        if isinstance(side, int) and side not in usual and side < usual[-1] and side % usual.step:
            nearest = min(usual, key=lambda each: abs(each - side))
            knobs.move("side", nearest, f"this model runs multiples of {usual.step}, from {usual[0]}")

    def restore(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"side": params["side"]}


ENCODING_KNOBS: tuple[Knob, ...] = (EncodingSide(), Choice("fit", "Fit", FIT_HELP))
