"""The question before an encoding that takes long, what is known meanwhile of a kept run, and a way to stop it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.errors import SamkitError
from samkit.media.drawing import overlay
from samkit.scratch import scratch
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.ground import ground
from samkit.tracking.store.looks import shown_mask
from samkit.tracking.store.store import RunStore
from samkit.ui.bench.page import ExperimentPage
from samkit.ui.parts import style
from samkit.ui.parts.inline_image import fit_within
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.metric_words import metric_words
from samkit.ui.parts.picture_view import picture_view
from samkit.ui.state.long_encodings import long_encodings
from samkit.ui.state.workspace import Workspace
from samkit.words import number_text, time_text
from samkit.work.long_encoding import LongEncoding

_log = logging.getLogger(__name__)
_KEY = "samkit.kept_look"
SHOWN_PX = (1280, 1280)
FIGURES = 4


@dataclass(frozen=True, eq=False)
class KeptLook:
    """What a kept run has found. rgb: uint8 [h, w, 3], its mask on the picture, or what it made; None where it has
    neither
    """

    run_id: str
    name: str
    picture: str
    rgb: np.ndarray | None
    figures: str


def ask_for_encoding(encoding: LongEncoding, page: ExperimentPage, work: Workspace, place: DeltaGenerator) -> None:
    """Say how long it will take, with a button that begins it; below it what the opened run was kept with."""
    look = _kept_look(page, work)
    with place:
        st.info(
            f"{encoding} It begins when you say so: prompts and knobs can be changed first, and a smaller encoding "
            "side takes less.",
            icon=":material/hourglass_top:",
        )
        st.button(
            f"Encode, about {time_text(encoding.seconds)}",
            icon=":material/play_arrow:",
            type="primary",
            key="encode_long",
            on_click=long_encodings().want,
            args=(encoding,),
        )
        if look is None:
            return
        st.caption(f":material/history: As it was kept with the run **{plain_text(look.name)}**. {look.figures}")
        if look.rgb is not None:
            picture_view(look.rgb, f"What the run {look.name} was kept with", f"kept-{look.run_id}")


@contextmanager
def stoppable(place: DeltaGenerator) -> Iterator[None]:
    """Inside, a long encoding that was asked for has a button that ends it, after the block that is being computed. It
    counts as asked for until what came of it is shown.
    """
    wishes = long_encodings()
    slot = place.empty()

    def begun() -> None:
        wishes.begun = None  # of several in a row, the first draws it
        with slot:
            st.button(
                "Stop encoding",
                icon=":material/stop:",
                key="stop_encoding",
                on_click=wishes.stop,
                help="After the block that is being computed. What is encoded so far is lost",
            )

    wishes.begun = begun
    try:
        yield
        wishes.wanted = None
    finally:
        wishes.begun = None
        slot.empty()


def _kept_look(page: ExperimentPage, work: Workspace) -> KeptLook | None:
    """Of the run that was opened on the page, as long as its picture lies there."""
    run_id = work.restored_run
    if run_id is None or page.name not in work.opened:
        return None
    look: KeptLook | None = st.session_state.get(_KEY)
    if look is None or look.run_id != run_id:
        look = st.session_state[_KEY] = _read(run_id, page)
    return look if look is not None and look.picture == work.picture.sha256 else None


def _read(run_id: str, page: ExperimentPage) -> KeptLook | None:
    try:
        with scratch("run") as folder:
            bundle = RunStore().load(run_id, Path(folder) / "run", partial=True)
            record = bundle.record
            if record.experiment != page.name or record.picture is None:
                return None
            measured = [f"{metric_words(name)} {number_text(each.value, 4)}" for name, each in record.metrics.items()]
            figures = plain_text(" · ".join(measured[:FIGURES]))
            return KeptLook(run_id, bundle.name, str(record.picture.sha256), _picture(bundle), figures)
    except SamkitError:
        return None  # The page's own picture is there all the same.
    except Exception:
        _log.exception("unexpected error while a kept run was looked at")
        return None


def _picture(bundle: Bundle) -> np.ndarray | None:
    name = shown_mask(bundle.record.masks)
    picture = ground(bundle, name) if name is not None else None
    if name is None or picture is None:
        return None
    return fit_within(overlay(picture.rgb, bundle.mask(name), style.MASK_COLOR, alpha=0.5), *SHOWN_PX)
