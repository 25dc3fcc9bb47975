"""Pictures as values: RGB pixels with a name and a fingerprint."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

import numpy as np
from PIL import Image

from samkit.errors import PictureError


@dataclass(frozen=True, eq=False)
class Picture:
    """RGB pixels, uint8 [H, W, 3], that can't be written to, and the name a person knows them by. Two pictures are equal when their pixels are."""

    rgb: np.ndarray
    name: str

    def __post_init__(self):
        rgb = np.asarray(self.rgb)
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise PictureError(f"A picture's pixels must be uint8 of the shape [height, width, 3], not {rgb.dtype} {list(rgb.shape)}.")
        if rgb.flags.writeable or not rgb.flags.c_contiguous:
            rgb = np.array(rgb, order="C")
            rgb.flags.writeable = False
        object.__setattr__(self, "rgb", rgb)

    @classmethod
    def from_array(cls, rgb: np.ndarray, name: str = "picture") -> "Picture":
        """A picture with its own copy of uint8 [H, W, 3] pixels."""
        return cls(rgb, name)

    @cached_property
    def sha256(self) -> str:
        """Of shape and pixels, in hex: the same for the same pixels, whatever file they came in."""
        digest = hashlib.sha256(repr(self.rgb.shape).encode())
        digest.update(self.rgb)
        return digest.hexdigest()

    @property
    def height(self) -> int:
        return self.rgb.shape[0]

    @property
    def width(self) -> int:
        return self.rgb.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.rgb.shape[:2]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)


def picture_to_png(picture: Picture) -> bytes:
    """The picture as a PNG file, without loss."""
    file = BytesIO()
    Image.fromarray(picture.rgb).save(file, "PNG", compress_level=3)
    return file.getvalue()
