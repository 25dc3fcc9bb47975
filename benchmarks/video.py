"""Following an object: time per frame beside the official video predictor, and memory over a long film.

    python -m benchmarks.video speed --model tiny --frames 14
    python -m benchmarks.video objects --model tiny --frames 11
    python -m benchmarks.video memory --model nano-sam2 --frames 1000

Speed takes about 3 minutes on two cores: same random weights, frames in turns. Objects is the time of such a frame by
the number of objects that are followed, of samkit alone. Memory, resident after every 100 frames, takes 2 minutes.

Speed is of a frame with everything in it (encode, memory attention, decode, memory encoder), once the memory is full: 7
maps; it takes 16 frames until the pointers are, which cost next to nothing. The official predictor gets its frames
decoded and resized beforehand.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import samkit
from benchmarks.contestants import MODELS
from benchmarks.worker import resident_mb
from tests.parity.video_cases import CLICK, load_video_pair, make_film

WARM_UP = 7
"""Frames until the memory is full."""
OBJECTS = (1, 2, 4)


def frame(index: int, height: int = 480, width: int = 854) -> np.ndarray:
    """A bright square that crosses a textured ground: uint8 [H, W, 3]."""
    ground = (
        np.random.default_rng(0)
        .integers(40, 140, (height // 6, width // 6, 3), dtype=np.uint8)
        .repeat(6, 0)
        .repeat(6, 1)
    )
    left = int((width - 200) * (0.5 + 0.5 * np.sin(index / 20)))
    ground[140:300, left : left + 160] = (220, 180, 60)
    return ground


def prompted_bank(model: samkit.SamModel, rgb: np.ndarray) -> samkit.MemoryBank:
    bank = samkit.MemoryBank()
    encoding = model.encode_image(rgb, film=True)
    prediction = model.predict_masks(encoding, CLICK)
    bank.add_prompt(model.encode_memory(encoding, prediction))
    return bank


def timed(steps: Iterator) -> float:
    start = time.perf_counter()
    next(steps)
    return 1000 * (time.perf_counter() - start)


def compare_speed(model: str, frames: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pair = load_video_pair(model, Path(folder))
        film = make_film(Path(folder) / "film", frames, height=480, width=854)
        ours = pair.model.track_video(film.frames[1:], prompted_bank(pair.model, film.frames[0]))
        state = pair.official.init_state(str(film.folder))
        pair.official.add_new_points_or_box(
            state, 0, 1, points=np.array([[0.4 * 854, 0.55 * 480]], np.float32), labels=np.array([1], np.int32)
        )
        theirs = pair.official.propagate_in_video(state)
        next(theirs)
        times = [(timed(ours), timed(theirs)) for _ in range(frames - 1)]
    full = times[WARM_UP:]
    ratio = statistics.median(a / b for a, b in full)
    print(f"{model}, {len(full)} frames with a full memory, {torch.get_num_threads()} threads")
    print(
        f"samkit {statistics.median(a for a, _ in full):,.0f} ms, official "
        f"{statistics.median(b for _, b in full):,.0f} ms, ratio {ratio:.2f} (medians)"
    )


def by_objects(model: str, frames: int) -> None:
    """What each further object costs: frames are encoded once for all of them."""
    with tempfile.TemporaryDirectory() as folder:
        follower = load_video_pair(model, Path(folder)).model
    print(f"{model}, {frames - WARM_UP} frames with a full memory, {torch.get_num_threads()} threads")
    alone = 0.0
    for count in OBJECTS:
        banks = {str(each): prompted_bank(follower, frame(0)) for each in range(count)}
        steps = follower.track_video(map(frame, range(1, frames + 1)), banks)
        median = statistics.median([timed(steps) for _ in range(frames)][WARM_UP:])
        alone = alone or median
        print(f"{count} objects: {median:,.0f} ms a frame, {median / alone:.2f} of one", flush=True)


def watch_memory(ref: str, frames: int) -> None:
    model = samkit.load_model(ref, device="cpu")
    bank = prompted_bank(model, frame(0))
    start = time.perf_counter()
    print("frame  resident MB  ms per frame since the last line")
    for step in model.track_video(map(frame, range(1, frames + 1)), bank):
        if step.index % 100 == 99 or step.index == 9:
            gc.collect()
            elapsed, start = time.perf_counter() - start, time.perf_counter()
            print(
                f"{step.index + 1:5}  {resident_mb('VmRSS'):11.1f}  "
                f"{1000 * elapsed / (10 if step.index == 9 else 90 if step.index == 99 else 100):.1f}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Following an object: speed beside the official predictor, and memory over a long film."
    )
    parser.add_argument("what", choices=("speed", "objects", "memory"))
    parser.add_argument(
        "--model",
        help=f"one of {', '.join(name for name, family in MODELS.items() if family == 'sam2')}; memory: any "
        "that samkit can load",
    )
    parser.add_argument("--frames", type=int)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.what == "speed":
        compare_speed(arguments.model or "tiny", arguments.frames or 14)
    elif arguments.what == "objects":
        by_objects(arguments.model or "tiny", arguments.frames or 11)
    else:
        watch_memory(arguments.model or "nano-sam2", arguments.frames or 1000)


if __name__ == "__main__":
    main()
