"""Pictures sent inside the page's own message: no second request per picture, so a redraw does not flicker."""

import base64
from functools import lru_cache
from html import escape

import cv2
import numpy as np
import streamlit as st

MASKS_REMEMBERED = 48
"""As pictures: a page that is drawn again shows most of its masks as they were."""


def fit_within(rgb: np.ndarray, max_width: int, max_height: int) -> np.ndarray:
    """uint8 [H, W, 3], made smaller to fit; never larger."""
    height, width = rgb.shape[:2]
    scale = min(1.0, max_width / width, max_height / height)
    if scale == 1.0:
        return rgb
    return cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)


def fit_within_size(height: int, width: int, longest_px: int) -> tuple[int, int]:
    """(height, width) made smaller to fit; never larger."""
    scale = min(1.0, longest_px / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def gray_png_url(mask: np.ndarray) -> str:
    """bool [H, W] as a PNG in an address: white where it is true."""
    return _mask_png_url(np.packbits(mask).tobytes(), mask.shape, None)


def tinted_png_url(mask: np.ndarray, color: tuple[int, int, int], alpha: float) -> str:
    """bool [H, W] as a PNG in an address: the colour where it is true, clear elsewhere."""
    return _mask_png_url(np.packbits(mask).tobytes(), mask.shape, (*color[::-1], round(255 * alpha)))


@lru_cache(MASKS_REMEMBERED)
def _mask_png_url(bits: bytes, shape: tuple[int, int], bgra: tuple[int, int, int, int] | None) -> str:
    """bits: the mask's pixels, eight in a byte, which tell masks apart; bgra: None for white on black"""
    mask = np.unpackbits(np.frombuffer(bits, np.uint8), count=shape[0] * shape[1]).reshape(shape)
    if bgra is None:
        pixels = mask * np.uint8(255)
    else:
        pixels = np.zeros((*shape, 4), np.uint8)
        pixels[mask.astype(bool)] = bgra
    encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1]
    return "data:image/png;base64," + base64.b64encode(encoded.tobytes()).decode()


def shrink_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """bool [H, W] -> bool of `size` (height, width), every so many pixels: for a mask over a picture made smaller."""
    if mask.shape == size:
        return mask
    rows, columns = (
        np.linspace(0, length - 1, wanted).astype(int) for length, wanted in zip(mask.shape, size, strict=True)
    )
    return np.ascontiguousarray(mask[np.ix_(rows, columns)])


def data_url(rgb: np.ndarray, lossless: bool) -> str:
    """PNG where every level counts (masks, maps), JPEG for photographs."""
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    if lossless:
        return (
            "data:image/png;base64,"
            + base64.b64encode(cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()).decode()
        )
    return (
        "data:image/jpeg;base64,"
        + base64.b64encode(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()).decode()
    )


def inline_image(rgb: np.ndarray, alt: str, css_class: str, lossless: bool = False, share: float = 1.0) -> None:
    """Show uint8 [H, W, 3] as wide as its column, or that share of it. The height is reserved before it arrives, so
    nothing moves.
    """
    height, width = rgb.shape[:2]
    part = f";width:{100 * share:.4g}%" if share != 1 else ""
    st.html(
        f'<img class="{css_class}" width="{width}" height="{height}" style="height:auto{part}" alt="{escape(alt)}" '
        f'src="{data_url(rgb, lossless)}">'
    )
