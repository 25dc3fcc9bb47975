"""Hugging Face transformers' own models as the oracle: random weights, saved as its users save them, loaded by samkit
from that folder.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

# Declares the operators without which torchvision, which transformers imports, doesn't load.
import tests.parity.official  # noqa: F401
from samkit.models.geometry import plan_geometry, prepare_pixels
from samkit.models.memory_bank import MemoryBank
from samkit.models.sam import SamModel, load_model
from samkit.prompts import Prompts

_SMALL_TRUNK = {
    "hidden_size": 16,
    "image_size": [128, 128],
    "blocks_per_stage": [1, 2, 3, 1],
    "embed_dim_per_stage": [16, 32, 64, 128],
    "num_attention_heads_per_stage": [1, 2, 4, 8],
    "window_size_per_stage": [8, 4, 4, 2],
    "global_attention_blocks": [5],
}
_WIDTH = 128
"""Of features. transformers' memory attention takes memories of 64 channels alone, and pointers that are wider."""
_SMALL_DECODER = {"hidden_size": _WIDTH, "mlp_dim": 64, "num_attention_heads": 4, "iou_head_hidden_dim": _WIDTH}
_SMALL_PROMPTS = {"hidden_size": _WIDTH, "image_size": 128}
_SMALL_SAM2 = {
    "vision_config": {
        "backbone_config": {"model_type": "sam2_hiera_det_model", **_SMALL_TRUNK},
        "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "fpn_hidden_size": _WIDTH,
    },
    "prompt_encoder_config": _SMALL_PROMPTS,
    "mask_decoder_config": _SMALL_DECODER,
}
_SMALL_MEMORY = {
    "image_size": 128,
    "memory_attention_hidden_size": _WIDTH,
    "memory_attention_num_layers": 2,
    "memory_attention_feed_forward_hidden_size": 64,
    "memory_attention_rope_feat_sizes": [8, 8],
    "memory_encoder_hidden_size": _WIDTH,
    "memory_encoder_output_channels": 64,
    "mask_downsampler_embed_dim": _WIDTH,
    "memory_fuser_embed_dim": _WIDTH,
    "memory_fuser_intermediate_dim": 64,
}
_SMALL_SAM1 = {
    "vision_config": {
        "hidden_size": 32,
        "output_channels": _WIDTH,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "image_size": 128,
        "window_size": 3,
        "global_attn_indexes": [1, 3],
        "num_pos_feats": _WIDTH // 2,
        "mlp_dim": 64,
    },
    "prompt_encoder_config": _SMALL_PROMPTS,
    # transformers' default is another one than the official code has, which small random weights tell.
    "mask_decoder_config": {**_SMALL_DECODER, "layer_norm_eps": 1e-5},
}
_TRUNKS = {
    "small": (96, 1, [1, 2, 11, 2], [8, 4, 14, 7], [7, 10, 13], 7),
    "base+": (112, 2, [2, 3, 16, 3], [8, 4, 14, 7], [12, 16, 20], 14),
    "large": (144, 2, [2, 6, 36, 4], [8, 4, 16, 8], [23, 33, 43], 7),
}
"""Size -> (channels, heads, blocks per stage, windows, global blocks, side of the background's position table)."""


def _official_trunk(size: str) -> dict[str, Any]:
    channels, heads, blocks, windows, global_blocks, table = _TRUNKS[size]
    widths = [channels * 2**stage for stage in range(4)]
    trunk = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": channels,
        "num_attention_heads": heads,
        "blocks_per_stage": blocks,
        "embed_dim_per_stage": widths,
        "num_attention_heads_per_stage": [heads * 2**stage for stage in range(4)],
        "window_size_per_stage": windows,
        "global_attention_blocks": global_blocks,
        "window_positional_embedding_background_size": [table, table],
    }
    return {"vision_config": {"backbone_config": trunk, "backbone_channel_list": widths[::-1]}}


CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "SamModel, shrunken": ("Sam", _SMALL_SAM1),
    "Sam2Model, shrunken": ("Sam2", _SMALL_SAM2),
    "Sam2VideoModel, shrunken": ("Sam2Video", {**_SMALL_SAM2, **_SMALL_MEMORY}),
    "SamModel, ViT-B": ("Sam", {}),
    "Sam2Model, tiny": ("Sam2", {}),
    "Sam2Model, small": ("Sam2", _official_trunk("small")),
    "Sam2Model, base+": ("Sam2", _official_trunk("base+")),
    "Sam2Model, large": ("Sam2", _official_trunk("large")),
    "Sam2VideoModel, tiny": ("Sam2Video", {}),
}
"""What it is -> (the beginning of its classes' names, its configuration)."""
QUIET = {"Sam": 0.3, "Sam2": 0.5, "Sam2Video": 0.5}
QUIET_AND_DEEP = 0.3
"""Weights as loud as random ones come give logits of 80, and rounding grows with them."""
STIRRED = {"SamModel, ViT-B": 0.03}
"""Where such weights make rounding large (both models in float32 were 2e-3 away from transformers' in float64): how
much is added to what transformers begins with.
"""
PROMPTS = {
    "one point": Prompts(points=[(0.4, 0.6, 1)]),
    "two points": Prompts(points=[(0.4, 0.6, 1), (0.8, 0.2, 0)]),
    "a box": Prompts(boxes=[(0.2, 0.1, 0.7, 0.9)]),
}


def their_model(name: str) -> torch.nn.Module:
    """transformers' model, with weights that all have a say."""
    import transformers

    torch.manual_seed(3)
    kind, config = CONFIGS[name]
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**config)).eval()
    quiet = QUIET[kind] if name.endswith("shrunken") else QUIET_AND_DEEP
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if name in STIRRED:
                if "positional_embedding" not in key:
                    tensor += STIRRED[name] * torch.randn(tensor.shape, generator=generator)
                continue
            values = torch.randn(tensor.shape, generator=generator)
            if "norm" in key and key.endswith("weight"):
                values = 1 + 0.1 * values
            elif key.endswith("bias"):
                values = 0.1 * values
            elif tensor.ndim > 1 and "embed" not in key and "token" not in key:
                values = quiet * values / tensor[0].numel() ** 0.5
            tensor.copy_(values)
        # Two names of one table.
        shared = model.shared_image_embedding.positional_embedding
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
        if hasattr(model.mask_decoder, "pred_obj_score_head"):
            model.mask_decoder.pred_obj_score_head.proj_out.bias += 2.0
    return model


def both(name: str, folder: Path, shard: str = "5GB") -> tuple[torch.nn.Module, SamModel]:
    """(transformers' model, the same as samkit loads it from the folder that it was saved to). shard: of its files."""
    theirs = their_model(name)
    theirs.save_pretrained(folder, max_shard_size=shard)
    return theirs, load_model(folder, device="cpu")


def picture(side: int, seed: int = 0) -> np.ndarray:
    """uint8 [side, side, 3]: noise on waves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side]
    waves = np.stack([np.sin(x / (7 + 5 * c) + seed) + np.cos(y / (11 + 3 * c)) for c in range(3)], -1)
    return np.clip(128 + 50 * waves + rng.normal(0, 12, (side, side, 3)), 0, 255).astype(np.uint8)


def compare_image(theirs: torch.nn.Module, ours: SamModel, prompts: Prompts) -> tuple[float, float]:
    """Largest differences of the three masks' logits and of the predicted IoUs."""
    side = ours.info.native_side
    rgb = picture(side)
    prediction = ours.predict_masks(ours.encode_image(rgb), prompts)
    geometry = plan_geometry((side, side), ours.info.family, side, "native", ours.info.side_step)
    given: dict[str, Any] = {"pixel_values": prepare_pixels(rgb, geometry, ours.info.family)}
    if prompts.points:
        given["input_points"] = side * torch.tensor([[[point[:2] for point in prompts.points]]], dtype=torch.float32)
        given["input_labels"] = torch.tensor([[[int(point[2]) for point in prompts.points]]])
    else:
        given["input_boxes"] = side * torch.tensor([[list(box) for box in prompts.boxes]], dtype=torch.float32)
    with torch.no_grad():
        answer = theirs._single_frame_forward(**given) if hasattr(theirs, "_single_frame_forward") else theirs(**given)
    # The film's model gives the best mask alone.
    logits = prediction.logits[[prediction.best]] if answer.pred_masks.shape[2] != 3 else prediction.logits[1:]
    return (
        float((answer.pred_masks.flatten(0, -3) - logits).abs().max()),
        float((answer.iou_scores[0, 0] - prediction.iou[1:]).abs().max()),
    )


def compare_video(theirs: torch.nn.Module, ours: SamModel, frames: int) -> float:
    """Largest difference of the tracked masks' logits over a film, from one click on.

    transformers cuts the mask of a click at 0 before it is remembered, which is the official demo's post-processing;
    samkit and the official class remember it as it is, and so does the oracle here.
    """
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    side = ours.info.native_side
    click = PROMPTS["one point"]
    film = [picture(side, seed) for seed in range(frames)]
    geometry = plan_geometry((side, side), "sam2", side, "native", ours.info.side_step)
    pixels = torch.cat([prepare_pixels(rgb, geometry, "sam2", film=True) for rgb in film])
    session = Sam2VideoInferenceSession(video=pixels, video_height=side, video_width=side, dtype=torch.float32)
    place = session.obj_id_to_idx(1)
    session.add_point_inputs(
        place,
        0,
        {
            "point_coords": side * torch.tensor([[[click.points[0][:2]]]], dtype=torch.float32),
            "point_labels": torch.tensor([[[1]]], dtype=torch.int32),
        },
    )
    session.obj_with_new_inputs.append(1)
    remember = theirs._encode_new_memory
    theirs._encode_new_memory = lambda **given: remember(**{**given, "is_mask_from_pts": False})
    bank = MemoryBank(max_pointers=min(16, frames))
    largest = 0.0
    for index in range(frames):
        encoding = ours.encode_image(film[index], film=True)
        if index == 0:
            prediction = ours.predict_masks(encoding, click)
            bank.add_prompt(ours.encode_memory(encoding, prediction, prediction.best))
        else:
            prediction = ours.track(encoding, bank)
            bank.add_frame(ours.encode_memory(encoding, prediction, prediction.best))
        with torch.no_grad():
            answer = theirs(session, frame_idx=index)
        largest = max(largest, float((answer.pred_masks[0, 0] - prediction.logits[prediction.best]).abs().max()))
    return largest
