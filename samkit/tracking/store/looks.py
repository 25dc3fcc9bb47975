"""How a run looks, as MLflow's own pages show it: pictures by key and step, so that its image grid puts those of chosen
runs side by side.

They are what `MlflowClient.log_image` would log, under names that follow from the run: one that is sent a second time
has its pictures once.
"""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from samkit.errors import BadInput
from samkit.media.drawing import overlay
from samkit.media.pictures import read_picture
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.dates import created_ms
from samkit.tracking.bundle.film_inputs import open_film
from samkit.tracking.bundle.frame_masks import frame_mask, frame_name, frames_with_masks
from samkit.tracking.bundle.ground import ground

FOLDER = "images"
"""Among a run's artifacts; not among the files of the run itself."""
LOGGED = "mlflow.loggedImages"
"""The tag by which MLflow's pages know that a run has pictures."""
LARGE_PX, SMALL_PX = 384, 256
"""Longer sides of a picture and of its preview; the latter is MLflow's own."""
FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
MASK_COLOR = (22, 160, 170)
FIRST_SHOWN = ("mask_chosen", "mask_prompted")
"""Masks that stand for their run, the first that is there."""
ALSO_SHOWN = ("mask_tracked",)
MAX_MADE = 2
"""Pictures that a run without a mask made."""
FRAMES = 3
"""Of a film: the first, the one in the middle and the last of those with masks."""


@dataclass(frozen=True)
class Look:
    """rgb: uint8 [h, w, 3], at most LARGE_PX on its longer side; step: 0, or the number of a film's frame"""

    key: str
    rgb: np.ndarray
    step: int = 0


def shown_mask(names: Iterable[str]) -> str | None:
    """The mask that stands for its run."""
    sorted_names = sorted(names)
    return next((name for name in FIRST_SHOWN if name in sorted_names), sorted_names[0] if sorted_names else None)


def looks_of(bundle: Bundle) -> list[Look]:
    """What stands for the run comes first: its mask on the picture it lies on, else its picture, else what it made."""
    looks = []
    names = list(bundle.record.masks)
    first = shown_mask(names)
    for name in (first, *(name for name in ALSO_SHOWN if name in names and name != first)):
        look = _masked(bundle, name, "mask" if name == first else name) if name else None
        looks += [look] if look is not None else []
    if bundle.record.video is not None:
        return looks + _frames(bundle)
    if not looks:
        picture = bundle.picture("image")
        looks += [Look("picture", _shrunk(picture.rgb, LARGE_PX))] if picture else []
        looks += [Look(file.stem, _shrunk(read_picture(file).rgb, LARGE_PX)) for file in bundle.images()[:MAX_MADE]]
    return looks


class Looks:
    """The looks of one run, made when they are asked for first. Their files are packed by a thread of their own, while
    the store is told of the run; `ready` waits for them.

    folder: an empty one, for the files
    """

    def __init__(self, bundle: Bundle, folder: Path):
        self._bundle, self._folder = bundle, folder
        self._packer = ThreadPoolExecutor(1, "looks")
        self._packed: Future[None] | None = None

    @cached_property
    def shown(self) -> list[Look]:
        """As `looks_of` gives them."""
        looks, record = looks_of(self._bundle), self._bundle.record
        if looks:
            time_ms = created_ms(record.created)
            self._packed = self._packer.submit(write_looks, looks, record.run_uuid, time_ms, self._folder)
        return looks

    def ready(self) -> Path | None:
        """The folder with all files; None for a run that looks like nothing."""
        if not self.shown or self._packed is None:
            return None
        self._packed.result()
        return self._folder

    def close(self) -> None:
        """Nobody writes into the folder afterwards."""
        self._packer.shutdown()


def write_looks(looks: Sequence[Look], run_uuid: str, time_ms: int, folder: Path) -> None:
    """The files, below `folder`, under the names by which MLflow's pages find them. time_ms: the run's, in Unix time"""
    place = folder / FOLDER
    place.mkdir(parents=True)
    for look in looks:
        key = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in look.key)
        name = uuid.UUID(bytes=hashlib.blake2b(f"{run_uuid} {key} {look.step}".encode(), digest_size=16).digest())
        stem = f"{key}+step+{look.step}+timestamp+{time_ms}+{name}"
        (place / f"{stem}.png").write_bytes(cv2.imencode(".png", look.rgb[..., ::-1], FAST_PNG)[1].tobytes())
        small = _shrunk(look.rgb, SMALL_PX)
        packed = cv2.imencode(".webp", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_WEBP_QUALITY, 80])[1]
        (place / f"{stem}+compressed.webp").write_bytes(packed.tobytes())


def _masked(bundle: Bundle, name: str, key: str) -> Look | None:
    picture = ground(bundle, name)
    return None if picture is None else Look(key, _drawn(picture.rgb, bundle.mask(name)))


def _frames(bundle: Bundle) -> list[Look]:
    """Frames of a film with the first object's mask; none where the film is not there."""
    video, numbers = bundle.record.video, sorted(frames_with_masks(bundle))
    if video is None or not numbers:
        return []
    chosen = sorted({numbers[round(at * (len(numbers) - 1) / (FRAMES - 1))] for at in range(FRAMES)})
    looks = []
    try:
        with open_film(bundle.path, video) as film:
            for number in chosen:
                picture, mask = film.picture(number), frame_mask(bundle, frame_name(number))
                if picture.size == mask.shape:
                    looks.append(Look("frame", _drawn(picture.rgb, mask), number))
    except (BadInput, OSError, KeyError):
        pass
    return looks


def _drawn(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    small = _shrunk(rgb, LARGE_PX)
    rows, columns = (np.linspace(0, mask.shape[axis] - 1, small.shape[axis]).astype(int) for axis in (0, 1))
    return overlay(small, np.ascontiguousarray(mask[np.ix_(rows, columns)]), MASK_COLOR, alpha=0.5)


def _shrunk(rgb: np.ndarray, side: int) -> np.ndarray:
    height, width = rgb.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
