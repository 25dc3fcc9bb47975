"""What a visitor used goes when they have left: not before, and not what others use too."""

import asyncio
import gc
import tomllib
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from samkit.media.pictures import Picture
from samkit.ui.controls import picture_picker
from samkit.ui.controls.picture_picker import _same
from samkit.ui.parts import heap
from samkit.ui.state import picture_files, visitors
from samkit.ui.state.labs import encoding_memory, part_memory
from samkit.work.memory import Memory
from tests.loops import in_a_thread

ROOT = Path(__file__).parents[3]


def noise(seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Picture.from_array(pixels, f"noise {seed}")


class Session:
    """What a session keeps of its visitor: things that hold each other, as Streamlit's do."""

    def __init__(self, picture: Picture):
        self.picture, self.itself = picture, self


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()


def test_the_picture_of_a_visitor_who_left_goes_also_where_it_was_set_aside():
    session = Session(noise())
    gone = weakref.ref(session.picture)
    heap.set_aside()
    del session
    gc.collect()
    assert gone() is not None, "an ordinary collection passes over what was set aside"
    heap.clean_up()
    assert gone() is None
    assert gc.get_freeze_count() > 0, "and later collections stay short"


def test_a_picture_as_a_file_keeps_no_picture(monkeypatch):
    monkeypatch.setattr(picture_files, "_files", Memory(2**20))
    monkeypatch.setattr(picture_files, "visitor_id", lambda: "a")
    picture = noise()
    gone = weakref.ref(picture)
    encoded = picture_files.picture_jpeg(picture, 32)
    assert picture_files.picture_jpeg(picture, 32) is encoded
    del picture
    assert gone() is None
    assert picture_files._files.state().entries == 1
    picture_files._files.let_go("a")
    assert picture_files._files.state().entries == 0


def test_a_thumbnail_keeps_no_picture():
    picture = noise(1)
    gone = weakref.ref(picture)
    assert picture_picker._thumbnail("test", partial(_same, picture), "a").startswith("data:image/jpeg")
    del picture
    assert gone() is None and picture_picker._thumbnails.has("test")
    visitors.forget_visitor("a")
    assert not picture_picker._thumbnails.has("test")


def test_all_memories_of_the_server_let_go_of_a_visitor():
    memories = encoding_memory(), part_memory(), picture_files._files
    for number, memory in enumerate(memories):
        memory.get(f"test only {number}", lambda: b"1", "who leaves")
        memory.get(f"test both {number}", lambda: b"2", "who leaves")
        memory.get(f"test both {number}", lambda: b"2", "who stays")
    visitors.forget_visitor("who leaves")
    assert [memory.has(f"test only {number}") for number, memory in enumerate(memories)] == [False] * 3
    assert [memory.has(f"test both {number}") for number, memory in enumerate(memories)] == [True] * 3
    visitors.forget_visitor("who stays")
    assert [memory.has(f"test both {number}") for number, memory in enumerate(memories)] == [False] * 3


class Server:
    """Streamlit's runtime, as far as it is asked. connected: sessions whose browser is there."""

    def __init__(self):
        self.connected, self.closed = set(), []

    def is_active_session(self, visitor):
        return visitor in self.connected

    def close_session(self, visitor):
        self.closed.append(visitor)


@pytest.fixture
def server(monkeypatch):
    running = Server()
    monkeypatch.setattr(visitors, "runtime", SimpleNamespace(exists=lambda: True, get_instance=lambda: running))
    monkeypatch.setattr(visitors.st, "get_option", lambda name: 0)
    return running


def in_a_loop(*steps) -> None:
    async def run() -> None:
        for step in steps:
            step()
            await asyncio.sleep(0)
        while visitors._timers:
            await asyncio.sleep(0)

    in_a_thread(run())


def test_a_session_ends_when_its_visitor_does_not_come_back(server):
    in_a_loop(lambda: visitors._disconnected("a"))
    assert server.closed == ["a"]


def test_a_visitor_who_came_back_finds_the_session(server):
    def leave_and_return() -> None:
        visitors._disconnected("a")
        server.connected.add("a")

    in_a_loop(leave_and_return)
    assert server.closed == []


def test_who_leaves_again_has_the_whole_time_again(server, monkeypatch):
    monkeypatch.setattr(visitors.st, "get_option", lambda name: 3600)

    async def run() -> None:
        visitors._disconnected("a")
        first = visitors._timers["a"]
        visitors._disconnected("a")
        assert first.cancelled() and not visitors._timers["a"].cancelled()
        visitors._timers.pop("a").cancel()

    in_a_thread(run())


def test_without_a_server_nothing_happens():
    with ThreadPoolExecutor(1) as no_loop_runs_here:
        no_loop_runs_here.submit(visitors._disconnected, "a").result()
    assert not visitors._timers


def test_a_failure_keeps_nobody_elses_things(monkeypatch, caplog):
    let_go = []

    def fail(visitor: str) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(visitors, "_let_go", [fail, let_go.append])
    visitors.forget_visitor("a")
    assert let_go == ["a"] and "was not let go" in caplog.text


def test_a_minute_after_a_visitor_left_the_session_has_ended():
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    assert 20 <= settings["server"]["disconnectedSessionTTL"] <= 50
