"""The routes that Home.py puts beside Streamlit's. Nothing heavy is imported before somebody comes."""

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket


async def masks(websocket: WebSocket) -> None:
    """See `samkit.ui.live.channel`."""
    from samkit.ui.live.channel import serve

    await serve(websocket)


ROUTES = [WebSocketRoute("/live/masks", masks), WebSocketRoute("/{base:path}/live/masks", masks)]
"""The second is for an app below a path of its own (`server.baseUrlPath`), to which Streamlit adds its own routes
alone.
"""
