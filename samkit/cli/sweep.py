"""`python -m samkit sweep`: an experiment over models, pictures, prompts and parameters."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from samkit.cli.output import Json, plain_app, print_json, say
from samkit.cli.sweep_engines import Engines, engines
from samkit.words import format_bytes, time_text

if TYPE_CHECKING:
    from samkit.work.sweep.results import SweepFolder
    from samkit.work.sweep.run import Progress

EXIT_FAILED, EXIT_STOPPED = 1, 130
TELL_S = 1.0
MAX_REASONS = 10
"""Failed cells that are listed."""
SHOWN = (
    "metric.J_and_F",
    "metric.J",
    "metric.F",
    "metric.true_iou",
    "metric.true_boundary_f_measure",
    "metric.predicted_iou",
    "time.encode_ms",
    "time.decode_ms",
    "time.frame_ms",
)
"""Columns of `sweep show`, where the experiment has them; else its first metrics."""


class _SpecOrCommand(TyperGroup):
    """`sweep SPEC.yaml` is `sweep start SPEC.yaml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        asks_for_help = not args or args[0] == "--help"
        if not asks_for_help and args[0] not in self.commands:
            args = ["start", *args]
        return super().parse_args(ctx, args)


app = plain_app("Sweeps: `sweep SPEC.yaml` runs one; list, show, resume and cancel them, take out table and report.")
app.info.cls = _SpecOrCommand
app.info.no_args_is_help = True

Id = Annotated[str, typer.Argument(metavar="ID", help="Of the sweep, its beginning, or latest.")]
Send = Annotated[
    bool, typer.Option("--store/--no-store", help="Whether to put the sweep into the run store, MLflow, at its end.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=256,
        help="That compute; default: one for every two cores, or on a cluster one for each GPU.",
    ),
]


EngineName = Annotated[
    Literal["local", "ray"], typer.Option(help="Processes on this machine, or workers on a Ray cluster (docs/ray.md).")
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="With --engine ray: the cluster, or auto for the one that runs on this machine. Default: what RAY_ADDRESS "
        "says, else a Ray on this machine alone.",
    ),
]


@app.command("start")
def start(
    spec_file: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="What is swept over what.")],
    workers: Workers = None,
    engine: EngineName = "local",
    address: Address = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many cells there are and what they will take; run none.")
    ] = False,
    send: Send = True,
    as_json: Json = False,
) -> None:
    """Run the sweep that a YAML file describes. `start` may be left out. Exit code 1 where cells failed."""
    from samkit.work.sweep.cases import all_cases
    from samkit.work.sweep.cells import make_cells
    from samkit.work.sweep.keeping import want_kept
    from samkit.work.sweep.results import new_sweep
    from samkit.work.sweep.spec import read_spec

    spec = read_spec(spec_file)
    cases = all_cases(spec)
    cells = make_cells(spec, cases)
    with engines(engine, address, workers) as chosen:
        if dry_run:
            _say_estimate(chosen.with_threads(spec), cells, chosen.workers(spec), as_json)
            return
        sweep = new_sweep(spec, cases)
        say(f"Sweep {sweep.id}: {len(cells):,} cells in {sweep.path}")
        if send:
            want_kept(sweep)
        _run(sweep, cells, chosen, as_json)


@app.command("resume")
def resume(
    sweep_id: Id,
    workers: Workers = None,
    engine: EngineName = "local",
    address: Address = None,
    failed: Annotated[bool, typer.Option("--failed", help="Also compute the cells that failed once more.")] = False,
    as_json: Json = False,
) -> None:
    """Compute the cells that are missing."""
    from samkit.work.sweep.results import find_sweep

    sweep = find_sweep(sweep_id)
    cells = sweep.missing(failed_too=failed) if failed else None
    with engines(engine, address, workers) as chosen:
        _run(sweep, cells, chosen, as_json)


@app.command("cancel")
def cancel(sweep_id: Id) -> None:
    """Ask the process that runs the sweep to stop; `resume` goes on with it later."""
    from samkit.work.sweep.results import find_sweep

    sweep = find_sweep(sweep_id)
    if not sweep.is_running:
        say(f"The sweep {sweep.id} is not running.")
        return
    sweep.cancel()
    say(f"The sweep {sweep.id} ends within seconds. What it computed is kept.")


@app.command("list")
def list_sweeps(as_json: Json = False) -> None:
    """The sweeps in SAMKIT_HOME, the latest first."""
    from samkit.errors import BadInput
    from samkit.work.sweep.results import find_sweep, sweep_names

    listed = []
    for name in sweep_names():
        try:
            sweep = find_sweep(name)
            outcomes = sweep.outcomes()
            row: dict[str, Any] = {
                "id": name,
                "name": sweep.spec.name,
                "experiment": sweep.spec.experiment,
                "created": sweep.created,
            }
            cells = len(sweep.cells)
            listed.append(row | {"state": sweep.state(outcomes), "cells": cells, "computed": len(outcomes)})
        except BadInput as error:
            say(str(error))
    if as_json:
        print_json({"sweeps": listed})
        return
    for row in listed:
        print(
            f"{row['id']}  {row['state']:<9}  {row['computed']:>7} of {row['cells']:<7}  {row['experiment']:<16}  "
            f"{row['name']}"
        )


@app.command("show")
def show(
    sweep_id: Id,
    metric: Annotated[
        list[str] | None, typer.Option(help="A metric or time to show, such as true_iou or encode_ms. Repeatable.")
    ] = None,
    by_size: Annotated[bool, typer.Option("--by-size", help="Also for small, medium and large objects.")] = False,
    as_json: Json = False,
) -> None:
    """Where a sweep stands, and the means of its metrics for each setting with 95 % intervals."""
    from samkit.errors import BadInput
    from samkit.words import nearest
    from samkit.work.sweep.results import find_sweep
    from samkit.work.sweep.summary import counts, metric_names, summarize, swept_columns
    from samkit.work.sweep.table import rows

    sweep = find_sweep(sweep_id)
    table = rows(sweep)
    columns, names = swept_columns(sweep.spec), metric_names(table)
    wanted = [next((name for name in names if name.partition(".")[2] == text), "") for text in metric or ()]
    if "" in wanted and metric and names:
        missing = metric[wanted.index("")]
        raise BadInput(f"No cell has {missing}: {nearest(missing, [name.partition('.')[2] for name in names])}")
    shown = wanted or [name for name in SHOWN if name in names] or names[:5]
    summaries = summarize(table, columns, sweep.spec.seed, by_size or as_json)
    found = counts(sweep)
    if as_json:
        settings = [
            {
                "setting": each.setting,
                "size": each.size or "all",
                "failed": each.failed,
                "means": {name: vars(mean) for name, mean in each.means.items() if not metric or name in wanted},
            }
            for each in summaries
        ]
        print_json({"id": sweep.id, "state": sweep.state(), **found, "settings": settings})
        return
    print(f"{sweep.id}  {sweep.state()}  {_said_counts(found)}")
    lines = [[column.partition(".")[2] or column for column in columns] + ["objects", "cells"]]
    lines[0] += [name.partition(".")[2] for name in shown]
    for each in summaries:
        values = [_text(each.setting[column]) for column in columns]
        cells = max((mean.cells for mean in each.means.values()), default=0)
        means = [each.means[name].text if name in each.means else "-" for name in shown]
        lines.append([*values, each.size or "all", str(cells), *means])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("   ".join(map(str.ljust, line, widths)).rstrip())
    if few := next((mean.too_few for each in summaries for mean in each.means.values() if mean.too_few), ""):
        print(f"Means without an interval: {few}")
    _say_failures(table)


@app.command("table")
def table(
    sweep_id: Id,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Ends in .parquet or .csv.")],
    as_json: Json = False,
) -> None:
    """Write a row for each cell: what it is, its metrics and times."""
    from samkit.work.sweep.results import find_sweep
    from samkit.work.sweep.table import rows, write_table

    found = rows(find_sweep(sweep_id))
    write_table(found, out)
    if as_json:
        print_json({"table": str(out), "rows": len(found)})
    else:
        print(out)


@app.command("keep")
def keep(sweep_id: Id, as_json: Json = False) -> None:
    """Put what is computed into the run store, MLflow: one run, and those of cells that were kept whole below it. Exit
    code 1 where the store does not take it.
    """
    from samkit.work.sweep.results import find_sweep

    kept = _keep(find_sweep(sweep_id))
    if as_json:
        print_json(kept)
    if kept["run_id"] is None:
        raise typer.Exit(EXIT_FAILED)


@app.command("report")
def report(
    sweep_id: Id,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HTML file to write.")],
    as_json: Json = False,
) -> None:
    """Write one HTML file that needs no network: what was swept, means with intervals, charts, worst pictures."""
    from samkit.files import written_whole
    from samkit.work.sweep.report.page import make_report
    from samkit.work.sweep.results import find_sweep

    text = make_report(find_sweep(sweep_id))
    with written_whole(out, "The report") as part:
        part.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"report": str(out), "bytes": len(text.encode())})
    else:
        print(out)


def _run(sweep: "SweepFolder", cells: Sequence[Any] | None, engines: Engines, as_json: bool) -> None:
    from samkit.work.sweep.keeping import is_wanted
    from samkit.work.sweep.run import run_sweep
    from samkit.work.sweep.summary import counts
    from samkit.work.sweep.table import rows

    with _ending_as_interrupted():
        try:
            run_sweep(sweep, engines.engine(sweep), cells, _say_progress)
        except KeyboardInterrupt:
            say(f"Stopped. `python -m samkit sweep resume {sweep.id}` goes on where it was.")
            raise typer.Exit(EXIT_STOPPED) from None
    found, state = counts(sweep), sweep.state()
    kept = _keep(sweep) if is_wanted(sweep) else None
    if as_json:
        print_json({"id": sweep.id, "state": state, "path": str(sweep.path), **found, "kept": kept})
    else:
        say(_said_counts(found))
        _say_failures(rows(sweep))
        print(sweep.id)
    if found["failed"]:
        raise typer.Exit(EXIT_FAILED)


def _keep(sweep: "SweepFolder") -> dict[str, Any]:
    """Send the sweep to the store, and say what came of it."""
    from samkit.work.sweep.keeping import keep_sweep

    last_told_at = 0.0

    def tell(sent: int, total: int) -> None:
        nonlocal last_told_at
        if sent == total or time.monotonic() - last_told_at > TELL_S:
            last_told_at = time.monotonic()
            say(f"{sent:,} of {total:,} runs of cells are in the run store")

    outcome = keep_sweep(sweep, told=tell)
    say(outcome.sentence)
    run = outcome.run
    return {"run_id": run.run_id if run else None, "url": run.url if run else None, "children": outcome.children}


@contextmanager
def _ending_as_interrupted() -> Iterator[None]:
    """A process that is asked to end ends as by Ctrl-C, with its workers."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_progress(progress: "Progress") -> None:
    if not progress.done:
        if progress.total and progress.seconds < 2 * TELL_S:
            say(f"Workers start, {progress.total:,} cells wait")
        return
    left = f", {time_text(progress.left_s)} left" if progress.left_s is not None else ""
    failed = f", {progress.failed} failed" if progress.failed else ""
    say(
        f"{progress.done:,} of {progress.total:,} cells{failed}, {progress.rate:.2g} a second{left}, "
        f"{progress.encoded:,} encodings"
    )


def _say_estimate(spec: Any, cells: list[Any], workers: int, as_json: bool) -> None:
    from samkit.work.sweep.estimate import estimate

    found = estimate(spec, cells, workers)
    if as_json:
        print_json(found.to_dict())
        return
    print(
        f"{found.cells:,} cells, {found.encodings:,} encodings, each made once. With {found.workers} workers of "
        f"{found.threads} threads about {time_text(found.seconds)}, and {format_bytes(found.bytes)} on disk."
    )
    if found.groups < found.workers:
        say(f"Only {found.groups} of the workers have something to do: cells that share a picture stay together.")


def _said_counts(found: dict[str, Any]) -> str:
    parts = [f"{found['done']:,} of {found['cells']:,} cells done"]
    parts += [f"{found[name]:,} {name}" for name in ("failed", "missing") if found[name]]
    return f"{', '.join(parts)}; {found['encodings']:,} encodings made, {found['different_encodings']:,} different"


def _say_failures(table: list[dict[str, Any]]) -> None:
    failed = [row for row in table if row["status"] == "failed"]
    for row in failed[:MAX_REASONS]:
        say(f"{row['cell']}  {row['case']}: {row['reason']}")
    if len(failed) > MAX_REASONS:
        say(f"and {len(failed) - MAX_REASONS} more; `sweep table` lists all.")


def _text(value: object) -> str:
    from samkit.work.sweep.grid import AUTO

    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return AUTO if value is None else str(value)
