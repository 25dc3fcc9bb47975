"""Trackers of SAM 3 for comparison: that of Hugging Face transformers (`Sam3TrackerVideoModel`), which is the only
oracle here, and samkit's, with the same random weights, and a film of which both see the same features.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Declares the operators without which torchvision, which transformers imports, doesn't load.
import tests.parity.official  # noqa: F401
from samkit.models.config import ModelConfig, _read_decoder, _read_memory, module_keys
from samkit.models.encoding import EncodeSettings, ImageEncoding
from samkit.models.files.metadata import read_metadata
from samkit.models.files.transformers_keys import POINT_TABLE, official_names
from samkit.models.geometry import ImageGeometry
from samkit.models.sam_network import SamNetwork
from tests.parity.sam3_models import fill_randomly
from tests.random_models import SMALL_SAM2

GRID, PATCH, FRAMES = 12, 14, 20
SIDE = GRID * PATCH
QUIET = 0.5
LOUDER = {
    "memory_temporal_positional_encoding": 16.0,
    "temporal_positional_encoding_projection_layer.weight": 16.0,
    "cross_attn_image.v_proj.weight": 8.0,
    "cross_attn_image.q_proj": 3.0,
    "cross_attn_image.k_proj": 3.0,
    "token_to_image": 4.0,
    "image_to_token": 4.0,
    "neck": 2.0,
    "upscale_conv2.weight": 3.0,
    "pred_obj_score_head.proj_out.weight": 60.0,
}
"""Random weights on which times and memories hardly tell, and which judge all frames alike, are multiplied by these.
Much more would let attention look at one token alone, which rounding chooses.
"""


@dataclass(frozen=True)
class Size:
    """grid: tokens along a side; width: of features and everything behind them; heads: of the mask decoder; rest: what
    else the configuration says of decoder, and of tracker. The trunk is small in all of them.
    """

    grid: int
    width: int
    heads: int
    decoder: dict[str, Any]
    tracker: dict[str, Any]

    @property
    def side(self) -> int:
        return self.grid * PATCH


SHRUNKEN = Size(
    GRID,
    128,
    4,
    {"mlp_dim": 64},
    {
        "memory_attention_num_layers": 2,
        "memory_attention_feed_forward_hidden_size": 64,
        "memory_fuser_intermediate_dim": 64,
    },
)
OFFICIAL = Size(72, 256, 8, {}, {})


def their_config(size: Size) -> dict[str, Any]:
    trunk = {
        "model_type": "sam3_vit_model",
        "layer_norm_eps": 1e-5,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 1,
        "window_size": 4,
        "global_attn_indexes": [1, 3],
        "image_size": size.side,
        "pretrain_image_size": 56,
    }
    grid, width = size.grid, size.width
    return {
        "vision_config": {
            "model_type": "sam3_vision_model",
            "backbone_config": trunk,
            "fpn_hidden_size": width,
            "backbone_feature_sizes": [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
        },
        "prompt_encoder_config": {"hidden_size": width, "image_size": size.side},
        "mask_decoder_config": {
            "hidden_size": width,
            "num_attention_heads": size.heads,
            "iou_head_hidden_dim": width,
            "dynamic_multimask_via_stability": False,
            **size.decoder,
        },
        "image_size": size.side,
        "memory_attention_hidden_size": width,
        "memory_encoder_hidden_size": width,
        "memory_encoder_output_channels": 64,
        "mask_downsampler_embed_dim": width,
        "memory_fuser_embed_dim": width,
        **size.tracker,
    }


@dataclass(frozen=True)
class Pair:
    """size: of both; theirs: transformers' model; network: samkit's, of the same weights but for the encoder; film:
    float32 [N, 3, side, side]; seen: of each frame, what transformers' encoder gives; encodings: the same for samkit.
    """

    size: Size
    theirs: Any
    network: SamNetwork
    film: Tensor
    seen: tuple[dict[str, Any], ...]
    encodings: tuple[ImageEncoding, ...]


def their_model(size: Size) -> Any:
    import transformers

    model = transformers.Sam3TrackerVideoModel(transformers.Sam3TrackerVideoConfig(**their_config(size))).eval()
    fill_randomly(model, QUIET, LOUDER)
    return model


def our_network(theirs: Any, size: Size) -> SamNetwork:
    """With a SAM 2 encoder that nobody asks."""
    state = {key: tensor for key, tensor in theirs.state_dict().items() if not key.startswith("vision_encoder.")}
    official = {name: state[key] for key, name in official_names(state.keys(), "sam2").items()}
    for number, row in enumerate(official.pop(POINT_TABLE)):
        official[f"sam_prompt_encoder.point_embeddings.{number}.weight"] = row[None]
    said = read_metadata({"decoder_heads": size.heads})
    decoder = _read_decoder(official, "sam_mask_decoder.", said, mlp_in="mlp.layers.0")
    config = ModelConfig("sam2", "2.1", size.side, SMALL_SAM2.encoder, decoder, _read_memory(official, said))
    network = SamNetwork(config).eval().requires_grad_(False)
    missing, unknown = network.load_state_dict(module_keys(official, config), strict=False)
    assert not unknown and all(key.startswith("image_encoder.") for key in missing)
    return network


def make_pair(size: Size = SHRUNKEN, count: int = FRAMES) -> Pair:
    """count: of frames."""
    theirs, side = their_model(size), size.side
    geometry = ImageGeometry((side, side), (side, side), (side, side))
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side] * (SIDE / side)
    frames = []
    for index in range(count):
        disc = (x - 40 - 4 * index) ** 2 + (y - 80 - 10 * np.sin(index / 3)) ** 2 < 35**2
        ground = 128 + 50 * np.sin(x / 9 + index / 5)
        frames.append(np.where(disc[..., None], (220, 180, 60), ground[..., None]) + rng.normal(0, 6, (side, side, 3)))
    film = torch.tensor(np.stack(frames) / 127.5 - 1).float().permute(0, 3, 1, 2)
    seen: list[dict[str, Any]] = []
    encodings = []
    with torch.inference_mode():
        for pixels in film:
            output = theirs.get_image_features(pixels[None], return_dict=True)
            levels = output.fpn_hidden_states
            # Only the last level's positions are asked for, and they are the same on every frame.
            positions = seen[0]["vision_pos_embeds"] if seen else output.fpn_position_encoding[-1:]
            seen.append({"vision_feats": levels, "vision_pos_embeds": positions})
            sizes = theirs.backbone_feature_sizes
            maps = [level[:, 0].T.unflatten(1, tuple(size)) for level, size in zip(levels, sizes, strict=True)]
            settings = EncodeSettings(side, "native", ())
            encodings.append(ImageEncoding(tuple(reversed(maps)), (), None, geometry, settings, "sam3", 0.0))
    return Pair(size, theirs, our_network(theirs, size), film, tuple(seen), tuple(encodings))


@contextmanager
def judged_with(pair: Pair, bias: float) -> Iterator[None]:
    """Both models add so much to every object score."""
    theirs = pair.theirs.mask_decoder.pred_obj_score_head.proj_out.bias
    ours = pair.network.mask_decoder.pred_obj_score_head.layers[-1].bias
    with torch.no_grad():
        for each in {id(each): each for each in (theirs, ours)}.values():
            each += bias
    try:
        yield
    finally:
        with torch.no_grad():
            for each in {id(each): each for each in (theirs, ours)}.values():
                each -= bias
