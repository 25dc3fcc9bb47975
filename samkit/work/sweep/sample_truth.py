"""The truth of samples that come with one."""

import numpy as np

from samkit.prompts import Box


def filled_ellipse(box: Box, size: tuple[int, int]) -> np.ndarray:
    """bool [H, W]: the ellipse that fills the box. box: as shares of the picture; size: its (height, width) in
    pixels.
    """
    height, width = size
    x1, y1, x2, y2 = box
    x = ((np.arange(width) + 0.5) / width - (x1 + x2) / 2) / ((x2 - x1) / 2)
    y = ((np.arange(height) + 0.5) / height - (y1 + y2) / 2) / ((y2 - y1) / 2)
    return x[None, :] ** 2 + y[:, None] ** 2 <= 1
