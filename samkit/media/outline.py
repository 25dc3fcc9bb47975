"""The outline of a mask along the edges of its pixels, as SVG and as polygons for COCO: filled again, it gives the same
mask.

Coordinates are those of the picture's pixels, (0, 0) at the top left corner of the first one and (width, height) at the
bottom right corner of the last. `samkit.media.masks.contours` runs through the pixels' centres instead.
"""

from dataclasses import dataclass

import numpy as np

SVG_COLOR = "#16a0aa"


@dataclass(frozen=True)
class _Runs:
    """Straight pieces of all outlines, each as long as can be, with the mask at the right of whoever walks along.

    start, end: int [N, 2] (x, y) of the horizontal ones
    follower:   int [N], which horizontal one is next but one; between the two lies a vertical one
    """

    start: np.ndarray
    end: np.ndarray
    follower: np.ndarray


def outline_loops(mask: np.ndarray) -> list[np.ndarray]:
    """The outlines of a bool [H, W] mask and of its holes, each int [N, 2] (x, y): its corners in order, closed without
    repeating the first one. The first piece of each is horizontal, and horizontal and vertical ones alternate.

    The mask lies at the right of whoever walks along: regions are walked clockwise, holes the other way round. Pixels
    that touch at a corner alone are regions of their own.
    """
    runs = _runs(mask)
    follower, visited = runs.follower.tolist(), bytearray(len(runs.follower))
    loops = []
    for first in range(len(follower)):
        order, at = [], first
        while not visited[at]:
            visited[at] = 1
            order.append(at)
            at = follower[at]
        if order:
            loops.append(np.stack([runs.start[order], runs.end[order]], axis=1).reshape(-1, 2))
    return loops


def svg_path(mask: np.ndarray) -> str:
    """What stands in the `d` of an SVG path for a bool [H, W] mask, to be filled with `fill-rule="evenodd"`; empty for
    an empty mask.
    """
    parts = []
    for loop in outline_loops(mask):
        x, y = loop[0]
        pieces = [f"M{x} {y}"]
        # The last, vertical piece is drawn by closing the path.
        pieces += [f"{'V' if i % 2 == 0 else 'H'}{xy[1] if i % 2 == 0 else xy[0]}" for i, xy in enumerate(loop[1:], 1)]
        parts.append("".join(pieces) + "Z")
    return "".join(parts)


def mask_to_svg(mask: np.ndarray, color: str = SVG_COLOR) -> bytes:
    """The bool [H, W] mask as an SVG file as large as its picture: one path, filled lightly, with a line around it."""
    height, width = mask.shape
    line = max(1, round(max(mask.shape) / 500))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f'<path fill="{color}" fill-opacity="0.4" fill-rule="evenodd" stroke="{color}" stroke-width="{line}" '
        f'd="{svg_path(mask)}"/>\n</svg>\n'
    ).encode()


def mask_to_polygons(mask: np.ndarray) -> list[list[int]]:
    """One polygon `[x1, y1, x2, y2, ...]` for each region of the bool [H, W] mask, in COCO's way. A hole is joined to
    the polygon around it by a cut without width, for COCO's polygons have no holes.
    """
    loops = outline_loops(mask)
    polygons = _Polygons([loop for loop in loops if not _is_hole(loop)])
    # What lies above a hole, be it another hole, is part of a polygon before the hole itself is.
    for hole in sorted(filter(_is_hole, loops), key=lambda loop: int(loop[:, 1].min())):
        corner = np.lexsort((hole[:, 0], hole[:, 1]))[0]
        x, y = (int(value) for value in hole[corner])
        above = np.flatnonzero(~mask[:y, x])
        polygons.join(np.roll(hole, -corner, axis=0), int(above[-1]) + 1 if above.size else 0)
    return [[value for point in polygon for value in point] for polygon in polygons.points()]


class _Polygons:
    """Polygons that grow by their holes: points that each name the next one, and the pieces with the mask below, by
    their row, as (from x, to x, first point).
    """

    def __init__(self, loops: list[np.ndarray]):
        self._points: list[tuple[int, int]] = []
        self._next: list[int] = []
        self._pieces: dict[int, list[tuple[int, int, int]]] = {}
        self._firsts = [self._add(loop)[0] for loop in loops]

    def join(self, hole: np.ndarray, y: int) -> None:
        """Cut from the piece at y straight down to the hole's first corner, go around it, and come back."""
        nodes = self._add(hole)
        x = int(hole[0, 0])
        low, high, before = next(piece for piece in self._pieces[y] if piece[0] <= x < piece[1])
        down, up, back = self._node((x, y)), self._node((x, y)), self._node(self._points[nodes[0]])
        self._next[up] = self._next[before]
        self._next[before], self._next[down], self._next[nodes[-1]], self._next[back] = down, nodes[0], back, up
        self._pieces[y].remove((low, high, before))
        self._pieces[y] += [(low, x, before), (x, high, up)]

    def points(self) -> list[list[tuple[int, int]]]:
        """The corners of each polygon in order, no two of them the same in a row."""
        found = []
        for first in self._firsts:
            points, at = [self._points[first]], self._next[first]
            while at != first:
                if self._points[at] != points[-1]:
                    points.append(self._points[at])
                at = self._next[at]
            found.append(points)
        return found

    def _node(self, point: tuple[int, int]) -> int:
        self._points.append(point)
        self._next.append(-1)
        return len(self._points) - 1

    def _add(self, loop: np.ndarray) -> list[int]:
        nodes = [self._node((int(x), int(y))) for x, y in loop]
        for node, following in zip(nodes, nodes[1:] + nodes[:1], strict=True):
            self._next[node] = following
            (x, y), (next_x, next_y) = self._points[node], self._points[following]
            if y == next_y and x < next_x:
                self._pieces.setdefault(y, []).append((x, next_x, node))
        return nodes


def _is_hole(loop: np.ndarray) -> bool:
    """Whether it is walked against the clock."""
    x, y = loop[:, 0].astype(np.int64), loop[:, 1].astype(np.int64)
    return int(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) < 0


def _runs(mask: np.ndarray) -> _Runs:
    padded = np.pad(np.asarray(mask, bool), 1).view(np.int8)
    # +1 where the mask begins below (or at the right), -1 where it ends.
    across = np.diff(padded, axis=0)[:, 1:-1]
    down = np.diff(padded, axis=1)[1:-1].T
    y, low, high, sign = _straight(across)
    rightwards = sign > 0
    start = np.stack([np.where(rightwards, low, high), y], axis=1)
    end = np.stack([np.where(rightwards, high, low), y], axis=1)
    x, upper, lower, sign = _straight(down)
    upwards = sign > 0
    begin, finish = np.where(upwards, lower, upper), np.where(upwards, upper, lower)
    # A corner and a direction as one number. Where two pieces begin at one corner, the one to the right is the outline
    # of the same pixel.
    rows = len(mask) + 1
    corner = 2 * (end[:, 0] * rows + end[:, 1])
    vertical = _find(2 * (x * rows + begin) + upwards, corner + ~rightwards, corner + rightwards)
    corner = 2 * (x * rows + finish)
    horizontal = _find(2 * (start[:, 0] * rows + start[:, 1]) + rightwards, corner + upwards, corner + ~upwards)
    return _Runs(start, end, horizontal[vertical])


def _straight(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """edges: -1, 0 or 1 [lines, length]. (line, from, to, sign) of each longest piece of one sign other than 0."""
    padded = np.pad(edges, ((0, 0), (1, 1)))
    changes = padded[:, 1:] != padded[:, :-1]
    line, start = np.nonzero(changes & (padded[:, 1:] != 0))
    _, end = np.nonzero(changes & (padded[:, :-1] != 0))
    return line, start, end, edges[line, start]


def _find(codes: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where each of `first` is among the codes, or, where it is not, the same of `second`."""
    order = np.argsort(codes)
    place = np.searchsorted(codes, first, sorter=order)
    missing = codes[order[np.minimum(place, len(codes) - 1)]] != first
    place[missing] = np.searchsorted(codes, second[missing], sorter=order)
    return order[place]
