"""What the pages may fetch: things of this server alone. Whatever text a run, a link or a file brings along, a browser
that shows it asks nobody else for anything. And how large a file may be that a browser sends, for Streamlit itself
holds all of it in memory before a page is asked whether it takes it.
"""

from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import net_util

from samkit.limits import Limits, read_limits

POLICY = "; ".join(
    (
        "default-src 'self'",
        # Streamlit's own scripts, and plotly's, make code from text.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """Puts `HEADERS` on every answer that has none of its own."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message.get("headers", [])}
                more = [header for header in HEADERS if header[0] not in there]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        await self._app(scope, receive, guarded)


UPLOADS = "/_stcore/upload_file"


class UploadGate:
    """On a server with limits: ends an upload that is larger than any file that is taken."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = largest_upload(read_limits()) if scope["type"] == "http" and UPLOADS in scope["path"] else None
        if most is None or scope["method"] in ("GET", "DELETE", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"")
        if told.isdigit() and int(told) > most:
            await Response(status_code=413)(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            return message if came <= most else {"type": "http.disconnect"}

        await self._app(scope, counted, send)


def largest_upload(limits: Limits) -> int | None:
    """Bytes of a request with a file; None without a limit."""
    told = [limits.film_mb, limits.picture_mb]
    return None if None in told else max(size for size in told if size is not None) * 2**20 + 2**16


def ask_nobody() -> None:
    """Streamlit would ask a server of Amazon's for this machine's address at its start, where no browser is opened, and
    whenever a page of another origin comes.
    """
    if getattr(net_util, "_external_ip", None) is None:
        net_util._external_ip = ""


ask_nobody()
MIDDLEWARE = [Middleware(Guard), Middleware(UploadGate)]
