"""Live masks on the bench's canvases: what each canvas's token stands for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from samkit.ui.bench.page import Scene
from samkit.ui.bench.tables.table import Visit
from samkit.ui.controls.canvas import LiveLink
from samkit.ui.parts.picture_view import view_name
from samkit.ui.state.live_work import LiveWork, live_path, live_token
from samkit.ui.state.workspace import Workspace

if TYPE_CHECKING:
    from samkit.work.lab import Lab, LazyEncoding


def live_link(
    visit: Visit, work: Workspace, letter: str = "a", encoding: "Callable[[Lab], LazyEncoding] | None" = None
) -> LiveLink:
    """For a canvas with that workspace's picture, encoded as the page does, and with its mask hint. letter: of the
    canvas on its page, a or b; encoding: what is decoded on, where that is not the picture's own.
    """
    side, fit = visit.encoding.get("side"), visit.encoding.get("fit", "native")
    hint = work.given.hint_for(visit.model, work.picture, visit.encoding)
    shown = LiveWork(
        visit.model, work.picture, side, fit, mask_hint=hint, encoding=encoding, view=view_name(work.picture)
    )
    return LiveLink(live_path(), live_token(f"{visit.page.name}.{letter}", shown))


def follow_knobs(scene: Scene, letter: str = "a") -> None:
    """Let the token of a canvas stand for the encoding that the scene was made with, where the page's own knobs change
    that.
    """
    params, picture = scene.result.params, scene.inputs.picture
    windows = getattr(params, "window_sizes", None)
    encoded = scene.page.encoded(params, picture) if scene.page.encoded is not None else picture
    if windows is not None or encoded is not picture:
        reading = getattr(params, "window_reading", "step")
        work = LiveWork(
            scene.model,
            encoded,
            params.side,
            params.fit,
            windows,
            scene.inputs.mask_hint,
            reading,
            view=view_name(picture),
        )
        live_token(f"{scene.page.name}.{letter}", work)
