"""nano-sam2: the SAM 2.1 architecture, shrunken until two processor cores can train it. Its modules are samkit's own."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.config import ModelConfig
from samkit.models.hiera import HieraConfig
from samkit.models.mask_decoder import MaskDecoderConfig
from samkit.models.network import SamNetwork

NANO_SAM2 = ModelConfig(
    family="sam2",
    version="2.1",
    native_side=256,
    encoder=HieraConfig(channels=48, num_heads=1, blocks_per_stage=(1, 2, 5, 2), window_sizes=(8, 4, 8, 4), global_blocks=(5, 7)),
    decoder=MaskDecoderConfig(
        channels=128,
        inner=64,
        num_heads=4,
        hidden=512,
        iou_dims=(128, 128, 128, 4),
        iou_sigmoid=True,
        high_resolution=True,
        object_score_dims=(128, 128, 128, 1),
    ),
)


def build_network(config: ModelConfig = NANO_SAM2, seed: int = 0) -> SamNetwork:
    """A network with fresh weights, the same for the same seed (each process must start from the same ones)."""
    torch.manual_seed(seed)
    network = SamNetwork(config)
    for name, parameter in network.named_parameters():
        if "pos_embed" in name or "no_mem" in name:
            nn.init.trunc_normal_(parameter, std=0.02)
    network.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.normal_()
    return network


def normalise(images_bhwc: Tensor) -> Tensor:
    """float32 [B, H, W, 3] of 0..255 in RGB order -> [B, 3, H, W] as SAM v2 takes it."""
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    return (images_bhwc.permute(0, 3, 1, 2) / 255 - mean[:, None, None]) / std[:, None, None]


def repeat_features(features: list[Tensor], prompts: int) -> list[Tensor]:
    """[B, h, w, C] -> [B * prompts, h, w, C], a picture's copies side by side. By `expand`, because the backward of an index is slow."""
    return [level.unsqueeze(1).expand(-1, prompts, -1, -1, -1).reshape(-1, *level.shape[1:]) for level in features]


@contextmanager
def plain_attention() -> Iterator[None]:
    """Inside, attention is three plain operations: on a CPU the backward of `scaled_dot_product_attention` is slow, above all in bfloat16."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), dim=-1) @ v

    fused = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused
