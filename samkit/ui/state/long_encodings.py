"""Encodings that take long are made when the visitor says so, and not because a page was opened."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from samkit.ui.state.visitors import visitor_id
from samkit.work.long_encoding import ASK_S, LongEncoding

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

_KEY = "samkit.long_encodings"


@dataclass
class LongEncodings:
    """
    wanted: (SHA-256 of the model, side) that the visitor has asked for, until the page shows what came of it
    begun:  called where one of those is about to be made
    """

    wanted: tuple[str, int] | None = None
    begun: Callable[[], None] | None = None

    def want(self, encoding: LongEncoding) -> None:
        self.wanted = encoding.model, encoding.side

    def stop(self) -> None:
        self.wanted = None

    def ask(self, model: "SamModel", side: int, seconds: float) -> None:
        """Called before a picture is encoded, with about how many seconds it takes. Raises LongEncoding for what takes
        long and was not asked for.
        """
        if seconds <= ASK_S:
            return
        if self.wanted != (str(model.info.sha256), side):
            raise LongEncoding(str(model.info.sha256), side, seconds)
        if self.begun is not None:
            self.begun()


def long_encodings() -> LongEncodings:
    """This session's."""
    wishes: LongEncodings = st.session_state.setdefault(_KEY, LongEncodings())
    return wishes


def ask_first() -> "Callable[[SamModel, int, float], None]":
    """What a page's lab is to call before it encodes a picture."""
    wishes = long_encodings() if visitor_id() is not None else LongEncodings()
    return wishes.ask


def ask_beside() -> "Callable[[SamModel, int, float], None]":
    """The same for a lab in another thread, which can draw nothing on the page."""
    return LongEncodings(long_encodings().wanted).ask
