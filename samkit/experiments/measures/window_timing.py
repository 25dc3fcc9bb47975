"""How long an encoding with other windows takes, and how far it drifts from the one with the model's own.

The first encoding with new windows packs weights and makes position tables, so its time counts only where each setting
is measured once. Repeats of several settings take turns, so that a machine whose speed drifts slows all alike; times
with another number of threads are kept apart.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.media.pictures import Picture

if TYPE_CHECKING:
    from samkit.models.encoding import ImageEncoding
    from samkit.models.sam import SamModel

Windows = tuple[int, ...]


@dataclass(frozen=True)
class Scene:
    """A model and the picture that it encodes with one window setting after the other. side in pixels; reading: what
    windows of another size mean, as in `SamModel.encode_image`.
    """

    model: "SamModel"
    picture: Picture
    side: int | None
    fit: str
    reading: str = "step"

    def encode(self, windows: Windows) -> "ImageEncoding":
        """A fresh encoding, which no lab keeps: it would push out those that somebody asks for again."""
        return self.model.encode_image(
            self.picture.rgb, side=self.side, fit=self.fit, window_sizes=windows, window_reading=self.reading
        )


def first_ms(encoding: LazyEncoding, threads: int) -> float:
    """How long the first encoding with its windows took. A step that a lab recalls, as are those below."""
    return encoding.value.encode_ms


def encode_again_ms(scene: Scene, windows: Windows, turn: int, threads: int) -> float:
    """How long one more encoding takes. turn: its number, from 1; threads: that torch computes with."""
    return scene.encode(windows).encode_ms


def take_turns(scene: Scene, settings: tuple[Windows, ...], repeats: int, lab: LabLike) -> Iterator[str]:
    """Measure what is not yet measured of these settings, one after the other; says after each what it was. Nothing
    where each is measured once, by its first encoding.
    """
    threads = torch.get_num_threads()
    for turn in range(1, repeats + 1 if repeats > 1 else 1):
        for windows in settings:
            step = encode_again_ms, scene, windows, turn, threads
            if not lab.knows(*step):
                lab.recall(*step)
                yield f"Encoded again, {turn} of {repeats}"


@dataclass(frozen=True)
class Times:
    """Of the repeats of one setting, in milliseconds."""

    lowest: float
    median: float
    highest: float


def repeated_ms(scene: Scene, windows: Windows, first: float, repeats: int, lab: LabLike) -> Times:
    """Of the repeats' times; of a single one, the first encoding's."""
    if repeats == 1:
        return Times(first, first, first)
    threads = torch.get_num_threads()
    times = [lab.recall(encode_again_ms, scene, windows, turn, threads) for turn in range(1, repeats + 1)]
    return Times(min(times), statistics.median(times), max(times))


@dataclass(frozen=True)
class Drift:
    """How far features are from those of the default windows.

    relative: L2 distance over the default's L2 norm, all levels together
    by_token: float32 [h, w], each token's L2 distance at the lowest level
    """

    relative: float
    by_token: np.ndarray


def measure_drift(encoding: LazyEncoding, default: LazyEncoding) -> Drift:
    """Of two encodings of one picture."""
    changed, own = encoding.value, default.value
    with torch.no_grad():
        by_token = (changed.features[0] - own.features[0]).float().norm(dim=0).cpu().numpy()
    return Drift(relative_drift(changed, own), by_token)


def relative_drift(encoding: "ImageEncoding", default: "ImageEncoding") -> float:
    """Relative L2 distance of an encoding's features from the default windows' features, all levels together."""
    difference = sum(
        float((level - other).float().square().sum())
        for level, other in zip(encoding.features, default.features, strict=True)
    )
    return (difference / max(sum(float(level.float().square().sum()) for level in default.features), 1e-30)) ** 0.5
