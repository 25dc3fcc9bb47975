"""A sweep's cells as a table, to work with elsewhere."""

import json
from pathlib import Path
from typing import Any

from samkit.errors import BadInput
from samkit.files import written_whole
from samkit.work.sweep.cells import Cell, cell_row
from samkit.work.sweep.results import Outcome, SweepFolder

Row = dict[str, Any]


def rows(sweep: SweepFolder) -> list[Row]:
    """A row for each cell: what it is, what became of it, `metric.NAME`, `fact.NAME`, `time.NAME`. A cell that was not
    computed yet has the status "missing".
    """
    outcomes = sweep.outcomes()
    return [row_of(cell, outcomes.get(cell.id)) for cell in sweep.cells]


def row_of(cell: Cell, outcome: Outcome | None) -> Row:
    """One of `rows`."""
    return with_outcome(cell_row(cell), outcome)


def with_outcome(row: Row, outcome: Outcome | None) -> Row:
    """One of `rows`. row: what `cell_row` says of the cell; it stays as it is"""
    if outcome is None:
        return row | {"status": "missing"}
    facts = {name: value for name, value in outcome.facts.items() if name not in ("size", "true_area_px")}
    return {
        **row,
        "status": outcome.status,
        "reason": outcome.reason,
        "run": outcome.run,
        "size": outcome.facts.get("size", ""),
        "true_area_px": outcome.facts.get("true_area_px"),
        **{f"metric.{name}": value for name, value in outcome.metrics.items()},
        **{f"fact.{name}": value for name, value in facts.items()},
        **{f"time.{name}": value for name, value in outcome.timings.items()},
        "used_prompts": json.dumps(outcome.prompts) if outcome.prompts else "",
        "encodings": len(outcome.encoded),
        "seconds": outcome.seconds,
        "tries": outcome.tries,
    }


def write_table(table: list[Row], out: Path) -> None:
    """As .parquet or .csv, by the name's end. Lists are written as JSON, and a column that is not the same kind of
    value in all rows as text. Raises BadInput for another end, StoreError where it can't be written.
    """
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    if out.suffix.lower() not in (".parquet", ".csv"):
        raise BadInput(f"{out.name} says no format: end it in .parquet or .csv.")
    names = list(dict.fromkeys(name for row in table for name in row))
    arrow = pyarrow.table({name: _column([row.get(name) for row in table]) for name in names})
    with written_whole(out, "The table") as part:
        if out.suffix.lower() == ".csv":
            pyarrow.csv.write_csv(arrow, part)
        else:
            pyarrow.parquet.write_table(arrow, part)


def _column(values: list[Any]) -> list[Any]:
    plain = [json.dumps(value) if isinstance(value, list | dict) else value for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in plain]
    if len(kinds) > 1:
        return [None if value is None else str(value) for value in plain]
    return plain
