"""Clips for the memory side: objects that move, turn, grow, get hidden and leave, cut from the cached pictures; and
pieces of real sequences.

A synthetic clip has a ground that pans and zooms, an object to follow, another of the same picture or source as a
distractor, and at times an occluder; a third begins in another scene. What a small model learns first is to copy the
last mask; so things move by a good part of their size, and the object is gone from a fifth of the frames of some clips.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.augment import recolour
from training.data import PictureCache

HELD_OUT_SEQUENCES = ("car-shadow", "goat", "horsejump-high", "scooter-black", "segtrack-bmx")
"""Real sequences that memory training does not see."""

ELSEWHERE_PROBABILITY = 0.35
"""Of a synthetic clip whose first frame is another scene in other light, as where a memory of a picture steers a film.
"""

HIDDEN_PROBABILITY = 0.45
"""Of a synthetic clip in which the object is gone for some frames."""


@dataclass(frozen=True)
class Clip:
    """frames: float32 [T, side, side, 3], RGB, 0..255; masks: float32 [T, side, side], soft, of one object; at least 12
    pixels of it are in the first frame.
    """

    frames: np.ndarray
    masks: np.ndarray


@dataclass(frozen=True)
class Path2d:
    """An object's way through a clip: per frame its centre (0..1), size (1: as in its picture) and turn (radians)."""

    centres: np.ndarray
    sizes: np.ndarray
    turns: np.ndarray

    def matrix(self, frame: int, middle: tuple[float, float], side: int) -> np.ndarray:
        """The affine matrix [2, 3] that brings a picture point to the frame; `middle` (x, y) goes to the centre."""
        cosine, sine = (self.sizes[frame] * turn(self.turns[frame]) for turn in (math.cos, math.sin))
        x, y = self.centres[frame] * side
        return np.array(
            [
                [cosine, -sine, x - cosine * middle[0] + sine * middle[1]],
                [sine, cosine, y - sine * middle[0] - cosine * middle[1]],
            ],
            np.float32,
        )


def smooth_walk(frames: int, dims: int, rng: np.random.Generator) -> np.ndarray:
    """[frames, dims] around 0 with steps of about 1: a steady speed with a change of mind."""
    speed = rng.normal(size=dims)[None] + 0.5 * rng.normal(size=(frames, dims)).cumsum(0) / math.sqrt(frames)
    steps = np.concatenate([np.zeros((1, dims)), speed[1:]])
    return steps.cumsum(0)


class ClipSampler:
    """Draws clips for ever: synthetic ones from a picture cache, and `real_share` from sequences."""

    def __init__(
        self, cache: PictureCache, sequences: list["Sequence"], seed: int | list[int], real_share: float = 0.3
    ):
        self.cache, self.sequences, self.real_share = cache, sequences, real_share
        self.rng = np.random.default_rng(seed)
        self._pictures, self._probabilities = cache.training_pictures()

    def draw(self, side: int, frames: int) -> Clip:
        while True:
            clip = (
                self._real(side, frames)
                if self.sequences and self.rng.random() < self.real_share
                else self._synthetic(side, frames)
            )
            if (clip.masks[0] > 0.5).sum() >= max(12, 0.002 * side * side):
                return clip

    def _synthetic(self, side: int, frames: int) -> Clip:
        rng = self.rng
        ground = self._ground(side, frames)
        target, distractor = self._cut_out(side, similar_to=None), None
        if rng.random() < 0.6:
            distractor = self._cut_out(side, similar_to=target[2])
        occluder = self._cut_out(side, similar_to=None) if rng.random() < 0.4 else None
        target_path = self._path(frames, target, side, leaves=rng.random() < HIDDEN_PROBABILITY)
        layers = [(distractor, self._path(frames, distractor, side, False))] if distractor else []
        layers.append((target, target_path))
        rng.shuffle(layers)
        if occluder:
            layers.append((occluder, self._crossing(frames, occluder, target_path, side)))
        elsewhere = rng.random() < ELSEWHERE_PROBABILITY
        if elsewhere:
            ground[0] = self._ground(side, 1)[0]
            target_path.centres[0] = rng.uniform(0.3, 0.7, 2)
            target_path.sizes[0] *= math.exp(rng.normal(0, 0.25))
        images, masks = [], []
        drift = rng.normal(0, 2.5), rng.normal(0, 0.015)
        for frame in range(frames):
            image, mask = ground[frame].copy(), np.zeros((side, side), np.float32)
            for layer, path in layers:
                if elsewhere and frame == 0 and layer is not target:
                    continue
                picture, alpha, _, middle = layer
                matrix = path.matrix(frame, middle, side)
                pasted = cv2.warpAffine(
                    picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
                )
                cover = cv2.warpAffine(alpha, matrix, (side, side), flags=cv2.INTER_LINEAR)
                image = image * (1 - cover[..., None]) + pasted * cover[..., None]
                mask = np.maximum(mask * (1 - cover), cover if layer is target else 0)
            images.append(image * (1 + drift[1] * frame) + drift[0] * frame)
            masks.append(mask)
        frames_drawn = self._recoloured(np.stack(images))
        if elsewhere:
            frames_drawn[:1] = self._recoloured(images[0][None])
        return Clip(frames_drawn, np.stack(masks))

    def _ground(self, side: int, frames: int) -> list[np.ndarray]:
        """A picture without regard to what is in it, panned and zoomed."""
        rng = self.rng
        picture = self.cache.images[self._draw_picture()]
        full = picture.shape[0]
        walk = smooth_walk(frames, 3, rng) * (0.015, 0.015, 0.01)
        base = rng.uniform(0.6, 0.85)
        x0, y0 = rng.uniform(0.05, 0.95 - base, 2) if base < 0.9 else (0, 0)
        views = []
        for dx, dy, zoom in walk:
            size = np.clip(base * math.exp(zoom), 0.4, 0.98) * full
            left, top = np.clip((x0 + dx) * full, 0, full - size), np.clip((y0 + dy) * full, 0, full - size)
            matrix = np.array([[side / size, 0, -left * side / size], [0, side / size, -top * side / size]], np.float32)
            views.append(
                cv2.warpAffine(
                    picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
                ).astype(np.float32)
            )
        return views

    def _cut_out(self, side: int, similar_to: int | None) -> tuple[np.ndarray, np.ndarray, int, tuple[float, float]]:
        """(picture float32 and its object's soft mask, both at `side`; which picture; the object's middle). similar_to:
        from its source or itself.
        """
        rng = self.rng
        while True:
            picture = self._draw_picture()
            if similar_to is not None:
                source = self.cache.sources[similar_to]
                picture = (
                    similar_to
                    if rng.random() < 0.3
                    else next(p for p in map(int, rng.permutation(self._pictures)) if self.cache.sources[p] == source)
                )
            mask = self.cache.mask(picture, int(rng.integers(self.cache.mask_count(picture)))).astype(np.float32)
            if 0.01 < mask.mean() < 0.45:
                break
        image, alpha = (
            cv2.resize(layer, (side, side), interpolation=cv2.INTER_AREA)
            for layer in (self.cache.images[picture].astype(np.float32), mask)
        )
        if rng.random() < 0.5:
            image, alpha = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
        rows, columns = np.nonzero(alpha > 0.5)
        middle = (
            ((columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2) if len(rows) else (side / 2, side / 2)
        )
        return image, alpha, picture, middle

    def _path(self, frames: int, cut_out, side: int, leaves: bool) -> Path2d:
        """A walk whose steps are up to a third of the object's size; `leaves`: out of the frame for a fifth of the clip
        or more, after the first frames.
        """
        rng = self.rng
        extent = math.sqrt(float(cut_out[1].mean()))
        scale = np.clip(rng.uniform(0.15, 0.5) / max(extent, 0.1), 0.4, 1.6)
        step = extent * scale * rng.uniform(0.03, 0.35)
        centres = rng.uniform(0.25, 0.75, 2) + step * smooth_walk(frames, 2, rng)
        # Bounce off the borders, so that an object stays in view unless it is meant to leave.
        centres = 1 - np.abs(1 - np.abs(centres) % 2)
        if leaves and frames > 2:
            start = int(rng.integers(1, frames - 1))
            length = max(1, round(frames * rng.uniform(0.15, 0.4)))
            centres[start : start + length] = rng.choice([-1.5, 2.5])
        walk = smooth_walk(frames, 2, rng) * (0.06, 0.08)
        return Path2d(centres, scale * np.exp(np.clip(walk[:, 0], -0.6, 0.6)), rng.normal(0, 0.15) + walk[:, 1])

    def _crossing(self, frames: int, occluder, target: Path2d, side: int) -> Path2d:
        """Over the target's place from one side to the other."""
        rng = self.rng
        extent = math.sqrt(float(occluder[1].mean()))
        meeting = int(rng.integers(1, frames)) if frames > 1 else 0
        middle = np.clip(target.centres[meeting], 0.1, 0.9)
        direction = rng.uniform(0, 2 * math.pi)
        speed = rng.uniform(0.1, 0.3)
        offsets = (np.arange(frames) - meeting)[:, None] * speed * np.array([math.cos(direction), math.sin(direction)])
        sizes = np.full(frames, np.clip(rng.uniform(0.25, 0.5) / max(extent, 0.1), 0.4, 1.6))
        return Path2d(middle + offsets, sizes, np.full(frames, rng.normal(0, 0.2)))

    def _real(self, side: int, frames: int) -> Clip:
        """A piece of a sequence at stride 1 to 4, forwards or backwards, cropped by one window and mirrored half the
        time.
        """
        rng = self.rng
        sequence = self.sequences[int(rng.choice(len(self.sequences)))]
        identity = int(rng.choice(sequence.identities))
        present = np.flatnonzero([(ids == identity).any() for ids in sequence.masks])
        start, stride, sign = int(rng.choice(present)), int(rng.integers(1, 5)), int(rng.choice([-1, 1]))
        indices = np.clip(start + sign * stride * np.arange(frames), 0, len(sequence.frames) - 1)
        full = sequence.frames.shape[1]
        size = int(full * rng.uniform(0.7, 1.0))
        left, top = (int(rng.integers(0, full - size + 1)) for _ in range(2))
        window = slice(top, top + size), slice(left, left + size)
        flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
        resize = lambda layer: cv2.resize(layer, (side, side), interpolation=cv2.INTER_AREA)[:, flip]  # noqa: E731
        images = np.stack([resize(sequence.frames[index][window]) for index in indices]).astype(np.float32)
        masks = np.stack([resize((sequence.masks[index][window] == identity).astype(np.float32)) for index in indices])
        return Clip(self._recoloured(images), masks)

    def _recoloured(self, images: np.ndarray) -> np.ndarray:
        """The same change of colour for all frames."""
        tall = recolour(images.reshape(-1, *images.shape[2:]), self.rng)
        return tall.reshape(images.shape)

    def _draw_picture(self) -> int:
        return int(self.rng.choice(self._pictures, p=self._probabilities))


@dataclass(frozen=True)
class Sequence:
    """frames: uint8 [N, S, S, 3]; masks: uint8 [N, S, S] of object ids, 0 ground; identities: those that can be
    followed.
    """

    name: str
    frames: np.ndarray
    masks: np.ndarray
    identities: tuple[int, ...]


def load_sequences(folder: Path, side: int, leave_out: tuple[str, ...] = HELD_OUT_SEQUENCES) -> list[Sequence]:
    """The fully annotated sequences of a DAVIS-like folder (JPEGImages, Annotations), squashed to squares."""
    loaded = []
    for annotations in sorted((folder / "Annotations").iterdir()):
        images = sorted((folder / "JPEGImages" / annotations.name).iterdir())
        masks = {path.stem: path for path in annotations.iterdir()}
        if annotations.name in leave_out or any(image.stem not in masks for image in images):
            continue
        frames = [
            cv2.cvtColor(
                cv2.resize(cv2.imread(str(image)), (side, side), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB
            )
            for image in images
        ]
        ids = [cv2.imread(str(masks[image.stem]), cv2.IMREAD_UNCHANGED) for image in images]
        ids = [
            cv2.resize(np.where(mask == 255, 0, mask), (side, side), interpolation=cv2.INTER_NEAREST) for mask in ids
        ]
        counts = np.bincount(np.stack(ids).ravel(), minlength=256) / len(ids)
        identities = tuple(
            int(value) for value in np.flatnonzero(counts > 0.002 * side * side) if value not in (0, 255)
        )
        if identities:
            loaded.append(Sequence(annotations.name, np.stack(frames), np.stack(ids), identities))
    return loaded
