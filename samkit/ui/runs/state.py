"""What a visitor sees of the kept runs: what is searched for, which page of it, which runs are chosen; and the run
files that were fetched.
"""

import shutil
import threading
import uuid
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import streamlit as st

from samkit.scratch import scratch_folder
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.dates import shown_time
from samkit.tracking.compare import MAX_COMPARED
from samkit.tracking.store.search import EVERYTHING, NEWEST, Order, Query, Token
from samkit.tracking.store.store import RunStore, RunSummary
from samkit.ui.state.clock import visitor_zone
from samkit.ui.state.public import own_runs_only

if TYPE_CHECKING:
    from samkit.ui.runs.columns import Column
    from samkit.ui.runs.replay_job import ReplayJob
    from samkit.work.replay import ReplayOutcome

FILES_KEPT_BYTES = 2 * 2**30
_KEY = "samkit.runs"


@dataclass
class RunsTable:
    """tokens: of the pages up to the present one, None for the first; chosen: run id -> name, in the order of choice;
    replays: run id -> outcome; replaying: run id -> the replay that is under way, or that failed; columns: what a
    visitor chose to see of each run, None for the usual
    """

    query: Query = EVERYTHING
    order: Order = NEWEST
    columns: "list[Column] | None" = None
    tokens: list[Token | None] = field(default_factory=lambda: [None])
    chosen: dict[str, str] = field(default_factory=dict)
    replays: "dict[str, ReplayOutcome]" = field(default_factory=dict)
    replaying: "dict[str, ReplayJob]" = field(default_factory=dict)
    round: int = 0

    def look_for(self, query: Query) -> None:
        """Another question begins at its first page."""
        if query != self.query:
            self.query, self.tokens = query, [None]

    def sort_by(self, order: Order) -> None:
        """Another order begins at its first page."""
        if order != self.order:
            self.order, self.tokens = order, [None]

    def choose(self, run_id: str, name: str, wanted: bool) -> None:
        if wanted:
            self.chosen[run_id] = name
        else:
            self.chosen.pop(run_id, None)

    def drop_replay(self, run_id: str) -> None:
        """Cancel the run's replay, and forget what came of the one before."""
        self.replays.pop(run_id, None)
        job = self.replaying.pop(run_id, None)
        if job is not None:
            job.cancel()

    def clear(self) -> None:
        """Nothing is chosen."""
        self.chosen.clear()
        self.redraw()

    def redraw(self) -> None:
        """The boxes of the list are made anew, as `chosen` says."""
        self.round += 1


def runs_table() -> RunsTable:
    """This visitor's."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = RunsTable(query=replace(EVERYTHING, zone=visitor_zone()))
    table: RunsTable = st.session_state[_KEY]
    table.look_for(replace(table.query, owner=own_runs_only()))
    return table


def when(created_ms: int) -> str:
    """A time as the visitor's clock shows it."""
    return shown_time(created_ms, visitor_zone())


@st.cache_resource(show_spinner=False)
def run_store(uri: str) -> RunStore:
    """One connection for all visitors."""
    return RunStore(uri)


def present_store() -> RunStore:
    return run_store(RunStore().uri)


class RunFiles:
    """Fetched runs on this machine's disk, the least recently used removed first, each when nobody holds its `Bundle`
    any more. One for all visitors; waiting for one run does not block others.
    """

    def __init__(self, limit_bytes: int = FILES_KEPT_BYTES):
        self._folder = scratch_folder("run-files")
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._limit = limit_bytes
        self._fetched: OrderedDict[str, tuple[Bundle, int]] = OrderedDict()
        self._fetching: dict[str, tuple[threading.Lock, int]] = {}
        self._lock = threading.Lock()

    def open(self, store: RunStore, run: RunSummary) -> Bundle:
        """The run's folder; fetched once, and again after its name, note or tags changed."""
        labels = hash((store.uri, run.name, tuple(sorted(run.tags.items()))))
        key = f"{run.run_id}-{labels & 0xFFFFFFFFFFFF:x}"
        fetching = self._enter(key)
        try:
            with fetching:
                return self._get(key) or self._fetch(store, run.run_id, key)
        finally:
            self._leave(key)

    def _enter(self, key: str) -> threading.Lock:
        """The lock of those who ask for `key` at the same time."""
        with self._lock:
            fetching, askers = self._fetching.get(key) or (threading.Lock(), 0)
            self._fetching[key] = fetching, askers + 1
            return fetching

    def _leave(self, key: str) -> None:
        """The lock goes with its last asker, so that nobody gets a second one while others still wait at the first."""
        with self._lock:
            fetching, askers = self._fetching.pop(key)
            if askers > 1:
                self._fetching[key] = fetching, askers - 1

    def _get(self, key: str) -> Bundle | None:
        with self._lock:
            if key not in self._fetched:
                return None
            self._fetched.move_to_end(key)
            return self._fetched[key][0]

    def _fetch(self, store: RunStore, run_id: str, key: str) -> Bundle:
        # A folder of its own each time: the one that was fetched before may still be in use.
        place = self._folder / f"{key}-{uuid.uuid4().hex[:8]}"
        place.mkdir(parents=True)
        try:
            bundle = store.load(run_id, place / "run")
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        weakref.finalize(bundle, shutil.rmtree, place, ignore_errors=True)
        size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
        with self._lock:
            self._fetched[key] = bundle, size
            dropped = self._drop_oldest()
        # Their folders go here, with nobody waiting at the lock, or when the last page that shows them is done.
        dropped.clear()
        return bundle

    def _drop_oldest(self) -> list[Bundle]:
        """Forget those used longest ago until the rest is small enough. As many as are compared at once stay, whatever
        their size.
        """
        dropped = []
        while len(self._fetched) > MAX_COMPARED and sum(size for _, size in self._fetched.values()) > self._limit:
            dropped.append(self._fetched.popitem(last=False)[1][0])
        return dropped


@st.cache_resource(show_spinner=False)
def run_files() -> RunFiles:
    return RunFiles()
