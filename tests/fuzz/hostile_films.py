"""Films with bytes changed, cut out, repeated or claimed otherwise. By hand, for as long as there is patience:

python -m tests.fuzz.hostile_films --minutes 10
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from samkit.errors import PictureError
from samkit.media.video import open_video
from tests.media.hard_films import write_numbered

SEEDS = {
    "mp4": dict(options={"preset": "veryfast", "bf": "2"}),
    "mov": dict(codec="mjpeg", container="mov", pixels="yuvj420p"),
    "avi": dict(codec="mpeg4", container="avi"),
    "webm": dict(codec="libvpx", container="webm", options={"deadline": "realtime"}),
    "mkv": dict(
        codec="libx265", container="matroska", options={"preset": "ultrafast", "x265-params": "log-level=none"}
    ),
    "ts": dict(container="mpegts", options={"preset": "veryfast"}),
    "mpg": dict(codec="mpeg1video", container="mpeg"),
    "flv": dict(codec="flv", container="flv"),
}


def seeds(folder: Path) -> dict[str, bytes]:
    """Whole films of a second, by their ending."""
    return {
        ending: write_numbered(folder / f"seed.{ending}", frames=24, **how).read_bytes()
        for ending, how in SEEDS.items()
    }


def changed(content: bytes, rng: np.random.Generator) -> bytes:
    """A few changes: mostly near the start, where headers are, and numbers that claim much."""
    data = bytearray(content)
    for _ in range(int(rng.geometric(0.5))):
        place = int(rng.integers(0, min(len(data), 2000) if rng.random() < 0.4 else len(data)))
        match rng.integers(5):
            case 0:
                data[place] = int(rng.integers(256))
            case 1:
                data[place : place + 4] = rng.choice(
                    [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\x80" + bytes(3)]
                )
            case 2:
                del data[place : place + int(rng.integers(1, 64))]
            case 3:
                data[place:place] = data[place : place + int(rng.integers(1, 64))]
            case _:
                data[place : place + 16] = rng.bytes(16)
    return bytes(data[: int(len(data) * rng.random())]) if rng.random() < 0.15 else bytes(data)


def try_film(path: Path, own: bool) -> str:
    """What became of it. Any other error than a sentence is raised."""
    try:
        with open_video(path, own=own) as film:
            assert 0 < film.length <= 100_000
            assert (
                film.timestamps[0] == 0 and np.isfinite(film.timestamps).all() and (np.diff(film.timestamps) > 0).all()
            )
            for index in (0, film.length - 1, film.length // 2):
                assert film.frame(index).shape == (*film.size, 3)
            return "read" if not film.warning else "read in part"
    except PictureError as error:
        words = str(error)
        assert len(words) < 600 and words.isprintable()
        if "ended the program" in words:
            return "ended its process"
        return "took too much" if "more time or memory" in words else "refused"


def run(folder: Path, rng: np.random.Generator, until: float, most: int) -> Counter[str]:
    """Counts of what became of the films."""
    films, counts = seeds(folder), Counter[str]()
    while time.monotonic() < until and counts.total() < most:
        ending = str(rng.choice(list(films)))
        path = folder / f"film.{ending}"
        path.write_bytes(changed(films[ending], rng))
        try:
            counts[try_film(path, own=bool(rng.random() < 0.2))] += 1
        except BaseException:
            path.rename(Path(tempfile.gettempdir()) / f"failed-{path.name}")
            raise
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(arguments.seed)
        print(dict(run(Path(folder), rng, time.monotonic() + 60 * arguments.minutes, 10**6)))


if __name__ == "__main__":
    main()
