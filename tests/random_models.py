"""Small checkpoints with random weights, in the official key layout, for tests that need a model but not a trained
one.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from samkit.models.config import ModelConfig, official_keys
from samkit.models.network.hiera import HieraConfig
from samkit.models.network.mask_decoder import MaskDecoderConfig
from samkit.models.network.memory_side import MemoryConfig
from samkit.models.network.tiny_vit import TinyVitConfig
from samkit.models.network.vit import VitConfig
from samkit.models.sam_network import build_network

SMALL_DECODER = dict(channels=32, inner=16, num_heads=4, hidden=64, iou_dims=(32, 32, 32, 4))

SMALL_SAM1 = ModelConfig(
    "sam1",
    "1",
    128,
    VitConfig(
        channels=32,
        depth=4,
        num_heads=2,
        patch_size=16,
        native_grid=8,
        window_sizes=(3,) * 4,
        global_blocks=(1, 3),
        neck_channels=32,
        hidden=64,
        table_rows=(5, 15, 5, 15),
    ),
    MaskDecoderConfig(**SMALL_DECODER),
)
SMALL_SAM2 = ModelConfig(
    "sam2",
    "2.1",
    128,
    HieraConfig(channels=16, num_heads=1, blocks_per_stage=(1, 2, 3, 1), window_sizes=(8, 4, 4, 2), global_blocks=(5,)),
    MaskDecoderConfig(**SMALL_DECODER, iou_sigmoid=True, high_resolution=True, object_score_dims=(32, 32, 32, 1)),
    MemoryConfig(channels=16, layers=1, hidden=32, fuser_hidden=64, fuser_layers=1, pointer_dims=(32, 32, 32, 32)),
)
SMALL_MOBILE_SAM = ModelConfig(
    "sam1",
    "1",
    128,
    TinyVitConfig(
        channels_per_stage=(8, 16, 24, 32),
        blocks_per_stage=(1, 1, 2, 1),
        heads_per_stage=(1, 2, 3, 4),
        window_sizes=(7, 3, 5, 3),
        native_windows=(7, 3, 5, 3),
        neck_channels=32,
        conv_hidden=32,
    ),
    MaskDecoderConfig(**SMALL_DECODER),
)
SMALL_MODELS = {"sam1": SMALL_SAM1, "sam2": SMALL_SAM2}
"""One of each family."""


def random_state(config: ModelConfig, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict with the official keys. Weights are scaled so that every part of the network moves the output."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, tensor in build_network(config).state_dict().items():
        values = torch.randn(tensor.shape, generator=generator)
        fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
        if key.endswith("running_var"):
            values = 0.5 + values.abs()
        elif key.endswith(("norm.weight", "bn.weight")) or (".norm" in key and key.endswith("weight")):
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
