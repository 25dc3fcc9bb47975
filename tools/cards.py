"""Makes the pictures of the cards on Home from the experiments themselves: `python -m tools.cards`."""

from pathlib import Path

import cv2
import numpy as np

import samkit
from samkit.experiments import mask_stability
from samkit.experiments.result import Inputs
from samkit.media.samples import SAMPLES, load_sample

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


if __name__ == "__main__":
    CARDS.mkdir(exist_ok=True)
    nano = samkit.load_model("nano-sam2")
    cv2.imwrite(str(CARDS / "mask-stability.jpg"), mask_stability_card(nano)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
