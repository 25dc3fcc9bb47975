"""The lab that experiments run in: encodings, remembered parts, progress and cancelling, in one place.

A lab is made for one run and costs nothing. What it remembers lies in two memories, which many labs may share: in the
app all visitors', on the command line its own.
"""

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from samkit.errors import Cancelled
from samkit.experiments.lab import Progress
from samkit.media.films import Video
from samkit.media.pictures import Picture
from samkit.models.encoding import ImageEncoding
from samkit.models.sam import SamModel
from samkit.work.content_key import content_key
from samkit.work.long_encoding import PACE, told_of
from samkit.work.memory import Memory
from samkit.work.other_model import OtherModel, open_other
from samkit.work.sources import Sources

T = TypeVar("T")
ENCODINGS_BYTES = 512 * 2**20
PARTS_BYTES = 256 * 2**20


class LazyEncoding:
    """A picture's encoding, made when it is first looked at. content_key: what it will hold, known before that."""

    def __init__(self, key: str, make: Callable[[], ImageEncoding]):
        self.content_key = key
        self._make = make
        self._made: ImageEncoding | None = None

    @property
    def value(self) -> ImageEncoding:
        if self._made is None:
            self._made = self._make()
        return self._made


class Lab:
    """See `samkit.experiments.lab.LabLike` for what an experiment asks of it.

    encodings, parts: where encodings and remembered parts are kept; default: memories of this lab's own
    progress:  is told how far the work is
    cancelled: asked at every report; the work ends with `Cancelled` where it says yes
    sources:   opens what a spec refers to; default: samples and files
    frames:    where encodings of films' frames are kept; default: nowhere
    other_model: finds a second model; default: whatever its owner names
    figures_only: whether results may lack pictures, maps and curves
    user:      on whose behalf all this is remembered, as in `Memory.get`
    ask:       called before a picture is encoded, with the model, the side and about how many seconds it takes; raises
               where it is not to be
    """

    content_key = "lab"
    """A lab among a function's arguments says nothing about what the function gives."""

    def __init__(
        self,
        encodings: Memory | None = None,
        parts: Memory | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        sources: Sources | None = None,
        user: str | None = None,
        allow: Callable[[int], None] | None = None,
        frames: Memory | None = None,
        other_model: OtherModel = open_other,
        figures_only: bool = False,
        ask: Callable[[SamModel, int, float], None] | None = None,
    ):
        self._encodings = encodings or Memory(ENCODINGS_BYTES)
        self._parts = parts or Memory(PARTS_BYTES)
        self._progress = progress
        self._cancelled = cancelled
        self.sources = sources or Sources()
        self.user = user
        self._allow = allow
        self._frames = frames
        self._other_model = other_model
        self.figures_only = figures_only
        self._ask = ask
        self._share = 0.0
        """What was last reported."""

    def encoding(
        self,
        model: SamModel,
        picture: Picture,
        *,
        side: int | None = None,
        fit: str = "native",
        window_sizes: tuple[int, ...] | None = None,
        window_reading: str = "step",
        keep_blocks: bool = False,
    ) -> LazyEncoding:
        own = tuple(model.info.window_sizes)
        windows = tuple(window_sizes or own)
        reading = "step" if windows == own else window_reading  # all mean the same at the model's own windows
        settings = (side or model.info.native_side, fit, windows, reading, keep_blocks)
        key = content_key("encoding", torch.get_num_threads(), model, picture, *settings)

        def encode() -> ImageEncoding:
            with self._telling(model, picture.rgb, side, fit, window_sizes):
                if self._allow is not None:
                    self._allow(side or model.info.native_side)
                return model.encode_image(
                    picture.rgb,
                    side=side,
                    fit=fit,
                    window_sizes=window_sizes,
                    window_reading=reading,
                    keep_blocks=keep_blocks,
                )

        def make() -> ImageEncoding:
            encoding = self._encodings.get(key, encode, self.user)
            _remember_key(encoding, key)
            return encoding

        return LazyEncoding(key, make)

    def lazily(self, function: Callable[..., ImageEncoding], *arguments: Any, side: int) -> LazyEncoding:
        """An encoding that a function of values gives, remembered among the encodings; arguments as for `recall`. side:
        longest one of what is encoded, in pixels
        """
        key = _step_key(function, arguments)

        def give() -> ImageEncoding:
            if self._allow is not None:
                self._allow(side)
            return function(*arguments)

        def make() -> ImageEncoding:
            encoding = self._encodings.get(key, give, self.user)
            _remember_key(encoding, key)
            return encoding

        return LazyEncoding(key, make)

    def frame_encoding(
        self, model: SamModel, video: Video, frame: int, rgb: np.ndarray, *, side: int | None, fit: str
    ) -> ImageEncoding:
        def encode() -> ImageEncoding:
            with self._telling(model, rgb, side, fit, None):
                return model.encode_image(rgb, side=side, fit=fit, film=True)

        if self._frames is None:
            return encode()
        settings = side or model.info.native_side, fit
        key = content_key("frame", torch.get_num_threads(), model, video, frame, *settings)
        return self._frames.get(key, encode, self.user)

    def other_model(self, ref: str, sha256: str | None, like: SamModel) -> SamModel:
        return self._other_model(ref, sha256, like)

    def recall(self, function: Callable[..., T], *arguments: Any) -> T:
        key = _step_key(function, arguments)
        value = self._parts.get(key, lambda: function(*arguments), self.user)
        _remember_key(value, key)
        return value

    def key(self, function: Callable[..., Any], *arguments: Any) -> str:
        """By which `recall` remembers it."""
        return _step_key(function, arguments)

    def knows(self, function: Callable[..., Any], *arguments: Any) -> bool:
        return self._parts.has(self.key(function, *arguments))

    @contextmanager
    def _telling(
        self, model: SamModel, rgb: np.ndarray, side: int | None, fit: str, window_sizes: tuple[int, ...] | None
    ) -> Iterator[None]:
        """Before a picture is encoded, ask; meanwhile report how far that is. How much of all the work it is nobody
        knows; it gets half of what is left.
        """
        before, height, width = self._share, *rgb.shape[:2]
        said = model.block_seconds((height, width), side=side, fit=fit, window_sizes=window_sizes)
        who, longest = f"{model.info.sha256} {model.dtype}", side or model.info.native_side
        seconds = [PACE.factor(who) * each for each in said]
        if self._ask is not None:
            self._ask(model, longest, sum(seconds))

        def report(share: float, line: str) -> None:
            self.report(before + (1 - before) / 2 * share, line)

        begun = time.perf_counter()
        with told_of(seconds, longest, report):
            yield
        PACE.note(who, sum(said), time.perf_counter() - begun)

    def report(self, share: float, line: str) -> None:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("The work was cancelled.")
        self._share = share
        if self._progress is not None:
            self._progress(share, line)

    def span(self, start: float, end: float) -> "Lab":
        def progress(share: float, line: str) -> None:
            if self._progress is not None:
                self._progress(start + (end - start) * share, line)

        return Lab(
            self._encodings,
            self._parts,
            progress,
            self._cancelled,
            self.sources,
            self.user,
            self._allow,
            self._frames,
            self._other_model,
            self.figures_only,
            self._ask,
        )


def _step_key(function: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    """The number of threads counts: another one moves the last digits, and a replay has the run's own."""
    return content_key(torch.get_num_threads(), function, *map(_known, arguments))


class _Known:
    """Stands for a value that a lab gave: its key says what it was made from, so that nobody reads all of its bytes."""

    def __init__(self, key: str):
        self.content_key = key


_keys: dict[int, tuple[weakref.ref, str]] = {}
_keys_lock = threading.RLock()
"""Reentrant: a value may be let go, and forgotten here, while its own thread holds the lock."""


def _remember_key(value: Any, key: str) -> None:
    """Let `value` be known by `key` as long as it lives, and each of its parts by its place in it. What has a hash of
    its own, and plain numbers and texts, are known by their content. Arrays can't be written to from here on: whoever
    did would change what all others are given.
    """
    if type(value) in (tuple, list):
        for index, part in enumerate(value):
            _remember_key(part, f"{key}.{index}")
    elif is_dataclass(value) and not isinstance(value, type) and not _has_own_key(value) and _follow(value, key):
        for field in fields(value):
            _remember_key(getattr(value, field.name), f"{key}.{field.name}")
    elif isinstance(value, np.ndarray):
        value.flags.writeable = False
        _follow(value, key)
    elif isinstance(value, torch.Tensor):
        _follow(value, key)


def _follow(value: Any, key: str) -> bool:
    """Put a value's key down until it is gone; False where it has one, or can't be followed."""
    place = id(value)

    def forget(gone: weakref.ref) -> None:
        with _keys_lock:
            if place in _keys and _keys[place][0] is gone:
                del _keys[place]

    try:
        followed = weakref.ref(value, forget)
    except TypeError:
        return False
    with _keys_lock:
        if place in _keys and _keys[place][0]() is value:
            return False
        _keys[place] = followed, key
        return True


def _has_own_key(value: Any) -> bool:
    return hasattr(value, "content_key") or hasattr(value, "sha256")


def _known(value: Any) -> Any:
    """The value, or what stands for it where a lab gave it; in tuples, lists and data classes each of their parts."""
    if type(value) in (tuple, list):
        return tuple(map(_known, value))
    with _keys_lock:
        entry = _keys.get(id(value))
    if entry is not None and entry[0]() is value:
        return _Known(entry[1])
    if is_dataclass(value) and not isinstance(value, type) and not _has_own_key(value):
        return type(value), *(_known(getattr(value, field.name)) for field in fields(value))
    return value
