"""Averages of the tokens under a mask, their cosine similarity to other tokens, and the regions where it is high.

Upsampling features to a mask and averaging them there is linear, so it is done the other way round: the mask is brought
down to the tokens, by the transposed upsampling, and gives each token its weight. Same numbers, a thousandth of the
memory, padding and all.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.cluster.vq import kmeans2
from skimage.measure import label, regionprops
from torch import Tensor

from samkit.models.geometry import ImageGeometry

MIN_SHARE = 0.05
"""A token counts as the object's, for k-means, from this share of the largest weight on."""


def token_matrices(
    grid: tuple[int, int], geometry: ImageGeometry, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """float64 [H, h] and [W, w]: what brings values of a grid (h, w) over the padded input to the picture's pixels, or
    to `size`, linearly, padding removed.

    With padding they go through the input's own pixels, as masks do (see `samkit.models.geometry.restore_size`);
    without, they are stretched once.
    """
    height, width = size or geometry.original_size

    def matrix(axis: int, wanted: int) -> np.ndarray:
        values = torch.eye(grid[axis], dtype=torch.float64)[None]
        if geometry.padded_size != geometry.resized_size:
            values = F.interpolate(values, size=geometry.padded_size[axis], mode="linear", align_corners=False)
            values = values[..., : geometry.resized_size[axis]]
        return F.interpolate(values, size=wanted, mode="linear", align_corners=False)[0].T.numpy()

    return matrix(0, height), matrix(1, width)


def mask_weights(mask: np.ndarray, grid: tuple[int, int], geometry: ImageGeometry) -> np.ndarray:
    """float64 [h, w] that add up to 1: the features' mean with these weights is the mean, under the bool [H, W] mask,
    of the features upsampled to the picture.

    All 0 for an empty mask.
    """
    rows, columns = token_matrices(grid, geometry)
    weights = rows.T @ mask.astype(np.float64) @ columns
    total = weights.sum()
    return weights / total if total > 0 else weights


@dataclass(frozen=True)
class ReferenceTokens:
    """The tokens an object is described by. tokens: float32 [N, C]; weights: float64 [N], which add up to 1."""

    tokens: Tensor
    weights: np.ndarray

    def joined(self, other: "ReferenceTokens") -> "ReferenceTokens":
        """Both, each with half of the weight."""
        return ReferenceTokens(
            torch.cat([self.tokens, other.tokens]), np.concatenate([self.weights, other.weights]) / 2
        )


def reference_tokens(features: Tensor, mask: np.ndarray, geometry: ImageGeometry) -> ReferenceTokens:
    """The tokens that a mask touches. features: [C, h, w]; mask: bool [H, W] of the picture, not empty."""
    weights = mask_weights(mask, (features.shape[1], features.shape[2]), geometry).ravel()
    touched = np.flatnonzero(weights > 0)
    return ReferenceTokens(features.float().cpu().flatten(1).T[torch.from_numpy(touched)], weights[touched])


def prototypes(reference: ReferenceTokens, count: int, seed: int = 0) -> Tensor:
    """float32 [K, C] of length 1, K at most `count`: the weighted mean; or, for more than one, the means of the groups
    that k-means finds among the tokens (by direction, so that it agrees with the cosine)."""
    directions = F.normalize(reference.tokens, dim=1)
    inside = reference.weights >= MIN_SHARE * reference.weights.max()
    count = min(count, int(inside.sum()))
    if count <= 1:
        mean = torch.tensor(reference.weights).float() @ reference.tokens
        return F.normalize(mean[None], dim=1)
    chosen = directions[torch.from_numpy(inside)].numpy().astype(np.float64)
    centres, groups = kmeans2(chosen, count, minit="++", seed=seed, missing="warn")
    filled = [centres[group] for group in range(count) if np.any(groups == group)]
    return F.normalize(torch.from_numpy(np.stack(filled)).float(), dim=1)


def similarity_map(features: Tensor, vectors: Tensor) -> np.ndarray:
    """float32 [h, w] of -1..1: each token's cosine similarity to the nearest of the vectors. features: [C, h, w];
    vectors: [K, C] of length 1.
    """
    tokens = F.normalize(features.float().cpu().flatten(1), dim=0)
    return (vectors @ tokens).amax(dim=0).clamp(-1, 1).reshape(features.shape[1:]).numpy()


def picture_similarity(similarity: np.ndarray, geometry: ImageGeometry, longest: int) -> np.ndarray:
    """float32 [H, W] over the picture alone, at its own size or smaller, at most `longest` a side: the map upsampled,
    padding removed.
    """
    scale = min(1.0, longest / max(geometry.original_size))
    height, width = (max(1, round(side * scale)) for side in geometry.original_size)
    rows, columns = token_matrices((similarity.shape[0], similarity.shape[1]), geometry, (height, width))
    return (rows @ similarity @ columns.T).astype(np.float32)


@dataclass(frozen=True)
class Region:
    """A connected part of a picture where the similarity is above a threshold. All places are shares 0..1 of the
    picture.

    box: x1, y1, x2, y2; peak: x, y of the highest similarity; area_share of the picture
    """

    label: int
    box: tuple[float, float, float, float]
    peak: tuple[float, float]
    peak_similarity: float
    mean_similarity: float
    area_share: float


def find_regions(similarity: np.ndarray, threshold: float, min_share: float) -> tuple[np.ndarray, list[Region]]:
    """Regions (touching corners count as connected) of at least `min_share` of the map: int labels [H, W], 0 for none,
    and the regions, most similar first.
    """
    height, width = similarity.shape
    labels = label(similarity > threshold, connectivity=2)
    kept, regions = np.zeros_like(labels), []
    large_enough = [
        region
        for region in regionprops(labels, intensity_image=similarity)
        if region.area >= max(1, min_share * similarity.size)
    ]
    for number, region in enumerate(sorted(large_enough, key=lambda region: -region.intensity_max), start=1):
        top, left, bottom, right = region.bbox
        inside = np.where(region.image, similarity[top:bottom, left:right], -np.inf)
        row, column = np.unravel_index(int(np.argmax(inside)), inside.shape)
        kept[top:bottom, left:right][region.image] = number
        regions.append(
            Region(
                number,
                (left / width, top / height, right / width, bottom / height),
                ((left + column + 0.5) / width, (top + row + 0.5) / height),
                float(region.intensity_max),
                float(region.intensity_mean),
                float(region.area / similarity.size),
            )
        )
    return kept, regions
