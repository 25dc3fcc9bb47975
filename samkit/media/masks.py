"""Measures and shapes of masks: stability, overlap, contours, areas and boxes. Masks are bool [H, W]; pixel (0, 0) is
at the top left.
"""

import cv2
import numpy as np


def stability_score(logits: np.ndarray, threshold: float = 0.0, offset: float = 1.0) -> float:
    """How little a mask changes when its threshold moves: IoU of the masks at `threshold + offset` and `threshold -
    offset`, 0..1.

    logits: [..., H, W] floats; all leading axes are counted together. Follows `calculate_stability_score` of the
    official automatic mask generator (offset 1 about 0). Where even the lower threshold selects nothing there is no
    mask to be unstable: 0.0, where the official code divides by zero.
    """
    inner = np.count_nonzero(logits > threshold + offset)
    outer = np.count_nonzero(logits > threshold - offset)
    return inner / outer if outer else 0.0


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool masks of one shape, 0..1. Two empty masks are the same mask: 1.0."""
    if a.shape != b.shape:
        raise ValueError(f"masks of the shapes {a.shape} and {b.shape} can't be compared")
    shared = np.count_nonzero(a & b)
    union = np.count_nonzero(a) + np.count_nonzero(b) - shared
    return shared / union if union else 1.0


def mask_area(mask: np.ndarray) -> int:
    """Number of pixels in the mask."""
    return int(np.count_nonzero(mask))


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """(x1, y1, x2, y2) of the mask's bounding box in pixels, x2 and y2 one past its last pixel; None for an empty
    mask.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not columns.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def innermost_point(mask: np.ndarray) -> tuple[int, int] | None:
    """(x, y) of the pixel farthest from the mask's edge, the picture's border counted as one; None for an empty
    mask.
    """
    point = deepest_point(mask)
    return None if point is None else point[:2]


def deepest_point(mask: np.ndarray) -> tuple[int, int, float] | None:
    """`innermost_point` with its distance from the mask's edge in pixels."""
    if not mask.any():
        return None
    distance = cv2.distanceTransform(np.pad(_as_uint8(mask), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(np.argmax(distance), mask.shape)
    return int(x), int(y), float(distance[y, x])


def contours(mask: np.ndarray) -> list[np.ndarray]:
    """The outlines of the mask's regions and of their holes, each [N, 2] float32 (x, y) in pixels, closed without
    repeating the first point.

    Points are centres of the mask's own border pixels, so (0, 0) is the centre of the top left pixel. A region of one
    pixel is an outline of one point.
    """
    outlines, _ = cv2.findContours(_as_uint8(mask), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [contour.reshape(-1, 2).astype(np.float32) for contour in outlines]


def _as_uint8(mask: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(mask, dtype=np.uint8)
