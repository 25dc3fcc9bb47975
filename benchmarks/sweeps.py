"""What a sweep costs beside its encodings and decodings, and what it costs to hold many cells.

    python -m benchmarks.sweeps                  # overhead with one and two workers, about four minutes on two cores
    python -m benchmarks.sweeps --inside         # the same within one process, in processor time: a few seconds
    python -m benchmarks.sweeps --cells 100000   # writing, reading, means, tables and pages of made-up outcomes
    python -m benchmarks.sweeps --windows        # windows of 8, 14 and 16 in nano-sam1, and in a random ViT-B for time

With --pairs FOLDER --windows takes pictures and masks as FOLDER/*/NAME.jpg and .png in place of samples.

Overhead: the same prompts on the same pictures with three settings of windows, by a loop that encodes and decodes and
does nothing else, by single runs in a loop with all that the experiment measures, and by a sweep. They take turns, each
in as many processes of one thread; what a process does once, such as importing torch and loading the model, is left out
of all. The clock needs an idle machine; processor time, of all processes together, is moved less by others.
"""

import argparse
import gc
import logging
import multiprocessing
import os
import statistics
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

FRAMES = {"coin": (*range(14), 23, 26, 29), "cup": (*range(0, 18, 2), 34, 36, 38, 40, 42, 44)}
"""On which the object is seen."""
FIRST = 3
"""Cells of a worker's first picture, which are not timed."""
SPEC = """
experiment: window-size
models: {model}
pictures: [{pictures}]
prompts: {{truth: box}}
params: {{window_sizes: [[8, 8, 8, 8], [14, 14, 14, 14], [16, 16, 16, 16]]}}
threads: 1
"""
WINDOWS = """
experiment: window-size
models: {model}
pictures: {pictures}
prompts: {{truth: box}}
params: {{window_sizes: [[8, 8, 8, 8], [14, 14, 14, 14], [16, 16, 16, 16]]}}
"""
TIMED = 4
"""Pictures on which the large model's windows are timed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=["nano-sam1"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cells", type=int, help="Measure made-up outcomes of so many cells instead.")
    parser.add_argument("--inside", action="store_true", help="Say what a cell takes within one process.")
    parser.add_argument(
        "--windows", action="store_true", help="Run the sweep over windows, also with a random ViT-B, instead."
    )
    parser.add_argument("--pairs", type=Path, help="With --windows: a folder of folders with pictures and masks.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAMKIT_HOME"] = home
        print(_machine())
        if arguments.cells:
            place = _print_many(arguments.cells)
            # Whoever opens a page has not computed the sweep in the same process.
            gc.collect()
            _print_pages(place)
        elif arguments.inside:
            for model in arguments.models:
                _print_inside(model, arguments.rounds)
        elif arguments.windows:
            _print_windows(Path(home), arguments.pairs and arguments.pairs.absolute())
        else:
            for model in arguments.models:
                _print_overhead(model, arguments.rounds, arguments.workers)


def _machine() -> str:
    import platform

    import torch

    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"{platform.processor() or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, "
        f"{os.cpu_count()} cores, load {loads}; torch {torch.__version__}"
    )


# Overhead


def _print_overhead(model: str, rounds: int, counts: list[int]) -> None:
    for workers in counts:
        rates: dict[str, list[Rate]] = {"alone": [], "runs": [], "sweep": []}
        for _ in range(rounds):
            rates["alone"].append(_alone(model, workers, _encode_and_decode))
            rates["runs"].append(_alone(model, workers, _run))
            rates["sweep"].append(_sweep(model, workers))
        print(f"{model}, {workers} workers, {rounds} rounds:", flush=True)
        for name, said in (
            ("alone", "encoding and decoding alone"),
            ("runs", "as runs in a loop"),
            ("sweep", "as a sweep"),
        ):
            a_second, ms = ([getattr(each, unit) for each in rates[name]] for unit in ("a_second", "ms"))
            line = f"  {said}: {statistics.median(a_second):.2f} cells a second, {max(a_second):.2f} at best; "
            line += f"{statistics.median(ms):.1f} ms of processor time each"
            if name != "alone":
                line += f"; times as long as alone: {_ratios([each.a_second for each in rates['alone']], a_second)} by "
                line += f"the clock, {_ratios(ms, [each.ms for each in rates['alone']])} in processor time"
            print(line, flush=True)


def _ratios(over: list[float], under: list[float]) -> str:
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def _spec(model: str) -> Any:
    from samkit.work.sweep.spec import spec_from_text

    pictures = ", ".join(f'"{film}#{frame}"' for film, frames in FRAMES.items() for frame in frames)
    return spec_from_text(SPEC.format(model=model, pictures=pictures))


def _cells(model: str) -> list[Any]:
    from samkit.work.sweep.cases import all_cases
    from samkit.work.sweep.cells import make_cells

    spec = _spec(model)
    return make_cells(spec, all_cases(spec))


@dataclass(frozen=True)
class Rate:
    """Cells a second by the clock, and the processor time of each in ms, of all processes together."""

    a_second: float
    ms: float


@dataclass(frozen=True)
class Moment:
    """When a cell was done: by the clock, and in seconds of the processor's time."""

    clock: float
    processor: float


def _sweep(model: str, workers: int) -> Rate:
    """From when every worker has done a picture on."""
    from samkit.work.sweep.cases import all_cases
    from samkit.work.sweep.local import LocalEngine
    from samkit.work.sweep.results import new_sweep
    from samkit.work.sweep.run import run_sweep

    spec = _spec(model)
    made = new_sweep(spec, all_cases(spec))
    engine, arrivals = LocalEngine(made.path, "metrics", workers, 1), list[Moment]()

    class Timed:
        def run(self, cells: Any) -> Any:
            for outcome in engine.run(cells):
                if outcome is not None:
                    assert outcome.status == "done", outcome.reason
                    arrivals.append(Moment(time.perf_counter(), time.process_time() + _of_children()))
                yield outcome

    run_sweep(made, Timed())
    first = FIRST * workers
    seconds = arrivals[-1].processor - arrivals[first - 1].processor
    return Rate(_a_second([each.clock for each in arrivals], workers), 1000 * seconds / (len(arrivals) - first))


def _of_children() -> float:
    """Processor time in seconds of the processes that this one has started and that are there."""
    ticks = 0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            with suppress(OSError):
                ticks += sum(map(int, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _a_second(clocks: list[float], workers: int) -> float:
    """Of all but the first picture of each worker."""
    clocks, first = sorted(clocks), FIRST * workers
    return (len(clocks) - first) / (clocks[-1] - clocks[first - 1])


def _alone(model: str, workers: int, work: Any, *more: Any) -> Rate:
    """Of so many processes, each with a share of the pictures."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers) as pool:
        shares = pool.starmap(work, [(model, workers, number, *more) for number in range(workers)], chunksize=1)
    seconds = sum(share[-1].processor - share[FIRST - 1].processor for share in shares)
    cells = sum(len(share) - FIRST for share in shares)
    return Rate(_a_second([each.clock for share in shares for each in share], workers), 1000 * seconds / cells)


def _now() -> Moment:
    return Moment(time.perf_counter(), time.process_time())


def _own_groups(model: str, workers: int, number: int) -> list[Any]:
    from samkit.work.sweep.cells import in_groups

    return list(in_groups(_cells(model)))[number::workers]


def _encode_and_decode(model: str, workers: int, number: int) -> list[Moment]:
    """When each cell was done."""
    import torch

    import samkit
    from samkit.work.sources import Sources
    from samkit.work.sweep.marks import draw, prompts_from_truth

    torch.set_num_threads(1)
    loaded, sources = samkit.load_model(model, device="cpu"), Sources()
    todo = []
    for group in _own_groups(model, workers, number):
        picture = sources.picture(group.cells[0].case.picture)
        truth = sources.truth(group.cells[0].case.truth, picture)
        prompts = prompts_from_truth(group.cells[0].rule, truth, draw(0, ""), _no_mask)
        todo.append((picture, prompts, [cell.params["window_sizes"] for cell in group.cells]))
    moments = []
    _wait_for_others(loaded, todo[0][0])
    for picture, prompts, windows in todo:
        for each in windows:
            loaded.predict_masks(loaded.encode_image(picture.rgb, window_sizes=tuple(each)), prompts)
            moments.append(_now())
    return moments


def _no_mask(prompts: Any) -> Any:
    raise AssertionError(f"no clicks are corrected here: {prompts}")


def _wait_for_others(loaded: Any, picture: Any) -> None:
    """Give the other processes time to load: only what runs beside each other is to be compared."""
    until = time.monotonic() + 3
    while time.monotonic() < until:
        loaded.encode_image(picture.rgb)


def _run(model: str, workers: int, number: int) -> list[Moment]:
    """The same as single runs in a loop, with everything that the experiment measures."""
    import torch

    from samkit.work.sweep.compute import CellComputer, WorkerSettings

    torch.set_num_threads(1)
    moments = []
    with tempfile.TemporaryDirectory() as folder:
        computer = CellComputer(WorkerSettings(folder, "metrics", 1))
        groups = _own_groups(model, workers, number)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            computer.forget_all()
            computer.outcome(groups[0].cells[0])
        computer.forget_all()
        for group in groups:
            for cell in group.cells:
                computer.computed(cell)
                moments.append(_now())
    return moments


def _print_inside(model: str, rounds: int) -> None:
    """Processor time of a cell, and how much of it is encoding and decoding; others on the machine move it little."""
    import torch

    from samkit.models.sam import SamModel
    from samkit.work.sweep.compute import CellComputer, WorkerSettings

    torch.set_num_threads(1)
    in_model = 0.0

    def counted(name: str) -> Any:
        own = getattr(SamModel, name)

        def method(self: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal in_model
            start = time.thread_time()
            value = own(self, *arguments, **options)
            in_model += time.thread_time() - start
            return value

        return patch.object(SamModel, name, method)

    first, *groups = _own_groups(model, 1, 0)
    ratios, others = [], []
    with tempfile.TemporaryDirectory() as folder, counted("encode_image"), counted("predict_masks"):
        computer = CellComputer(WorkerSettings(folder, "metrics", 1))
        for _ in range(rounds):
            computer.forget_all()
            for cell in first.cells:
                computer.outcome(cell)
            in_model, start = 0.0, time.thread_time()
            outcomes = [computer.outcome(cell) for group in groups for cell in group.cells]
            whole = time.thread_time() - start
            assert all(outcome.status == "done" for outcome in outcomes)
            ratios.append(whole / in_model)
            others.append(1000 * (whole - in_model) / len(outcomes))
    print(
        f"{model}, within a process: a cell takes {statistics.median(ratios):.3f} times as long as its encoding and "
        f"decoding ({min(ratios):.3f} to {max(ratios):.3f}), {statistics.median(others):.1f} ms more"
    )


# Many cells


def _print_many(count: int) -> Path:
    """Where the sweep is."""
    import json
    import resource

    from samkit.work.sweep.cases import all_cases
    from samkit.work.sweep.cells import make_cells
    from samkit.work.sweep.results import OUTCOMES, Outcome, new_sweep
    from samkit.work.sweep.spec import spec_from_text
    from samkit.work.sweep.summary import summarize, swept_columns
    from samkit.work.sweep.table import rows, write_table

    repeats = max(1, count // (24 * 2 * 2))
    count = 24 * 2 * 2 * min(repeats, 10_000)
    spec = spec_from_text(
        "experiment: mask-stability\nmodels: [nano-sam1, nano-sam2]\npictures: coins\n"
        "prompts: [{truth: box, jitter: 5}, {truth: inside, jitter: 5}]\n" + f"repeats: {min(repeats, 10_000)}\n"
    )
    cases = all_cases(spec)

    def timed(name: str, work: Any) -> Any:
        start = time.perf_counter()
        value = work()
        print(f"{count:,} cells, {name}: {time.perf_counter() - start:.2f} s", flush=True)
        return value

    sweep = timed("making the sweep", lambda: new_sweep(spec, cases))
    cells = timed("making the cells", lambda: make_cells(spec, cases))
    metrics = {f"metric_{number}": 0.123456789 * number for number in range(15)}
    prompts = {"points": [], "boxes": [[0.1, 0.2, 0.3, 0.4]]}

    def append() -> None:
        with sweep.running() as file:
            for at, cell in enumerate(cells):
                values = {name: value + at % 97 for name, value in metrics.items()}
                facts = {"size": "medium", "true_area_px": 2000, "threads": 1}
                file.add(Outcome(cell.id, "done", "", "f" * 32, values, facts, {"encode_ms": 1.5}, prompts, (), 0.25))

    timed("appending the outcomes", append)
    timed("reading the outcomes", sweep.outcomes)
    table = timed("all rows", lambda: rows(sweep))
    timed("means with intervals", lambda: summarize(table, swept_columns(spec), 0))
    parquet = sweep.path / "cells.parquet"
    timed("writing Parquet", lambda: write_table(table, parquet))

    import pyarrow.parquet

    timed("reading Parquet", lambda: pyarrow.parquet.read_table(parquet))
    sizes = {name: (sweep.path / name).stat().st_size / 1e6 for name in (OUTCOMES, "cells.parquet")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({name: f"{size:.1f} MB" for name, size in sizes.items()}), f"peak memory {peak:,.0f} MB")
    return sweep.path


def _print_pages(place: Path) -> None:
    """What its line in the list, and its page, take of a sweep that nobody has looked at."""
    from samkit.ui.parts.sweep_figures import means_figure, points_figure
    from samkit.ui.state.sweep_standing import standing
    from samkit.ui.sweeps.charts import Shown, cell_points, mean_series
    from samkit.ui.sweeps.columns import axes, metrics, quantities
    from samkit.ui.sweeps.looked_at import LookedAt
    from samkit.ui.sweeps.tables import settings_of
    from samkit.work.sweep.live_table import LiveTable
    from samkit.work.sweep.results import SweepFolder

    logging.disable(logging.WARNING)  # Streamlit's, of having no browser

    def opened() -> LookedAt:
        table = LiveTable(SweepFolder(place))
        table.refresh()
        return LookedAt(table.sweep, table, tuple(table.rows))

    def charts() -> None:
        names, across = metrics(looked), axes(looked)
        shown = Shown(names[0], across[0], across[1], "", quantities(looked)[-1])
        series, facets, _ = mean_series(looked, shown)
        means_figure(series, "x", "y", facets).to_json()
        points_figure(*cell_points(looked, shown)[:1], "x", "y").to_json()
        settings_of(looked, names[0])

    start = time.perf_counter()
    standing(SweepFolder(place))
    listed = time.perf_counter()
    looked = opened()
    read = time.perf_counter()
    charts()
    end = time.perf_counter()
    print(
        f"its line in the list {listed - start:.2f} s; its page: read {read - listed:.2f} s, charts and settings "
        f"{end - read:.2f} s"
    )


# Windows


def _print_windows(folder: Path, pairs: Path | None) -> None:
    """nano-sam1 against the truth, then a random ViT-B for its times."""
    import torch

    from benchmarks.contestants import official_model

    everything = _window_pictures(pairs)
    _print_window_table("nano-sam1", everything, "true_iou", "true_boundary_f_measure")
    path = folder / "vit_b.pt"
    torch.save(official_model("vit_b").state_dict(), path)
    # The first picture also pays for packed weights and position tables of each setting.
    few = f"{{files: '{pairs}/*/*.jpg', masks: '{pairs}', objects: together, limit: {TIMED + 1}}}"
    films = [f'"{film}#{frame}"' for film, frames in FRAMES.items() for frame in frames][: TIMED + 1]
    _print_window_table(str(path), few if pairs else f"[{', '.join(films)}]", warm=1)


def _window_pictures(pairs: Path | None) -> str:
    if pairs is not None:
        return f"{{files: '{pairs}/*/*.jpg', masks: '{pairs}'}}"
    return "[coins, " + ", ".join(f'"{film}#{frame}"' for film, frames in FRAMES.items() for frame in frames) + "]"


def _print_window_table(model: str, pictures: str, *metrics: str, warm: int = 0) -> None:
    """Means with intervals and pictures a second, by one worker with all cores.

    warm: so many pictures at the beginning are left out
    """
    from samkit.work.sweep.cases import all_cases
    from samkit.work.sweep.local import LocalEngine
    from samkit.work.sweep.results import new_sweep
    from samkit.work.sweep.run import run_sweep
    from samkit.work.sweep.spec import spec_from_text
    from samkit.work.sweep.summary import summarize, swept_columns
    from samkit.work.sweep.table import rows

    spec = spec_from_text(WINDOWS.format(model=model, pictures=pictures))
    sweep = new_sweep(spec, all_cases(spec))
    start = time.perf_counter()
    run_sweep(sweep, LocalEngine(sweep.path, "metrics", 1))
    seconds = time.perf_counter() - start
    table = rows(sweep)
    assert all(row["status"] == "done" for row in table), table[0]["reason"]
    names = list(dict.fromkeys(row["picture"] for row in table))
    table = [row for row in table if row["picture"] in names[warm:]]
    print(f"{Path(model).stem}: {len(table)} cells on {len(names) - warm} pictures, {seconds:.0f} s in all", flush=True)
    for each in summarize(table, swept_columns(spec), 0, by_size=False):
        encoding = each.means["time.encode_ms"]
        figures = [f"{name} {each.means[f'metric.{name}'].text}" for name in metrics]
        times = [row["time.encode_ms"] for row in table if _is_of(row, each.setting)]
        middle = statistics.median(times)
        figures += [f"encoding {encoding.text} ms on average", f"{middle:.4g} at the median, {min(times):.4g} at least"]
        figures.append(f"{1000 / middle:.3g} pictures a second")
        print(f"  windows {each.setting['param.window_sizes'][0]}: {', '.join(figures)}", flush=True)


def _is_of(row: dict[str, Any], setting: dict[str, Any]) -> bool:
    return all(row[name] == value for name, value in setting.items())


if __name__ == "__main__":
    main()
