"""The edge where errors become sentences on a page."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.errors import SamkitError
from samkit.machine import refused_by_machine
from samkit.ui.parts.markdown_text import plain_text

_log = logging.getLogger(__name__)


@contextmanager
def sentences(place: DeltaGenerator | None = None) -> Iterator[None]:
    """Show what goes wrong inside as a sentence, there or in that place. Errors made for people are shown as they are;
    any other goes to the log in full.
    """
    show = st.error if place is None else place.error
    try:
        yield
    except SamkitError as error:
        show(plain_text(str(error)), icon=":material/error:")
    except Exception as error:
        refused = refused_by_machine(error)
        if refused is not None:
            show(plain_text(str(refused)), icon=":material/memory:")
            return
        _log.exception("unexpected error on a page")
        show(
            f"Something went wrong inside the app ({type(error).__name__}); the server's log has the details. Your "
            "picture and prompts are kept.",
            icon=":material/bug_report:",
        )
