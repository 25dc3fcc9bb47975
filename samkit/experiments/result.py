"""What goes into an experiment and what comes out of it: values without a screen or a store."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from samkit.media.pictures import Picture
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from samkit.media.films import Video
    from samkit.models.memory_bank import MemoryBank

Progress = Callable[[float, str], None]
"""Called with a share done (0..1) and a short line that says what is being done."""


class PlainParams(BaseModel):
    """Parameters of an experiment; each experiment's `Params` adds its own knobs. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ExperimentParams(PlainParams):
    """Parameters of every experiment that encodes a picture."""

    side: int | None = Field(
        default=None, ge=32, description="longest side of the encoded picture in pixels; empty: the model's native side"
    )
    fit: Literal["native", "stretch", "aspect"] = Field(
        default="native", description="how the picture is fitted to the encoder"
    )


class MaskParams(ExperimentParams):
    """Parameters of every experiment that makes masks."""

    refine_edges: bool = Field(
        default=False,
        description="cut the masks again along the picture's edges by OpenCV's GrabCut: a step after the model, not "
        "its "
        "own "
        "output",
    )


@dataclass(frozen=True)
class Prior:
    """A picture with an object marked on it, to be remembered.

    prompts:    what marks it, with mask_index for which of the four masks is meant (None: the best); or
    mask:       bool [H, W] in the picture's pixels
    film_frame: where in the run's film the picture comes from, or None for a picture from elsewhere
    """

    picture: Picture
    prompts: Prompts = Prompts()
    mask_index: int | None = None
    mask: np.ndarray | None = None
    film_frame: int | None = None


@dataclass(frozen=True)
class Inputs:
    """The pictures and prompts of one run; for runs on a film also the film, the pictures remembered beforehand, and a
    memory bank to start from.

    image: None for an experiment on a model alone
    """

    image: Picture | None = None
    prompts: Prompts = Prompts()
    image_b: Picture | None = None
    video: "Video | None" = None
    priors: tuple[Prior, ...] = ()
    bank: "MemoryBank | None" = None


class EncodeFunction(Protocol):
    """Encodes a picture; the app passes one that caches, the command line one that does not."""

    def __call__(
        self,
        model,
        picture: Picture,
        *,
        side: int | None,
        fit: str,
        window_sizes: tuple[int, ...] | None = None,
        keep_blocks: bool = False,
    ): ...


def encode_plain(model, picture: Picture, *, side=None, fit="native", window_sizes=None, keep_blocks=False):
    """`EncodeFunction` without a cache."""
    return model.encode_image(picture.rgb, side=side, fit=fit, window_sizes=window_sizes, keep_blocks=keep_blocks)


def _torch_threads() -> int:
    import torch

    return torch.get_num_threads()


@dataclass(frozen=True)
class Result:
    """One finished experiment.

    images:  name -> uint8 [H, W, 3] or [H, W, 4] RGB(A), pictures made for a person to look at (kept as PNG).
    masks:   name -> bool [H, W] in the original picture's pixels (kept as lossless PNG).
    arrays:  name -> numeric array (kept together in arrays.npz).
    metrics: name -> finite float, what runs are compared by.
    tables:  name -> list of rows (dicts of plain values), curves among them.
    timings: name ending in `_ms` -> milliseconds.
    files:   file name -> content, such as a film and the masks of its frames (kept as they are).
    threads: how many torch computed with; by itself those of the thread that makes the Result.
    """

    experiment: str
    params: PlainParams
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, list[dict]] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    threads: int = field(default_factory=_torch_threads)
