"""J and F of DAVIS: how well a mask's region and its outline agree with the wanted ones.

After Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation" (2016), whose
evaluation code defines what is an outline
and how far off it may be: a pixel whose right, lower or lower right neighbour is on the other side, and 0.8 % of the
                           picture's diagonal.
"""

import cv2
import numpy as np

TOLERANCE = 0.008


def region_similarity(mask: np.ndarray, target: np.ndarray, void: np.ndarray | None = None) -> float:
    """J: intersection over union of bool [H, W] masks, 1 for two empty ones. void: pixels that don't count."""
    if void is not None:
        mask, target = mask & ~void, target & ~void
    union = np.count_nonzero(mask | target)
    return np.count_nonzero(mask & target) / union if union else 1.0


def outline(mask: np.ndarray) -> np.ndarray:
    """bool [H, W]: pixels of the mask's outline, on either side of it."""
    lower, right = np.vstack([mask[1:], mask[-1:]]), np.hstack([mask[:, 1:], mask[:, -1:]])
    corner = np.hstack([lower[:, 1:], lower[:, -1:]])
    corner[:-1, -1], corner[-1, :-1] = mask[:-1, -1], mask[-1, :-1]
    edge = (mask != right) | (mask != lower) | (mask != corner)
    edge[-1, -1] = False
    return edge


def boundary_similarity(mask: np.ndarray, target: np.ndarray, void: np.ndarray | None = None) -> float:
    """F: harmonic mean of the shares of the mask's outline that lies near the target's, and of the target's near the
    mask's.
    """
    if void is not None:
        mask, target = mask & ~void, target & ~void
    radius = int(np.ceil(TOLERANCE * np.hypot(*mask.shape)))
    own, wanted = outline(mask), outline(target)
    if not own.any() or not wanted.any():
        # With one outline alone, precision or recall is 0; without any, nothing is wrong.
        return float(own.any() == wanted.any())
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    near_own, near_wanted = (cv2.dilate(edge.astype(np.uint8), disc).astype(bool) for edge in (own, wanted))
    precision, recall = (own & near_wanted).sum() / own.sum(), (wanted & near_own).sum() / wanted.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0
