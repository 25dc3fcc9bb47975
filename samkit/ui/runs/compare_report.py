"""Compared runs as one HTML file that needs neither server nor network."""

from datetime import datetime
from html import escape

from samkit import __version__
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.compare import COLORS, Comparison, difference_map, iou_matrix, outlines
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
    ]
    parts.append(
        "<h2>Runs</h2><p>"
        + "<br>".join(_run_line(index, bundle) for index, bundle in enumerate(comparison.bundles))
        + "</p>"
    )
    if comparison.mask_names:
        parts += _mask_parts(comparison, mask, pair)
    parts.append(
        "<h2>What differs</h2>"
        + rows_table(
            [row for row in (*comparison.circumstances, *comparison.params) if row.differs], count, "parameter"
        )
    )
    parts.append("<h2>Metrics</h2>" + rows_table(comparison.metrics, count, "metric"))
    same = [row for row in (*comparison.circumstances, *comparison.params) if not row.differs]
    parts.append(
        "<h2>The same in all</h2>" + rows_table([type(row)(row.name, row.values[:1]) for row in same], 1, "parameter")
    )
    figure = parallel_figure(comparison)
    if figure is not None:
        figure.update_layout(font_color="#888")
        parts.append(
            "<h2>Parameters and metrics, a line for each run</h2>"
            + figure.to_html(full_html=False, include_plotlyjs="inline", config={"displaylogo": False})
        )
    head = (
        f'<meta charset="utf-8"><title>{count} runs compared</title><meta name="viewport" '
        f'content="width=device-width"><style>{_PAGE_CSS}{CSS}</style>'
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _run_line(index: int, bundle: Bundle) -> str:
    record = bundle.record
    picture = (record.get("video") or record.get("picture") or {}).get("name", "no picture")
    note = f' <span class="quiet">{escape(record["note"][:300])}</span>' if record["note"] else ""
    told = (
        f"{bundle.experiment} · {record['model']['name']} · {picture} · {record['created'][:16].replace('T', ' ')} UTC "
        f"· run {record['run_uuid']}"
    )
    return f'{number_chip(index)} <b>{escape(bundle.name)}</b> <span class="quiet">{escape(told)}</span>{note}'


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
    masks = comparison.masks(mask)
    for group in comparison.grounds(mask):
        rgb = comparison.picture(group[0], mask)
        if rgb is not None:
            drawn = outlines(rgb, [masks[index] for index in group], [COLORS[index] for index in group])
            parts.append("<h2>Outlines</h2>" + _figure(shrunk(drawn), " ".join(number_chip(index) for index in group)))
        parts.append("<h2>IoU</h2>" + matrix_table(iou_matrix([masks[index] for index in group]), group))
    if pair is not None and any({*pair} <= {*group} for group in comparison.grounds(mask)):
        first, second = pair
        rgb = comparison.picture(first, mask)
        if rgb is not None:
            picture = shrunk(difference_map(rgb, masks[first], masks[second]))
            parts.append("<h2>Difference</h2>" + _figure(picture, difference_caption(comparison, mask, pair)))
    return parts


def _figure(rgb, caption: str) -> str:
    height, width = rgb.shape[:2]
    image = f'<img width="{width}" height="{height}" style="height: auto" src="{data_url(rgb, lossless=False)}" alt="">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
