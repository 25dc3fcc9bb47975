"""What comes out of an experiment: values without a screen or a store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np

from samkit.experiments.params import PlainParams

Ground = Literal["image", "image_b", "frame", "prior"]
"""What a mask lies on: the run's first or second picture, a frame of its film, or a picture remembered beforehand."""
Better = Literal["higher", "lower"]
Fact = int | float | str | bool
ParamsT = TypeVar("ParamsT", bound=PlainParams, covariant=True)


@dataclass(frozen=True)
class Mask:
    """A mask and the picture it lies on.

    pixels: bool [H, W], in that picture's own pixels
    index:  which frame of the film or which of the remembered pictures it lies on; 0 for "image" and "image_b"
    """

    pixels: np.ndarray
    on: Ground = "image"
    index: int = 0


@dataclass(frozen=True)
class Metric:
    """A measured number, by which runs are compared.

    better: which values are better; None where neither is
    key:    whether it is one of the figures that sum a run up
    """

    value: float
    better: Better | None = None
    key: bool = False


def higher(value: float, key: bool = False) -> Metric:
    """A metric of which more is better."""
    return Metric(float(value), "higher", key)


def lower(value: float, key: bool = False) -> Metric:
    """A metric of which less is better."""
    return Metric(float(value), "lower", key)


def neutral(value: float, key: bool = False) -> Metric:
    """A metric of which neither more nor less is better."""
    return Metric(float(value), None, key)


def _torch_threads() -> int:
    import torch

    return torch.get_num_threads()


@dataclass(frozen=True)
class Result(Generic[ParamsT]):
    """One finished experiment.

    images:  name -> uint8 [H, W, 3] or [H, W, 4] RGB(A), pictures made for a person to look at (kept as PNG)
    masks:   name -> `Mask`, kept as a lossless PNG of that name; every name begins with `mask_`
    arrays:  name -> numeric array (kept together in arrays.npz)
    metrics: name -> `Metric`, finite numbers that runs are compared by
    facts:   name -> what was so in this run and is neither better nor worse: the chosen mask, a grid, a count
    tables:  name -> list of rows (dicts of plain values), curves among them
    timings: name ending in `_ms` -> milliseconds
    files:   file name -> content, such as a film and the masks of its frames (kept as they are)
    threads: how many torch computed with; by itself those of the thread that makes the Result
    """

    experiment: str
    params: ParamsT
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    masks: Mapping[str, Mask] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    tables: Mapping[str, list[dict]] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    threads: int = field(default_factory=_torch_threads)

    def value(self, name: str) -> float:
        """The number of a metric. KeyError where the run has none of that name."""
        return self.metrics[name].value

    def index(self, name: str = "mask_index") -> int:
        """A fact that is a whole number, such as which mask was chosen. KeyError where the run has none of that
        name.
        """
        return int(self.facts[name])
