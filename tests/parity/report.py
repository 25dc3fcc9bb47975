"""Prints the parity table: case by case, max |samkit - official| with the same random weights in float32 on the CPU.

python -m tests.parity.report                          # the shrunken sizes
python -m tests.parity.report vit_b tiny "tiny 2.0"     # official sizes, a minute or two each
python -m tests.parity.report mobile_sam               # MobileSAM against its own package
python -m tests.parity.report --video tiny              # following an object instead: 20 frames (9 at official sizes:
20 minutes)
"""

import sys
import tempfile
from pathlib import Path

from samkit.experiments.position_encoding import base_grid
from tests.parity.cases import (
    PICTURES,
    PROMPTS,
    compare_blocks,
    compare_features,
    compare_masks,
    compare_positions,
    load_pair,
)
from tests.parity.mobile_sam import MOBILE_SAM, elsewhere, every_block, load_mobile_pair
from tests.parity.official import SMALL_SAM1_SIZES, SMALL_SAM2_SIZES
from tests.parity.video_cases import CASES, absent_pair, load_video_pair, make_film


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
    base = base_grid(pair.model)
    yield f"position encoding, {base} x {base} tokens", compare_positions(pair, (base, base))
    yield f"position encoding, {base // 2} x {2 * base} tokens", compare_positions(pair, (base // 2, 2 * base))
    for prompts in PROMPTS:
        yield f"masks, IoU, score: {prompts}", compare_masks(pair, PICTURES["wide"], PROMPTS[prompts], hint=False)
    yield (
        "masks, IoU, score: everything and a mask hint",
        compare_masks(pair, PICTURES["wide"], PROMPTS["everything"], hint=True),
    )


def mobile_rows(folder: Path):
    """(case, max difference) of MobileSAM."""
    pair = load_mobile_pair(MOBILE_SAM, folder)
    yield "features, native, wide picture", compare_features(pair, PICTURES["wide"])
    yield "features, side 768 px", [elsewhere(pair, "tall", 768)]
    yield "features, windows 7 8 16 10", [elsewhere(pair, "wide", 1024, (7, 8, 16, 10))]
    yield "tokens of every block", every_block(pair, "wide")
    for prompts in PROMPTS:
        yield f"masks, IoU: {prompts}", compare_masks(pair, PICTURES["wide"], PROMPTS[prompts], hint=False)


def print_video_rows(name: str, folder: Path) -> None:
    """Largest differences of the logits, the object scores and the pointers, for each way to begin."""
    film = make_film(folder / f"film of {name}", frames=20 if name in SMALL_SAM2_SIZES else 9)
    pair = load_video_pair(name, folder)
    cases = [(case, lambda follow=follow: follow(pair, film)) for case, follow in CASES.items()]
    cases.append(("click, object hidden on some frames", lambda: CASES["click"](absent_pair(name, folder, film), film)))
    for case, follow in cases:
        difference = follow()
        print(
            f"{name:16} {case:36} logits {difference.logits:.1e}  object score {difference.score:.1e}  pointer "
            f"{difference.pointer:.1e}",
            flush=True,
        )


def main() -> None:
    names = [name for name in sys.argv[1:] if name != "--video"]
    with tempfile.TemporaryDirectory() as folder:
        if "--video" in sys.argv:
            for name in names or SMALL_SAM2_SIZES:
                print_video_rows(name, Path(folder))
            return
        for name in names or [*SMALL_SAM1_SIZES, *SMALL_SAM2_SIZES]:
            table = mobile_rows(Path(folder)) if name == "mobile_sam" else rows(name, Path(folder))
            for case, figures in table:
                print(f"{name:16} {case:48} {max(figures):.1e}", flush=True)


if __name__ == "__main__":
    main()
