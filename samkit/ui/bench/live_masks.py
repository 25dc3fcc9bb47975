"""Live masks on the bench's canvases: what each canvas's token stands for."""

from samkit.media.pictures import Picture
from samkit.ui.bench.tables.table import Visit
from samkit.ui.controls.canvas import LiveLink
from samkit.ui.state.live_work import LiveWork, live_path, live_token


def live_link(visit: Visit, picture: Picture, letter: str = "a") -> LiveLink:
    """For a canvas with that picture, encoded as the page does. letter: of the canvas on its page, a or b."""
    side, fit = visit.encoding.get("side"), visit.encoding.get("fit", "native")
    work = LiveWork(visit.model, picture, side, fit)
    return LiveLink(live_path(), live_token(f"{visit.page.name}.{letter}", work))
