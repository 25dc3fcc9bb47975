"""nano-sam1 and nano-sam2: the official architectures, shrunken until two processor cores can train them. Their modules
are samkit's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.config import ModelConfig, module_keys, read_config
from samkit.models.files.checkpoint import read_checkpoint
from samkit.models.geometry import SAM2_MEAN, SAM2_STD
from samkit.models.network.hiera import HieraConfig
from samkit.models.network.mask_decoder import MaskDecoderConfig
from samkit.models.network.memory_side import MemoryConfig
from samkit.models.network.vit import VitConfig
from samkit.models.sam_network import SamNetwork

NANO_SAM2 = ModelConfig(
    family="sam2",
    version="2.1",
    native_side=384,
    encoder=HieraConfig(
        channels=48, num_heads=1, blocks_per_stage=(1, 2, 5, 2), window_sizes=(8, 4, 8, 4), global_blocks=(5, 7)
    ),
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
"""The image side, which is trained first."""

NANO_SAM2_WITH_MEMORY = replace(
    NANO_SAM2,
    memory=MemoryConfig(
        channels=64,
        layers=2,
        num_heads=1,
        hidden=512,
        fuser_hidden=512,
        fuser_layers=2,
        pointer_dims=(128, 128, 128, 128),
    ),
)

NANO_SAM1 = ModelConfig(
    family="sam1",
    version="1",
    native_side=384,
    encoder=VitConfig(
        channels=192,
        depth=8,
        num_heads=3,
        patch_size=16,
        native_grid=24,
        window_sizes=(8,) * 4,
        global_blocks=(1, 3, 5, 7),
        neck_channels=128,
        hidden=768,
        table_rows=(15, 47) * 4,
    ),
    decoder=MaskDecoderConfig(channels=128, inner=64, num_heads=4, hidden=512, iou_dims=(128, 128, 128, 4)),
)
"""Windows of 8 tile its 24 x 24 tokens."""

OBJECT_SCORE = "mask_decoder.obj_score_token", "mask_decoder.pred_obj_score_head"

CONFIGS = {"nano-sam1": NANO_SAM1, "nano-sam2": NANO_SAM2}


def build_network(config: ModelConfig = NANO_SAM2, seed: int = 0) -> SamNetwork:
    """A network with fresh weights, the same for the same seed (each process must start from the same ones)."""
    torch.manual_seed(seed)
    network = SamNetwork(config)
    for name, parameter in network.named_parameters():
        if any(part in name for part in ("pos_embed", "no_mem", "maskmem_tpos", "no_obj")):
            nn.init.trunc_normal_(parameter, std=0.02)
        elif name.endswith("gamma"):
            # Officially 1e-6, which takes longer to grow than there is time for here.
            nn.init.constant_(parameter, 0.1)
    network.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.normal_()
    return network


def earlier_weights(path: Path) -> dict[str, Tensor]:
    """What a run begins with: the averaged weights of a run's checkpoint (.pt), or an exported model's (.safetensors),
    under samkit's own names, float32.
    """
    if path.suffix != ".safetensors":
        return torch.load(path, weights_only=True, map_location="cpu")["ema"]
    checkpoint = read_checkpoint(path)
    own = module_keys(checkpoint.state_dict, read_config(checkpoint.state_dict, checkpoint.metadata))
    return {name: tensor.float() for name, tensor in own.items()}


def begin_with(network: SamNetwork, *paths: Path) -> None:
    """Give the network all weights that the files have, of several the last one's, position tables stretched to the
    network's own grid and windows.

    The object score is the first one's: in pictures, of which later ones learnt, there always is an object.
    """
    for index, path in enumerate(paths):
        state = stretched(earlier_weights(path), network.state_dict())
        network.load_state_dict(without_object_score(state) if index else state, strict=False)


def without_object_score(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state without the token and the head that tell whether the object is there."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(OBJECT_SCORE)}


def stretched(state: dict[str, Tensor], like: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state with the ViT's position tables in the sizes they have in `like`, resized as samkit does for another
    side or window.
    """
    return {
        name: _stretch(name, tensor, like[name].shape) if name in like else tensor for name, tensor in state.items()
    }


def _stretch(name: str, table: Tensor, shape: torch.Size) -> Tensor:
    if table.shape == shape:
        return table
    if name.endswith(("rel_pos_h", "rel_pos_w")):
        return F.interpolate(table.T[None], size=shape[0], mode="linear")[0].T
    if name == "image_encoder.pos_embed":
        return F.interpolate(table.permute(0, 3, 1, 2), size=shape[1:3], mode="bicubic").permute(0, 2, 3, 1)
    return table


def normalise(images_bhwc: Tensor) -> Tensor:
    """float32 [B, H, W, 3] of 0..255 in RGB order -> [B, 3, H, W] as SAM takes it (v1's mean and deviation are v2's
    times 255).
    """
    mean, std = torch.tensor(SAM2_MEAN), torch.tensor(SAM2_STD)
    return (images_bhwc.permute(0, 3, 1, 2) / 255 - mean[:, None, None]) / std[:, None, None]


def repeat_features(features: list[Tensor], prompts: int) -> list[Tensor]:
    """[B, h, w, C] -> [B * prompts, h, w, C], a picture's copies side by side. By `expand`, because the backward of an
    index is slow.
    """
    return [level.unsqueeze(1).expand(-1, prompts, -1, -1, -1).reshape(-1, *level.shape[1:]) for level in features]


@contextmanager
def plain_attention() -> Iterator[None]:
    """Inside, attention is three plain operations: on a CPU the backward of `scaled_dot_product_attention` is slow,
    above all in bfloat16.
    """

    def attend(q: Tensor, k: Tensor, v: Tensor, scale: float | None = None) -> Tensor:
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        return torch.softmax((q * scale) @ k.transpose(-1, -2), dim=-1) @ v

    fused = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused
