"""The prompt canvas of a page that runs without a browser."""

from streamlit.testing.v1 import AppTest

from samkit.ui.controls.canvas_shapes import to_drawing
from samkit.ui.state.workspace import Workspace

POINT = {"type": "Circle", "originX": "left", "originY": "center", "radius": 6, "strokeWidth": 3, "stroke": "#1aa260"}
POINT_REACH_PX = 7.5
"""From a point's left edge to its centre."""


def canvas_key(work: Workspace) -> str:
    """The key of the canvas that was put on the screen last."""
    return next(reversed(work.canvases))


def canvas_size(work: Workspace) -> tuple[int, int]:
    """(width, height) of that canvas in pixels."""
    canvas = work.canvases[canvas_key(work)]
    return canvas.width, canvas.height


def draw(app: AppTest, work: Workspace, *shapes: dict) -> None:
    """Run the app as if the browser had sent that canvas's drawing: its sheet, with these Fabric.js shapes on it."""
    canvas = work.canvases[canvas_key(work)]
    drawing = to_drawing(next(reversed(canvas.sheets.values())), canvas.width, canvas.height)
    drawing["objects"] += shapes
    # A component's state can be put in before the run.
    app.session_state[canvas_key(work)] = {"drawing": {"raw": drawing, "data": None}}
    app.run()


def chip_key(app: AppTest, page: str, kind: str, index: int = 0) -> str:
    """The key of the button that removes a prompt. kind: "point" or "box"."""
    keys = [button.key for button in app.button if button.key and button.key.startswith(f"chip_{page}_{kind}_")]
    return keys[index]
