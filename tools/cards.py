"""Makes the pictures of the cards on Home from the experiments themselves: `python -m tools.cards`, or only some:
`python -m tools.cards runs`.
"""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

import samkit
from samkit.experiments import (
    block_norms,
    cross_image,
    fine_tuning,
    mask_stability,
    position_encoding,
    semantic_similarity,
    video_priors,
    window_size,
)
from samkit.experiments.inputs import Inputs
from samkit.media.colormaps import color_map
from samkit.media.drawing import overlay
from samkit.media.film import masks_from_json
from samkit.media.sample_videos import load_sample_video
from samkit.media.samples import SAMPLE_PAIRS, SAMPLES, load_sample
from samkit.models.sam import SamModel
from samkit.prompts import Prompts
from samkit.work.lab import Lab

CARDS = Path(__file__).parent.parent / "samkit" / "ui" / "parts" / "cards"
SIZE = (640, 360)
MASK_COLOR, FIRST, SECOND = (22, 160, 170), (230, 97, 1), (94, 60, 153)
"""RGB of what two masks share, and of what only one of them has."""


def mask_stability_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: the coffee cup on the left, its logits on the right."""
    picture = load_sample("coffee")
    params = mask_stability.Params(lower_threshold=-4, upper_threshold=8, colormap="viridis")
    result = mask_stability.run(model, Inputs(picture, SAMPLES["coffee"].prompts), params, Lab())
    pictures = [
        cv2.resize(result.images[name], SIZE, interpolation=cv2.INTER_AREA) for name in ("original", "prediction")
    ]
    half = SIZE[0] // 2
    return np.concatenate([pictures[0][:, :half], pictures[1][:, half:]], axis=1)


def cross_image_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: the prompted cup on the left, what was found of it on the right."""
    pair = SAMPLE_PAIRS[0]
    pictures = load_sample(pair.first), load_sample(pair.second)
    result = cross_image.run(model, Inputs(pictures[0], pair.prompts, pictures[1]), cross_image.Params(), Lab())
    halves = [
        overlay(picture.rgb, result.masks[name].pixels)
        for picture, name in zip(pictures, ("mask_prompted", "mask_tracked"), strict=True)
    ]
    return np.concatenate([fill(half, (SIZE[0] // 2, SIZE[1])) for half in halves], axis=1)


def video_priors_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: three moments of the sample film, with what was found."""
    video = load_sample_video("coin")
    inputs = Inputs(load_sample("coins"), SAMPLES["coins"].prompts, video=video)
    masks = masks_from_json(video_priors.run(model, inputs, video_priors.Params(), Lab()).files["masks.json"])
    moments = (3, 11, 28)
    thirds = [overlay(video.frame(index), masks[index], inputs.steering.rgb(0)) for index in moments]
    widths = np.diff(np.linspace(0, SIZE[0], len(moments) + 1).astype(int))
    # Each third is centred on the object, which crosses the film.
    centres = [np.flatnonzero(video.mask(index).any(axis=0)).mean() for index in moments]
    parts = []
    for rgb, centre, width in zip(thirds, centres, widths, strict=True):
        own = round(width * video.size[0] / SIZE[1])
        left = int(np.clip(centre - own / 2, 0, video.size[1] - own))
        parts.append(
            cv2.resize(
                np.ascontiguousarray(rgb[:, left : left + own]), (int(width), SIZE[1]), interpolation=cv2.INTER_CUBIC
            )
        )
    return np.concatenate(parts, axis=1)


def block_norms_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: the cat's norms in eight blocks."""
    result = block_norms.run(model, Inputs(load_sample("chelsea")), block_norms.Params(side=512), Lab())
    tiles = [result.arrays[f"norms_{index:02d}"] for index in (0, 1, 2, 3, 4, 5, 7, 9)]
    colored = [color_map(values, *np.quantile(values, [0.01, 0.99]), "magma") for values in tiles]
    size = (SIZE[0] // 4, SIZE[1] // 2)
    return np.vstack(
        [
            np.hstack([cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) for each in row])
            for row in (colored[:4], colored[4:])
        ]
    )


def position_encoding_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: the directions in which positions differ most, and a place's similarity to all."""
    result = position_encoding.run(
        model, Inputs(), position_encoding.Params(row=20, column=24, colormap="viridis"), Lab()
    )
    return np.hstack(
        [
            cv2.resize(result.images[name], (SIZE[0] // 2, SIZE[1]), interpolation=cv2.INTER_NEAREST)
            for name in ("components", "similarity")
        ]
    )


def window_size_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: the cup's mask with four settings of all windows, their grid drawn over it."""
    picture = load_sample("coffee")
    quarters = []
    for window in (2, 4, 8, 16):
        result = window_size.run(
            model, Inputs(picture, SAMPLES["coffee"].prompts), window_size.Params(window_sizes=(window,) * 4), Lab()
        )
        quarter = fill(overlay(picture.rgb, result.masks["mask_chosen"].pixels), (SIZE[0] // 4, SIZE[1]))
        step = SIZE[1] * window // 64
        quarter[::step], quarter[:, ::step] = quarter[::step] // 2 + 110, quarter[:, ::step] // 2 + 110
        quarters.append(quarter)
    return np.hstack(quarters)


def semantic_similarity_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: the coins like the one that was boxed, each with its mask."""
    inputs = Inputs(load_sample("coins"), Prompts(boxes=[(0.815, 0.08, 0.935, 0.215)]))
    result = semantic_similarity.run(model, inputs, semantic_similarity.Params(find_objects=True), Lab())
    return fill(cv2.resize(result.images["objects"], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), SIZE)


def fine_tuning_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: the cat, and how far its tokens are from those of a model with one block moved a little."""
    other = samkit.load_model(model.info.path, device="cpu")
    generator = torch.Generator().manual_seed(0)
    for weight in other.network.image_encoder.trunk.blocks[6].parameters():
        weight += 0.3 * weight.std() * torch.randn(weight.shape, generator=generator)
    picture, prompts = load_sample("chelsea"), SAMPLES["chelsea"].prompts
    lab = Lab(other_model=lambda ref, sha256, like: other)
    # The moved one's file is the first model's, so a lab would take one's encoding for the other's.
    other.info = replace(other.info, checkpoint=replace(other.info.checkpoint, sha256="0" * 64))
    result = fine_tuning.run(model, Inputs(picture, prompts), fine_tuning.Params(other_model="moved"), lab)
    values = result.arrays["drift_map"]
    drift = color_map(values, *np.quantile(values, [0.01, 0.99]), "viridis")
    drift = cv2.resize(drift, picture.rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return np.hstack([fill(each, (SIZE[0] // 2, SIZE[1])) for each in (result.images["masks"], drift)])


def runs_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: the cup's masks of two runs, what both have and what only one of them has."""
    picture, masks = load_sample("coffee"), []
    for prompts in (SAMPLES["coffee"].prompts, Prompts(points=[(0.46, 0.3, 1), (0.3, 0.7, 1)])):
        result = mask_stability.run(model, Inputs(picture, prompts), mask_stability.Params(), Lab())
        masks.append(result.masks["mask_chosen"].pixels)
    first, second = masks
    rgb = picture.rgb
    for part, color in ((first & second, MASK_COLOR), (first & ~second, FIRST), (second & ~first, SECOND)):
        rgb = overlay(rgb, part, color, alpha=0.6, contour=False)
    return fill(rgb, SIZE)


def sweeps_card(model: SamModel) -> np.ndarray:
    """uint8 [H, W, 3]: three pictures at four encoding sides, each with its mask."""
    rows, lab = [], Lab()
    for film, frame in (("cup", 4), ("cat", 4), ("coin", 30)):
        opened = load_sample_video(film)
        y, x = np.nonzero(opened.mask(frame))
        height, width = opened.size
        box = (x.min() / width, y.min() / height, (x.max() + 1) / width, (y.max() + 1) / height)
        inputs, tiles = Inputs(opened.picture(frame), Prompts(boxes=[box])), []
        for side in (64, 128, 256, 384):
            result = mask_stability.run(model, inputs, mask_stability.Params(side=side), lab)
            shown = overlay(inputs.picture.rgb, result.masks["mask_chosen"].pixels, MASK_COLOR)
            tiles.append(fill(shown, (SIZE[0] // 4, SIZE[1] // 3)))
        rows.append(np.hstack(tiles))
    return np.vstack(rows)


def fill(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of the picture, at (width, height)."""
    scale = max(size[0] / rgb.shape[1], size[1] / rgb.shape[0])
    scaled = cv2.resize(rgb, (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)), interpolation=cv2.INTER_AREA)
    left, top = (scaled.shape[1] - size[0]) // 2, (scaled.shape[0] - size[1]) // 2
    return scaled[top : top + size[1], left : left + size[0]]


MAKERS = {
    "mask-stability": mask_stability_card,
    "cross-image": cross_image_card,
    "video-priors": video_priors_card,
    "block-norms": block_norms_card,
    "position-encoding": position_encoding_card,
    "window-size": window_size_card,
    "semantic-similarity": semantic_similarity_card,
    "fine-tuning": fine_tuning_card,
    "runs": runs_card,
    "sweeps": sweeps_card,
}


if __name__ == "__main__":
    CARDS.mkdir(exist_ok=True)
    nano = samkit.load_model("nano-sam2")
    for name in sys.argv[1:] or MAKERS:
        cv2.imwrite(str(CARDS / f"{name}.jpg"), MAKERS[name](nano)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
