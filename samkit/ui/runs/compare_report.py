"""Compared runs as one HTML file that needs neither server nor network."""

from datetime import datetime
from html import escape

import numpy as np

from samkit import __version__
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.compare import COLORS, Comparison, Row, difference_map, iou_matrix, outlines
from samkit.ui.parts.inline_image import data_url
from samkit.ui.parts.style import style_sheet
from samkit.ui.runs.compare_figures import mask_tiles, parallel_figure, shrunk
from samkit.ui.runs.compare_tables import CSS, difference_caption, matrix_table, number_chip, rows_table

TILE_PX = 420, 320
_PAGE_CSS = style_sheet("report.css")


def report_html(comparison: Comparison, mask: str, pair: tuple[int, int] | None) -> str:
    """The whole report. mask: which masks are shown, "" where there are none; pair: the two runs of the difference map,
    indices of `comparison.bundles`.
    """
    count = len(comparison.bundles)
    parts = [
        f"<h1>{count} runs compared</h1>",
        f'<p class="quiet">SAM workbench {__version__}, {datetime.now().strftime("%Y-%m-%d %H:%M")}</p>',
        f"<h2>Runs</h2><p>{'<br>'.join(map(_run_line, range(count), comparison.bundles))}</p>",
        *(_mask_parts(comparison, mask, pair) if comparison.mask_names else ()),
        *_number_parts(comparison),
    ]
    head = (
        f'<meta charset="utf-8"><title>{count} runs compared</title><meta name="viewport" '
        f'content="width=device-width"><style>{_PAGE_CSS}{CSS}</style>'
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


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
    parts = [
        "<h2>What differs</h2>" + rows_table(different, count, "parameter"),
        "<h2>Metrics</h2>" + rows_table(comparison.metrics, count, "metric"),
        "<h2>The same in all</h2>" + rows_table(same, 1, "parameter"),
    ]
    figure = parallel_figure(comparison)
    if figure is not None:
        figure.update_layout(font_color="#888")
        drawn = figure.to_html(full_html=False, include_plotlyjs="inline", config={"displaylogo": False})
        parts.append(f"<h2>Parameters and metrics, a line for each run</h2>{drawn}")
    return parts


def _mask_parts(comparison: Comparison, mask: str, pair: tuple[int, int] | None) -> list[str]:
    tiles = mask_tiles(comparison, mask, *TILE_PX)
    shown = [
        _figure(tile, f"{number_chip(index)} {escape(comparison.bundles[index].name)}")
        for index, tile in enumerate(tiles)
        if tile is not None
    ]
    parts = [
        f"<h2>{escape((mask or 'each run’s own mask').replace('_', ' '))}</h2>",
        f'<div class="tiles">{"".join(shown)}</div>',
    ]
    for group in comparison.grounds(mask):
        masks = comparison.masks_of(group, mask)
        rgb = comparison.picture(group[0], mask)
        if rgb is not None:
            drawn = outlines(rgb, masks, [COLORS[index] for index in group])
            parts.append("<h2>Outlines</h2>" + _figure(shrunk(drawn), " ".join(number_chip(index) for index in group)))
        parts.append("<h2>IoU</h2>" + matrix_table(iou_matrix(masks), group))
    if pair is not None and any({*pair} <= {*group} for group in comparison.grounds(mask)):
        rgb = comparison.picture(pair[0], mask)
        if rgb is not None:
            picture = shrunk(difference_map(rgb, *comparison.masks_of(pair, mask)))
            parts.append("<h2>Difference</h2>" + _figure(picture, difference_caption(comparison, mask, pair)))
    return parts


def _figure(rgb: np.ndarray, caption: str) -> str:
    height, width = rgb.shape[:2]
    image = f'<img width="{width}" height="{height}" style="height: auto" src="{data_url(rgb, lossless=False)}" alt="">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
