"""The rooms of samkit, counted and drawn.

    python -m tools.rooms            # files and lines of each room, and imports from room to room
    python -m tools.rooms --draw     # draws docs/images/rooms.svg as well

A room is a folder of `samkit`; a file at the top is one of its own. Imports that are for types alone don't count.
"""

import argparse
from collections import Counter, defaultdict
from html import escape
from pathlib import Path

import grimp

PACKAGE = Path(__file__).parents[1] / "samkit"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "rooms.svg"
ROWS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("ui ui.script", "router, home"), ("ui.live", "masks under the pointer"), ("cli", "options to a spec")),
    (
        ("ui.experiments", "what is each page's own"),
        ("ui.runs", "kept runs: list, compare"),
        ("ui.sweeps", "list, charts, two compared"),
    ),
    (
        (
            "ui.bench ui.bench.tables ui.bench.sweeping",
            "the one skeleton of the seven pages, and what lies on its table",
        ),
    ),
    (("ui.controls", "knobs, canvas, pickers, maps"),),
    (("ui.state", "what a visitor has"),),
    (("ui.parts", "figures, tables, style"),),
    (
        ("work.kept", "what visitors work on, kept for reloads and links"),
        ("work.sweep work.sweep.report", "one experiment over many"),
    ),
    (("work", "a run as a spec, its lab, the queue, replay"),),
    (("tracking", "compare"),),
    (("tracking.store", "MLflow, spool, search"),),
    (("tracking.bundle", "a run as a folder"),),
    (("experiments experiments.film experiments.measures", "the seven, parameters, results, what several compute"),),
    (("models", "the public face"),),
    (
        ("media media.decoding", "pictures, films, masks"),
        ("models.network", "torch alone"),
        ("models.files", "checkpoints"),
    ),
    (("prompts limits files scratch settings words machine errors", "the ground"),),
)
"""Rooms from the top down: a row may import from those below it, and a box from none beside it. (Room or rooms, what
they are for.)
"""
WIDTH, ROW_HEIGHT, BOX_HEIGHT, GAP = 860, 66, 52, 10


def room_of(module: str) -> str:
    """The folder of a module, without the package's own name."""
    parts = module.split(".")[1:]
    if not parts:
        return ""
    place = PACKAGE.joinpath(*parts)
    return ".".join(parts if place.is_dir() else parts[:-1] or parts)


def count_files() -> dict[str, tuple[int, int]]:
    """room -> (files, lines)."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] == "__init__":
            continue
        room = ".".join(parts[:-1]) or parts[0]
        counts[room][0] += 1
        counts[room][1] += len(file.read_text(encoding="utf-8").splitlines())
    return {room: (files, lines) for room, (files, lines) in sorted(counts.items())}


def count_imports() -> Counter[tuple[str, str]]:
    """(importing room, imported room) -> how many imports there are."""
    graph = grimp.build_graph("samkit", exclude_type_checking_imports=True)
    imports: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            pair = room_of(module), room_of(imported)
            if pair[0] != pair[1]:
                imports[pair] += 1
    return imports


def print_table(files: dict[str, tuple[int, int]], imports: Counter[tuple[str, str]]) -> None:
    print(f"{'room':<24}{'files':>6}{'lines':>8}  imports from")
    for room, (count, lines) in files.items():
        below = sorted((imported, number) for (importing, imported), number in imports.items() if importing == room)
        print(f"{room:<24}{count:>6}{lines:>8}  {', '.join(f'{name} {number}' for name, number in below)}")
    pages = {pair: number for pair, number in imports.items() if all(room.startswith("ui.") for room in pair)}
    print(f"\nfiles: {sum(count for count, _ in files.values())}, imports between rooms: {sum(imports.values())}")
    print(f"arrows between rooms of ui: {len(pages)}")


def draw(files: dict[str, tuple[int, int]]) -> str:
    """The picture, as SVG."""
    boxes = []
    for row, rooms in enumerate(ROWS):
        width = (WIDTH - 80 - GAP * (len(rooms) - 1)) / len(rooms)
        for column, (names, purpose) in enumerate(rooms):
            x, y = 60 + column * (width + GAP), 14 + row * ROW_HEIGHT
            count = sum(files.get(name, (0, 0))[0] for name in names.split())
            fill = "#e3f1f1" if names.startswith("ui") else "#f1f2f1"
            title = escape(names.replace(" ", ", "))
            boxes.append(
                f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="6" fill="{fill}" '
                f'stroke="#8a9499"/><text x="{x + 12:.0f}" y="{y + 22}" class="name">{title}</text>'
                f'<text x="{x + width - 12:.0f}" y="{y + 22}" class="count">{count}</text>'
                f'<text x="{x + 12:.0f}" y="{y + 41}" class="purpose">{escape(purpose)}</text>'
            )
    height = 14 + len(ROWS) * ROW_HEIGHT
    style = (
        "text {font-family: 'Source Sans', system-ui, sans-serif; fill: #1c2326} .name {font-size: 15px; "
        "font-weight: 600} .purpose {font-size: 13px} .count {font-size: 13px; text-anchor: end; fill: #55636a}"
    )
    arrow = (
        f'<path d="M30 20 V{height - 26}" stroke="#0b6e75" stroke-width="2" fill="none"/>'
        f'<path d="M24 {height - 34} L30 {height - 22} L36 {height - 34}" stroke="#0b6e75" '
        'stroke-width="2" '
        'fill="none"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f"<style>{style}</style><title>The rooms of samkit; imports run downwards</title>"
        f'<rect width="100%" height="100%" fill="#fcfcfb"/>{arrow}{"".join(boxes)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The rooms of samkit, counted and drawn.")
    parser.add_argument("--draw", action="store_true", help="draw docs/images/rooms.svg as well")
    arguments = parser.parse_args()
    files = count_files()
    print_table(files, count_imports())
    if arguments.draw:
        PICTURE.write_text(draw(files), encoding="utf-8")


if __name__ == "__main__":
    main()
