"""A sweep of 200 small cells that is killed again and again, and what is left of it.

    python -m benchmarks.sweep_kills                 # about three minutes on two cores
    python -m benchmarks.sweep_kills --engine ray

Each time the whole process group is ended by `kill -9` at a random moment after it has begun to compute, and the sweep
is resumed. Then the same number of workers are killed, one after the other, under a command that goes on; a cell on
which two of them died has failed, and is tried again at the end. After each the outcomes must be whole lines, and no
cell be done twice; at the end all of them are done.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

SPEC = """
experiment: mask-stability
models: nano-sam1
pictures: [coins, "coin#4"]
prompts: {truth: box, jitter: 5}
params: {side: [256, 320]}
repeats: 4
threads: 1
keep: masks
"""
CELLS = 200
PATIENCE_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAMKIT_HOME"] = home
        trial = Trial(Path(home), arguments.engine, arguments.workers)
        for number in range(arguments.kills):
            trial.kill_group(chance.uniform(0, 0.7))
            print(f"kill {number + 1}: {trial.checked()} of {CELLS} cells", flush=True)
        trial.finish()
        print(f"killed {arguments.kills} times: each of {trial.checked()} cells once", flush=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAMKIT_HOME"] = home
        trial = Trial(Path(home), arguments.engine, arguments.workers)
        killed = trial.kill_workers(arguments.kills, chance)
        tries = Counter(json.loads(line).get("tries", 1) for line in trial.lines())
        print(f"{killed} workers killed: {trial.checked()} cells done, by tries {dict(tries)}", flush=True)
        if trial.checked() < CELLS:
            trial.finish("--failed")
        print(f"each of {trial.checked()} cells done once")


class Trial:
    """One sweep. home: where it lies"""

    def __init__(self, home: Path, engine: str, workers: int):
        self._home, self._spec, self._log = home, home / "spec.yaml", home / "log.txt"
        self._how = ["--engine", engine, "--workers", str(workers)]
        self._spec.write_text(SPEC, encoding="utf-8")

    def kill_group(self, after_s: float) -> None:
        """Start it, or go on with it, and end all its processes some time after an outcome was written."""
        before = len(self.lines())
        process = self._started()
        self._wait(process, before + 1)
        time.sleep(after_s)
        assert process.poll() is None, f"it ended by itself:\n{self._log.read_text()[-2000:]}"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill_workers(self, count: int, chance: random.Random) -> int:
        """Start it, kill one worker after the other while it goes on, and wait for its end; how many were killed."""
        process, killed = self._started(), 0
        while killed < count and process.poll() is None:
            self._wait(process, min(CELLS, len(self.lines()) + chance.randint(3, 12)))
            if workers := _workers(process.pid):
                os.kill(chance.choice(workers), signal.SIGKILL)
                killed += 1
        process.wait()
        assert len(self.lines()) == CELLS, f"the command goes on without its workers:\n{self._log.read_text()[-2000:]}"
        return killed

    def finish(self, *more: str) -> None:
        """To its end."""
        assert self._started(*more).wait() == 0 and self.checked() == CELLS, self._log.read_text()[-2000:]

    def checked(self) -> int:
        """How many cells are done. Fails where one was done twice, or its mask is not there."""
        outcomes = [each for each in map(json.loads, self.lines()) if each["status"] == "done"]
        assert len({each["cell"] for each in outcomes}) == len(outcomes), "a cell was done twice"
        masks = list(self._home.glob("sweeps/*/masks/*/*.png"))
        assert {each["cell"] for each in outcomes} <= {mask.stem for mask in masks}, "a mask is lost"
        return len(outcomes)

    def lines(self) -> list[bytes]:
        """The complete lines of the outcomes file. A half-written last one does not count: resuming removes it."""
        for file in self._home.glob("sweeps/*/outcomes.jsonl"):
            data = file.read_bytes()
            return data[: data.rfind(b"\n") + 1].splitlines()
        return []

    def _started(self, *more: str) -> "subprocess.Popen[bytes]":
        begun = list(self._home.glob("sweeps/*/sweep.json"))
        command = ["resume", begun[0].parent.name] if begun else [str(self._spec), "--no-store"]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "samkit", "sweep", *command, *self._how, *more],
                start_new_session=True,
                stdout=log,
                stderr=log,
            )

    def _wait(self, process: "subprocess.Popen[bytes]", lines: int) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while len(self.lines()) < lines and process.poll() is None:
            assert time.monotonic() < give_up, "nothing comes"
            time.sleep(0.02)


def _workers(pid: int) -> list[int]:
    """Processes of the local engine's workers, or of Ray's, below the command; nobody else's."""
    parents, words = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            words[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ")
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])

    def is_below(process: int) -> bool:
        while process in parents and process != pid:
            process = parents[process]
        return process == pid

    worker = b"samkit.work.sweep.worker", b"ray::RayWorker"
    return [each for each in parents if any(word in words[each] for word in worker) and is_below(each)]


if __name__ == "__main__":
    main()
