"""The processes that decode films, from the server's side: one for each film that is being read. They are started where
a film is asked for, end when nobody has asked for a while, and may die without more harm than a sentence.

Nothing that comes from them is trusted: answers are data of limited size, and frames are copied out of a file in
memory.
"""

import hashlib
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

import samkit
from samkit.media import decoding
from samkit.media.decoding.messages import (
    BUFFER_BYTES,
    MAX_LINE,
    MAX_PACKETS,
    MAX_PADDING,
    PACKET,
)

PROGRAM = "samkit.media.decoding"
MAX_IDLE_S, WATCH_S = 60.0, 1.0
"""Seconds after which a process that nobody asks ends, and between two looks at all of them."""
MAX_PROCESSES = 8
"""Kept at a time, for all visitors: each holds some 30 MB and the frames of its film. More are started where all of
these are busy.
"""
PATIENCE = 4.0
"""Seconds that an answer may take, for each second that it may compute: others compute too."""
MAX_BYTES = MAX_PACKETS * PACKET.size
"""Of an answer, without a frame."""


def code_on_disk() -> str:
    """A hash of the program's files, as a process that is started would read them."""
    digest = hashlib.sha256()
    for file in sorted(Path(decoding.__file__).parent.glob("*.py")):
        with suppress(OSError):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


CODE = code_on_disk()
"""As it was when this server was started: it understands no other."""


class CodeChanged(Exception):
    """The files of the program are not those that this server was started with."""


class ReaderFailed(Exception):
    """The process died, took too long, or answered nonsense. too_much: it took more time or memory than it may."""

    def __init__(self, too_much: bool):
        super().__init__()
        self.too_much = too_much


class FilmProcess:
    """A process that reads the film at `path`. One thread at a time may ask; others wait. Starting it raises
    CodeChanged, or OSError where it can't be started.
    """

    def __init__(self, path: Path, with_decord: bool = False):
        if code_on_disk() != CODE:
            raise CodeChanged
        self._buffer = _new_buffer()
        self._map = mmap.mmap(self._buffer, BUFFER_BYTES) if self._buffer >= 0 else None
        readers = "decord" if with_decord else "pyav"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", PROGRAM, str(path.absolute()), str(self._buffer), readers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._buffer,) if self._buffer >= 0 else (),
            env=small_environment(),
            start_new_session=True,
        )
        self._questions = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        self._lock = threading.Lock()
        self.asked = time.monotonic()
        """When it was last busy."""
        self.due: float | None = None
        """When the answer must be there; None where nothing was asked."""
        self.overdue = False
        self.close = weakref.finalize(self, _end, self._process, self._buffer, self._map)
        _watch(self)

    @property
    def alive(self) -> bool:
        return self.close.alive and self._process.poll() is None

    def ask(self, do: str, seconds: float, **more: Any) -> tuple[dict[str, Any], bytes]:
        """The answer to a question, as `decoding/messages.py` has them. seconds: of computing that it may take. Raises
        ReaderFailed; the process is then ended.
        """
        with self._asking(seconds):
            return self._ask(do, seconds, more)

    def ask_frame(self, do: str, seconds: float, size: tuple[int, int], **more: Any) -> np.ndarray | None:
        """uint8 [H, W, 3] of the (height, width) that was asked for; None where there is no such frame."""
        height, width = size
        with self._asking(seconds):
            answer, content = self._ask(do, seconds, more, BUFFER_BYTES)
            if answer.get("refused") == "too much":
                raise ReaderFailed(too_much=True)
            if "refused" in answer:
                return None
            row = count_in(answer, "row", 3 * width, 3 * width + MAX_PADDING)
            at = count_in(answer, "at", 0, BUFFER_BYTES - height * row)
            pixels = np.frombuffer(content if self._map is None else self._map, np.uint8, height * row, at)
            return np.array(pixels.reshape(height, row)[:, : 3 * width].reshape(height, width, 3))

    def end_if_idle(self) -> bool:
        """End the process unless it is busy just then."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self.close()
        finally:
            self._lock.release()
        return True

    def kill(self) -> None:
        """Whoever waits for an answer gets none."""
        self.overdue = True
        self._process.kill()

    def _asking(self, seconds: float) -> "_Asking":
        return _Asking(self, self._lock, seconds)

    def _ask(
        self, do: str, seconds: float, more: dict[str, Any], most: int = MAX_BYTES
    ) -> tuple[dict[str, Any], bytes]:
        self._questions.write(json.dumps({"do": do, "seconds": seconds} | more).encode() + b"\n")
        self._questions.flush()
        line = self._answers.readline(MAX_LINE)
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("not an answer")
        content = self._answers.read(count_in(answer, "bytes", 0, most))
        if len(content) != answer["bytes"]:
            raise ValueError("cut short")
        return answer, content

    def failed(self) -> ReaderFailed:
        """What went wrong; ends the process."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        out_of_time = self.overdue or self._process.returncode == -getattr(signal, "SIGXCPU", 0)
        self.close()
        return ReaderFailed(out_of_time)


class _Asking:
    """Holds a process for one question, and says until when it must be answered."""

    def __init__(self, process: FilmProcess, lock: threading.Lock, seconds: float):
        self._process, self._lock, self._seconds = process, lock, seconds

    def __enter__(self) -> None:
        self._lock.acquire()
        self._process.due = time.monotonic() + PATIENCE * self._seconds

    def __exit__(self, kind: type | None, error: BaseException | None, *_: object) -> None:
        self._process.due, self._process.asked = None, time.monotonic()
        try:
            # What is not an answer is a ValueError; a pipe that broke an OSError.
            if isinstance(error, OSError | ValueError | RecursionError):
                raise self._process.failed() from error
        finally:
            self._lock.release()


def _new_buffer() -> int:
    """A file in memory that keeps its size for good, for reading what was cut off would end the server; -1 where there
    are none, and frames come with the answers.
    """
    if not hasattr(os, "memfd_create"):
        return -1
    import fcntl

    buffer = os.memfd_create("film", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(buffer, BUFFER_BYTES)
    fcntl.fcntl(buffer, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return buffer


def count_in(answer: dict[str, Any], name: str, least: int, most: int) -> int:
    """A whole number of an answer. Raises ValueError where it is none, or out of bounds."""
    value = answer.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(name)
    return value


def _end(process: "subprocess.Popen[bytes]", buffer: int, mapped: mmap.mmap | None) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
    process.wait()
    # Whoever still holds the film's reader, such as a cache, would hold its last frames with it.
    if mapped is not None:
        with suppress(BufferError):
            mapped.close()
    if buffer >= 0:
        os.close(buffer)


def small_environment() -> dict[str, str]:
    """What the interpreter needs to find the same packages, and nothing of the server's secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "LC_ALL") if name in os.environ}
    places = [str(Path(samkit.__file__).parents[1]), *filter(None, sys.path)]
    return kept | {"PYTHONPATH": os.pathsep.join(places), "OPENBLAS_NUM_THREADS": "1"}


_running: "weakref.WeakSet[FilmProcess]" = weakref.WeakSet()
_running_lock = threading.Lock()
_watcher: threading.Thread | None = None


def _watch(process: FilmProcess) -> None:
    """Have the process ended when it is late or idle, and others before it where there are too many."""
    global _watcher
    with _running_lock:
        others = [each for each in _running if each.alive]
        _running.add(process)
        if _watcher is None:
            _watcher = threading.Thread(target=_keep_watch, name="film processes", daemon=True)
            _watcher.start()
    for other in sorted(others, key=lambda each: each.asked)[: max(0, len(others) + 1 - MAX_PROCESSES)]:
        other.end_if_idle()


def _keep_watch() -> None:
    """Until there is nothing to watch."""
    global _watcher
    while True:
        time.sleep(WATCH_S)
        with _running_lock:
            watched = list(_running)
            if not watched:
                _watcher = None
                return
        at = time.monotonic()
        for each in watched:
            due = each.due
            if due is not None and at > due:
                each.kill()
            elif due is None and at - each.asked > MAX_IDLE_S:
                each.end_if_idle()
            if not each.alive and each.due is None:
                with _running_lock:
                    _running.discard(each)
        del watched, each
