"""Sample films, made from scikit-image's pictures: an object that moves, grows and is hidden for a while, with its true
masks. Nothing is downloaded.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from samkit.errors import PictureError
from samkit.media.films import Video
from samkit.media.samples import load_sample

FPS = 12.0
SIZE = (270, 480)
"""(height, width) in pixels."""


@dataclass(frozen=True)
class SampleVideo:
    """What a sample film shows.

    object, ground: names of sample pictures; the ground is panned
    ellipse: (x, y, width, height) as shares of the object's picture; what is in it is cut out
    scale:   of the object's picture at the beginning, so that its height is that share of the film's
    hidden:  (first, last) frame in which a bar of the ground's own texture covers the object
    """

    name: str
    title: str
    object: str
    ground: str
    ellipse: tuple[float, float, float, float]
    scale: float
    frames: int
    hidden: tuple[int, int]


SAMPLE_VIDEOS = {
    sample.name: sample
    for sample in (
        SampleVideo(
            "coin",
            "A coin rolls over the moon, behind a bar and on",
            "coins",
            "moon",
            (0.875, 0.145, 0.145, 0.2),
            0.34,
            36,
            (15, 19),
        ),
        SampleVideo(
            "cup",
            "A cup of coffee crosses a stained tissue and is covered for a moment",
            "coffee",
            "ihc",
            (0.5, 0.33, 0.47, 0.6),
            0.5,
            48,
            (22, 27),
        ),
        SampleVideo(
            "cat",
            "The cat's face passes in front of the retina",
            "chelsea",
            "retina",
            (0.47, 0.43, 0.36, 0.62),
            0.5,
            40,
            (16, 20),
        ),
    )
}


class MadeVideo(Video):
    """A sample film. Frames are drawn when they are asked for, each always the same."""

    reader = "made"

    def __init__(self, sample: SampleVideo):
        super().__init__()
        self.sample = sample
        self.name, self.length, self.fps = sample.name, sample.frames, FPS
        self.size = self.original_size = SIZE
        ground = load_sample(sample.ground).rgb
        self._ground = cv2.resize(ground, (int(SIZE[1] * 1.3), int(SIZE[0] * 1.3)), interpolation=cv2.INTER_AREA)
        self._object, self._cover = self._cut_out()

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256(repr((self.sample, SIZE, FPS)).encode())
        digest.update(self.frame(0).data)
        return digest.hexdigest()

    def mask(self, index: int) -> np.ndarray:
        """bool [H, W]: where the object is really to be seen."""
        return (self._place(index)[1] * ~self._bar(index)) > 0.5

    def _read(self, index: int) -> np.ndarray:
        share = index / (self.length - 1)
        top, left = (
            int(0.23 * extent * (0.5 + 0.5 * math.sin(3 * share + phase)))
            for extent, phase in zip(SIZE, (0.0, 1.0), strict=True)
        )
        frame = self._ground[top : top + SIZE[0], left : left + SIZE[1]].astype(np.float32)
        placed, cover = self._place(index)
        frame = frame * (1 - cover[..., None]) + placed * cover[..., None]
        bar = self._bar(index)
        frame[bar] = self._ground[: SIZE[0], : SIZE[1]][bar] * 0.45
        return np.clip(frame, 0, 255).astype(np.uint8)

    def _cut_out(self) -> tuple[np.ndarray, np.ndarray]:
        """(float32 [h, w, 3], soft cover [h, w]) of the object at its size in the first frame."""
        rgb = load_sample(self.sample.object).rgb
        height, width = rgb.shape[:2]
        x, y, across, down = self.sample.ellipse
        left, top = max(0, int((x - across / 2) * width)), max(0, int((y - down / 2) * height))
        part = rgb[top : int((y + down / 2) * height), left : int((x + across / 2) * width)]
        part_h, part_w = part.shape[:2]
        cover = np.zeros((part_h, part_w), np.uint8)
        centre, axes = (part_w // 2, part_h // 2), (part_w // 2 - 1, part_h // 2 - 1)
        cv2.ellipse(cover, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
        factor = self.sample.scale * SIZE[0] / part_h
        size = (round(part_w * factor), round(part_h * factor))
        interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        small = cv2.resize(part, size, interpolation=interpolation).astype(np.float32)
        return small, cv2.resize(cover, size, interpolation=interpolation).astype(np.float32) / 255

    def _place(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The object on an empty frame: (float32 [H, W, 3], soft cover [H, W])."""
        share = index / (self.length - 1)
        size, turn = 0.85 + 0.4 * math.sin(math.pi * share), 25 * math.sin(2.5 * share)
        centre = SIZE[1] * (0.2 + 0.6 * share), SIZE[0] * (0.5 + 0.2 * math.sin(2 * math.pi * share))
        height, width = self._cover.shape
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, size)
        matrix[:, 2] += (centre[0] - width / 2, centre[1] - height / 2)
        placed, cover = (
            cv2.warpAffine(layer, matrix, SIZE[::-1], flags=cv2.INTER_LINEAR) for layer in (self._object, self._cover)
        )
        return placed, np.clip(cover, 0, 1)

    def _bar(self, index: int) -> np.ndarray:
        """bool [H, W]: what stands before the object while it is hidden, over the place where it is then."""
        bar = np.zeros(SIZE, bool)
        first, last = self.sample.hidden
        if first <= index <= last:
            columns = np.flatnonzero(self._place((first + last) // 2)[1].max(axis=0) > 0)
            margin = SIZE[1] // 16
            bar[:, max(0, columns[0] - margin) : columns[-1] + margin] = True
        return bar


def load_sample_video(name: str) -> MadeVideo:
    """The sample film `name`. Raises PictureError for another name."""
    if name not in SAMPLE_VIDEOS:
        raise PictureError(f"There is no sample film {name!r:.60}. There are: {', '.join(SAMPLE_VIDEOS)}.")
    return MadeVideo(SAMPLE_VIDEOS[name])
