"""What a frame of a film costs, read in a process of its own, against the same decoder in this one.

    python -m benchmarks.films

A film of 1280 x 720 pixels in H.264, a key frame every 50, is written. Frames are read in order, in order with a pause
after each, as by whoever computes something of them, and at random. The two ways take turns, and of each the quickest
round counts, for whatever else the machine does makes others slower.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from samkit.media.decoding.pyav_reader import PyavReader
from samkit.media.film_index import index_by_packets, read_packets
from samkit.media.video import open_video

HEIGHT, WIDTH, FRAMES, KEY_EVERY = 720, 1280, 150, 50
ROUNDS, AT_RANDOM = 5, 40
PAUSE_S = 0.01
Read = Callable[[int], np.ndarray]


def write(path: Path) -> None:
    """A picture that is panned."""
    small = np.random.default_rng(0).integers(0, 255, (45, 80, 3), dtype=np.uint8)
    ground = cv2.resize(small, (1600, 900), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", KEY_EVERY
        stream.time_base = Fraction(1, 25)
        for index in range(FRAMES):
            rgb = np.ascontiguousarray(ground[index : index + HEIGHT, 2 * index : 2 * index + WIDTH])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(stream.encode(None))


def in_this_process(path: Path) -> Read:
    """What the process does, done here."""
    reader = PyavReader(str(path))
    facts = reader.open()
    packets = read_packets(reader.packets()[0])
    index = index_by_packets(packets, facts["unit"][0] / facts["unit"][1], facts["format"], facts["codec"])
    reader.open()
    latest, to_rgb = -1, VideoReformatter()

    def read(number: int) -> np.ndarray:
        nonlocal latest
        run_on = 0 <= latest + 1 <= number and index.same_run(latest + 1, number)
        starts, last_start = index.starts(number)
        stamp, dts = int(index.stamps[number]), int(index.dts[number])
        latest = number
        frame = reader.frame(stamp, dts, run_on, starts, last_start)
        return to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray()

    return read


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write(path)
        with open_video(path) as film:
            ways: dict[str, Read] = {"in this process": in_this_process(path), "in its own": film.frame}
            in_order, at_random = range(FRAMES), np.random.default_rng(1).integers(0, FRAMES, AT_RANDOM).tolist()
            asked: dict[str, tuple[Sequence[int], float]] = {
                "in order": (in_order, 0.0),
                "in order with pauses": (in_order, PAUSE_S),
                "at random": (at_random, 0.0),
            }
            best = {(way, what): np.inf for way in ways for what in asked}
            for _ in range(ROUNDS):
                for way, read in ways.items():
                    for what, (numbers, pause_s) in asked.items():
                        best[way, what] = min(best[way, what], took_ms(read, numbers, pause_s))
    for what in asked:
        here, own = best["in this process", what], best["in its own", what]
        print(f"{what}: {here:.2f} ms a frame in this process, {own:.2f} ms in its own: {own / here:.2f} times")


def took_ms(read: Read, numbers: Sequence[int], pause_s: float) -> float:
    """Of a frame, in the mean, without the pause after each."""
    took = 0.0
    for number in numbers:
        begun = time.perf_counter()
        read(number)
        took += time.perf_counter() - begun
        time.sleep(pause_s)
    return 1000 * took / len(numbers)


if __name__ == "__main__":
    main()
