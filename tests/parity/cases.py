"""The pictures, prompts and comparisons of the parity tests. Each comparison returns max |samkit - official| per
tensor.

The official side goes through the official predictors' own code wherever it can take the case, down to the resizing of
the picture.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

import samkit
from samkit.experiments import position_encoding
from samkit.experiments.inputs import Inputs
from samkit.work.lab import Lab
from tests.parity.official import (
    SAM1_SIZES,
    SAM2_SIZES,
    SMALL_SAM1_SIZES,
    SMALL_SAM2_SIZES,
    Hiera,
    Sam1Size,
    Sam2Size,
    official_sam1,
    official_sam2,
)


def _picture(height: int, width: int) -> np.ndarray:
    """Smooth colours with noise: uint8 [H, W, 3]."""
    rng = np.random.default_rng(height * width)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (7 + 5 * c)) + np.cos(y / (11 + 3 * c)) for c in range(3)]
    return np.clip(128 + 50 * np.stack(waves, -1) + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


PICTURES = {"wide": _picture(240, 427), "tall": _picture(391, 205), "square": _picture(256, 256)}
PROMPTS = {
    "one point": samkit.Prompts(points=[(0.4, 0.6, 1)]),
    "points": samkit.Prompts(points=[(0.4, 0.6, 1), (0.8, 0.2, 0), (0.0, 1.0, 1)]),
    "box": samkit.Prompts(boxes=[(0.2, 0.1, 0.7, 0.9)]),
    "two boxes": samkit.Prompts(boxes=[(0.2, 0.1, 0.7, 0.9), (0.5, 0.5, 0.95, 0.8)]),
    "everything": samkit.Prompts(
        points=[(0.3, 0.3, 1), (0.9, 0.9, 0)], boxes=[(0.2, 0.1, 0.7, 0.9), (0.5, 0.5, 0.95, 0.8)]
    ),
    "nothing": samkit.Prompts(),
}


@dataclass(frozen=True)
class Pair:
    """The same weights in both packages."""

    family: str
    size: Sam1Size | Sam2Size
    official: torch.nn.Module
    model: object


def size_of(name: str) -> Sam1Size | Sam2Size:
    known = {**SAM1_SIZES, **SAM2_SIZES, **SMALL_SAM1_SIZES, **SMALL_SAM2_SIZES}
    return known[name] if name in known else replace(known[name.removesuffix(" 2.0")], version="2.0")


def load_pair(name: str, folder: Path) -> Pair:
    """Build the official model with random weights, save it as its users would, and load the file with samkit."""
    size = size_of(name)
    official = (official_sam1 if isinstance(size, Sam1Size) else official_sam2)(size)
    path = folder / "official.pt"
    if isinstance(size, Sam2Size) and size.side != 1024:
        path = _save_safetensors(official, size, path.with_suffix(".safetensors"))
    else:
        torch.save({"model": official.state_dict()} if isinstance(size, Sam2Size) else official.state_dict(), path)
    return Pair("sam1" if isinstance(size, Sam1Size) else "sam2", size, official, samkit.load_model(path, device="cpu"))


def _save_safetensors(official: torch.nn.Module, size: Sam2Size, path: Path) -> Path:
    import json

    from safetensors.torch import save_file

    metadata = {
        "native_side": size.side,
        "num_heads": size.num_heads,
        "window_sizes": size.windows,
        "global_blocks": size.global_blocks,
    }
    save_file(
        {key: tensor.contiguous() for key, tensor in official.state_dict().items()},
        path,
        metadata={"samkit": json.dumps(metadata)},
    )
    return path


def compare_features(
    pair: Pair, rgb: np.ndarray, side: int | None = None, windows: tuple[int, ...] | None = None
) -> list[float]:
    """Of every level the decoder takes, at that side (default native) and those windows (default the model's)."""
    encoding = pair.model.encode_image(rgb, side=side, window_sizes=windows)
    with torch.no_grad(), _official_at(pair, side, windows) as official:
        theirs = _official_features(pair, official, rgb, side)
    return _differences(encoding.features, theirs)


def compare_blocks(pair: Pair, rgb: np.ndarray, windows: tuple[int, ...] | None = None) -> list[float]:
    """Of every transformer block's output, the official ones taken with hooks."""
    encoding = pair.model.encode_image(rgb, window_sizes=windows, keep_blocks=True)
    theirs = []
    blocks = (pair.official.image_encoder if pair.family == "sam1" else pair.official.image_encoder.trunk).blocks
    hooks = [block.register_forward_hook(lambda module, inputs, output: theirs.append(output[0])) for block in blocks]
    with torch.no_grad(), _official_at(pair, None, windows) as official:
        _official_features(pair, official, rgb, None)
    for hook in hooks:
        hook.remove()
    return _differences(encoding.blocks, theirs)


def compare_masks(pair: Pair, rgb: np.ndarray, prompts: samkit.Prompts, hint: bool) -> list[float]:
    """Of all four logits at low resolution, the three multimasks in the picture's own pixels, four IoUs and (v2) the
    object score.
    """
    encoding = pair.model.encode_image(rgb)
    rng = np.random.default_rng(5)
    mask_hint = (
        rng.normal(0, 6, (1, *pair.model.predict_masks(encoding, prompts).logits.shape[1:])).astype(np.float32)
        if hint
        else None
    )
    ours = pair.model.predict_masks(encoding, prompts, mask_hint)
    with torch.no_grad():
        features = _official_features(pair, pair.official, rgb, None)
        decode = _official_masks_sam1 if pair.family == "sam1" else _official_masks_sam2
        logits, iou, score, full = decode(pair, features, rgb.shape[:2], prompts, mask_hint)
    figures = _differences([ours.logits, ours.iou], [logits, iou])
    figures += [float(np.abs(ours.logits_at(index) - full[index].numpy()).max()) for index in range(4)]
    return figures + ([abs(ours.object_score - float(score))] if score is not None else [])


def compare_positions(pair: Pair, grid: tuple[int, int], window_tiling: bool = True) -> list[float]:
    """Of the position-encoding experiment's arrays on a grid of (height, width) tokens: every channel, the norm, and
    the similarity to the first token.

    Official is SAM v2's `_get_pos_embed`, with an empty window table for no tiling. SAM v1's own code knows its table's
    grid alone; on any other that function stretches v1's table too, which is what samkit says it does.
    """
    height, width = grid
    trunk = pair.official.image_encoder if pair.family == "sam1" else pair.official.image_encoder.trunk
    with torch.no_grad():
        if pair.family == "sam1" and grid == tuple(trunk.pos_embed.shape[1:3]):
            theirs = trunk.pos_embed[0].numpy()
        else:
            table = trunk.pos_embed.permute(0, 3, 1, 2) if pair.family == "sam1" else trunk.pos_embed
            windows = (
                trunk.pos_embed_window
                if pair.family == "sam2" and window_tiling
                else torch.zeros(1, table.shape[1], 1, 1)
            )
            theirs = Hiera._get_pos_embed(SimpleNamespace(pos_embed=table, pos_embed_window=windows), grid)[0].numpy()
    lab = Lab()

    def arrays(channel: int) -> dict[str, np.ndarray]:
        params = position_encoding.Params(
            height=height, width=width, window_tiling=window_tiling, channel=channel, row=0, column=0
        )
        return position_encoding.run(pair.model, Inputs(), params, lab).arrays

    ours = [arrays(channel) for channel in range(theirs.shape[-1])]
    assert all(array.dtype == np.float32 and array.shape == grid for each in ours for array in each.values())
    norm = np.linalg.norm(theirs, axis=-1)
    pairs = [(each["channel"], theirs[..., channel]) for channel, each in enumerate(ours)]
    pairs += [(ours[0]["norm"], norm), (ours[0]["similarity"], theirs @ theirs[0, 0] / (norm * norm[0, 0]))]
    return [float(np.abs(mine - other).max()) for mine, other in pairs]


def _differences(ours, theirs) -> list[float]:
    assert len(ours) == len(theirs)
    assert all(a.shape == b.shape for a, b in zip(ours, theirs, strict=True))
    return [(a.float() - b.float()).abs().max().item() for a, b in zip(ours, theirs, strict=True)]


@contextmanager
def _official_at(pair: Pair, side: int | None, windows: tuple[int, ...] | None):
    """The official model set to another side or other windows for a while, as far as its own code can run them."""
    if not side and not windows:
        yield pair.official
        return
    trunk = pair.official.image_encoder if pair.family == "sam1" else pair.official.image_encoder.trunk
    before = [block.window_size for block in trunk.blocks]
    if windows:
        for block, window in zip(trunk.blocks, pair.model.config.encoder.block_windows(windows), strict=True):
            block.window_size = window
    if side and pair.family == "sam1":
        own_side, own_table = trunk.img_size, trunk.pos_embed
        stretched = torch.nn.functional.interpolate(
            own_table.permute(0, 3, 1, 2), size=(side // 16, side // 16), mode="bicubic"
        )
        trunk.img_size, trunk.pos_embed = side, torch.nn.Parameter(stretched.permute(0, 2, 3, 1))
    yield pair.official
    for block, window in zip(trunk.blocks, before, strict=True):
        block.window_size = window
    if side and pair.family == "sam1":
        trunk.img_size, trunk.pos_embed = own_side, own_table


def _official_features(pair: Pair, official: torch.nn.Module, rgb: np.ndarray, side: int | None) -> list[torch.Tensor]:
    """[C, h, w] maps, coarsest first, from the official resizing, normalising and encoding."""
    side = side or pair.size.side
    if pair.family == "sam1":
        from segment_anything.utils.transforms import ResizeLongestSide

        resized = torch.as_tensor(ResizeLongestSide(side).apply_image(rgb)).permute(2, 0, 1)[None].contiguous()
        return [official.image_encoder(official.preprocess(resized))[0]]
    pixels = torch.from_numpy(rgb).permute(2, 0, 1).float().div(255)[None]
    pixels = torch.nn.functional.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return [
        level[0]
        for level in official.forward_image((pixels - mean[:, None, None]) / std[:, None, None])["backbone_fpn"][::-1]
    ]


def _official_masks_sam1(pair: Pair, features, original_size, prompts: samkit.Prompts, mask_hint):
    """Through the official prompt encoder, decoder and postprocessing. Its predictor takes one box, so the tokens of
    several are put side by side here.
    """
    from segment_anything.utils.transforms import ResizeLongestSide

    official, transform = pair.official, ResizeLongestSide(pair.size.side)
    encoder = official.prompt_encoder
    height, width = original_size
    tokens = []
    if prompts.points:
        coordinates = transform.apply_coords(
            np.array([(x * width, y * height) for x, y, _ in prompts.points]), original_size
        )
        labels = torch.tensor([[label for *_, label in prompts.points]])
        tokens.append(
            encoder._embed_points(torch.as_tensor(coordinates, dtype=torch.float)[None], labels, pad=not prompts.boxes)
        )
    for x1, y1, x2, y2 in prompts.boxes:
        box = transform.apply_boxes(np.array([[x1 * width, y1 * height, x2 * width, y2 * height]]), original_size)
        tokens.append(encoder._embed_boxes(torch.as_tensor(box, dtype=torch.float)))
    sparse = torch.cat(tokens, dim=1) if tokens else torch.empty(1, 0, encoder.embed_dim)
    _, dense = encoder(points=None, boxes=None, masks=None if mask_hint is None else torch.as_tensor(mask_hint)[None])
    logits, iou = official.mask_decoder.predict_masks(features[0][None], encoder.get_dense_pe(), sparse, dense)
    full = official.postprocess_masks(
        logits, transform.get_preprocess_shape(height, width, pair.size.side), original_size
    )
    return logits[0], iou[0], None, full[0]


def _official_masks_sam2(pair: Pair, features, original_size, prompts: samkit.Prompts, mask_hint):
    """In the order of the official image predictor: boxes as two points each, put first, then the points."""
    official, side = pair.official, pair.size.side
    rows = [row for x1, y1, x2, y2 in prompts.boxes for row in ((x1, y1, 2), (x2, y2, 3))] + list(prompts.points)
    points = None
    if rows:
        points = (
            torch.tensor([[(x * side, y * side) for x, y, _ in rows]], dtype=torch.float),
            torch.tensor([[label for *_, label in rows]], dtype=torch.int),
        )
    encoder = official.sam_prompt_encoder
    sparse, dense = encoder(
        points=points, boxes=None, masks=None if mask_hint is None else torch.as_tensor(mask_hint)[None]
    )
    logits, iou, _, score = official.sam_mask_decoder.predict_masks(
        image_embeddings=features[0][None] + official.no_mem_embed.view(1, -1, 1, 1),
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=False,
        high_res_features=[features[2][None], features[1][None]],
    )
    full = torch.nn.functional.interpolate(logits, original_size, mode="bilinear", align_corners=False)
    return logits[0], iou[0], score[0], full[0]
