"""Masks drawn on pictures, cut out of them, and as PNG files."""

import cv2
import numpy as np

from samkit.errors import PictureError
from samkit.media.masks import mask_box
from samkit.media.pictures import PictureSource, array_to_png, read_picture


def overlay(
    rgb: np.ndarray,
    mask: np.ndarray,
    color: tuple[int, int, int] = (30, 144, 255),
    alpha: float = 0.45,
    contour: bool = True,
) -> np.ndarray:
    """The picture with the mask laid over it: uint8 [H, W, 3], a new array.

    rgb:     uint8 [H, W, 3]; mask: bool [H, W]
    color:   RGB 0..255; alpha: 0 (invisible) to 1 (opaque)
    contour: also draw the outline, opaque and thick enough to be seen when the picture is shown 1000 px wide
    """
    _check_shapes(rgb, mask)
    drawn = rgb.copy()
    drawn[mask] = np.rint(rgb[mask] * (1 - alpha) + np.array(color) * alpha).astype(np.uint8)
    if contour:
        outlines, _ = cv2.findContours(
            np.ascontiguousarray(mask, dtype=np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(
            drawn,
            outlines,
            -1,
            tuple(int(value) for value in color),
            thickness=max(1, round(max(mask.shape) / 500)),
            lineType=cv2.LINE_8,
        )
    return drawn


def cut_out(rgb: np.ndarray, mask: np.ndarray, crop: bool = False) -> np.ndarray:
    """uint8 [H, W, 4]: the mask's pixels opaque, all others transparent black, so that nothing of the background is
    carried along. crop: only the mask's box, [h, w, 4]; an empty mask has none and stays whole.
    """
    _check_shapes(rgb, mask)
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[mask, :3] = rgb[mask]
    rgba[mask, 3] = 255
    box = mask_box(mask) if crop else None
    return rgba if box is None else rgba[box[1] : box[3], box[0] : box[2]]


def mask_to_png(mask: np.ndarray) -> bytes:
    """The bool mask [H, W] as a PNG file of 8-bit greyscale, 255 inside and 0 outside, without loss."""
    return array_to_png(np.where(mask, np.uint8(255), np.uint8(0)))


def mask_from_png(source: PictureSource) -> np.ndarray:
    """The bool mask [H, W] of what `mask_to_png` wrote: bytes, path or open file.

    Raises PictureError if it can't be read or has other values than 0 and 255.
    """
    picture = read_picture(source)
    mask = picture.rgb[..., 0] == 255
    if not np.array_equal(picture.rgb, np.where(mask, np.uint8(255), np.uint8(0))[..., None].repeat(3, axis=2)):
        raise PictureError(f"{picture.name} is not a mask: a mask's pixels are all black or white.")
    return mask


def _check_shapes(rgb: np.ndarray, mask: np.ndarray) -> None:
    if rgb.shape != (*mask.shape, 3):
        raise ValueError(f"a mask of the shape {mask.shape} can't be drawn on a picture of the shape {rgb.shape}")
