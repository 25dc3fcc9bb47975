"""Times what it takes to keep a run in a new SQLite store: `python -m benchmarks.keep_run [--runs 30]`.

The run is that of a page: a picture, four masks, metrics and a thumbnail. With `--plain` every other run is kept
without what only MLflow's own pages show: pictures of its image grid, datasets, and the description.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

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
    parser.add_argument("--plain", action="store_true", help="compare with runs that MLflow's pages show little of")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="samkit-keep-") as temporary:
        home = Path(temporary)
        os.environ["SAMKIT_HOME"] = str(home)
        store = RunStore(f"sqlite:///{home / 'mlflow.db'}")
        first = read_bundle(arguments.bundle) if arguments.bundle else template(home / "t", "mask-stability", "coffee")
        keep_run(first, store)
        took, plainly = list[tuple[float, float]](), list[tuple[float, float]]()
        for number in range(arguments.runs):
            took.append(_timed(again(first, home / f"run-{number}", 2 * number + 1), store))
            if arguments.plain:
                with _plain():
                    plainly.append(_timed(again(first, home / f"plain-{number}", 2 * number + 2), store))
        _print("as it is", took)
        if plainly:
            _print("without pictures, datasets and description", plainly)
            ratios = [statistics.median(column) for column in zip(*took, strict=True)]
            below = [statistics.median(column) for column in zip(*plainly, strict=True)]
            print(f"{ratios[0] / below[0]:.2f} times by the clock, {ratios[1] / below[1]:.2f} in processor time")


def _timed(bundle: Bundle, store: RunStore) -> tuple[float, float]:
    """Milliseconds by the clock and of the processor."""
    start, busy = time.perf_counter(), time.process_time()
    assert keep_run(bundle, store).kept
    return 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - busy)


def _print(name: str, took: list[tuple[float, float]]) -> None:
    clock = [each[0] for each in took]
    print(
        f"{name}: {statistics.median(clock):.0f} ms median, {min(clock):.0f} ms least, {max(clock):.0f} ms slowest; "
        f"{statistics.median(each[1] for each in took):.0f} ms of the processor"
    )


@contextmanager
def _plain() -> Iterator[None]:
    place = "samkit.tracking.store"
    with (
        patch(f"{place}.looks.looks_of", return_value=[]),
        patch(f"{place}.store.datasets_of", return_value=[]),
        patch(f"{place}.store.about_run", return_value=""),
    ):
        yield


if __name__ == "__main__":
    main()
