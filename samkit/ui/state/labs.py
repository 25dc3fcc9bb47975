"""What all visitors' labs remember: encoded pictures and the parts of results, by content, in as many bytes as the
machine can spare.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import Progress
from samkit.ui.state.long_encodings import LongEncodings, ask_first
from samkit.ui.state.models import shared_other
from samkit.ui.state.public import encoding_allowance
from samkit.ui.state.visitors import visitor_id, when_a_visitor_left
from samkit.work.memory import Memory

if TYPE_CHECKING:
    from samkit.models.sam import SamModel
    from samkit.work.lab import Lab

DEFAULT_LIMIT_MB = 512
PARTS_MB = 256


def limit_mb() -> tuple[int, str | None]:
    """What `SAMKIT_CACHE_MB` says, and a sentence where that is no size."""
    setting = os.environ.get("SAMKIT_CACHE_MB", "").strip()
    if setting.isdecimal() and int(setting) > 0:
        return int(setting), None
    complaint = (
        f"SAMKIT_CACHE_MB must be a positive whole number of MB; it is {setting!r}. {DEFAULT_LIMIT_MB} MB are used."
    )
    return DEFAULT_LIMIT_MB, complaint if setting else None


@st.cache_resource(show_spinner=False)
def encoding_memory() -> Memory:
    """The server's encodings, in as many bytes as `limit_mb` says."""
    return Memory(limit_mb()[0] * 2**20)


@st.cache_resource(show_spinner=False)
def part_memory() -> Memory:
    """The server's remembered parts: predictions, measures, whole results."""
    return Memory(PARTS_MB * 2**20)


def page_lab(
    model: "SamModel",
    inputs: Inputs | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    visitor: str | None = None,
    allow: Callable[[int], None] | None = None,
    asked: bool = False,
    ask: "Callable[[SamModel, int, float], None] | None" = None,
) -> "Lab":
    """A lab for one run on a page, which finds the page's loaded model and the visitor's own inputs by their
    content.

    visitor: whose run it is, for threads of their own; default: of the session that is being drawn
    allow:   called before a picture is encoded, with its side; default: what the visitor of that session may
    asked:   whether the visitor has asked for this, however long it takes; so they have for a run in the queue. Else
             an encoding that takes long raises LongEncoding as long as they have not said so
    ask:     called before a picture is encoded, as `Lab` takes it; default: by `asked`
    """
    from samkit.work.kept_run import given_masks
    from samkit.work.lab import Lab
    from samkit.work.sources import Sources

    inputs = inputs or Inputs()
    pictures = [inputs.image, inputs.image_b, *(prior.picture for prior in inputs.priors)]
    sources = Sources(
        pictures=[picture for picture in pictures if picture is not None],
        films=[inputs.video] if inputs.video is not None else [],
        banks=[bank for bank in (inputs.bank, *inputs.banks) if bank is not None],
        load_model=lambda ref, device, dtype: model,
        **given_masks(inputs),
    )
    if allow is None and visitor is None:
        allow = encoding_allowance()
    return Lab(
        encoding_memory(),
        part_memory(),
        progress,
        cancelled,
        sources,
        visitor or visitor_id(),
        allow,
        other_model=shared_other,
        ask=ask or (None if asked or visitor is not None else ask_first()),
    )


def open_beside() -> "Callable[[SamModel, Inputs], Lab]":
    """What opens labs in threads that draw no page and answer what a browser fetches beside it: for the visitor of the
    session that is being drawn, and within their limits. What takes long is not encoded there.
    """
    visitor, allow = visitor_id(), encoding_allowance()
    return lambda model, inputs: page_lab(model, inputs, visitor=visitor, allow=allow, ask=LongEncodings().ask)


def let_go_of(visitor: str) -> None:
    """Forget what was remembered for this visitor alone."""
    encoding_memory().let_go(visitor)
    part_memory().let_go(visitor)


when_a_visitor_left(let_go_of)
