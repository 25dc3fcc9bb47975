"""What the run store is told of a sweep: parameters, figures, description, and the files that become artifacts."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from samkit.settings import app_url
from samkit.tracking.bundle.dates import created_ms
from samkit.tracking.store.parent import Figure, ParentRun
from samkit.work.sweep.parent_data import datasets_of_sweep
from samkit.work.sweep.report.figures import main_names, setting_text, title
from samkit.work.sweep.report.page import make_report, means_csv
from samkit.work.sweep.results import OUTCOMES, SWEEP, SweepFolder
from samkit.work.sweep.spec import SweepSpec
from samkit.work.sweep.spec_text import spec_text
from samkit.work.sweep.summary import SettingSummary, counts, metric_names, summarize, swept_columns
from samkit.work.sweep.table import rows, write_table

MAX_STEPS = 1_000
"""Settings whose means are figures of the run; the table of settings has all."""
MAX_DESCRIBED = 20
"""Settings in the description."""
MAX_VALUE = 500
MARKDOWN = "\\`*_{}[]<>|#!"


def sweep_uuid(sweep: SweepFolder) -> str:
    """32 hex digits by which the store knows it."""
    content = sweep.id.encode() + b"\n" + (sweep.path / SWEEP).read_bytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def parent_run(sweep: SweepFolder, folder: Path) -> ParentRun:
    """All that the store is told of the sweep as it is. Its artifacts are written into `folder`."""
    table, spec = rows(sweep), sweep.spec
    columns, names = swept_columns(spec), metric_names(table)
    settings = [each for each in summarize(table, columns, spec.seed) if not each.size]
    overall = summarize(table, [], spec.seed, by_size=False) if table else []
    found = counts(sweep)
    (folder / "spec.yaml").write_text(spec_text(spec), encoding="utf-8")
    (folder / "settings.csv").write_text(means_csv(settings, columns, names), encoding="utf-8", errors="replace")
    (folder / "report.html").write_text(make_report(sweep), encoding="utf-8")
    write_table(table, folder / "cells.parquet")
    numbers = ("cells", "done", "failed", "missing", "encodings", "different_encodings", "seconds")
    figures = [Figure(f"cells/{name}" if name != "cells" else "cells/all", float(found[name])) for name in numbers[:4]]
    figures += [Figure(f"cost/{name}", float(found[name])) for name in numbers[4:]]
    figures += _figures(overall, settings, main_names(table), names)
    return ParentRun(
        sweep_uuid(sweep),
        spec.experiment,
        spec.name or f"Sweep {sweep.id}",
        created_ms(sweep.created),
        int((sweep.path / OUTCOMES).stat().st_mtime * 1000) if (sweep.path / OUTCOMES).exists() else 0,
        _params(spec),
        [each for each in figures if math.isfinite(each.value)],
        _about(sweep, settings, main_names(table), found),
        whole=not found["missing"],
        files=folder,
        tags={
            "samkit.sweep": sweep.id,
            "samkit.experiment": spec.experiment,
            "samkit.model": ", ".join(spec.models)[:MAX_VALUE],
            "samkit.sweep_state": sweep.state(),
        },
        datasets=datasets_of_sweep(cell.case for cell in sweep.cells),
    )


def _figures(
    overall: Sequence[SettingSummary], settings: Sequence[SettingSummary], main: Iterable[str], names: Iterable[str]
) -> list[Figure]:
    """The mean of each metric under the name that it has in single runs, so that both sort in one column; the ends of
    its interval; and of the main ones the mean of each setting, at the setting's number as its step.
    """
    figures = []
    for each in overall:
        for name in names:
            mean, short = each.means.get(name), name.partition(".")[2]
            if mean is None:
                continue
            figures.append(Figure(short, mean.value))
            if mean.low is not None and mean.high is not None:
                figures += [Figure(f"interval/{short}_low", mean.low), Figure(f"interval/{short}_high", mean.high)]
    if len(settings) > 1:
        for step, each in enumerate(settings[:MAX_STEPS]):
            figures += [
                Figure(f"by_setting/{name.partition('.')[2]}", each.means[name].value, step)
                for name in main
                if name in each.means
            ]
    return figures


def _params(spec: SweepSpec) -> dict[str, str]:
    """The spec in MLflow's columns, as it was written."""
    values = json.loads(spec.model_dump_json(exclude_defaults=True))
    params = {name: value for name, value in values.items() if name not in ("name", "params", "zip", "prompts")}
    params["prompts"] = ", ".join(rule.label for rule in spec.prompts)
    params |= {f"param.{name}": value for name, value in spec.params.items()}
    for group in spec.zip:
        params |= {f"param.{name}": value for name, value in group.items()}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}


def _about(sweep: SweepFolder, settings: Sequence[SettingSummary], names: Sequence[str], found: dict[str, int]) -> str:
    """The description, in Markdown."""
    spec = sweep.spec
    failed = f", {found['failed']:,} failed" if found["failed"] else ""
    lines = [
        f"Sweep of **{_plain(spec.experiment)}** with {_plain(', '.join(spec.models))}: {found['done']:,} of "
        f"{found['cells']:,} cells done{failed}. [Open it in the app]({app_url()}/sweep?id={quote(sweep.id)})",
        "",
        "`report.html` below Artifacts shows it whole; `cells.parquet` has a row for each cell, and `settings.csv` the "
        f"means. On the machine that ran it: `python -m samkit sweep show {sweep.id}`.",
    ]
    shown = [name for name in names if any(name in each.means for each in settings)][:4]
    if shown:
        lines += ["", "| step | setting | " + " | ".join(_plain(title(name)) for name in shown) + " |"]
        lines.append("|---|---|" + "---|" * len(shown))
        for step, each in enumerate(settings[:MAX_DESCRIBED]):
            means = [each.means[name].text if name in each.means else "–" for name in shown]
            lines.append(f"| {step} | {_plain(setting_text(each.setting)) or 'the only one'} | {' | '.join(means)} |")
        if len(settings) > MAX_DESCRIBED:
            lines += ["", f"and {len(settings) - MAX_DESCRIBED:,} more settings in `settings.csv`."]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A stranger's word means nothing in Markdown or HTML."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>|#!" else letter for letter in text[:MAX_VALUE]).replace(
        "\n", " "
    )
