"""Learning curves from the logs of one or more runs, as an SVG picture: the later runs go on where the ones before them
ended.

    python -m training.curves curves.svg RUN RUN2
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(
    r"(?P<minutes>[\d.]+) min, step \d+, (?P<pictures>\d+) pictures, side (?P<side>\d+)[^:]*: (?P<figures>.*)"
)
FIGURE = re.compile(r"(?P<name>[^,\d]+) (?P<value>-?[\d.]+|nan)(?:, |$)")
WIDTH, HEIGHT, LEFT, GAP = 760, 150, 46, 34
COLOURS = ("#0b8f8c", "#c0622f", "#7b5ea7", "#2f7de1")


@dataclass(frozen=True)
class Point:
    pictures: int
    side: int
    figures: dict[str, float]


def read_log(path: Path) -> list[Point]:
    """The points of a log that a run wrote. Lines that are none of them are left out."""
    points = []
    for line in path.read_text().splitlines():
        if match := LINE.match(line):
            figures = {figure["name"].strip(): float(figure["value"]) for figure in FIGURE.finditer(match["figures"])}
            points.append(Point(int(match["pictures"]), int(match["side"]), figures))
    return points


def smooth(values: list[float], weight: float = 0.25) -> list[float]:
    """An exponential average: single steps are noisy."""
    smoothed, level = [], None
    for value in values:
        level = value if level is None else level + weight * (value - level)
        smoothed.append(level)
    return smoothed


def draw(runs: list[list[Point]], titles: list[str]) -> str:
    """An SVG with a panel for each figure over the pictures seen, a colour for each run."""
    names = list(dict.fromkeys(name for run in runs for point in run for name in point.figures))
    offsets, total = [], 0
    for run in runs:
        offsets.append(total)
        total += run[-1].pictures if run else 0
    parts = []
    for row, name in enumerate(names):
        top = 28 + row * (HEIGHT + GAP)
        curves = [
            (
                [offset + point.pictures for point in run if name in point.figures],
                smooth([point.figures[name] for point in run if name in point.figures]),
            )
            for run, offset in zip(runs, offsets, strict=True)
        ]
        values = [value for _, line in curves for value in line]
        low, high = min(values), max(max(values), min(values) + 1e-6)
        parts.append(f'<text x="{LEFT}" y="{top - 8}" font-weight="600">{name}</text>')
        parts.append(
            f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT}" height="{HEIGHT}" fill="none" stroke="#8888" />'
        )
        for value, y in ((high, top + 10), (low, top + HEIGHT)):
            parts.append(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end">{value:.2f}</text>')
        for (pictures, line), colour in zip(curves, COLOURS, strict=False):
            places = (
                f"{LEFT + (WIDTH - LEFT) * seen / max(1, total):.1f},{top + HEIGHT * (high - value) / (high - low):.1f}"
                for seen, value in zip(pictures, line, strict=True)
            )
            parts.append(f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="1.6" />')
    bottom = 28 + len(names) * (HEIGHT + GAP)
    parts.append(
        f'<text x="{WIDTH}" y="{bottom - 14}" text-anchor="end">{total:,} pictures seen by all processes</text>'
    )
    for index, title in enumerate(titles):
        parts.append(
            f'<text x="{LEFT + 190 * index}" y="{bottom - 14}" fill="{COLOURS[index % len(COLOURS)]}">{title}</text>'
        )
    style = 'font-family="sans-serif" font-size="12" fill="#6b747b"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 6} {bottom}" width="{WIDTH + 6}" {style}>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the learning curves of runs.")
    parser.add_argument("output", type=Path, help="the .svg file to write")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, or log files, in their order")
    arguments = parser.parse_args()
    logs = [run / "log0.txt" if run.is_dir() else run for run in arguments.runs]
    arguments.output.write_text(
        draw([read_log(log) for log in logs], [run.stem if run.is_file() else run.name for run in arguments.runs])
    )


if __name__ == "__main__":
    main()
