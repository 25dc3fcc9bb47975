"""A real app that is ended by `kill -9` again and again while it keeps runs and while it segments a film; and what is
left of it: `python -m benchmarks.kills [--kills 8]`.

Each time the server alone is killed, at a random moment, and started anew. Printed are the processes and temporary
folders that outlive it and its next start, and at the end: confirmed runs that are lost, runs that are there twice,
runs that can't be read back. A run is confirmed once the page reported it as kept. Sweeps have
`benchmarks.sweep_kills`.
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.visitors import Session, texts
from samkit.media.sample_videos import load_sample_video
from samkit.scratch import PREFIX
from tools.running_app import running_app

KEPT = re.compile(r"Last kept.*run=([0-9a-f]{32})")
ENDING_S, MENDING_S = 10.0, 12.0
"""For processes to end after their server did; for a server to deliver what waits."""


class Keeper(Session):
    """A visitor who remembers which runs the page confirmed, by their ids."""

    def __init__(self, url: str, page: str, query: str):
        super().__init__(url, page, query)
        self.confirmed: set[str] = set()

    def _take(self, message: ForwardMsg) -> None:
        super()._take(message)
        if message.WhichOneof("type") == "delta" and message.delta.HasField("new_element"):
            self.confirmed |= {found[1] for text in texts(message.delta.new_element) if (found := KEPT.search(text))}


def command_line(home: Path, name: str, *words: str) -> str:
    """The id of a run that is kept."""
    command = [sys.executable, "-m", "samkit", "run", *words, "--model", "nano-sam2", "--point", "0.5,0.5", "--keep"]
    done = subprocess.run([*command, "--json", "--out", str(home / name)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["kept"]["run_id"]


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(stat.parent.name), *children(int(stat.parent.name))]
    return found


async def visit(url: str, run_id: str, what: str, chance: random.Random, pid: int) -> tuple[set[str], list[int]]:
    """Until the server is killed. Returns (ids of confirmed runs, ids of the processes that the server had)."""
    session = Keeper(url, "video_priors" if what == "film" else "mask_stability", f"run={run_id}")
    await session.open()
    if what == "film":
        await session.run("run_film")
        await asyncio.sleep(chance.uniform(0, 5))
    else:
        for _ in range(chance.randrange(3)):
            await session.run("keep_mask-stability")
        last = asyncio.create_task(session.run("keep_mask-stability"))
        await asyncio.sleep(chance.uniform(0, 0.9))
        last.cancel()
    others = children(pid)
    os.kill(pid, 9)
    await session.close()
    return session.confirmed, others


def outlived(pids: list[int]) -> int:
    give_up = time.monotonic() + ENDING_S
    while (left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and time.monotonic() < give_up:
        time.sleep(0.1)
    return len(left)


def report(home: Path, confirmed: set[str]) -> None:
    from samkit.tracking.store.spool import Spool
    from samkit.tracking.store.store import RunStore

    store = RunStore()
    runs = store.runs(max_results=1000)
    lost = confirmed - {run.run_id for run in runs}
    twice = [uuid for uuid, count in Counter(run.run_uuid for run in runs).items() if count > 1]
    for run in runs:
        store.load(run.run_id, home / "read" / run.run_id)
    print(f"{len(confirmed)} runs were confirmed, {len(lost)} of them are lost; {len(runs)} are there and whole,")
    print(f"{len(twice)} of them twice; {len(Spool().waiting())} wait")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        home, temporary = Path(folder, "home"), Path(folder, "tmp")
        home.mkdir()
        temporary.mkdir()
        os.environ |= {"SAMKIT_HOME": str(home), "TMPDIR": str(temporary)}
        film = write_sample(home / "film.mp4")
        runs = {
            "keep": command_line(home, "picture", "mask-stability", "--image", "sample:coins"),
            "film": command_line(home, "film", "video-priors", "--video", str(film), "--set", "count=3"),
        }
        confirmed = set(runs.values())
        for number in range(arguments.kills):
            what = ("keep", "film")[number % 2]
            before = set(temporary.glob(f"{PREFIX}*"))
            with running_app(home) as url:
                pid = int((home / "app.pid").read_text())
                kept, others = asyncio.run(visit(url, runs[what], what, chance, pid))
            confirmed |= kept
            stayed = len(before & set(temporary.glob(f"{PREFIX}*")))
            left = f"{outlived(others)} of {len(others)} processes outlived it"
            folders = f"{stayed} of {len(before)} folders of the one before are left"
            print(f"kill {number + 1}, {what}: {left}, {folders}", flush=True)
        with running_app(home) as url:
            session = Session(url, "runs", "")
            asyncio.run(session.open())
            time.sleep(MENDING_S)
            print(f"{len(list(temporary.glob(f'{PREFIX}*')))} temporary folders after the last start")
        report(home, confirmed)


def write_sample(path: Path) -> Path:
    from samkit.media.film import write_film

    film = load_sample_video("coin")
    return write_film(path, film.frames(), film.fps)


if __name__ == "__main__":
    main()
