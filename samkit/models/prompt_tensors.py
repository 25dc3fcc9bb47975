"""Prompts as the prompt encoder takes them."""

import numpy as np
import torch
from torch import Tensor

from samkit.errors import BadInput
from samkit.models.encoding import ImageEncoding
from samkit.models.geometry import ImageGeometry
from samkit.models.network.prompt_encoder import BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, PADDING
from samkit.models.track import mask_logits
from samkit.prompts import Prompts


def prompt_tensors(prompts: Prompts, geometry: ImageGeometry, family: str, device: str) -> tuple[Tensor, Tensor]:
    """[1, N, 2] positions, float32 pixels of the encoder's input, and [1, N] labels in the order of the official
    packages.

    v2: boxes first, then points, then one padding point. v1: points, then boxes; the padding point only where there
    is no box.

    Without any prompt there is no padding point either.
    """
    points = [(x, y, int(label)) for x, y, label in prompts.points]
    corners = [
        corner for x1, y1, x2, y2 in prompts.boxes for corner in ((x1, y1, BOX_TOP_LEFT), (x2, y2, BOX_BOTTOM_RIGHT))
    ]
    padding = [(0.0, 0.0, PADDING)]
    if family == "sam1":
        rows = points + corners if corners or not points else points + padding
    else:
        rows = corners + points + padding if corners or points else []
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    positions = torch.from_numpy(geometry.to_model(table[:, :2])).float()
    labels = torch.from_numpy(table[:, 2].astype(np.int64))
    return positions[None].to(device), labels[None].to(device)


def hint_tensor(mask_hint: np.ndarray | Tensor, encoding: ImageEncoding, device: str) -> Tensor:
    """[1, 1, 4h, 4w] float32, four times as fine as the encoding's lowest level.

    mask_hint: bool [H, W] of the picture, or logits [h, w] or [1, h, w] of any size. Raises BadInput for other shapes.
    """
    if isinstance(mask_hint, np.ndarray) and mask_hint.dtype == bool:
        if mask_hint.shape != encoding.geometry.original_size:
            height, width = encoding.geometry.original_size
            raise BadInput(
                f"A mask hint has the picture's size, {height} x {width} (height x width); this has the shape "
                f"{list(mask_hint.shape)}."
            )
        mask_hint = mask_logits(mask_hint, encoding.geometry)[0]
    # A copy: torch complains of arrays that can't be written to.
    values = mask_hint if isinstance(mask_hint, Tensor) else np.array(mask_hint)
    hint = torch.as_tensor(values, dtype=torch.float32, device=device)
    if hint.ndim not in (2, 3) or (hint.ndim == 3 and hint.shape[0] != 1):
        raise BadInput(
            f"mask_hint takes the logits of one mask, [h, w] or [1, h, w]; this has the shape {list(hint.shape)}."
        )
    hint = hint.reshape(1, 1, *hint.shape[-2:])
    _, height, width = encoding.features[0].shape
    size = (4 * height, 4 * width)
    if tuple(hint.shape[-2:]) != size:
        hint = torch.nn.functional.interpolate(hint, size=size, mode="bilinear", align_corners=False, antialias=True)
    return hint
