"""`python -m samkit runs`: the runs in the store and in the spool."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from samkit.cli.output import Json, plain_app, print_json, print_values, say
from samkit.scratch import scratch

EXIT_FAILED = 1

app = plain_app("Kept runs: list, show, compare, export, import, and deliver those that wait.")


@app.callback(invoke_without_command=True)
def runs(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_runs()


@app.command("list")
def list_runs(
    experiment: Annotated[str | None, typer.Option(help="Only runs of this experiment.")] = None,
    search: Annotated[
        str, typer.Option(help="Words, and clauses of MLflow's filter language such as metrics.predicted_iou > 0.8.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many runs to list at most, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """The latest runs in the store."""
    from samkit.experiments.registry import find_experiment
    from samkit.tracking.bundle.dates import shown_time
    from samkit.tracking.store.search import Query, search_runs
    from samkit.tracking.store.spool import Spool
    from samkit.tracking.store.store import RunStore

    query = Query(text=search, experiment=find_experiment(experiment).NAME if experiment else None)
    listed_runs = search_runs(RunStore(), query, size=limit).runs
    waiting = len(Spool().waiting())
    if as_json:
        fields = ("run_id", "run_uuid", "experiment", "name", "created_ms", "params", "metrics", "facts")
        rows = [{field: getattr(run, field) for field in fields} for run in listed_runs]
        print_json({"runs": rows, "waiting": waiting})
        return
    for run in listed_runs:
        print(f"{run.run_id}  {shown_time(run.created_ms):<16}  {run.experiment:<16}  {run.name}")
    if waiting:
        say(f"{waiting} more wait in the spool: `python -m samkit runs deliver` sends them.")


@app.command("show")
def show_run(run_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Everything a run's run.json says."""
    from samkit.tracking.store.store import RunStore

    with scratch("show") as folder:
        record = RunStore().load(run_id, folder).record
    if as_json:
        print_json(record.to_dict())
        return
    values = record.to_dict() | {
        "metrics": {name: metric.value for name, metric in record.metrics.items()},
        "facts": record.facts,
        "masks": list(record.masks),
    }
    print_values({name: value for name, value in values.items() if name != "files"})


@app.command("compare")
def compare(run_ids: Annotated[list[str], typer.Argument(metavar="ID...")], as_json: Json = False) -> None:
    """Runs side by side: what differs, all metrics, and the IoU of each mask with each where they lie on
    one picture.
    """
    from samkit.tracking.compare import Comparison, iou_matrix
    from samkit.tracking.store.store import RunStore

    store = RunStore()
    with scratch("compare") as folder:
        unique = list(dict.fromkeys(run_ids))
        comparison = Comparison([store.load(run_id, Path(folder, run_id)) for run_id in unique])
        name = comparison.mask_names[0] if comparison.mask_names else ""
        overlaps = [
            {
                "runs": [shown.run for shown in group],
                "masks": [shown.mask for shown in group],
                "iou": iou_matrix(comparison.masks_of(group)).tolist(),
            }
            for group in comparison.grounds(name)
        ]
    rows = {
        "differ": {row.name: row.values for row in comparison.conditions if row.differs},
        "metrics": {row.name: row.values for row in comparison.metrics},
    }
    if as_json:
        print_json({"run_ids": unique, **rows, "mask": name, "overlaps": overlaps})
        return
    runs = {"run": range(1, len(unique) + 1), "name": [bundle.name for bundle in comparison.bundles]}
    _print_columns(runs | rows["differ"] | rows["metrics"])
    for overlap in overlaps:
        print(f"IoU of {name or 'the masks'}, runs {', '.join(str(index + 1) for index in overlap['runs'])}")
        print("\n".join("   ".join(f"{value:.4f}" for value in row) for row in overlap["iou"]))


def _print_columns(rows: Mapping[str, Sequence[object]]) -> None:
    """One line for each name, with a column for each run."""
    cells = {name: [_text(value)[:MAX_CELL] for value in values] for name, values in rows.items()}
    widths = [max(map(len, column)) for column in zip(*cells.values(), strict=True)]
    print_values({name: "   ".join(map(str.ljust, texts, widths)).rstrip() for name, texts in cells.items()})


MAX_CELL = 32
"""Characters of a value in a column."""


def _text(value: object) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


@app.command("export")
def export(
    run_ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    out: Annotated[Path, typer.Option(metavar="ZIP", help="The zip file to write.")],
    as_json: Json = False,
) -> None:
    """Write runs to one zip file, to import or replay elsewhere."""
    from samkit.tracking.bundle.archive import export_runs
    from samkit.tracking.store.store import RunStore

    store = RunStore()
    with scratch("export") as folder:
        unique = list(dict.fromkeys(run_ids))
        export_runs([store.load(run_id, Path(folder, run_id)) for run_id in unique], out)
    if as_json:
        print_json({"zip": str(out), "runs": len(unique)})
    else:
        print(out)


@app.command("import")
def import_zip(source: Annotated[Path, typer.Argument(metavar="ZIP")], as_json: Json = False) -> None:
    """Put the runs of an exported zip file into the store. Runs that are already there are skipped. Exit code 1
    where some wait in the spool.
    """
    from samkit.tracking.bundle.archive import import_runs
    from samkit.tracking.store.keep import keep_imported

    with scratch("import") as folder:
        outcomes = keep_imported(import_runs(source, Path(folder)))
    ids = [outcome.run.run_id for outcome in outcomes if outcome.run]
    waiting = [outcome.sentence for outcome in outcomes if not outcome.run]
    if as_json:
        print_json({"run_ids": ids, "waiting": len(waiting)})
    elif ids:
        print("\n".join(ids))
    for sentence in dict.fromkeys(waiting):
        say(sentence)
    if waiting:
        raise typer.Exit(EXIT_FAILED)


@app.command("deliver")
def deliver(as_json: Json = False) -> None:
    """Send the runs that wait in the spool to the store, and the sweeps that wait in their folders. Exit code 1 where
    something stopped it.
    """
    from samkit.tracking.store.spool import Spool
    from samkit.tracking.store.store import RunStore
    from samkit.work.sweep.keeping import deliver_sweeps

    delivery = Spool().deliver(RunStore(), lambda done, total: say(f"Run {done + 1} of {total}"))
    sweeps = deliver_sweeps(told=lambda sweep: say(f"Sweep {sweep}"))
    if as_json:
        print_json(
            {
                "delivered": delivery.delivered,
                "set_aside": delivery.set_aside,
                "left": delivery.left,
                "problem": delivery.problem,
                "sweeps": [kept.sentence for kept in sweeps],
            }
        )
    else:
        print(f"{len(delivery.delivered)} delivered, {delivery.left} still waiting.")
    for sentence in (*delivery.set_aside, *([delivery.problem] if delivery.problem else [])):
        say(sentence)
    if not as_json:
        for kept in sweeps:
            print(kept.sentence)
    if delivery.problem or delivery.set_aside or any(kept.run is None for kept in sweeps):
        raise typer.Exit(EXIT_FAILED)
