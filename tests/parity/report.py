"""Prints the parity table: case by case, max |samkit - official| with the same random weights in float32 on the CPU.

python -m tests.parity.report                          # the shrunken sizes
python -m tests.parity.report vit_b tiny "tiny 2.0"     # official sizes, a minute or two each
"""

import sys
import tempfile
from pathlib import Path

from tests.parity.cases import PICTURES, PROMPTS, compare_blocks, compare_features, compare_masks, load_pair
from tests.parity.official import SMALL_SAM1_SIZES, SMALL_SAM2_SIZES


def rows(name: str, folder: Path):
    """(case, max difference) of one model."""
    pair = load_pair(name, folder)
    side = pair.size.side * 3 // 4
    windows = (7, 9, 12, 16) if pair.family == "sam1" else (4, 8, 10, 5)
    yield "features, native, wide picture", compare_features(pair, PICTURES["wide"])
    yield "features, native, tall picture", compare_features(pair, PICTURES["tall"])
    yield f"features, side {side} px", compare_features(pair, PICTURES["tall"], side=side)
    yield f"features, windows {' '.join(map(str, windows))}", compare_features(pair, PICTURES["wide"], windows=windows)
    yield "tokens of every block", compare_blocks(pair, PICTURES["wide"])
    for prompts in PROMPTS:
        yield f"masks, IoU, score: {prompts}", compare_masks(pair, PICTURES["wide"], PROMPTS[prompts], hint=False)
    yield "masks, IoU, score: everything and a mask hint", compare_masks(pair, PICTURES["wide"], PROMPTS["everything"], hint=True)


def main() -> None:
    names = sys.argv[1:] or [*SMALL_SAM1_SIZES, *SMALL_SAM2_SIZES]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for case, figures in rows(name, Path(folder)):
                print(f"{name:16} {case:48} {max(figures):.1e}", flush=True)


if __name__ == "__main__":
    main()
