"""The report of a sweep: one HTML file without a network, for a researcher who wants to know what came out."""

import base64
import csv
import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from samkit import __version__
from samkit.words import time_text
from samkit.work.sources import Sources
from samkit.work.sweep.grid import values_of
from samkit.work.sweep.paired import SettingDifference, from_best
from samkit.work.sweep.report.charts import COLORS, Series, chart, legend
from samkit.work.sweep.report.figures import better_end, main_names, setting_text, slim, title, value_text
from samkit.work.sweep.report.worst import failures, judging_metric, worst_cases, worst_html
from samkit.work.sweep.results import SweepFolder
from samkit.work.sweep.spec import SweepSpec
from samkit.work.sweep.summary import FEWEST, Mean, SettingSummary, counts, metric_names, summarize, swept_columns
from samkit.work.sweep.table import Row, rows

MAX_ROWS = 400
"""Settings that a table of the report shows; the file of all means has the others."""
MAX_LISTED = 40
"""Values, pictures or models that are written out."""
MAX_REASONS = 20
MAX_ON_A_LINE = 24
"""Characters of a value that is not broken."""
STYLE = Path(__file__).with_name("style.css")


def make_report(sweep: SweepFolder, sources: Sources | None = None) -> str:
    """The report as HTML: what was swept, counts, failures, best settings, means with intervals by setting and by size
    of the objects, charts over everything that was swept, and the pictures on which it came out worst.

    sources: opens pictures and truths; default: from where the sweep found them
    """
    table = rows(sweep)
    columns, names = swept_columns(sweep.spec), main_names(table)
    summaries = summarize(table, columns, sweep.spec.seed)
    of_all = [each for each in summaries if not each.size]
    parts = [
        *_head(sweep, table),
        *_swept(sweep.spec, table),
        *_failures(table),
        *_best(of_all, slim(table, names), columns, names, sweep.spec.seed),
        *_means(sweep, of_all, columns, names, metric_names(table)),
        *_sizes([each for each in summaries if each.size], columns, names),
        *_charts(table, columns, names, sweep.spec.seed),
        *_worst(sweep, table, columns, names, sources or Sources()),
    ]
    text = _document(sweep.spec.name or f"Sweep {sweep.id}", "".join(parts))
    # A file's name may hold bytes that no text has.
    return text.encode("utf-8", "replace").decode()


def _document(name: str, body: str) -> str:
    head = (
        f'<meta charset="utf-8"><title>{escape(name)}</title><meta name="viewport" content="width=device-width">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        f"style-src 'unsafe-inline'\"><style>{STYLE.read_text(encoding='utf-8')}</style>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


def _head(sweep: SweepFolder, table: Sequence[Row]) -> list[str]:
    found = counts(sweep)
    states = {"done": "all cells computed", "running": "still running", "cancelled": "cancelled", "stopped": "stopped"}
    made, different = found["encodings"], found["different_encodings"]
    cases, pictures = (len({row[name] for row in table}) for name in ("case", "picture"))
    tiles = [
        (f"{found['done']:,}", f"of {found['cells']:,} cells done", False),
        (f"{cases:,}", f"cases on {pictures:,} pictures", False),
        (f"{made:,}", f"encodings, {'all' if made == different else f'{different:,}'} different", False),
        (time_text(found["seconds"]), "of computing", False),
    ]
    tiles += [(f"{found['failed']:,}", "cells failed", True)] if found["failed"] else []
    tiles += [(f"{found['missing']:,}", "cells not computed yet", True)] if found["missing"] else []
    drawn = "".join(
        f"<div{' class=bad' if bad else ''}><b>{escape(number)}</b><span>{escape(said)}</span></div>"
        for number, said, bad in tiles
    )
    when = sweep.created[:16].replace("T", " ")
    said = (
        f"{sweep.spec.experiment}, {states[sweep.state()]}. Begun {when} UTC. Sweep {sweep.id}, samkit {__version__}."
    )
    name = sweep.spec.name or f"Sweep of {sweep.spec.experiment}"
    return [f'<h1>{escape(name)}</h1><p class="quiet">{escape(said)}</p><div class="counts">{drawn}</div>']


def _swept(spec: SweepSpec, table: Sequence[Row]) -> list[str]:
    prompts = dict.fromkeys(str(row["prompts"]) for row in table)
    lines: list[tuple[str, str]] = [
        ("models", _listed(spec.models)),
        *_sources_lines(spec),
        ("prompts", _listed(list(prompts))),
    ]
    if spec.repeats > 1:
        lines.append(("repeats", f"{spec.repeats} of prompts that are drawn by chance"))
    lines += [(title(f"param.{name}"), _listed(values_of(written))) for name, written in spec.params.items()]
    for group in spec.zip:
        together = " and ".join(title(f"param.{name}") for name in group)
        pairs = zip(*(values_of(written) for written in group.values()), strict=True)
        lines.append((f"{together}, together", _listed([" with ".join(map(value_text, pair)) for pair in pairs])))
    threads = "all cores, divided among the workers" if spec.threads is None else f"{spec.threads} in each worker"
    lines.append(("computed with", f"device {spec.device}, {spec.dtype}, threads: {threads}; seed {spec.seed}"))
    drawn = "".join(f'<tr><th>{escape(name)}</th><td class="spec">{escape(said)}</td></tr>' for name, said in lines)
    return [f'<h2>What was swept</h2><div class="wide"><table class="plain">{drawn}</table></div>']


def _listed(values: Sequence[Any]) -> str:
    texts = [value_text(value) for value in values[:MAX_LISTED]]
    more = len(values) - MAX_LISTED
    # Values with commas in them need another sign between them.
    between = " | " if any("," in text for text in texts) else ", "
    return between.join(texts) + (f" and {more:,} more" if more > 0 else "")


def _sources_lines(spec: SweepSpec) -> list[tuple[str, str]]:
    kinds: dict[str, Sequence[BaseModel]] = {"pictures": spec.pictures, "films": spec.films, "pairs": spec.pairs}
    lines = [(kind, "; ".join(map(_source_text, sources))) for kind, sources in kinds.items() if sources]
    return lines or [("pictures", "none: the model alone")]


def _source_text(source: BaseModel) -> str:
    """What was written of a source, such as "files: photos/*.jpg, masks: masks"."""
    said = []
    for name, value in source.model_dump(mode="json", exclude_defaults=True).items():
        rows = [" and ".join((row["first"], row["second"])) for row in value] if name == "rows" else value
        said.append(f"{name}: {_listed(rows) if isinstance(rows, list) else value_text(rows)}")
    return ", ".join(said)


def _failures(table: Sequence[Row]) -> list[str]:
    found = failures(table)
    if not found:
        return []
    lines = []
    for reason, failed in list(found.items())[:MAX_REASONS]:
        cases = list(dict.fromkeys(str(row["case"]) for row in failed))
        shown = "; ".join(map(value_text, cases[:5])) + (f" and {len(cases) - 5:,} more" if len(cases) > 5 else "")
        lines.append(
            f'<tr><td class="number">{len(failed):,}</td><td>{escape(reason)}</td>'
            f'<td class="spec">{escape(shown)}</td></tr>'
        )
    more = len(found) - MAX_REASONS
    after = f'<p class="quiet">and {more:,} more reasons; the table of cells has all.</p>' if more > 0 else ""
    return [
        "<h2>What failed</h2>"
        f'<div class="wide"><table><thead><tr><th>cells</th><th>why</th><th>on</th></tr></thead>{"".join(lines)}'
        f"</table></div>{after}"
    ]


def _best(
    summaries: Sequence[SettingSummary], table: Sequence[Row], columns: Sequence[str], names: Sequence[str], seed: int
) -> list[str]:
    if len(summaries) < 2:
        return []
    lines = []
    for name in names:
        end = better_end(name)
        having = [each for each in summaries if name in each.means]
        if end is None or len(having) < 2:
            continue
        best = (max if end == "higher" else min)(having, key=lambda each: each.means[name].value)
        lines.append(
            f"<tr><td>{escape(title(name))}</td><td>{escape(setting_text(best.setting))}</td>"
            f"{_number(best.means[name])}<td>{escape(_close_text(from_best(table, columns, name, best.setting, seed)))}"
            "</td></tr>"
        )
    if not lines:
        return []
    return [
        '<h2>Best settings</h2><div class="wide"><table><thead><tr><th></th><th>best at</th><th>mean</th>'
        f"<th>and the others</th></tr></thead>{''.join(lines)}</table></div>"
    ]


def _close_text(others: Sequence[SettingDifference]) -> str:
    """How many other settings can't be told from the best, each on the cases that both have."""
    judged = [each for each in others if each.told_apart is not None]
    if not judged:
        return others[0].mean.too_few if others else "no other setting has the same cases"
    cases = {each.mean.cells for each in judged}
    same = f"on the same {f'{max(cases):,} cases' if len(cases) == 1 else 'cases'}"
    close = sum(not each.told_apart for each in judged)
    if not close:
        return f"all others differ {same}: no 95 % interval of a paired difference holds 0"
    which = "none of the others" if close == len(judged) else f"{close:,} of {len(judged):,} others"
    can = "can" if close == len(judged) else "can’t"
    return f"{which} {can} be told apart from it {same}"


def _means(
    sweep: SweepFolder, summaries: Sequence[SettingSummary], columns: Sequence[str], names: list[str], every: list[str]
) -> list[str]:
    if not names:
        return ["<h2>Means</h2><p>No cell has been computed yet.</p>"]
    data = base64.b64encode(means_csv(summaries, columns, every).encode("utf-8", "replace")).decode()
    more = len(summaries) - MAX_ROWS
    said = (
        "Means over all cells of a setting, and below them 95 % intervals: whole pictures were drawn anew 2,000 times. "
        f"Of fewer than {FEWEST} pictures or films there is none, for it would say nothing of chance."
        + (f" The first {MAX_ROWS} of {len(summaries):,} settings." if more > 0 else "")
    )
    link = f'<a download="means-{escape(sweep.id)}.csv" href="data:text/csv;base64,{data}">All means as CSV</a>'
    rest = [name for name in every if name not in names]
    parts = [f'<h2>Means by setting</h2><p class="quiet">{said} {link}</p>', _table(summaries, columns, names)]
    if rest:
        said = f"{len(rest)} more metrics and times"
        parts.append(f"<details><summary>{said}</summary>{_table(summaries, columns, rest)}</details>")
    return parts


def _sizes(summaries: Sequence[SettingSummary], columns: Sequence[str], names: list[str]) -> list[str]:
    if not summaries:
        return []
    shown = [name for name in names if name.startswith("metric.")]
    return [
        '<h2>By size of the object</h2><p class="quiet">In the picture’s own pixels: small below 32², large from 96², '
        f"as COCO has them.</p>{_table(summaries, columns, shown, sizes=True)}"
    ]


def _table(
    summaries: Sequence[SettingSummary], columns: Sequence[str], names: Sequence[str], sizes: bool = False
) -> str:
    heads = [*(["objects"] if sizes else []), *map(title, columns), "cells", *map(title, names)]
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    lines, before = [], None
    for each in summaries[:MAX_ROWS]:
        texts = [*([each.size] if sizes else []), *(value_text(each.setting[column]) for column in columns)]
        cells = max((mean.cells for mean in each.means.values()), default=0)
        failed = f"<small>{each.failed:,} failed</small>" if each.failed else ""
        numbers = "".join(_number(each.means.get(name)) for name in names)
        first = ' class="first"' if sizes and before not in (None, each.size) else ""
        lines.append(
            f'<tr{first}>{"".join(map(_key_cell, texts))}<td class="number">{cells:,}{failed}</td>{numbers}</tr>'
        )
        before = each.size
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>{"".join(lines)}</table></div>'


def _key_cell(text: str) -> str:
    """A short value stays on one line."""
    return f"<td{' class=key' if len(text) <= MAX_ON_A_LINE else ''}>{escape(text)}</td>"


def _number(mean: Mean | None) -> str:
    if mean is None:
        return '<td class="number">–</td>'
    interval = "" if mean.low is None else f"<small>{mean.low:.3g} to {mean.high:.3g}</small>"
    return f'<td class="number">{mean.value:.4g}{interval}</td>'


def means_csv(summaries: Sequence[SettingSummary], columns: Sequence[str], names: Sequence[str]) -> str:
    """A line for each setting, with mean and interval of every metric and time."""
    text = io.StringIO()
    writer = csv.writer(text)
    edges = [name.partition(".")[2] + end for name in names for end in ("", "_low", "_high")]
    writer.writerow([*(column.removeprefix("param.") for column in columns), "failed", *edges])
    for each in summaries:
        values: list[Any] = [_csv_value(each.setting[column]) for column in columns]
        for name in names:
            mean = each.means.get(name)
            values += [None] * 3 if mean is None else [mean.value, mean.low, mean.high]
        writer.writerow([*values[: len(columns)], each.failed, *values[len(columns) :]])
    return text.getvalue()


def _csv_value(value: Any) -> Any:
    """No spreadsheet takes it for a formula."""
    text = json.dumps(value) if isinstance(value, list | tuple | dict) else value
    return f"'{text}" if isinstance(text, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _charts(table: Sequence[Row], columns: Sequence[str], names: Sequence[str], seed: int) -> list[str]:
    """Each main metric over each thing that was swept; a second one, where there is one, by colour."""
    parts, slimmed = [], slim(table, names)
    for column in columns:
        values = list(dict.fromkeys(_key(row.get(column)) for row in table))
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            values.sort()
        second = _second(table, columns, column)
        chosen = [column] if second is None else [column, second]
        summaries = summarize(slimmed, chosen, seed, by_size=False)
        labels = [""] if second is None else list(dict.fromkeys(value_text(each.setting[second]) for each in summaries))
        drawn = []
        for name in names:
            series = [
                Series(
                    label,
                    {
                        _key(each.setting[column]): each.means[name]
                        for each in summaries
                        if name in each.means and (second is None or value_text(each.setting[second]) == label)
                    },
                )
                for label in labels
            ]
            figure = chart(f"{title(name)} over {title(column)}", title(column), values, series)
            if figure:
                drawn.append(f"<div><h3>{escape(title(name))}</h3>{figure}</div>")
        if drawn:
            said = "" if second is None else f'<p class="quiet">By {escape(title(second))}:</p>{legend(labels)}'
            parts.append(f'<h2>Over {escape(title(column))}</h2>{said}<div class="charts">{"".join(drawn)}</div>')
    return parts


def _second(table: Sequence[Row], columns: Sequence[str], column: str) -> str | None:
    """What else was swept and has few enough values to be told apart by colour."""
    for other in columns:
        if other != column and len({value_text(row.get(other)) for row in table}) <= COLORS:
            return other
    return None


def _key(value: Any) -> Any:
    """The value itself, or of a list its text, which can be looked up."""
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value


def _worst(
    sweep: SweepFolder, table: Sequence[Row], columns: Sequence[str], names: Sequence[str], sources: Sources
) -> list[str]:
    metric = judging_metric(names)
    cases = worst_cases(table, metric) if metric is not None else []
    if metric is None or not cases:
        return []
    kept = " Masks were not kept: a sweep with keep: masks shows them here." if sweep.spec.keep == "metrics" else ""
    said = f"By their mean {title(metric)} over all settings; the mask is that of the setting that was worst.{kept}"
    return [
        f'<h2>Where it came out worst</h2><p class="quiet">{escape(said)}</p>'
        f"{worst_html(sweep, cases, metric, columns, sources)}"
    ]
