"""From cached pictures to training samples: a crop around an object, sometimes with another picture's pasted in, or
many small ones; other colours; prompts.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from training.crowds import crowd, cut_out, disc, four_in_one
from training.data import PictureCache
from training.prompts import first_prompt, wide_box

PASTE_PROBABILITY = 0.4
UNPASTED_SOURCES = {"bsds"}
"""Regions that people agreed on are not always whole objects."""

FOUR_PROBABILITY, CROWD_PROBABILITY = 0.1, 0.15
"""Of a sample that is four pictures in one; of one with an object many times over."""
DISCS_PROBABILITY = 0.4
"""Of such a crowd that is made of discs."""


@dataclass(frozen=True)
class Sample:
    """
    image: float32 [side, side, 3], RGB, 0..255
    masks: float32 [P, side, side], soft, one per prompt, those of the clicks first
    clicks, boxes: (positions float32 [n, 1, 2], labels int [n, 1]), and the same with 2 or 3 (wide ones) in place of 1,
                   as training.prompts gives them; n may be 0
    """

    image: np.ndarray
    masks: np.ndarray
    clicks: tuple[np.ndarray, np.ndarray]
    boxes: tuple[np.ndarray, np.ndarray]


class Sampler:
    """Draws samples from a cache for ever, each picture as often as its source weighs."""

    def __init__(self, cache: PictureCache, seed: int | list[int]):
        self.cache = cache
        self.rng = np.random.default_rng(seed)
        self._pictures, self._probabilities = cache.training_pictures()

    def draw(self, side: int, prompts: int, clicks: int = 0, wide: bool = False) -> Sample:
        """A square sample with that many prompts, so many of them clicks and the others boxes, `wide` ones or not; of
        fewer objects, some get several.
        """
        rng = self.rng
        image, objects = self._draw_arrangement(side, prompts)
        image = recolour(image, rng)
        order = rng.permutation(max(prompts, len(objects)))[:prompts] % len(objects)
        masks = [objects[index] for index in order]
        clicked = [first_prompt(mask, rng, click=True) for mask in masks[:clicks]]
        if wide:
            boxed = [wide_box(objects[index], objects[:index] + objects[index + 1 :], rng) for index in order[clicks:]]
        else:
            boxed = [first_prompt(mask, rng, click=False) for mask in masks[clicks:]]
        return Sample(image, np.stack(masks), _stacked(clicked, 1), _stacked(boxed, 3 if wide else 2))

    def _draw_arrangement(self, side: int, limit: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """A picture's objects, mostly; or those of four pictures; or a crowd."""
        chance, half = self.rng.random(), side // 2
        if chance < FOUR_PROBABILITY:
            return four_in_one([self._draw_objects(half, limit) for _ in range(4)])
        if chance < FOUR_PROBABILITY + CROWD_PROBABILITY:
            return self._draw_crowd(side)
        return self._draw_objects(side, limit)

    def _draw_crowd(self, side: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Objects of one source, or discs, many times over, before a crop of another picture that may be out of
        focus.
        """
        rng, smallest = self.rng, _smallest(side)
        ground = self._crop(self._draw_picture(), side, [0])[0].astype(np.float32)
        if rng.random() < 0.5:
            ground = cv2.GaussianBlur(ground, (0, 0), side * rng.uniform(0.02, 0.2))
        while True:
            image, masks = crowd(ground, self._draw_members(), rng)
            masks = [mask for mask in masks if (mask > 0.5).sum() >= smallest]
            if masks:
                return image, masks

    def _draw_members(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """One to three objects of one source, or one to six discs."""
        rng, cache = self.rng, self.cache
        if rng.random() < DISCS_PROBABILITY:
            return [disc(cache.images[self._draw_picture()], rng) for _ in range(int(rng.integers(1, 7)))]
        first = self._draw_picture()
        while cache.sources[first] in UNPASTED_SOURCES:
            first = self._draw_picture()
        alike = [picture for picture in self._pictures if cache.sources[picture] == cache.sources[first]]
        pictures = [first, *rng.choice(alike, int(rng.choice(3, p=(0.6, 0.2, 0.2))))]
        return [
            cut_out(cache.images[picture], cache.mask(picture, int(rng.integers(cache.mask_count(picture)))))
            for picture in pictures
        ]

    def _draw_objects(self, side: int, limit: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """A crop with at least one object of a visible size."""
        rng, smallest = self.rng, _smallest(side)
        while True:
            picture = self._draw_picture()
            image, masks = self._crop(picture, side, rng.permutation(self.cache.mask_count(picture))[:limit])
            image = image.astype(np.float32)
            if rng.random() < PASTE_PROBABILITY:
                image, masks = self._paste(image, masks, side)
            masks = [mask for mask in masks if (mask > 0.5).sum() >= smallest]
            if masks:
                return image, masks

    def _draw_picture(self) -> int:
        return int(self.rng.choice(self._pictures, p=self._probabilities))

    def _paste(self, image: np.ndarray, masks: list[np.ndarray], side: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Put an object of another picture in front, cut what it covers out of the other masks, and add its own."""
        other = self._draw_picture()
        if self.cache.sources[other] in UNPASTED_SOURCES:
            return image, masks
        pasted, (alpha,) = self._crop(other, side, [int(self.rng.integers(self.cache.mask_count(other)))])
        if not 0.01 < alpha.mean() < 0.5:
            return image, masks
        image = image * (1 - alpha[..., None]) + pasted * alpha[..., None]
        return image, [mask * (1 - alpha) for mask in masks] + [alpha]

    def _crop(self, picture: int, side: int, indices) -> tuple[np.ndarray, list[np.ndarray]]:
        """A random crop that holds a pixel of the first mask, squashed to a square; mirrored half the time. uint8
        [side, side, 3], soft masks.
        """
        rng, image = self.rng, self.cache.images[picture]
        masks = [self.cache.mask(picture, index) for index in indices]
        full = image.shape[0]
        scale = rng.uniform(0.45, 1.0) if rng.random() < 0.7 else 1.0
        aspect = math.exp(rng.uniform(-0.25, 0.25))
        height, width = min(full, int(full * scale * aspect)), min(full, int(full * scale / aspect))
        rows, columns = np.nonzero(masks[0])
        pick = rng.integers(len(rows))
        top = int(np.clip(rows[pick] - rng.uniform(0.15, 0.85) * height, 0, full - height))
        left = int(np.clip(columns[pick] - rng.uniform(0.15, 0.85) * width, 0, full - width))
        window = slice(top, top + height), slice(left, left + width)
        filter_ = cv2.INTER_AREA if height > side else cv2.INTER_LINEAR
        image = cv2.resize(image[window], (side, side), interpolation=filter_)
        masks = [cv2.resize(mask[window].astype(np.float32), (side, side), interpolation=filter_) for mask in masks]
        if rng.random() < 0.5:
            image, masks = image[:, ::-1], [mask[:, ::-1] for mask in masks]
        return image, masks


def _smallest(side: int) -> float:
    """Pixels an object must have to be worth a prompt: 12 and 0.2 % of the sample."""
    return max(12, side * side * 0.002)


def _stacked(prompts: list[tuple[np.ndarray, np.ndarray]], tokens: int) -> tuple[np.ndarray, np.ndarray]:
    positions, labels = [positions for positions, _ in prompts], [labels for _, labels in prompts]
    return np.array(positions, np.float32).reshape(-1, tokens, 2), np.array(labels, int).reshape(-1, tokens)


def recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, saturation, tint, at times grey or blurred. float32 [h, w, 3] of 0..255, in and out."""
    if rng.random() < 0.8:
        image = image * rng.uniform(0.6, 1.4) + rng.uniform(-30, 30)
    if rng.random() < 0.6:
        grey = image.mean(-1, keepdims=True)
        image = grey + (image - grey) * rng.uniform(0.2, 1.6)
    if rng.random() < 0.5:
        image = image * rng.uniform(0.85, 1.15, (1, 1, 3))
    if rng.random() < 0.08:
        image = np.repeat(image.mean(-1, keepdims=True), 3, -1)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5))
    return np.clip(image, 0, 255).astype(np.float32)
