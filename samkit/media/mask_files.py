"""Mask files that others wrote: black and white pictures, pictures of objects' numbers, cut-outs, numpy arrays.

Which pixels are the object's follows from how the file is stored:

- numbers (a palette, or greyscale of few values): each number but 0 is an object of its own, and 255 is what annotators
  leave open ("ignore", "void");
- black and white alone: white is the object;
- greyscale of many values, and JPEG: a soft mask, cut at half;
- transparent pictures: what is opaque;
- .npy: bool [H, W], or whole numbers [H, W] as above.
"""

from dataclasses import dataclass
from io import BytesIO
from tokenize import TokenError

import numpy as np
from PIL import Image

from samkit.errors import PictureError
from samkit.media.pictures import MAX_PIXELS, MAX_SIDE, PictureSource, picture_bytes, stored_pixels
from samkit.words import listed

IGNORE = 255
SOFT_FROM = 33
"""Greyscale of at least so many different values is a soft mask: nobody numbers so many objects in one picture, and
edges that were smoothed have more.
"""
NPY_START = b"\x93NUMPY"
MAX_LISTED = 12


@dataclass(frozen=True, eq=False)
class MaskFile:
    """What a mask file holds.

    numbers: int32 [H, W]: 0 for no object, else the number of the object there
    ignore:  bool [H, W], what nobody judged; None where the file knows no such pixels
    soft:    whether grey levels were cut at half
    """

    numbers: np.ndarray
    name: str
    ignore: np.ndarray | None = None
    soft: bool = False

    @property
    def objects(self) -> tuple[int, ...]:
        """The numbers of the objects that are there."""
        return tuple(int(number) for number in np.unique(self.numbers) if number)

    def mask(self, number: int | None = None) -> np.ndarray:
        """bool [H, W] of one object, or of all together. Raises PictureError for a number that is not in the file."""
        if number is None:
            return self.numbers > 0
        if number not in self.objects:
            raise PictureError(f"{self.name} holds no object {number}: {self._objects_text()}.")
        return self.numbers == number

    def _objects_text(self) -> str:
        if not self.objects:
            return "it holds none at all"
        shown = [str(number) for number in self.objects[:MAX_LISTED]]
        return f"it holds {listed(shown)}" + (" and more" if self.objects[MAX_LISTED:] else "")


def read_mask_file(source: PictureSource, name: str | None = None) -> MaskFile:
    """A mask from a path, the bytes of a file, or an open binary file.

    Raises PictureError for what is no mask, such as a picture in colours, and where `read_picture` does.
    """
    name, data = picture_bytes(source, name)
    if data.startswith(NPY_START):
        return _of_array(read_array(data, name), name)
    image, pixels = stored_pixels(data, name)
    if image.mode in ("RGBA", "LA", "PA") and not (pixels[..., -1] == 255).all():
        return MaskFile((pixels[..., -1] >= 128).astype(np.int32), name, soft=True)
    if image.mode == "P":
        white = _palette_color(image, IGNORE) == (255, 255, 255)
        return _of_numbers(pixels, name, black_and_white=white)
    if image.mode not in ("1", "L", "I", "F") and not image.mode.startswith("I;16"):
        pixels = _grey(image, pixels, name)
    if pixels.dtype.kind == "f":
        raise PictureError(f"{name} holds fractions, not a mask: save it with whole numbers, 0 for no object.")
    if image.format in ("JPEG", "MPO") or (pixels.dtype == np.uint8 and len(np.unique(pixels)) >= SOFT_FROM):
        return MaskFile((pixels >= 128).astype(np.int32), name, soft=True)
    return _of_numbers(pixels, name)


def read_array(data: bytes, name: str) -> np.ndarray:
    """The array of a .npy file, [H, W] or [1, H, W] as [H, W]: bool, whole numbers or floats. Raises PictureError for
    any other, before its numbers are read.
    """
    file = BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if dtype.kind not in "biuf":
            raise PictureError(f"{name} holds {dtype}, not numbers: save a bool array of the shape [height, width].")
        plane = shape[1:] if len(shape) == 3 and shape[0] == 1 else shape
        if len(plane) != 2 or 0 in plane:
            raise PictureError(
                f"{name} holds an array of the shape {list(shape)}: save one mask of the shape [height, width]."
            )
        if max(plane) > MAX_SIDE or plane[0] * plane[1] > MAX_PIXELS:
            raise PictureError(f"{name} has {plane[1]} x {plane[0]} pixels, more than are read. Make it smaller first.")
        file.seek(0)
        return np.load(file, allow_pickle=False).reshape(plane)
    except PictureError:
        raise
    # numpy reads the head of an array by Python's own tokens.
    except (ValueError, EOFError, OSError, MemoryError, TypeError, SyntaxError, TokenError) as error:
        raise PictureError(f"{name} is damaged: numpy can't read it. Save it again with numpy.save.") from error


def mask_png(mask: np.ndarray, ignore: np.ndarray | None = None) -> bytes:
    """A PNG that `read_mask_file` reads back as it is: black, white for the bool [H, W] mask, grey for the bool [H, W]
    pixels to ignore.
    """
    numbers = mask.astype(np.uint8)
    if ignore is not None:
        numbers[ignore] = IGNORE
    image = Image.fromarray(numbers)
    image.putpalette([0, 0, 0] + [255, 255, 255] + [128, 128, 128] * 254)
    file = BytesIO()
    image.save(file, "PNG", compress_level=3, bits=8)
    return file.getvalue()


def _of_array(array: np.ndarray, name: str) -> MaskFile:
    if array.dtype.kind == "f":
        raise PictureError(f"{name} holds fractions, not a mask: save it as bool or as whole numbers.")
    return MaskFile(array.astype(np.int32), name) if array.dtype == bool else _of_numbers(array, name)


def _of_numbers(pixels: np.ndarray, name: str, black_and_white: bool = True) -> MaskFile:
    """black_and_white: whether 255 is white, the object, in a file that has nothing else but 0."""
    if pixels.size and (pixels.min() < 0 or pixels.max() > np.iinfo(np.int32).max):
        raise PictureError(f"{name} holds numbers that no object can have: use 0 for none and 1, 2, 3 ... for objects.")
    numbers = pixels.astype(np.int32)
    ignore = numbers == IGNORE
    if black_and_white and not np.any((numbers != 0) & ~ignore):
        return MaskFile(ignore.astype(np.int32), name)
    numbers[ignore] = 0
    return MaskFile(numbers, name, ignore if ignore.any() else None)


def _grey(image: Image.Image, pixels: np.ndarray, name: str) -> np.ndarray:
    """uint8 [H, W] of a picture without colours."""
    if image.mode == "LA":
        return pixels[..., 0]
    if image.mode not in ("RGB", "RGBA"):
        pixels = np.asarray(image.convert("RGB"))
    if not (np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])):
        raise PictureError(
            f"{name} is a picture in colours, not a mask: save the mask in black and white, or with a number for each "
            "object."
        )
    return pixels[..., 0]


def _palette_color(image: Image.Image, index: int) -> tuple[int, ...]:
    palette = image.getpalette("RGB") or []
    return tuple(palette[3 * index : 3 * index + 3])
