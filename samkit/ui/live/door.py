"""Who may come into the live channel, and how much: origins, numbers of sockets, sizes and floods.

A socket that is turned away is accepted first and closed with one of these codes, for a browser tells its page no other
reason:

| code | why |
|---|---|
| 4400 | a message that is no question: not JSON, not of the form, or binary |
| 4401 | the token is unknown, or its session is not connected |
| 4403 | the page that opened the socket comes from another origin, or the host is not allowed |
| 4408 | no token came in time |
| 4410 | the token's session has ended |
| 4413 | a message that is too large |
| 4429 | too many messages |
| 4430 | the session has too many sockets, or the server has |
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlparse

MALFORMED, UNKNOWN_TOKEN, OTHER_ORIGIN, SILENT = 4400, 4401, 4403, 4408
SESSION_ENDED, TOO_LARGE, FLOOD, TOO_MANY_SOCKETS = 4410, 4413, 4429, 4430

MAX_SOCKETS = 256
MAX_SOCKETS_OF_SESSION = 6
MAX_MESSAGE_BYTES = 64 * 2**10
"""As many prompts as a page takes, with room to spare."""
MESSAGES_PER_S = 100.0
BURST = 200.0


class TurnedAway(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


def origin_allowed(origin: str | None, host: str | None) -> bool:
    """Whether Streamlit would take a WebSocket of that `Origin` at that `Host`: the same host, or one that its CORS
    settings allow, and only hosts in `server.allowedHosts` where that is set. May wait for the network, as Streamlit
    does, where the origin is another one.
    """
    from streamlit.web.server.server_util import is_url_from_allowed_origins
    from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

    if not is_host_allowed(host):
        return False
    return origin is None or urlparse(origin).netloc == host or is_url_from_allowed_origins(origin)


class Sockets:
    """Counts the sockets that are open. For the event loop's thread alone."""

    def __init__(self, limit: int = MAX_SOCKETS, limit_of_session: int = MAX_SOCKETS_OF_SESSION):
        self._limit, self._limit_of_session = limit, limit_of_session
        self._open = 0
        self._of_session: Counter[str] = Counter()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A socket, whoever's it is. Raises `TurnedAway` where there are as many as there may be."""
        if self._open >= self._limit:
            raise TurnedAway(TOO_MANY_SOCKETS)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    @contextmanager
    def of_session(self, session_id: str) -> Iterator[None]:
        """The same for those of a session."""
        if self._of_session[session_id] >= self._limit_of_session:
            raise TurnedAway(TOO_MANY_SOCKETS)
        self._of_session[session_id] += 1
        try:
            yield
        finally:
            self._of_session[session_id] -= 1
            if not self._of_session[session_id]:
                del self._of_session[session_id]


class Allowance:
    """How many messages a socket may still send: `rate` a second, and `burst` at once after a rest."""

    def __init__(self, rate: float = MESSAGES_PER_S, burst: float = BURST, clock: Callable[[], float] = time.monotonic):
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._since = burst, clock()

    def spend(self) -> None:
        """One message. Raises `TurnedAway` where it is one too many."""
        at = self._clock()
        self._left = min(self._burst, self._left + self._rate * (at - self._since))
        self._since = at
        if self._left < 1:
            raise TurnedAway(FLOOD)
        self._left -= 1


def check_size(text: str) -> None:
    """Raises `TurnedAway` for a message that is too large."""
    if len(text) > MAX_MESSAGE_BYTES or len(text.encode(errors="replace")) > MAX_MESSAGE_BYTES:
        raise TurnedAway(TOO_LARGE)
