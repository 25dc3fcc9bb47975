"""Models with random weights: their masks mean nothing, and every page can be seen with them."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from samkit.models.config import ModelConfig, official_keys
from samkit.models.network.mask_decoder import MaskDecoderConfig
from samkit.models.network.memory_side import MemoryConfig
from samkit.models.network.rotary_vit import RotaryVitConfig
from samkit.models.sam_network import build_network

DEMO_SAM3 = ModelConfig(
    "sam3",
    "3.0",
    336,
    RotaryVitConfig(
        channels=192,
        depth=8,
        num_heads=3,
        patch_size=14,
        table_grid=8,
        trained_window=8,
        window_sizes=(8,) * 4,
        global_blocks=(1, 3, 5, 7),
        neck_channels=128,
        hidden=768,
    ),
    MaskDecoderConfig(
        channels=128,
        inner=64,
        hidden=256,
        iou_dims=(128, 128, 128, 4),
        iou_sigmoid=True,
        high_resolution=True,
        object_score_dims=(128, 128, 128, 1),
    ),
    MemoryConfig(channels=64, layers=2, hidden=256, fuser_hidden=256, pointer_dims=(128,) * 4),
)
"""SAM 3 in small: every kind of layer, four groups of two blocks, 24 x 24 tokens at its native side."""
DEMO_MODELS = {"sam3": DEMO_SAM3}
"""By the names that `python -m samkit models random` takes."""


def random_state(config: ModelConfig, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict with the official keys. Weights are scaled so that every part of the network moves the output."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, tensor in build_network(config).state_dict().items():
        values = torch.randn(tensor.shape, generator=generator)
        fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
        if key.endswith("running_var"):
            values = 0.5 + values.abs()
        elif key.endswith(("norm.weight", "bn.weight", "ln_pre.weight")) or (".norm" in key and key.endswith("weight")):
            values = 1 + 0.1 * values
        elif tensor.ndim == 1:
            values = 0.1 * values
        elif "embed" not in key and "token" not in key.split(".")[-2] and "gaussian" not in key:
            values = values / fan_in**0.5
        state[key] = values
    return official_keys(state, config.family)


def save_random_model(path: Path, config: ModelConfig, seed: int = 0) -> Path:
    """Write a random model of that configuration as safetensors with samkit's metadata, and return the path."""
    encoder = config.encoder
    metadata = {
        "family": config.family,
        "version": config.version,
        "native_side": config.native_side,
        "num_heads": encoder.num_heads,
        "window_sizes": encoder.window_sizes,
        "global_blocks": encoder.global_blocks,
        "decoder_heads": config.decoder.num_heads,
    }
    save_file(
        {key: tensor.contiguous() for key, tensor in random_state(config, seed).items()},
        path,
        metadata={"samkit": json.dumps(metadata)},
    )
    return path
