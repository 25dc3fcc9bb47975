"""Makes the pictures of the cards on Home from the experiments themselves: `python -m tools.cards`."""

from pathlib import Path

import cv2
import numpy as np

import samkit
from samkit.experiments import cross_image, mask_stability
from samkit.experiments.result import Inputs
from samkit.media.drawing import overlay
from samkit.media.samples import SAMPLE_PAIRS, SAMPLES, load_sample

CARDS = Path(__file__).parent.parent / "samkit" / "ui" / "cards"
SIZE = (640, 360)


def mask_stability_card(model) -> np.ndarray:
    """uint8 [H, W, 3]: the coffee cup on the left, its logits on the right."""
    picture = load_sample("coffee")
    params = mask_stability.Params(lower_threshold=-4, upper_threshold=8, colormap="viridis")
    result = mask_stability.run(model, Inputs(picture, SAMPLES["coffee"].prompts), params)
    pictures = [cv2.resize(result.images[name], SIZE, interpolation=cv2.INTER_AREA) for name in ("original", "prediction")]
    half = SIZE[0] // 2
    return np.concatenate([pictures[0][:, :half], pictures[1][:, half:]], axis=1)


def cross_image_card(model) -> np.ndarray:
    """uint8 [H, W, 3]: the prompted cup on the left, what was found of it on the right."""
    pair = SAMPLE_PAIRS[0]
    pictures = load_sample(pair.first), load_sample(pair.second)
    result = cross_image.run(model, Inputs(pictures[0], pair.prompts, pictures[1]), cross_image.Params())
    halves = [overlay(picture.rgb, result.masks[name]) for picture, name in zip(pictures, ("prompted", "tracked"), strict=True)]
    return np.concatenate([fill(half, (SIZE[0] // 2, SIZE[1])) for half in halves], axis=1)


def fill(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of the picture, at (width, height)."""
    scale = max(size[0] / rgb.shape[1], size[1] / rgb.shape[0])
    scaled = cv2.resize(rgb, (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)), interpolation=cv2.INTER_AREA)
    left, top = (scaled.shape[1] - size[0]) // 2, (scaled.shape[0] - size[1]) // 2
    return scaled[top : top + size[1], left : left + size[0]]


CARDS_MADE = {"mask-stability": mask_stability_card, "cross-image": cross_image_card}


if __name__ == "__main__":
    CARDS.mkdir(exist_ok=True)
    nano = samkit.load_model("nano-sam2")
    for name, make in CARDS_MADE.items():
        cv2.imwrite(str(CARDS / f"{name}.jpg"), make(nano)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
