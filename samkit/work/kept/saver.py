"""Keeping works off the visitors' path: a thread writes the newest state of each, some moments after it came."""

import atexit
import logging
import threading
import time

from samkit.errors import SamkitError
from samkit.machine import stand_back
from samkit.work.kept.store import WorkStore
from samkit.work.kept.value import Work

_log = logging.getLogger(__name__)

NICE = 10
"""How far below everything else the thread stands in line for the processor."""
SETTLE_S = 0.3
"""How long a work waits for a newer state of itself."""
AT_EXIT_S = 3.0
REMEMBERED = 1_000
"""Works of which it is known how the last saving went."""


class WorkSaver:
    """One for all visitors. Of several states of a work that come in a row the last one is written."""

    def __init__(self, store: WorkStore, settle_s: float = SETTLE_S):
        self.store = store
        self._settle_s = settle_s
        self._waiting: dict[str, Work] = {}
        self._writing: str | None = None
        self._outcomes: dict[str, str] = {}
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self._at_exit)

    def put(self, work_id: str, work: Work) -> None:
        """Have this state kept soon."""
        with self._changed:
            self._waiting[work_id] = work
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="keep-works", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, work_id: str | None = None, patience_s: float = 30.0) -> bool:
        """Wait until the work, or every work, is as it was put last; False where that takes longer."""
        give_up = time.monotonic() + patience_s
        with self._changed:
            while self._busy(work_id):
                self._hurry.set()
                self._changed.wait(max(0.0, min(0.1, give_up - time.monotonic())))
                if time.monotonic() >= give_up:
                    return not self._busy(work_id)
            return True

    def problem(self, work_id: str) -> str:
        """Why the work's last state could not be kept whole, a sentence; empty where it is kept."""
        with self._changed:
            return self._outcomes.get(work_id, "")

    def _busy(self, work_id: str | None) -> bool:
        if work_id is None:
            return bool(self._waiting) or self._writing is not None
        return work_id in self._waiting or self._writing == work_id

    def _run(self) -> None:
        # A large picture is compressed for seconds, while its visitor waits for the first masks on it.
        stand_back(NICE)
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
            self._hurry.wait(self._settle_s)
            self._hurry.clear()
            with self._changed:
                batch = list(self._waiting)
            for work_id in batch:
                with self._changed:
                    work = self._waiting.pop(work_id, None)
                    self._writing = work_id if work is not None else None
                if work is not None:
                    self._tell(work_id, self._save(work_id, work))
                work = None  # A thread that waits holds nobody's pictures.

    def _save(self, work_id: str, work: Work) -> str:
        try:
            left_out = self.store.save(work_id, work)
        except SamkitError as error:
            return str(error)
        except Exception as error:
            _log.exception("unexpected error while a work was kept")
            return f"Something went wrong inside the app while your work was kept ({type(error).__name__})."
        return left_out_sentence(left_out, self.store.limits.one_work)

    def _tell(self, work_id: str, outcome: str) -> None:
        with self._changed:
            if outcome and outcome != self._outcomes.get(work_id):
                _log.warning("A work was not kept whole: %s", outcome)
            self._outcomes[work_id] = outcome
            while len(self._outcomes) > REMEMBERED:
                del self._outcomes[next(iter(self._outcomes))]
            self._writing = None
            self._changed.notify_all()

    def _at_exit(self) -> None:
        if self._thread is not None:
            self.flush(patience_s=AT_EXIT_S)


def left_out_sentence(left_out: tuple[str, ...], most: int) -> str:
    """What was not kept and why, for a person; empty where everything was. most: bytes that a work may take."""
    if not left_out:
        return ""
    names = f"{', '.join(left_out[:3])}{' and more' if len(left_out) > 3 else ''}"
    return (
        f"Not kept, for there is no room: {names}. One work may take {most // 2**20} MB on this server; a reload asks "
        "for it again."
    )
