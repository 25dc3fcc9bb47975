"""Times what it takes to keep a run in a new SQLite store: `python -m benchmarks.keep_run [--runs 30]`.

The run is that of a page: a picture, four masks, metrics and a thumbnail.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.runs import template
from samkit.tracking.bundle.bundle import RUN_JSON, Bundle, read_bundle
from samkit.tracking.store.keep import keep_run
from samkit.tracking.store.store import RunStore


def again(bundle: Bundle, folder: Path, number: int) -> Bundle:
    """The same run under another id."""
    shutil.copytree(bundle.path, folder)
    file = folder / RUN_JSON
    file.write_text(file.read_text().replace(bundle.run_uuid, f"{number:032x}"))
    return read_bundle(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--bundle", type=Path, help="a run's folder to keep again and again; default: a made-up one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="samkit-keep-") as temporary:
        home = Path(temporary)
        os.environ["SAMKIT_HOME"] = str(home)
        store = RunStore(f"sqlite:///{home / 'mlflow.db'}")
        first = read_bundle(arguments.bundle) if arguments.bundle else template(home / "t", "mask-stability", "coffee")
        keep_run(first, store)
        took = []
        for number in range(arguments.runs):
            bundle = again(first, home / f"run-{number}", number + 1)
            start = time.perf_counter()
            assert keep_run(bundle, store).kept
            took.append(1000 * (time.perf_counter() - start))
        print(f"{statistics.median(took):.0f} ms median, {min(took):.0f} ms least, {max(took):.0f} ms slowest")


if __name__ == "__main__":
    main()
