"""Small checkpoints with random weights, in the official key layout, for tests that need a model but not a trained
one.
"""

from samkit.models.config import ModelConfig
from samkit.models.network.hiera import HieraConfig
from samkit.models.network.mask_decoder import MaskDecoderConfig
from samkit.models.network.memory_side import MemoryConfig
from samkit.models.network.rotary_vit import RotaryVitConfig
from samkit.models.network.tiny_vit import TinyVitConfig
from samkit.models.network.vit import VitConfig
from samkit.models.random_models import random_state, save_random_model

__all__ = ["SMALL_MODELS", "random_state", "save_random_model"]

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
SMALL_SAM3 = ModelConfig(
    "sam3",
    "3.0",
    168,
    RotaryVitConfig(
        channels=32,
        depth=4,
        num_heads=2,
        patch_size=14,
        table_grid=4,
        trained_window=4,
        window_sizes=(4,) * 4,
        global_blocks=(1, 3),
        neck_channels=32,
        hidden=48,
    ),
    MaskDecoderConfig(**SMALL_DECODER, iou_sigmoid=True, high_resolution=True, object_score_dims=(32, 32, 32, 1)),
    MemoryConfig(channels=16, layers=1, hidden=32, fuser_hidden=64, fuser_layers=1, pointer_dims=(32, 32, 32, 32)),
)
SMALL_MODELS = {"sam1": SMALL_SAM1, "sam2": SMALL_SAM2}
"""One of each family that has trained models here."""
