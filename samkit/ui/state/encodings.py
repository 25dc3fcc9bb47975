"""Encoded pictures, kept by content for all visitors, in as many bytes as the machine can spare."""

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass

import streamlit as st

from samkit.media.pictures import Picture

DEFAULT_LIMIT_MB = 512


@dataclass(frozen=True)
class CacheState:
    """used and limit in bytes; too_large: bytes of the last encoding where it was more than the limit and so not kept,
    else 0.
    """

    entries: int
    used: int
    limit: int
    hits: int
    misses: int
    too_large: int = 0


class EncodingCache:
    """A least-recently-used cache, safe for threads. Two visitors who ask for the same encoding at once wait for one of
    them to make it.
    """

    def __init__(self, limit_bytes: int):
        self._limit = limit_bytes
        self._encodings: OrderedDict[tuple, object] = OrderedDict()
        self._making: dict[tuple, threading.Lock] = {}
        self._lock = threading.Lock()
        self._hits = self._misses = self._too_large = 0

    def encode(self, model, picture: Picture, *, side=None, fit="native", window_sizes=None, keep_blocks=False):
        """`samkit.experiments.result.EncodeFunction` with this cache behind it."""
        settings = (side or model.info.native_side, fit, window_sizes or model.info.window_sizes, keep_blocks)
        key = (model.info.sha256, model.device, model.dtype, picture.sha256, *settings)
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                found = self._get(key)
                if found is None:
                    found = model.encode_image(
                        picture.rgb, side=side, fit=fit, window_sizes=window_sizes, keep_blocks=keep_blocks
                    )
                    self._put(key, found)
                return found
        finally:
            with self._lock:
                self._making.pop(key, None)

    def _get(self, key: tuple):
        with self._lock:
            found = self._encodings.get(key)
            if found is None:
                self._misses += 1
            else:
                self._hits += 1
                self._encodings.move_to_end(key)
            return found

    def _put(self, key: tuple, encoding) -> None:
        with self._lock:
            self._too_large = encoding.nbytes if encoding.nbytes > self._limit else 0
            if self._too_large:
                return
            self._encodings[key] = encoding
            while self._used() > self._limit:
                self._encodings.popitem(last=False)

    def _used(self) -> int:
        return sum(encoding.nbytes for encoding in self._encodings.values())

    def state(self) -> CacheState:
        with self._lock:
            return CacheState(
                len(self._encodings), self._used(), self._limit, self._hits, self._misses, self._too_large
            )

    def clear(self) -> None:
        """Forget every encoding."""
        with self._lock:
            self._encodings.clear()
            self._too_large = 0


def limit_mb() -> tuple[int, str | None]:
    """What `SAMKIT_CACHE_MB` says, and a sentence where that is no size."""
    told = os.environ.get("SAMKIT_CACHE_MB", "").strip()
    if told.isdecimal() and int(told) > 0:
        return int(told), None
    complaint = (
        f"SAMKIT_CACHE_MB is {told!r}, which is not a whole number of MB above 0: {DEFAULT_LIMIT_MB} MB of encodings "
        "are kept instead."
    )
    return DEFAULT_LIMIT_MB, complaint if told else None


@st.cache_resource(show_spinner=False)
def encoding_cache() -> EncodingCache:
    """The one cache of this server, as large as `limit_mb` says."""
    return EncodingCache(limit_mb()[0] * 2**20)
