"""samkit beside its peers: time and peak memory of loading, encoding and prompting, with the same random weights, in
float32 unless asked otherwise.

    python -m benchmarks.encode --models vit_b tiny --rounds 7
    python -m benchmarks.encode --models tiny --tuned       # glibc and torch keep their pages in every process
    python -m benchmarks.encode --models sam3_short --peaks # memory is given back at once: peaks are what is held
    python -m benchmarks.encode --models sam3 --rounds 2    # beside transformers; --dtype bfloat16 for samkit's

Each contestant runs in a process of its own (so that peak memory is its own) and they take turns, one step at a time
(so that a machine whose speed drifts slows all alike). Ratios are medians of the ratios within a round. Official is
timed from prepared pixels, samkit from the picture. Loading is with all that it imports, from Python's compiled files,
as on every machine from the second start on. Takes about ten minutes for vit_b and tiny on two cores; run it on
an idle machine.
"""

import argparse
import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import samkit
from benchmarks.contestants import CONTESTANTS, MODELS, NATIVE_SIDES, can_run, compared_with, save_weights

TUNED = {
    "THP_MEM_ALLOC_ENABLE": "1",
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967295",
}
GIVING_BACK = {
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_ARENA_MAX": "1",
}


PROMPTING = ("predict", "predict ten")
"""One point to masks, and ten points to masks of each, decoded together."""


class Worker:
    """A contestant's process; `step` runs one step there. `dead` once it could not."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str]):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        self.dead = False

    def step(self, step: str) -> dict | None:
        if self.dead:
            return None
        try:
            self.process.stdin.write(step + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            self.dead = True
            reason = self.process.stderr.read().strip().splitlines()
            print(f"  {self.name} can't do {step}: {reason[-1][:160] if reason else 'no word'}", file=sys.stderr)
            return None

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def measure(model: str, options: argparse.Namespace, weights: Path) -> list[dict]:
    """One row per contestant and step: median milliseconds, ratio to the one compared with, peak MB, ratio of peaks."""
    environment, other = TUNED if options.tuned else GIVING_BACK if options.peaks else {}, compared_with(model)
    side = str(options.side or NATIVE_SIDES.get(model, 1024))
    workers = {}
    for name in (name for name in options.against if can_run(name, model)):
        dtype = "float32" if name == other else options.dtype
        workers[name] = Worker(name, [model, side, dtype, str(weights), str(options.threads)], environment)
    prompting = [step for step in PROMPTING if MODELS[model] != "sam3" or step == "predict"]
    figures = {(name, step): [] for name in workers for step in ("load", "encode", *prompting)}
    for name, worker in workers.items():
        figures[name, "load"].append(worker.step("load"))
        worker.step("encode")
    for _ in range(options.rounds):
        for name, worker in workers.items():
            figures[name, "encode"].append(worker.step("encode"))
    for step in prompting:
        for _ in range(1 + options.rounds):
            for name in ("samkit", other):
                if name in workers:
                    figures[name, step].append(workers[name].step(step))
    for worker in workers.values():
        worker.close()
    return [
        row
        for (name, step), values in figures.items()
        if (row := _row(model, name, step, values, figures[other, step]))
    ]


def _row(model: str, name: str, step: str, values: list, official: list) -> dict | None:
    skip = 1 if step in PROMPTING else 0
    pairs = [(own, other) for own, other in zip(values, official, strict=False) if own and other][skip:]
    if not pairs:
        return None
    peak, official_peak = (max(pair[side]["peak_mb"] for pair in pairs) for side in (0, 1))
    return {
        "model": model,
        "step": step,
        "package": name,
        "ms": statistics.median(own["ms"] for own, _ in pairs),
        "ratio": statistics.median(own["ms"] / other["ms"] for own, other in pairs),
        "peak_mb": peak,
        "peak_ratio": peak / official_peak if official_peak else float("nan"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["vit_b", "tiny"])
    parser.add_argument("--against", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--side", type=int, help="pixels; default: the native one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--dtype",
        choices=["float32", "bfloat16"],
        default="float32",
        help="of samkit's encoder; what it is compared with stays float32",
    )
    parser.add_argument("--tuned", action="store_true", help="run every process with an allocator that keeps its pages")
    parser.add_argument(
        "--peaks",
        action="store_true",
        help="run every process with an allocator that gives memory back at once: slower, with peaks that don't depend "
        "on what was held before",
    )
    parser.add_argument("--json", type=Path, help="also write the rows there")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for package in (samkit.__path__[0], "benchmarks"):
        compileall.compile_dir(package, quiet=1)
    rows = []
    print(
        f"side {options.side or 'native'}, {options.threads} threads, samkit {options.dtype}, {options.rounds} "
        f"rounds{', tuned allocator' if options.tuned else ''}"
    )
    print(f"{'model':10} {'step':11} {'package':13} {'ms':>9} {'ratio':>6} {'peak MB':>8} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            weights = save_weights(model, Path(folder))
            for row in measure(model, options, weights):
                rows.append(row)
                print(
                    "{model:10} {step:11} {package:13} {ms:9.1f} {ratio:6.2f} {peak_mb:8.0f} {peak_ratio:6.2f}".format(
                        **row
                    ),
                    flush=True,
                )
            shutil.rmtree(weights) if weights.is_dir() else weights.unlink()
            if options.json:
                options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
