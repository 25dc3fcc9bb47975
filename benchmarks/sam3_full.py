"""SAM 3 at full size without anybody's weights: a random file as large as sam3.pt, with its text encoder and detector;
how long it takes to load and how much memory; what encodings at several sides take; and how far apart they are in
bfloat16, and with windows of other sizes in both readings.

    python -m benchmarks.sam3_full --make /tmp/big.pt                   # 3.3 GiB, a minute
    python -m benchmarks.sam3_full /tmp/big.pt                          # loading alone
    python -m benchmarks.sam3_full /tmp/big.pt --sides 504 1008 1512    # each with a click
    python -m benchmarks.sam3_full /tmp/big.pt --fit aspect --dtype bfloat16
    python -m benchmarks.sam3_full /tmp/big.pt --sides 504 --windows 12 36  # step and span beside the model's own 24

Peaks are the process's own, by Linux's high-water mark, above what it held before each step. With --dtype bfloat16 the
first side is compared with float32, for which the model is loaded twice.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from benchmarks.worker import resident_mb
from samkit.models.network.rotary_vit import WINDOW_READINGS
from samkit.models.official_sizes import OFFICIAL_SIZES
from samkit.models.random_models import random_state
from samkit.models.sam import SamModel, load_model
from samkit.prompts import Prompts

UNNEEDED = {"detector.backbone.language_backbone": 353_000_000, "detector.transformer": 35_000_000}
"""Numbers of the parts that segmenting doesn't need."""
ROW = 1_000_000
Given = TypeVar("Given")


def make(path: Path) -> None:
    """Of the layout of sam3.pt, which says nothing of heads, windows and sides."""
    state = random_state(OFFICIAL_SIZES["sam3"])
    for part, numbers in UNNEEDED.items():
        state |= {f"{part}.{row}.weight": torch.randn(ROW) for row in range(numbers // ROW)}
    torch.save(state, path)
    print(f"{path}: {path.stat().st_size / 2**30:.2f} GiB")


def measured(name: str, step: Callable[[], Given]) -> Given:
    """What the step gives; its seconds and its peak are printed."""
    Path("/proc/self/clear_refs").write_text("5")
    before, start = resident_mb("VmRSS"), time.perf_counter()
    given = step()
    seconds, peak = time.perf_counter() - start, resident_mb("VmHWM") - before
    print(f"{name:32} {seconds:7.1f} s {peak:7.0f} MB at most, of which {resident_mb('VmRSS') - before:.0f} stay")
    return given


@dataclass(frozen=True)
class Seen:
    """features: of an encoding, lowest level first; logits: of all masks of a click in the middle"""

    features: tuple[torch.Tensor, ...]
    logits: torch.Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--make", action="store_true", help="write the file")
    parser.add_argument("--sides", type=int, nargs="*", default=[])
    parser.add_argument("--windows", type=int, nargs="*", default=[], help="sizes to compare at the first side")
    parser.add_argument("--fit", choices=["native", "aspect", "stretch"], default="native")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.make:
        make(options.file)
        return
    rgb = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), dtype=np.uint8)
    model = measured("loading", lambda: load_model(options.file, device="cpu", dtype=options.dtype))
    seen = {side: look(model, rgb, options.fit, side) for side in options.sides}
    if not seen:
        return
    side, first = next(iter(seen.items()))
    for window in options.windows:
        read = {way: look(model, rgb, options.fit, side, window, way) for way in WINDOW_READINGS}
        for way, each in read.items():
            print_apart(f"windows of {window}, {way}, beside the model's own", each, first)
        step, span = read.values()
        print_apart(f"windows of {window}, step beside span", step, span)
    if options.dtype != "float32":
        exact = look(load_model(options.file, device="cpu"), rgb, options.fit, side)
        print_apart(f"{options.dtype} beside float32", first, exact)


def look(model: SamModel, rgb: np.ndarray, fit: str, side: int, window: int | None = None, way: str = "step") -> Seen:
    """window: in all blocks with windows, None for the model's own; way: one of `WINDOW_READINGS`"""
    windows = None if window is None else (window,) * 4
    name = f"side {side}, {fit}" + ("" if window is None else f", {window} {way}")
    encoding = measured(
        f"encoding, {name}",
        lambda: model.encode_image(rgb, side=side, fit=fit, window_sizes=windows, window_reading=way),
    )
    prediction = measured("a click", lambda: model.predict_masks(encoding, Prompts(points=[(0.5, 0.5, 1)])))
    print(f"{'':32} logits {list(prediction.logits.shape)}, up to {float(prediction.logits.abs().max()):.2f}")
    assert torch.isfinite(prediction.logits).all()
    return Seen(tuple(level.float() for level in encoding.features), prediction.logits)


def print_apart(name: str, one: Seen, other: Seen) -> None:
    """Features by the length of their difference over the others' own; masks by the IoU of each with its like."""
    features = [
        float((level - like).norm() / like.norm()) for level, like in zip(one.features, other.features, strict=True)
    ]
    apart = float((one.logits - other.logits).abs().max() / other.logits.abs().max())
    both = ((one.logits > 0) & (other.logits > 0)).flatten(1).sum(1)
    either = ((one.logits > 0) | (other.logits > 0)).flatten(1).sum(1)
    ious = ", ".join(f"{float(iou):.3f}" for iou in both / either.clamp(min=1))
    print(
        f"{name}: features {', '.join(f'{each:.1%}' for each in features)} apart (lowest level first), "
        f"logits {apart:.1%} of the largest, masks' IoU {ious}"
    )


if __name__ == "__main__":
    main()
