"""The routes that Home.py puts beside Streamlit's. Nothing heavy is imported before somebody comes."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket


async def masks(websocket: WebSocket) -> None:
    """See `samkit.ui.live.channel`."""
    from samkit.ui.live.channel import serve

    await serve(websocket)


async def film(request: Request) -> Response:
    """See `samkit.ui.live.film`."""
    from samkit.ui.live.film import film as answer

    return await answer(request)


ROUTES = [
    WebSocketRoute("/live/masks", masks),
    WebSocketRoute("/{base:path}/live/masks", masks),
    Route("/live/film/{token}/{what}", film),
    Route("/{base:path}/live/film/{token}/{what}", film),
]
"""Every second one is for an app below a path of its own (`server.baseUrlPath`), to which Streamlit adds its own routes
alone.
"""
