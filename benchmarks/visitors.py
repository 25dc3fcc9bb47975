"""Many visitors at once: what their clicks take, whether everybody gets their own picture, and what memory it costs.

    python -m benchmarks.visitors --sessions 24 --seconds 120

A real app in a process of its own, and sessions that speak Streamlit's own protocol over real WebSockets, without a
browser each: two of three are on Mask stability, each with one of four pictures, and click, drag (ten questions a
second) and let their page run again; every third one lets a film be segmented, again and again. A click is what the
live channel does for one: a question with a point, and the logits of four masks back. Every other click is on a point
that nobody has clicked on.

Idle is one session that clicks alone. Each answer is compared with the one that the same picture and point had there:
logits that differ by more than rounding are somebody else's picture. Said are p50 and p95 of a click and of a page's
run, idle and among the others, errors, mixed pictures, films that ended, and the memory of the server's process.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import Message
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.memory import Server
from samkit.ui.live.messages import read_answer
from tools.running_app import running_app

PICTURES = ("coins", "coffee", "chelsea", "astronaut")
MODEL = "nano-sam2"
POINTS = [(x / 10, y / 10) for x in (2, 4, 6, 8) for y in (3, 5, 7)]
STRAY = 0.05
"""Share of an answer's logits that may differ by more than one step of rounding, with another number of threads."""
PATIENCE_S = 180.0
PAUSE_S = (0.4, 1.6)
IDLE_PAUSE_S = 0.05
"""More than the channel's own pause between two answers, which is no part of a click."""
FRESH = 0.5
"""Share of clicks on a point that nobody has clicked on: these are decoded, the others may be remembered."""
DRAG_S, DRAG_EVERY_S = 2.0, 0.1


class Session:
    """One visitor: a connection to the page's script, and one to the live channel."""

    def __init__(self, url: str, page: str, query: str):
        self.url, self.page, self.query = url.replace("http", "ws"), page, query
        self.buttons: dict[str, str] = {}
        self.token = ""
        self.errors: list[str] = []
        self.finished = asyncio.Event()
        self._kept: dict[str, ForwardMsg] = {}
        self._socket: ClientConnection | None = None
        self._live: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._number = 0

    async def open(self) -> None:
        self._socket = await connect(f"{self.url}/_stcore/stream", subprotocols=["streamlit"], max_size=2**28)
        self._reader = asyncio.create_task(self._read())
        await self.run()

    async def run(self, *pressed: str) -> float:
        """Let the script run, with buttons pressed by their keys; how long it took in seconds."""
        assert self._socket is not None
        message, begun = BackMsg(), time.perf_counter()
        message.rerun_script.query_string, message.rerun_script.page_name = self.query, self.page
        for key in pressed:
            state = message.rerun_script.widget_states.widgets.add()
            state.id, state.trigger_value = self.buttons[key], True
        self.finished.clear()
        await self._socket.send(message.SerializeToString())
        await asyncio.wait_for(self.finished.wait(), PATIENCE_S)
        return time.perf_counter() - begun

    async def ask(self, point: tuple[float, float], masks: str) -> tuple[float, np.ndarray | None]:
        """(seconds until the logits were there, the logits; None where the channel answered with words)."""
        begun = time.perf_counter()
        if self._live is None:
            self._live = await connect(f"{self.url}/live/masks", max_size=2**26)
            await self._live.send(json.dumps({"token": self.token}))
            await asyncio.wait_for(self._live.recv(), PATIENCE_S)
            begun = time.perf_counter()
        while True:
            self._number += 1
            question = {"n": self._number, "points": [[*point, 1]], "masks": masks}
            await self._live.send(json.dumps(question))
            answer = await asyncio.wait_for(self._live.recv(), PATIENCE_S)
            if isinstance(answer, bytes):
                return time.perf_counter() - begun, read_answer(answer)[1]
            said = json.loads(answer)
            if "wait" not in said or time.perf_counter() - begun > PATIENCE_S:
                self.errors.append(str(answer)[:200])
                return time.perf_counter() - begun, None
            if "missed" in said:
                await self.run()  # as a browser does: the page makes the encoding
            await asyncio.sleep(0.1)

    async def _read(self) -> None:
        assert self._socket is not None
        async for data in self._socket:
            message = ForwardMsg()
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
            if message.ref_hash:
                message = self._kept.get(message.ref_hash, message)
            elif message.hash:
                self._kept[message.hash] = message
            self._take(message)

    def _take(self, message: ForwardMsg) -> None:
        if message.WhichOneof("type") == "script_finished":
            self.finished.set()
            return
        if message.WhichOneof("type") != "delta" or not message.delta.HasField("new_element"):
            return
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "button":
            self.buttons[element.button.id.split("-", 2)[-1]] = element.button.id
        elif kind == "exception" or (kind == "alert" and element.alert.format == element.alert.ERROR):
            self.errors.append(str(element)[:300])
        for text in texts(element):
            if '"token"' in text and "/live/masks" in text:
                self.token = token_in(json.loads(text)) or self.token

    async def close(self) -> None:
        for socket in (self._live, self._socket):
            if socket is not None:
                await socket.close()
        if self._reader is not None:
            self._reader.cancel()


def texts(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        for each in [value] if isinstance(value, str | Message) else value if field.is_repeated else ():
            if isinstance(each, Message):
                yield from texts(each)
            elif isinstance(each, str):
                yield each


def token_in(value: Any) -> str | None:
    """The token of a live channel, wherever it stands in a component's data."""
    if isinstance(value, dict):
        if isinstance(value.get("token"), str) and "/live/masks" in str(value.get("path")):
            return value["token"]
        return next((found for each in value.values() if (found := token_in(each))), None)
    return next((found for each in value if (found := token_in(each))), None) if isinstance(value, list) else None


class Tally:
    """What all sessions saw. clicks, runs: seconds"""

    def __init__(self) -> None:
        self.fresh: list[float] = []
        self.known: list[float] = []
        self.runs: list[float] = []
        self.films = self.mixed = self.questions = 0
        self.errors: list[str] = []

    @property
    def clicks(self) -> list[float]:
        return self.fresh + self.known

    def line(self, name: str) -> str:
        clicks = f"click {spread(self.clicks)}, of these on a new point {spread(self.fresh)}"
        return f"{name}: {clicks}, page {spread(self.runs)}, {self.questions} questions"


def spread(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return "none"
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return f"p50 {1000 * statistics.median(seconds):.0f} ms, p95 {1000 * p95:.0f} ms ({len(seconds)})"


Known = dict[tuple[str, tuple[float, float]], np.ndarray]


async def clicker(session: Session, picture: str, known: Known, tally: Tally, until: float, busy: bool) -> None:
    """Clicks, drags and runs of the page by turns. busy: with pauses as people make them"""
    luck = random.Random()
    await session.ask(POINTS[0], "all")  # the picture is encoded, and the channel open
    while time.perf_counter() < until:
        fresh = luck.random() < FRESH
        point = (luck.random(), luck.random()) if fresh else luck.choice(POINTS)
        took, logits = await session.ask(point, "all")
        (tally.fresh if fresh else tally.known).append(took)
        tally.questions += 1
        if logits is not None and not fresh:
            there = known.setdefault((picture, point), logits)
            tally.mixed += differs(there, logits)
        if busy:
            await asyncio.sleep(luck.uniform(*PAUSE_S))
            if luck.random() < 0.3:
                end = time.perf_counter() + DRAG_S
                while time.perf_counter() < end:
                    await session.ask((luck.random(), luck.random()), "one")
                    tally.questions += 1
                    await asyncio.sleep(DRAG_EVERY_S)
            if luck.random() < 0.3:
                tally.runs.append(await session.run())
        else:
            await asyncio.sleep(IDLE_PAUSE_S)
            if len(tally.clicks) % 6 == 0:
                tally.runs.append(await session.run())


def differs(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two answers are of two pictures: int16 [4, h, w]."""
    if one.shape != other.shape:
        return True
    steps = np.abs(one.astype(np.int32) - other.astype(np.int32))
    return float((steps > 64).mean()) > STRAY


def told_apart(known: Known) -> str:
    """How many pairs of pictures answer the same click with masks so unlike that a mix-up would be noticed."""
    pairs = [
        differs(known[first, point], known[second, point])
        for first, second in itertools.combinations(PICTURES, 2)
        for point in POINTS
        if (first, point) in known and (second, point) in known
    ]
    return f"a mix-up would be noticed between {sum(pairs)} of {len(pairs)} pairs of pictures"


async def filmer(session: Session, tally: Tally, until: float) -> None:
    """A visitor of the film page: takes its example, and segments that film over and over until the time is over."""
    await session.run("try_video-priors")
    while time.perf_counter() < until:
        if "run_film" in session.buttons:
            session.buttons.pop("pause_film", None)
            await session.run("run_film")
            for _ in range(15):
                await asyncio.sleep(1.0)
                await session.run()
                if time.perf_counter() > until:
                    break
            tally.films += "pause_film" in session.buttons
        else:
            await asyncio.sleep(1.0)
            await session.run()


async def measure(url: str, runs: dict[str, str], sessions: int, seconds: float) -> None:
    known: Known = {}
    idle = Tally()
    for picture, run_id in runs.items():
        session = Session(url, "mask_stability", f"run={run_id}")
        await session.open()
        await clicker(session, picture, known, idle, time.perf_counter() + seconds / 12, busy=False)
        idle.errors += session.errors
        await session.close()
    print(idle.line("idle"), flush=True)
    server = Server(url)
    before = server.held().resident
    tally, made, most = Tally(), [], before
    for number in range(sessions):
        picture = list(runs)[number % len(runs)]
        film = number % 3 == 2
        session = Session(url, "video_priors" if film else "mask_stability", "" if film else f"run={runs[picture]}")
        made.append((session, picture, film))
    begun = time.perf_counter()
    opened = await asyncio.gather(*(session.open() for session, *_ in made), return_exceptions=True)
    tally.errors += [f"{type(each).__name__} while opening" for each in opened if each is not None]
    made = [each for each, error in zip(made, opened, strict=True) if error is None]
    print(f"{len(made)} sessions open after {time.perf_counter() - begun:.0f} s", flush=True)
    until = time.perf_counter() + seconds
    work = [
        asyncio.create_task(
            filmer(session, tally, until) if film else clicker(session, picture, known, tally, until, True)
        )
        for session, picture, film in made
    ]
    while not all(task.done() for task in work):
        most = max(most, server.held().resident)
        await asyncio.sleep(1.0)
    for task, (session, *_) in zip(work, made, strict=True):
        if (error := task.exception()) is not None:
            tally.errors.append(f"{type(error).__name__}: {error}"[:300])
        tally.errors += session.errors
        await session.close()
    print(tally.line(f"{sessions} sessions"))
    ratio = p95(tally.clicks) / p95(idle.clicks)
    print(f"p95 of a click: {ratio:.1f} times the idle one; {tally.films} films")
    print(f"p95 of a click on a new point: {p95(tally.fresh) / p95(idle.fresh):.1f} times the idle one")
    print(f"{tally.mixed} of {len(tally.known)} answers belong to another picture; {told_apart(known)}")
    print(f"memory: {before:.0f} MB before, {most:.0f} MB at most, {server.held().resident:.0f} MB at the end")
    print(f"{len(idle.errors + tally.errors)} errors", *sorted(set(idle.errors + tally.errors))[:10], sep="\n")


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else float("nan")


def kept_runs(home: Path) -> dict[str, str]:
    """A kept run on each picture: name of the picture -> run id. Its page opens with that picture."""
    runs = {}
    for picture in PICTURES:
        words = ["run", "mask-stability", "--model", MODEL, "--image", f"sample:{picture}", "--point", "0.5,0.5"]
        more = ["--keep", "--json", "--out", str(home / picture)]
        printed = subprocess.run(
            [sys.executable, "-m", "samkit", *words, *more], capture_output=True, text=True, check=True
        ).stdout
        runs[picture] = json.loads(printed)["kept"]["run_id"]
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="samkit-visitors-") as folder:
        os.environ["SAMKIT_HOME"] = folder
        runs = kept_runs(Path(folder))
        with running_app(Path(folder)) as url:
            asyncio.run(measure(url, runs, arguments.sessions, arguments.seconds))
        log = (Path(folder) / "app.log").read_text()
        print("log:", log.count("Traceback"), "tracebacks")
        if "Traceback" in log:
            print(log[-3000:])


if __name__ == "__main__":
    main()
