"""Pictures as files for the browser: encoded once for all visitors, held as bytes and not as pixels, within a bound."""

import cv2
import numpy as np
from streamlit import runtime

from samkit.media.pictures import Picture
from samkit.ui.state.visitors import visitor_id, when_a_visitor_left
from samkit.work.memory import Memory

LIMIT_BYTES = 48 * 2**20
QUALITY = 90
SHOWN_PX, FULL_PX = 1280, 4096
"""Longest sides: of what a page shows at first, and of what it shows enlarged."""

_files = Memory(LIMIT_BYTES)
when_a_visitor_left(_files.let_go)


def picture_jpeg(picture: Picture, longest_px: int) -> bytes:
    """The picture as JPEG, no larger than it is."""
    return _files.get(f"{picture.sha256} {longest_px}", lambda: _encoded(picture, longest_px), visitor_id())


def _encoded(picture: Picture, longest_px: int) -> bytes:
    scale = min(1.0, longest_px / max(picture.width, picture.height))
    rgb = picture.rgb
    if scale < 1:
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def picture_url(picture: Picture, longest_px: int, place: str) -> str:
    """Where the browser finds it, as long as this page shows it. place: a name of the place on the page."""
    if not runtime.exists():
        return ""
    files = runtime.get_instance().media_file_mgr
    return files.add(picture_jpeg(picture, longest_px), "image/jpeg", f"samkit.{place}.{longest_px}")
