"""Masks as COCO run-length encoding, by pycocotools: a few hundred bytes of JSON that every COCO tool reads."""

from collections.abc import Mapping

import numpy as np
from pycocotools import mask as coco

from samkit.errors import PictureError
from samkit.media.pictures import MAX_PIXELS


def mask_to_rle(mask: np.ndarray) -> dict:
    """The bool mask [H, W] as `{"size": [H, W], "counts": str}`, ready for JSON."""
    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def rle_to_mask(rle: Mapping) -> np.ndarray:
    """The bool mask [H, W] of a compressed COCO RLE, `counts` as text or bytes.

    Raises PictureError where it is malformed or does not fill its size exactly.
    """
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
        counts = counts if isinstance(counts, bytes) else counts.encode("ascii")
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise PictureError(
            "This is not a COCO mask: it needs 'size' as [height, width] and 'counts' as compressed text."
        ) from error
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise PictureError(
            f"This COCO mask has {width} x {height} pixels; between 1 and {MAX_PIXELS / 1e6:g} million are read."
        )
    # pycocotools writes past its memory where the runs are longer than the size says, so they are added up first.
    if sum(_run_lengths(counts)) != height * width:
        raise PictureError(f"This COCO mask is damaged: its runs do not add up to {width} x {height} pixels.")
    return coco.decode({"size": [height, width], "counts": counts}).astype(bool)


def _run_lengths(counts: bytes) -> list[int]:
    """Lengths of the runs: numbers of 5 bits a character from 48 on, low bits first, 32 says that more follow, 16 in
    the last is the sign; from the fourth run on each is the difference to the run two before.

    Raises PictureError for another character or a negative run.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 30:
            raise PictureError(
                "This COCO mask is damaged: its 'counts' hold characters that no run-length encoding has."
            )
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
        if runs[-1] < 0:
            raise PictureError("This COCO mask is damaged: one of its runs has a negative length.")
    if shift:
        raise PictureError("This COCO mask is damaged: its 'counts' end in the middle of a number.")
    return runs
