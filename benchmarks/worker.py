"""One contestant in a process of its own. Reads one step per line on stdin (load, encode, predict, predict ten) and
answers with its milliseconds and peak memory as JSON.

Peak memory is how far the process's resident size rose above where it stood when the step began, from Linux's own
high-water mark.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.contestants import CONTESTANTS


def resident_mb(field: str) -> float:
    """VmRSS or VmHWM of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def main() -> None:
    name, model, side, dtype, weights, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    rgb = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), dtype=np.uint8)
    contestant = CONTESTANTS[name](model, int(side), dtype)
    steps = {
        "load": lambda: contestant.load(Path(weights)),
        "encode": lambda: contestant.encode(rgb),
        "predict": lambda: contestant.predict(),
        "predict ten": lambda: contestant.predict_ten(),
    }
    for line in sys.stdin:
        Path("/proc/self/clear_refs").write_text("5")
        before, start = resident_mb("VmRSS"), time.perf_counter()
        steps[line.strip()]()
        elapsed = 1000 * (time.perf_counter() - start)
        print(json.dumps({"ms": elapsed, "peak_mb": resident_mb("VmHWM") - before}), flush=True)


if __name__ == "__main__":
    main()
