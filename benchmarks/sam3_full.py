"""SAM 3 at full size without anybody's weights: a random file as large as sam3.pt, with its text encoder and detector;
how long it takes to load and how much memory; and what encodings at several sides take.

    python -m benchmarks.sam3_full --make /tmp/big.pt                   # 3.3 GiB, a minute
    python -m benchmarks.sam3_full /tmp/big.pt                          # loading alone
    python -m benchmarks.sam3_full /tmp/big.pt --sides 504 1008 1512    # each with a click
    python -m benchmarks.sam3_full /tmp/big.pt --fit aspect --dtype bfloat16

Peaks are the process's own, by Linux's high-water mark, above what it held before each step. With --dtype bfloat16 the
first side's masks are compared with float32's, for which the model is loaded twice.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from benchmarks.worker import resident_mb
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--make", action="store_true", help="write the file")
    parser.add_argument("--sides", type=int, nargs="*", default=[])
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
    masks = {}
    for side in options.sides:
        masks[side] = click(model, rgb, side, options)
    if options.dtype != "float32" and options.sides:
        side = options.sides[0]
        exact = click(load_model(options.file, device="cpu"), rgb, side, options)
        union = ((masks[side] > 0) | (exact > 0)).sum()
        shared = ((masks[side] > 0) & (exact > 0)).sum() / union
        apart = (masks[side] - exact).abs().max() / exact.abs().max()
        print(f"{options.dtype} beside float32: logits {apart:.1%} of the largest apart, masks' IoU {shared:.3f}")


def click(model: SamModel, rgb: np.ndarray, side: int, options: argparse.Namespace) -> torch.Tensor:
    """The logits of all masks of a click in the middle."""
    encoding = measured(
        f"encoding, side {side}, {options.fit}", lambda: model.encode_image(rgb, side=side, fit=options.fit)
    )
    prediction = measured("a click", lambda: model.predict_masks(encoding, Prompts(points=[(0.5, 0.5, 1)])))
    print(f"{'':32} logits {list(prediction.logits.shape)}, up to {float(prediction.logits.abs().max()):.2f}")
    assert torch.isfinite(prediction.logits).all()
    return prediction.logits


if __name__ == "__main__":
    main()
