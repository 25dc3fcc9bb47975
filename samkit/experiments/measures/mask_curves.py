"""Curves of a mask over its threshold: area, and the IoU of two cuts about one threshold."""

import numpy as np

CURVE_SIDE_PX = 768
CURVE_POINTS = 65
AREA_THRESHOLDS = np.linspace(-20.0, 20.0, 81)


def sort_logits(logits: np.ndarray) -> np.ndarray:
    """[..., H, W] -> [..., pixels] in rising order: sorted once, any number of thresholds can be counted by bisection.

    Of maps larger than `CURVE_SIDE_PX` every second, third ... row and column is taken: no curve shows the difference,
    and sorting is what takes the time.
    """
    step = -(-max(logits.shape[-2:]) // CURVE_SIDE_PX)
    return np.sort(logits[..., ::step, ::step].reshape(*logits.shape[:-2], -1), axis=-1)


def count_above(sorted_logits: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """int64 [..., N]: how many of the `sort_logits` [..., pixels] are above each of the [N] thresholds."""
    # Compared as float32, like `logits > threshold` compares a float32 array with a Python float.
    thresholds = np.asarray(thresholds, dtype=sorted_logits.dtype)
    rows = sorted_logits.reshape(-1, sorted_logits.shape[-1])
    counts = np.stack([row.size - np.searchsorted(row, thresholds, side="right") for row in rows])
    return counts.reshape(*sorted_logits.shape[:-1], len(thresholds))


def stability_curve(sorted_logits: np.ndarray, deltas: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """float64 [..., N]: IoU of the masks cut at `threshold - delta` and `threshold + delta` for each of the [N] deltas,
    1 at delta 0.

    One mask holds the other, so the IoU is the ratio of their areas. At delta = offset it is
    `samkit.media.masks.stability_score` of the same pixels, and like it 0 where even the lower cut selects nothing.
    """
    deltas = np.asarray(deltas, dtype=np.float64)
    inner, outer = count_above(sorted_logits, threshold + deltas), count_above(sorted_logits, threshold - deltas)
    return inner / np.maximum(outer, 1)


def area_curve(sorted_logits: np.ndarray, thresholds: np.ndarray = AREA_THRESHOLDS) -> np.ndarray:
    """float64 [..., N]: the share of the picture (0..1) above each of the [N] thresholds; never rises with the
    threshold.
    """
    return count_above(sorted_logits, thresholds) / sorted_logits.shape[-1]


def curve_deltas(max_delta: float) -> np.ndarray:
    """float64 [CURVE_POINTS] from 0 to `max_delta`, in logits."""
    return np.linspace(0.0, max_delta, CURVE_POINTS)


def curve_rows(x_name: str, x: np.ndarray, curves: np.ndarray) -> list[dict]:
    """[N] and [4, N] as rows `{x_name: ..., "mask_0": ..., ..., "mask_3": ...}`."""
    return [
        {x_name: float(at)} | {f"mask_{i}": float(value) for i, value in enumerate(values)}
        for at, values in zip(x, curves.T, strict=True)
    ]
