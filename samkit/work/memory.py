"""Values that were slow to make, kept by content for whoever asks next, in as many bytes as they may have."""

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

T = TypeVar("T")
PLAIN = frozenset({float, int, str, bool, type(None)})


@dataclass(frozen=True)
class MemoryState:
    """used and limit in bytes; too_large: bytes of the last value where it was more than the limit and so not kept,
    else 0.
    """

    entries: int
    used: int
    limit: int
    hits: int
    misses: int
    too_large: int = 0


class Memory:
    """The values used last, dropped from the least recently used on. Safe for threads: two who ask for the same value
    at once wait for one of them to make it.

    Whoever asks may say who they are. What only those have asked for who are gone goes with the last of them.
    """

    def __init__(self, limit_bytes: int):
        self._limit = limit_bytes
        self._values: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._users: dict[str, set[str]] = {}
        self._making: dict[str, tuple[threading.Lock, int]] = {}
        self._lock = threading.Lock()
        self._used = self._hits = self._misses = self._too_large = 0

    def get(self, key: str, make: Callable[[], T], user: str | None = None) -> T:
        """The value kept under `key`; made by `make` where there is none. Nothing is kept of a `make` that raises.

        user: on whose behalf; None for nobody's, which stays until there is no room
        """
        making = self._enter(key)
        try:
            with making:
                with self._lock:
                    if key in self._values:
                        self._hits += 1
                        self._values.move_to_end(key)
                        self._note_user(key, user)
                        return self._values[key][0]
                    self._misses += 1
                value = make()
                self._put(key, value, user)
                return value
        finally:
            self._leave(key)

    def has(self, key: str) -> bool:
        """Whether the value is kept at this moment."""
        with self._lock:
            return key in self._values

    def peek(self, key: str, user: str | None = None) -> Any | None:
        """The value, as one just used, where it is kept at this moment, else None. Nothing is made and nobody waits.

        user: on whose behalf; None leaves it whose it was
        """
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            if user is not None:
                self._note_user(key, user)
            return self._values[key][0]

    def is_making(self, key: str) -> bool:
        """Whether somebody is about to make this value, or waits for who does."""
        with self._lock:
            return key in self._making

    def state(self) -> MemoryState:
        with self._lock:
            return MemoryState(len(self._values), self._used, self._limit, self._hits, self._misses, self._too_large)

    def let_go(self, user: str) -> None:
        """Forget what was asked for on behalf of this user alone."""
        with self._lock:
            for key in [key for key, users in self._users.items() if user in users]:
                self._users[key].discard(user)
                if not self._users[key]:
                    self._drop(key)

    def clear(self) -> None:
        """Forget every value."""
        with self._lock:
            self._values.clear()
            self._users.clear()
            self._used = self._too_large = 0

    def _enter(self, key: str) -> threading.Lock:
        """The lock of those who ask for `key` at the same time."""
        with self._lock:
            making, askers = self._making.get(key) or (threading.Lock(), 0)
            self._making[key] = making, askers + 1
            return making

    def _leave(self, key: str) -> None:
        """The lock goes with its last asker, so that nobody gets a second one while others still wait at the first."""
        with self._lock:
            making, askers = self._making.pop(key)
            if askers > 1:
                self._making[key] = making, askers - 1

    def _note_user(self, key: str, user: str | None) -> None:
        """What nobody in particular has asked for once is nobody's for good."""
        if user is None:
            self._users.pop(key, None)
        elif key in self._users:
            self._users[key].add(user)

    def _drop(self, key: str) -> None:
        self._users.pop(key, None)
        self._used -= self._values.pop(key)[1]

    def _put(self, key: str, value: Any, user: str | None) -> None:
        size = bytes_of(value)
        with self._lock:
            self._too_large = size if size > self._limit else 0
            if self._too_large:
                return
            self._values[key] = value, size
            self._used += size
            if user is not None:
                self._users[key] = {user}
            while self._used > self._limit:
                self._drop(next(iter(self._values)))


def bytes_of(value: Any) -> int:
    """About how many bytes of memory a value holds. What several of its parts share counts once; pictures, which their
    owners hold anyway, count nothing.
    """
    return _bytes_of(value, set())


def _bytes_of(value: Any, seen: set[int]) -> int:
    # First what tables are full of: thousands of them, which ask for no closer look.
    if type(value) in PLAIN:
        return sys.getsizeof(value)
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if hasattr(value, "rgb") and hasattr(value, "sha256"):  # a picture
        return 0
    if hasattr(value, "untyped_storage"):  # a tensor: views of one storage count once
        storage = value.untyped_storage()
        if storage.data_ptr() in seen:
            return 0
        seen.add(storage.data_ptr())
        return storage.nbytes()
    if hasattr(value, "nbytes"):
        base = getattr(value, "base", None)
        return _bytes_of(base, seen) if base is not None and hasattr(base, "nbytes") else int(value.nbytes)
    if isinstance(value, Mapping):
        return 64 + sum(_bytes_of(each, seen) for item in value.items() for each in item)
    if isinstance(value, list | tuple | set | frozenset):
        return 64 + sum(_bytes_of(each, seen) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return 64 + sum(_bytes_of(getattr(value, field.name), seen) for field in fields(value))
    if hasattr(value, "network"):  # a model: nobody's to count
        return 0
    return sys.getsizeof(value)
