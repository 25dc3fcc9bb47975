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


def long_encodings() -> LongEncodings:
    """This session's."""
    wishes: LongEncodings = st.session_state.setdefault(_KEY, LongEncodings())
    return wishes


def ask_first() -> "Callable[[SamModel, int, float], None]":
    """What a lab is to call before it encodes a picture, with the model, the side and about how many seconds it takes.
    Raises LongEncoding for what takes long and was not asked for.
    """
    # What a browser fetches beside the page has no session.
    wishes = long_encodings() if visitor_id() is not None else LongEncodings()

    def ask(model: "SamModel", side: int, seconds: float) -> None:
        if seconds <= ASK_S:
            return
        if wishes.wanted != (str(model.info.sha256), side):
            raise LongEncoding(str(model.info.sha256), side, seconds)
        if wishes.begun is not None:
            wishes.begun()

    return ask
