"""Compared runs as one HTML file that needs neither server nor network."""

import base64
from datetime import datetime
from html import escape

import numpy as np

from samkit import __version__
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.compare import Comparison, Row, Shown, color_of, difference_map, iou_matrix, outlines
from samkit.ui.parts.inline_image import data_url
from samkit.ui.parts.style import part
from samkit.ui.parts.tables import rows_to_csv
from samkit.ui.runs.compare_figures import lines_figure, mask_tiles, shrunk, swipe_captions, swipe_pictures
from samkit.ui.runs.compare_tables import (
    CSS,
    best_sentence,
    difference_caption,
    equal_sentence,
    legend_html,
    matrix_table,
    metric_rows,
    number_chip,
    pictures_sentence,
    rows_table,
    run_rows,
    shown_chip,
    sortable_table,
)
from samkit.ui.runs.swipe import CSS as SWIPE_CSS
from samkit.ui.runs.swipe import swipe_html

TILE_PX = 420, 320
_PAGE_CSS, _SCRIPT = part("report.css"), part("report.js")


def report_html(comparison: Comparison, name: str, pair: tuple[Shown, Shown] | None) -> str:
    """The whole report. name: which masks are shown, as `Comparison.shown` takes it; pair: the two that are set against
    each other.
    """
    count = len(comparison.bundles)
    parts = [
        f"<h1>{count} runs compared</h1>",
        f'<p class="quiet">SAM workbench {__version__}, {datetime.now().strftime("%Y-%m-%d %H:%M")}</p>',
        f"<h2>Runs</h2><p>{'<br>'.join(map(_run_line, range(count), comparison.bundles))}</p>",
        *_mask_parts(comparison, name, pair),
        *_number_parts(comparison),
    ]
    head = (
        f'<meta charset="utf-8"><title>{count} runs compared</title><meta name="viewport" '
        f'content="width=device-width"><style>{_PAGE_CSS}{CSS}{SWIPE_CSS}</style>'
    )
    body = f"{''.join(parts)}<script>{_SCRIPT}</script>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


def _run_line(index: int, bundle: Bundle) -> str:
    record = bundle.record
    parts = (
        record.experiment,
        record.model.name,
        record.source_name or "no picture",
        f"{record.created[:16].replace('T', ' ')} UTC",
        f"run {record.run_uuid}",
    )
    note = f' <span class="quiet">{escape(record.note[:300])}</span>' if record.note else ""
    name, line = escape(record.name), escape(" · ".join(parts))
    return f'{number_chip(index)} <b>{name}</b> <span class="quiet">{line}</span>{note}'


def _number_parts(comparison: Comparison) -> list[str]:
    """What differs, what was measured, what is the same, and a line for each run over what differs."""
    count = len(comparison.bundles)
    different = [row for row in comparison.conditions if row.differs]
    same = [Row(row.name, row.values[:1]) for row in comparison.conditions if not row.differs]
    rows = run_rows(comparison)
    csv = base64.b64encode(rows_to_csv(rows)).decode()
    parts = [
        "<h2>What differs</h2>" + rows_table(different, count, "parameter"),
        "<h2>Metrics</h2>" + rows_table(metric_rows(comparison), count, "metric"),
        f'<p class="quiet">{escape(f"{best_sentence(comparison)} {pictures_sentence(comparison)}".rstrip())}</p>',
        "<h2>One line a run</h2>" + sortable_table(rows),
        f'<p class="quiet">A click on a head sorts. <a download="compare-{count}-runs.csv" '
        f'href="data:text/csv;base64,{csv}">CSV</a></p>',
        "<h2>The same in all</h2>" + rows_table(same, 1, "parameter"),
    ]
    figure = lines_figure(comparison)
    if figure is not None:
        figure.update_layout(font_color="#888")
        drawn = figure.to_html(full_html=False, include_plotlyjs="inline", config={"displaylogo": False})
        parts.append(
            f'<h2>A line for each run</h2><p class="quiet">Each axis goes from the least to the largest value. A gap: '
            f"the run has no such value.</p>{drawn}"
        )
    return parts


def _mask_parts(comparison: Comparison, name: str, pair: tuple[Shown, Shown] | None) -> list[str]:
    shown = comparison.shown(name)
    tiles = mask_tiles(comparison, shown, *TILE_PX)
    figures = [
        _figure(tile, f"{shown_chip(comparison, name, each)} {escape(comparison.bundles[each.run].name)}")
        for each, tile in zip(shown, tiles, strict=True)
        if tile is not None
    ]
    if not figures:
        return []
    title = name.removeprefix("mask_").replace("_", " ") or "each run’s own mask"
    parts = [f"<h2>{escape(title)}</h2>", f'<div class="tiles">{"".join(figures)}</div>']
    for group in comparison.grounds(name):
        masks, heads = comparison.masks_of(group), [shown_chip(comparison, name, each) for each in group]
        rgb = comparison.picture(group[0])
        if rgb is not None:
            drawn = outlines(rgb, masks, list(map(color_of, group)))
            parts.append(
                "<h2>Outlines</h2>"
                + _figure(shrunk(drawn), legend_html(heads) + escape(equal_sentence(comparison, name, group)))
            )
        parts.append("<h2>IoU</h2>" + matrix_table(iou_matrix(masks), heads))
    return parts + (_pair_parts(comparison, name, pair) if pair is not None else [])


def _pair_parts(comparison: Comparison, name: str, pair: tuple[Shown, Shown]) -> list[str]:
    """Two against each other: in one place by turns, and where they differ if they lie on one picture."""
    pictures = swipe_pictures(comparison, pair)
    swiped, width = swipe_html(pictures, swipe_captions(comparison, name, pair)), min(pictures[0].shape[1], 900)
    parts = [f'<h2>Swipe</h2><div style="max-width: {width}px">{swiped}</div>']
    if pair[0] != pair[1] and any({*pair} <= {*group} for group in comparison.grounds(name)):
        rgb, caption = comparison.picture(pair[0]), difference_caption(comparison, name, pair)
        if rgb is not None:
            colors = color_of(pair[0]), color_of(pair[1])
            drawn = shrunk(difference_map(rgb, *comparison.masks_of(pair), colors=colors))
            parts.append("<h2>Difference</h2>" + _figure(drawn, caption))
    return parts


def _figure(rgb: np.ndarray, caption: str) -> str:
    height, width = rgb.shape[:2]
    image = f'<img width="{width}" height="{height}" style="height: auto" src="{data_url(rgb, lossless=False)}" alt="">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
