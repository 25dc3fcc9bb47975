"""From a training checkpoint to the embedded file: the averaged weights in half precision, with what their shapes can't
tell.

    python -m training.export MEMORY_RUN/checkpoint0.pt samkit/assets/nano-sam2.safetensors --figures figures.json

Of several checkpoints the last one that has a weight counts. With --averaged, weights that all of those files have are
their mean ("Model soups", Wortsman et al. 2022), but for the object score, which only clips teach. The mean of a memory
run's decoder and that of the image run it built on does on pictures what the latter does, and on films better than
either.

figures.json is what `python -m training.evaluate --json` wrote; it is kept in the file's metadata.
"""

import argparse
import datetime
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from samkit.models.config import ModelConfig, official_keys
from training.model import (
    NANO_SAM1,
    NANO_SAM2_WITH_MEMORY,
    build_network,
    earlier_weights,
    stretched,
    without_object_score,
)

EXPORTED = {"nano-sam1": ("Nano SAM 1", NANO_SAM1), "nano-sam2": ("Nano SAM 2.1", NANO_SAM2_WITH_MEMORY)}
"""name -> (title, configuration of the file)."""

TRAINED_ON = (
    "parts of COCO, BSDS, DAVIS 2016, PUMaVOS, SegTrack v2, CDnet 2012 and small segmentation sets from public "
    "repositories; many are non-commercial"
)


def export_state(state: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Samkit's own state dict -> the complete official one in float16. A memory side that was not trained yet has fresh
    weights.

    Raises ValueError for weights that float16 can't hold.
    """
    exported = official_keys({**build_network(config).state_dict(), **state}, config.family)
    exported = {key: tensor.to(torch.float16).contiguous() for key, tensor in exported.items()}
    broken = [key for key, tensor in exported.items() if not tensor.isfinite().all()]
    if broken:
        raise ValueError(f"These weights are not finite in float16: {', '.join(broken)}.")
    return exported


def averaged_weights(paths: Sequence[Path], like: dict[str, Tensor]) -> dict[str, Tensor]:
    """The mean of the weights that all of these checkpoints or exported models have, float32, position tables in the
    sizes they have in `like`.
    """
    states = [stretched(earlier_weights(path), like) for path in paths]
    shared = set.intersection(*(set(state) for state in states))
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[-1] if name in shared}


def file_metadata(name: str, commit: str, figures: dict) -> dict:
    """The metadata entry `samkit` (see samkit/models/config.py), and where the weights come from."""
    title, config = EXPORTED[name]
    return {
        "name": name,
        "title": title,
        "family": config.family,
        "version": config.version,
        "native_side": config.native_side,
        "num_heads": config.encoder.num_heads,
        "window_sizes": config.encoder.window_sizes,
        "global_blocks": config.encoder.global_blocks,
        "decoder_heads": config.decoder.num_heads,
        **({"memory_heads": config.memory.num_heads} if config.memory else {}),
        "trained_on": TRAINED_ON,
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "figures": figures,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a training checkpoint as an embedded model.")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="checkpoint0.pt of a run, or of several")
    parser.add_argument(
        "--averaged",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        default=[],
        help="the mean of these, in place of what the checkpoints have",
    )
    parser.add_argument("output", type=Path, help="the .safetensors file to write")
    parser.add_argument("--model", choices=EXPORTED, default="nano-sam2")
    parser.add_argument("--figures", type=Path, help="figures of the evaluation, JSON")
    parser.add_argument("--commit", default="", help="commit of the code that trained it")
    arguments = parser.parse_args()
    config = EXPORTED[arguments.model][1]
    fresh = build_network(config).state_dict()
    state = {
        name: tensor
        for path in arguments.checkpoints
        for name, tensor in stretched(earlier_weights(path), fresh).items()
    }
    state |= without_object_score(averaged_weights(arguments.averaged, fresh)) if arguments.averaged else {}
    figures = json.loads(arguments.figures.read_text()) if arguments.figures else {}
    exported = export_state(state, config)
    save_file(
        exported,
        arguments.output,
        metadata={"samkit": json.dumps(file_metadata(arguments.model, arguments.commit, figures))},
    )
    arguments.output.chmod(0o644)
    count = sum(tensor.numel() for tensor in exported.values())
    print(f"{arguments.output}: {count / 1e6:.1f} M parameters, {arguments.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
