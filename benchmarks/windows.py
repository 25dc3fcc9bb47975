"""Attention windows of 14 and 16 tokens in SAM v1: 64 tokens a side are padded to 70 for windows of 14, and need no
padding for windows of 16.

    python -m benchmarks.windows                # ViT-B with random weights at 1024 px, about two minutes on two cores

The two take turns after a first encoding each that does not count. Run it on an idle machine. Published: 13.5 and 14.2
pictures a second.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import torch

import samkit
from benchmarks.contestants import MODELS, official_model
from samkit.media.samples import load_sample

WINDOWS = (14, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description="Encode times of SAM v1 with windows of 14 and of 16.")
    parser.add_argument(
        "--model", choices=[model for model, family in MODELS.items() if family == "sam1"], default="vit_b"
    )
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{arguments.model}.pt"
        torch.save(official_model(arguments.model).state_dict(), path)
        model, rgb = samkit.load_model(path, device="cpu"), load_sample("coffee").rgb
        times: dict[int, list[float]] = {window: [] for window in WINDOWS}
        for turn in range(arguments.rounds + 1):
            for window in WINDOWS:
                spent = model.encode_image(rgb, window_sizes=(window,) * 4).encode_ms
                times[window] += [spent] if turn else []
    ratios = [after / before for before, after in zip(times[14], times[16], strict=True)]
    for window, each in times.items():
        print(
            f"{arguments.model}, windows of {window}: median {statistics.median(each):,.0f} ms ({min(each):,.0f} "
            f"to {max(each):,.0f})"
        )
    print(
        f"16 against 14: {statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f}), median of "
        f"{len(ratios)} rounds"
    )


if __name__ == "__main__":
    main()
