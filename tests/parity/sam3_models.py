"""transformers' SAM 3 beside samkit's: the same random weights, saved as its users save them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

# Declares the operators without which torchvision, which transformers imports, doesn't load.
import tests.parity.official  # noqa: F401
from samkit.models.encoding import ImageEncoding
from samkit.models.geometry import plan_geometry, prepare_pixels
from samkit.models.sam import SamModel, load_model
from samkit.prompts import Prompts
from tests.parity.transformers_models import PROMPTS, picture

GRID, PATCH, WIDTH = 12, 14, 128
SIDE = GRID * PATCH
_SMALL_TRUNK = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "window_size": 4,
    "global_attn_indexes": [1, 3],
    "image_size": SIDE,
    "pretrain_image_size": 56,
}
_SMALL_DECODER = {"hidden_size": WIDTH, "mlp_dim": 64, "num_attention_heads": 4, "iou_head_hidden_dim": WIDTH}
QUIET, QUIET_AND_DEEP = 0.5, 0.3


def their_config(small: bool = True, side: int | None = None, **trunk: Any) -> dict[str, Any]:
    """side: another one than the model's own, for which transformers' rotary tables are made."""
    own = SIDE if small else 1008
    grid = (side or own) // PATCH
    backbone = {"model_type": "sam3_vit_model", "layer_norm_eps": 1e-5, **(_SMALL_TRUNK if small else {}), **trunk}
    vision: dict[str, Any] = {
        "model_type": "sam3_vision_model",
        "backbone_config": {**backbone, "image_size": side or own},
        "backbone_feature_sizes": [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
        # With the fourth level of transformers' default the embedding of no memory would go there, to be dropped.
        "scale_factors": [4.0, 2.0, 1.0],
    }
    if small:
        vision["fpn_hidden_size"] = WIDTH
    prompts = {"image_size": side or own, **({"hidden_size": WIDTH} if small else {})}
    decoder = {"dynamic_multimask_via_stability": False, **(_SMALL_DECODER if small else {})}
    return {"vision_config": vision, "prompt_encoder_config": prompts, "mask_decoder_config": decoder}


def their_model(config: dict[str, Any], quiet: float = QUIET) -> Any:
    """transformers' model, with weights that all have a say."""
    import transformers

    model = transformers.Sam3TrackerModel(transformers.Sam3TrackerConfig(**config)).eval()
    fill_randomly(model, quiet)
    return model


def fill_randomly(model: Any, quiet: float, louder: Mapping[str, float] | None = None) -> None:
    """Weights of transformers' model that all have a say and let no attention look at one token alone, which rounding
    would choose. louder: factors for those whose key has such a part.
    """
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            values, (*_, layer, _) = torch.randn(tensor.shape, generator=generator), ("", *key.rsplit(".", 2))
            if "norm" in layer and key.endswith("weight"):
                values = 1 + 0.1 * values
            elif key.endswith("bias"):
                values = 0.1 * values
            elif tensor.ndim > 1 and not any(part in layer for part in ("embed", "token")):
                values = quiet * values / tensor[0].numel() ** 0.5
            tensor.copy_(values * next((factor for part, factor in (louder or {}).items() if part in key), 1.0))
        shared = model.shared_image_embedding.positional_embedding
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)


def both(folder: Path, small: bool = True, shard: str = "5GB") -> tuple[Any, SamModel]:
    """(transformers' model, the same as samkit loads it from the folder that it was saved to). shard: of its files."""
    theirs = their_model(their_config(small), QUIET if small else QUIET_AND_DEEP)
    theirs.save_pretrained(folder, max_shard_size=shard)
    return theirs, load_model(folder, device="cpu")


@dataclass(frozen=True)
class Seen:
    """One picture encoded by both. tokens: of each of transformers' blocks; levels: its features, finest first."""

    encoding: ImageEncoding
    tokens: list[torch.Tensor]
    levels: list[torch.Tensor]


def encode_both(theirs: Any, ours: SamModel) -> Seen:
    side = ours.info.native_side
    rgb = picture(side)
    geometry = plan_geometry((side, side), ours.info.family, side, "native", ours.info.side_step)
    tokens: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, output: tokens.append(output[0]))
        for layer in theirs.vision_encoder.backbone.layers
    ]
    with torch.no_grad():
        levels = theirs.get_image_embeddings(prepare_pixels(rgb, geometry, ours.info.family))
    for hook in hooks:
        hook.remove()
    return Seen(ours.encode_image(rgb, keep_blocks=True), tokens, levels)


def compare(
    theirs: Any, ours: SamModel, prompts: Prompts, hint: torch.Tensor | None = None, seen: Seen | None = None
) -> dict[str, float]:
    """Largest differences of each block's tokens, of the features, of all logits, the predicted IoUs, the score."""
    side = ours.info.native_side
    seen = seen or encode_both(theirs, ours)
    encoding = seen.encoding
    prediction = ours.predict_masks(encoding, prompts, hint)
    given: dict[str, Any] = {}
    if prompts.points:
        given["input_points"] = side * torch.tensor([[[point[:2] for point in prompts.points]]], dtype=torch.float32)
        given["input_labels"] = torch.tensor([[[int(point[2]) for point in prompts.points]]])
    if prompts.boxes:
        given["input_boxes"] = side * torch.tensor([[list(box) for box in prompts.boxes]], dtype=torch.float32)
    if hint is not None:
        given["input_masks"] = hint[None, None]
    with torch.no_grad():
        single = theirs(image_embeddings=seen.levels, multimask_output=False, **given)
        several = theirs(image_embeddings=seen.levels, multimask_output=True, **given)
    # Their finest levels are first; no memory is added to their lowest.
    low = encoding.features[0] + ours.network.no_mem_embed.view(-1, 1, 1)
    features = (low, *encoding.features[1:])
    logits = torch.cat([single.pred_masks[0, 0], several.pred_masks[0, 0]])
    iou = torch.cat([single.iou_scores[0, 0], several.iou_scores[0, 0]])

    def apart(pairs: Any) -> float:
        return max(float((one - other).abs().max()) for one, other in pairs)

    assert encoding.blocks is not None and len(seen.tokens) == len(encoding.blocks)
    return {
        "blocks": apart(zip(seen.tokens, encoding.blocks, strict=True)),
        "features": apart(zip((level[0] for level in reversed(seen.levels)), features, strict=True)),
        "logits": apart([(logits, prediction.logits)]),
        "IoU": apart([(iou, prediction.iou)]),
        "object score": abs(float(single.object_score_logits) - float(prediction.object_score or 0)),
    }


__all__ = ["PROMPTS", "both", "compare", "encode_both", "their_config", "their_model"]
