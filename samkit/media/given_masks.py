"""Masks that a person brings along to a picture: a hint that the model starts from, and the truth that its masks are
measured by.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Literal

import cv2
import numpy as np

from samkit.errors import PictureError
from samkit.media.mask_files import NPY_START, MaskFile, mask_png, read_array, read_mask_file
from samkit.media.masks import mask_iou
from samkit.media.pictures import PictureSource, picture_bytes
from samkit.prompts import Prompts

HintKind = Literal["mask", "logits"]
MAX_LOGITS_SIDE = 1024
"""The side of a model's own logits is a quarter of its input's."""


@dataclass(frozen=True, eq=False)
class MaskHint:
    """Where the object is thought to be, for the model's mask decoder; the official packages' `mask_input`.

    values: bool [H, W], a mask in the picture's own pixels; or float32 [h, w], logits of an earlier prediction over the
            model's whole input, padding and all. They can't be written to
    name:   what a person knows it by
    """

    values: np.ndarray
    name: str = "mask hint"

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=bool if self.values.dtype == bool else np.float32, order="C")
        if values.ndim != 2 or 0 in values.shape:
            raise PictureError(f"{self.name} must have the shape [height, width], not {list(values.shape)}.")
        if values.dtype == bool and not values.any():
            raise PictureError(f"{self.name} is empty: a hint must hold at least one pixel of the object.")
        if not np.isfinite(values).all():
            raise PictureError(f"{self.name} holds numbers that are not finite: logits are finite numbers.")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @property
    def kind(self) -> HintKind:
        return "mask" if self.values.dtype == bool else "logits"

    @cached_property
    def sha256(self) -> str:
        """Of kind, shape and values, in hex."""
        return _sha256(self.kind, self.values)

    def fitted(self, size: tuple[int, int]) -> "MaskHint":
        """The hint for a picture of (height, width) pixels: a mask as `fit_mask` makes it, logits as they are."""
        if self.kind == "logits" or self.values.shape == size:
            return self
        return MaskHint(fit_mask(self.values, size, self.name), self.name)

    def file(self) -> bytes:
        """What `read_hint` reads back: a PNG of a mask, a .npy of logits."""
        if self.kind == "mask":
            return mask_png(self.values)
        file = BytesIO()
        np.save(file, self.values, allow_pickle=False)
        return file.getvalue()

    @property
    def suffix(self) -> str:
        """Of its file's name."""
        return ".png" if self.kind == "mask" else ".npy"


def is_marked(prompts: Prompts, hint: MaskHint | None) -> bool:
    """Whether something says which object is meant: a prompt, or a mask hint."""
    return not prompts.is_empty or hint is not None


@dataclass(frozen=True, eq=False)
class Truth:
    """The mask that is right.

    mask:   bool [H, W] in the picture's own pixels
    ignore: bool [H, W], pixels that don't count; None where all do
    name:   what a person knows it by
    """

    mask: np.ndarray
    ignore: np.ndarray | None = None
    name: str = "truth"

    def __post_init__(self) -> None:
        mask = _frozen(self.mask)
        if mask.ndim != 2 or 0 in mask.shape:
            raise PictureError(f"{self.name} must have the shape [height, width], not {list(mask.shape)}.")
        if self.ignore is not None:
            ignore = _frozen(self.ignore)
            object.__setattr__(self, "ignore", ignore if ignore.any() else None)
            mask = _frozen(mask & ~ignore)
        object.__setattr__(self, "mask", mask)

    @cached_property
    def sha256(self) -> str:
        """Of shape, mask and ignored pixels, in hex."""
        return _sha256("truth", self.mask, *([] if self.ignore is None else [self.ignore]))

    def iou(self, mask: np.ndarray) -> float:
        """Intersection over union of a mask, bool [H, W], with the truth, 0..1; ignored pixels left out."""
        return float(mask_iou(mask if self.ignore is None else mask & ~self.ignore, self.mask))

    def fitted(self, size: tuple[int, int]) -> "Truth":
        """The truth for a picture of (height, width) pixels, as `fit_mask` makes it."""
        if self.mask.shape == size:
            return self
        ignore = None if self.ignore is None else fit_mask(self.ignore, size, self.name)
        return Truth(fit_mask(self.mask, size, self.name), ignore, self.name)

    def resized(self, size: tuple[int, int]) -> "Truth":
        """The truth at another resolution, (height, width), whatever its proportions: the nearest pixels."""
        if self.mask.shape == size:
            return self
        return Truth(_nearest(self.mask, size), None if self.ignore is None else _nearest(self.ignore, size), self.name)

    def file(self) -> bytes:
        """A PNG that `read_truth` reads back."""
        return mask_png(self.mask, self.ignore)


def read_hint(source: PictureSource, name: str | None = None, number: int | None = None) -> MaskHint:
    """A hint from a mask file (see `read_mask_file`), or from a .npy of float logits.

    number: of the object that is meant, where the file holds several; None: all of them
    """
    name, data = picture_bytes(source, name)
    if data.startswith(NPY_START):
        array = read_array(data, name)
        if array.dtype.kind == "f":
            if max(array.shape) > MAX_LOGITS_SIDE:
                raise PictureError(
                    f"{name} holds {array.shape[1]} x {array.shape[0]} numbers, and a model's logits have at most "
                    f"{MAX_LOGITS_SIDE} a side: for a mask of the picture's size save bool values."
                )
            return MaskHint(array, name)
    return hint_of(read_mask_file(data, name), number)


def hint_of(file: MaskFile, number: int | None = None) -> MaskHint:
    """The mask of a file as a hint; with a number its name is FILE#NUMBER."""
    return MaskHint(file.mask(number), _numbered(file, number))


def read_truth(source: PictureSource, name: str | None = None, number: int | None = None) -> Truth:
    """The truth from a mask file (see `read_mask_file`).

    number: of the object that is meant, where the file holds several; None: all of them
    """
    return truth_of(read_mask_file(source, name), number)


def truth_of(file: MaskFile, number: int | None = None) -> Truth:
    """The mask of a file as the truth; with a number its name is FILE#NUMBER."""
    return Truth(file.mask(number), file.ignore, _numbered(file, number))


def _numbered(file: MaskFile, number: int | None) -> str:
    return file.name if number is None else f"{file.name}#{number}"


def fit_mask(mask: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
    """The bool mask at a picture's (height, width) in pixels: itself; where the proportions are the same, give or take
    a pixel, the nearest pixels of it. Raises PictureError for other proportions.
    """
    (height, width), (own_height, own_width) = size, mask.shape
    if (own_height, own_width) == size:
        return mask
    if abs(own_width * height / own_height - width) > 1 and abs(own_height * width / own_width - height) > 1:
        raise PictureError(
            f"{name} has {own_width} x {own_height} pixels, the picture {width} x {height}: give a mask of the "
            "picture's size, or at least of its proportions."
        )
    return _nearest(mask, size)


def _nearest(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(mask.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)


def _frozen(mask: np.ndarray) -> np.ndarray:
    mask = np.array(mask, dtype=bool, order="C")
    mask.flags.writeable = False
    return mask


def _sha256(kind: str, *arrays: np.ndarray) -> str:
    digest = hashlib.sha256(kind.encode())
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.packbits(array).data if array.dtype == bool else array.data)
    return digest.hexdigest()
