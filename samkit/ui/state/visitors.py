"""Who is here, and what is to be let go when they have left.

A visitor is a session: one tab, from when it is opened until its connection has been gone for as long as
`server.disconnectedSessionTTL` says. Until then a browser that lost the connection finds everything as it was. After it
Streamlit may forget a session, but does so when the next one comes or goes: on a quiet server, never. So it is ended
here, on time, and what was kept for it alone goes.
"""

import asyncio
import logging
from collections.abc import Callable

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from samkit.ui.parts.heap import give_back

EARLIER_S = 1.0
"""A session is ended so long before Streamlit would no longer hand it out."""

_log = logging.getLogger(__name__)
_let_go: list[Callable[[str], None]] = []
_timers: dict[str, asyncio.TimerHandle] = {}
"""Visitor who is disconnected -> when the session is ended. Touched by Streamlit's event loop alone."""


def visitor_id() -> str | None:
    """The session that this thread draws a page for; None in any other thread."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context is not None else None


def when_a_visitor_left(let_go: Callable[[str], None]) -> None:
    """Call `let_go` with the id of each visitor who is gone for good. It must be quick, for others wait meanwhile."""
    if let_go not in _let_go:
        _let_go.append(let_go)


def notice_visitor() -> None:
    """From here on it is noticed when this visitor's connection ends. To be called in every run of a page."""
    _present()


def _disconnected(visitor: str) -> None:
    """Called by Streamlit's event loop when a connection ends, for whatever reason."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return  # Caches were cleared by hand, or there is no server.
    patience_s = max(0.0, float(st.get_option("server.disconnectedSessionTTL")) - EARLIER_S)
    waiting = _timers.pop(visitor, None)
    if waiting is not None:
        waiting.cancel()
    _timers[visitor] = loop.call_later(patience_s, end_visit, visitor)


@st.cache_resource(scope="session", on_release=_disconnected, show_spinner=False)
def _present() -> str:
    return visitor_id() or ""


def end_visit(visitor: str) -> None:
    """End the session where its visitor has not come back, and give back its memory."""
    _timers.pop(visitor, None)
    if not runtime.exists() or runtime.get_instance().is_active_session(visitor):
        return
    runtime.get_instance().close_session(visitor)
    forget_visitor(visitor)


def forget_visitor(visitor: str) -> None:
    """Let everything go that was kept for this visitor alone."""
    for let_go in _let_go:
        try:
            let_go(visitor)
        except Exception:
            _log.exception("what a visitor left behind was not let go")
    give_back()
