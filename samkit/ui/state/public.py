"""What a visitor of a public server may do, whose a kept run is, and what has been used up of what there is."""

import hashlib
import hmac
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import streamlit as st

from samkit.errors import BadInput, SamkitError
from samkit.limits import Limits, check, is_public, read_limits
from samkit.tracking.store.tags import OWNER
from samkit.ui.state.browser_memory import browser_name

_ADMIN = "samkit.admin"
SECRET = "SAMKIT_ADMIN_SECRET"
MIN_SECRET = 12
"""Characters of a secret; a shorter one opens nothing."""
TRIES_PER_MINUTE = 5
NOT_HERE = "This is not possible on a public server. Its owner can do it, and you can on a machine of your own."


class Spent:
    """What was used within the last `window_s` seconds, by each and by all."""

    def __init__(self, window_s: float, clock: Callable[[], float] = time.monotonic):
        self._window, self._clock = window_s, clock
        self._events: deque[tuple[float, str, float]] = deque()
        self._lock = threading.Lock()

    def spend(self, who: str, amount: float, of_one: int | None, of_all: int | None) -> str | None:
        """Take it off what is left; "visitor" or "all" where that was too much, and nothing is taken."""
        at = self._clock()
        with self._lock:
            while self._events and self._events[0][0] <= at - self._window:
                self._events.popleft()
            own = sum(used for _, name, used in self._events if name == who)
            if of_one is not None and own + amount > of_one:
                return "visitor"
            if of_all is not None and sum(used for *_, used in self._events) + amount > of_all:
                return "all"
            self._events.append((at, who, amount))
            return None


@st.cache_resource(show_spinner=False)
def _uploads() -> Spent:
    return Spent(3600)


@st.cache_resource(show_spinner=False)
def _encodings() -> Spent:
    return Spent(60)


@st.cache_resource(show_spinner=False)
def _tries() -> Spent:
    return Spent(60)


def present_limits() -> Limits:
    """Those that hold for this visitor: none for the owner."""
    return Limits() if is_admin() else read_limits()


def owner_name() -> str:
    """By which a visitor's runs are known in the store. It says nothing of the name in the browser's cookie, by which
    the visitor is known.
    """
    return hashlib.sha256(f"samkit owner {browser_name()}".encode()).hexdigest()[:32]


def owner_tags() -> dict[str, str]:
    """What marks a run as this visitor's; nothing where all is one person's."""
    return {OWNER: owner_name()} if is_public() else {}


def own_runs_only() -> str | None:
    """Whose runs the lists show; None: everybody's."""
    return owner_name() if is_public() and not is_admin() else None


def may_change(tags: Mapping[str, str]) -> bool:
    """Whether this visitor may rename, note, tag, delete and restore the run with those tags."""
    owner = own_runs_only()
    return owner is None or hmac.compare_digest(tags.get(OWNER, "").encode(), owner.encode())


def check_may_change(tags: Mapping[str, str]) -> None:
    if not may_change(tags):
        raise SamkitError("This run is another visitor's: it can be read and opened here, and changed only by them.")


def owner_only() -> bool:
    """Whether what is the owner's (imports, downloads, paths, the store's own pages) is shown to this visitor."""
    return not is_public() or is_admin()


def check_owner_only() -> None:
    if not owner_only():
        raise SamkitError(NOT_HERE)


def check_upload(name: str, size: int, film: bool = False) -> None:
    """A file of so many bytes that a visitor gives. Raises BadInput where it, or all together, is too much."""
    limits = present_limits()
    most = limits.film_mb if film else limits.picture_mb
    check(name, size / 2**20, most, "MB", "Make it smaller first.")
    over = _uploads().spend(owner_name(), size / 2**20, limits.uploads_visitor_mb, limits.uploads_all_mb)
    if over == "visitor":
        raise BadInput(
            f"{name} was not taken: you have uploaded as much as a visitor may within an hour, "
            f"{limits.uploads_visitor_mb} MB. Try again later."
        )
    if over == "all":
        raise BadInput(f"{name} was not taken: this server's visitors have used up its uploads. Try again in an hour.")


def check_pixels(name: str, width: int, height: int) -> None:
    check(
        name, width * height / 1e6, present_limits().picture_megapixels, "million pixels", "Make the picture smaller."
    )


def encoding_allowance() -> Callable[[int], None]:
    """What is to be called before a picture is encoded, with its longest side in pixels. Raises BadInput where the
    visitor, who is known where this is made, or all together had enough of it.
    """
    limits, who = present_limits(), owner_name() if is_public() else ""

    def allow(side: int) -> None:
        _check_side(side, limits)
        if limits.encodings_visitor is None and limits.encodings_all is None:
            return
        over = _encodings().spend(who, 1, limits.encodings_visitor, limits.encodings_all)
        if over is not None:
            whose = "you have had" if over == "visitor" else "this server's visitors have had"
            raise BadInput(f"Within a minute {whose} as many pictures encoded as may be. Try again in a minute.")

    return allow


def check_side(side: object) -> None:
    """Of a run's parameters, in pixels; None for the model's own."""
    if isinstance(side, int):
        _check_side(side, present_limits())


def _check_side(side: int, limits: Limits) -> None:
    if limits.side is not None and side > limits.side:
        raise BadInput(
            f"An encoding side of {side} pixels is more than this server computes; at most {limits.side} here. Choose "
            "a smaller one."
        )


def admin_secret() -> str:
    """The owner's secret, of the environment or of Streamlit's secrets; "" where there is none."""
    secret = os.environ.get(SECRET, "")
    if not secret:
        try:
            secret = str(st.secrets.get(SECRET, ""))
        except Exception:
            # Without a file of secrets Streamlit raises one of several errors.
            secret = ""
    return secret if len(secret) >= MIN_SECRET else ""


def is_admin() -> bool:
    """Whether the owner has given the secret in this session."""
    return bool(st.session_state.get(_ADMIN)) and is_public()


def enter(secret: str) -> None:
    """Let the owner in. Raises SamkitError for a wrong secret, and for too many of them."""
    right = admin_secret()
    if _tries().spend("", 1, TRIES_PER_MINUTE, None) is not None:
        raise SamkitError("There were too many wrong secrets: wait a minute.")
    given, known = (hashlib.sha256(text.encode()).digest() for text in (secret, right))
    if not hmac.compare_digest(given, known) or not right:
        raise SamkitError("That is not the owner's secret.")
    st.session_state[_ADMIN] = True


def leave() -> None:
    st.session_state.pop(_ADMIN, None)
