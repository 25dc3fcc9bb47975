"""How a picture is fitted to the encoder, and where things lie afterwards.

"native" is what the official package does: v1 scales the longest side and pads at the bottom and right, v2 and v3
stretch to a square. "stretch" makes a square for all; "aspect" keeps the proportions on a token grid that is not
square.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from samkit.errors import EncodingError

Fit = Literal["native", "stretch", "aspect"]
FITS: tuple[str, ...] = ("native", "stretch", "aspect")
MIN_SIDE, MAX_SIDE = 32, 16384

SAM1_MEAN, SAM1_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SAM2_MEAN, SAM2_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SAM3_MEAN, SAM3_STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class ImageGeometry:
    """All sizes are (height, width) in pixels: of the picture, of the picture inside the model's input, and of that
    input with its padding.
    """

    original_size: tuple[int, int]
    resized_size: tuple[int, int]
    padded_size: tuple[int, int]

    def to_model(self, points_xy: np.ndarray) -> np.ndarray:
        """[N, 2] positions 0..1 of the original picture -> 0..1 of the padded input, moved by the half pixel both
        official packages add.
        """
        (height, width), (padded_height, padded_width) = self.resized_size, self.padded_size
        return (points_xy * (width, height) + 0.5) / (padded_width, padded_height)


def plan_geometry(original_size: tuple[int, int], family: str, side: int, fit: str, side_step: int) -> ImageGeometry:
    """side: the longest side of the model's input in pixels. Raises `EncodingError` where the model can't run it."""
    if fit not in FITS:
        raise EncodingError(f"The fit {fit!r} is unknown; use one of {', '.join(FITS)}.")
    if isinstance(side, bool) or not isinstance(side, int) or not MIN_SIDE <= side <= MAX_SIDE or side % side_step:
        near = -(-MIN_SIDE // side_step) * side_step
        if isinstance(side, int | float) and side > MIN_SIDE:
            near = MAX_SIDE // side_step * side_step if side > MAX_SIDE else round(side / side_step) * side_step
        raise EncodingError(
            f"The side {str(side)[:20]} can't be encoded: this model takes multiples of {side_step} from {MIN_SIDE} to "
            f"{MAX_SIDE} pixels; the nearest is {near}."
        )
    height, width = original_size
    scale = side / max(height, width)
    if fit == "aspect":
        short = max(side_step, round(min(height, width) * scale / side_step) * side_step)
        resized = (side, short) if height >= width else (short, side)
        return ImageGeometry(original_size, resized, resized)
    if fit == "native" and family == "sam1":
        resized = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
        return ImageGeometry(original_size, resized, (side, side))
    return ImageGeometry(original_size, (side, side), (side, side))


def prepare_pixels(rgb: np.ndarray, geometry: ImageGeometry, family: str, film: bool = False) -> Tensor:
    """uint8 [H, W, 3] -> normalised float32 [1, 3, h, w] on the CPU, resized as the family's official package resizes.

    v1 resizes bytes with Pillow's bilinear filter (and so rounds to whole levels); v2 and v3 resize floats with torch's
    antialiased one. Frames of a film are resized as bytes with Pillow's bicubic filter.
    """
    height, width = geometry.resized_size
    if family == "sam1":
        if rgb.shape[:2] != geometry.resized_size:
            rgb = np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
        pixels = torch.from_numpy(np.array(rgb, copy=True)).permute(2, 0, 1).float()
        pixels = (pixels - torch.tensor(SAM1_MEAN)[:, None, None]) / torch.tensor(SAM1_STD)[:, None, None]
        padded_height, padded_width = geometry.padded_size
        return F.pad(pixels, (0, padded_width - width, 0, padded_height - height))[None]
    if film and rgb.shape[:2] != geometry.resized_size:
        rgb = np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))
    pixels = torch.from_numpy(np.array(rgb, copy=True)).permute(2, 0, 1)[None].float().div_(255)
    if rgb.shape[:2] != geometry.resized_size:
        pixels = F.interpolate(pixels, size=(height, width), mode="bilinear", antialias=True)
    mean, std = (SAM3_MEAN, SAM3_STD) if family == "sam3" else (SAM2_MEAN, SAM2_STD)
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def restore_size(maps_chw: Tensor, geometry: ImageGeometry, size: tuple[int, int] | None = None) -> Tensor:
    """[C, h, w] maps over the padded input -> [C, H, W] over the original picture (or `size`), padding removed,
    bilinear.

    Padded inputs (v1) go through the input's own size on the way, as in the official package; the others are resized
    once.
    """
    size = size or geometry.original_size
    maps = maps_chw[None].float()
    if geometry.padded_size != geometry.resized_size:
        maps = _over_resized(maps, geometry)
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[0]


def _over_resized(maps: Tensor, geometry: ImageGeometry) -> Tensor:
    """[1, C, h, w] maps over the padded input -> [1, C, H, W] over the part of it that the picture covers."""
    height, width = geometry.resized_size
    times, rest = divmod(geometry.padded_size[0], maps.shape[2])
    if rest or geometry.padded_size[1] != times * maps.shape[3]:
        maps = F.interpolate(maps, size=geometry.padded_size, mode="bilinear", align_corners=False)
    else:
        # What lies in the padding is never looked at, but for the one row and column that the picture's edge reaches.
        maps = maps[..., : -(-height // times) + 1, : -(-width // times) + 1]
        maps = F.interpolate(maps, scale_factor=float(times), mode="bilinear", align_corners=False)
    return maps[..., :height, :width]


def covered_share(geometry: ImageGeometry) -> tuple[float, float]:
    """(height, width) of the padded input that the picture covers, 0..1."""
    (height, width), (padded_height, padded_width) = geometry.resized_size, geometry.padded_size
    return height / padded_height, width / padded_width


def move_logits(logits: np.ndarray, share: tuple[float, float], geometry: ImageGeometry) -> np.ndarray:
    """float32 [h, w] logits over an input of which the picture covers that share, from the top left, as logits over
    another input: a quarter of its size, and -10, surely nothing, in its padding.
    """
    rows, columns = (max(1, round(length * part)) for length, part in zip(logits.shape, share, strict=True))
    height, width = (side // 4 for side in geometry.padded_size)
    inner = tuple(
        max(1, round(side * part)) for side, part in zip((height, width), covered_share(geometry), strict=True)
    )
    values = torch.tensor(logits[:rows, :columns])[None, None].float()
    moved = F.interpolate(values, size=inner, mode="bilinear", align_corners=False)[0, 0]
    return F.pad(moved, (0, width - inner[1], 0, height - inner[0]), value=-10.0).numpy()
