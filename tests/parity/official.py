"""The official packages, built from their classes with random weights: the oracle of the parity tests."""

from dataclasses import dataclass, field
from functools import partial

import torch

# torchvision's wheel is a CUDA build whose operators don't load beside a CPU torch; with these two declared it imports,
# and nothing here calls them.
for operator in ("nms", "qnms"):
    try:
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:
        pass

from sam2.modeling.backbones.hieradet import Hiera  # noqa: E402
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder  # noqa: E402
from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer  # noqa: E402
from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder  # noqa: E402
from sam2.modeling.position_encoding import PositionEmbeddingSine  # noqa: E402
from sam2.modeling.sam.transformer import RoPEAttention  # noqa: E402
from sam2.modeling.sam2_base import SAM2Base  # noqa: E402
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer  # noqa: E402


@dataclass(frozen=True)
class Sam1Size:
    channels: int
    depth: int
    num_heads: int
    global_blocks: tuple[int, ...]
    side: int = 1024
    window: int = 14
    neck: int = 256


@dataclass(frozen=True)
class Sam2Size:
    channels: int
    num_heads: int
    stages: tuple[int, ...]
    windows: tuple[int, ...]
    global_blocks: tuple[int, ...]
    background: tuple[int, int] = (7, 7)
    side: int = 1024
    version: str = "2.1"
    width: int = 256
    extra: dict = field(default_factory=dict)


SAM1_SIZES = {
    "vit_b": Sam1Size(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": Sam1Size(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": Sam1Size(1280, 32, 16, (7, 15, 23, 31)),
}
SAM2_SIZES = {
    "tiny": Sam2Size(96, 1, (1, 2, 7, 2), (8, 4, 14, 7), (5, 7, 9)),
    "small": Sam2Size(96, 1, (1, 2, 11, 2), (8, 4, 14, 7), (7, 10, 13)),
    "base_plus": Sam2Size(112, 2, (2, 3, 16, 3), (8, 4, 14, 7), (12, 16, 20), (14, 14)),
    "large": Sam2Size(144, 2, (2, 6, 36, 4), (8, 4, 16, 8), (23, 33, 43)),
}
SMALL_SAM1_SIZES = {
    "shrunken 1": Sam1Size(48, 4, 3, (1, 3), side=256, window=5, neck=32),
    "shrunken 1, odd": Sam1Size(64, 6, 2, (2, 5), side=192, window=7, neck=64),
}
SMALL_SAM2_SIZES = {
    "shrunken 2.1": Sam2Size(16, 1, (1, 2, 5, 2), (8, 4, 7, 4), (5, 7), side=256, width=128),
    "shrunken 2.0": Sam2Size(16, 2, (2, 2, 4, 1), (8, 4, 8, 4), (5,), (14, 14), side=192, version="2.0", width=128),
}


def randomise(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Fill what the official constructors leave at zero or one, so that every parameter takes part."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "pos_embed" in name or "rel_pos" in name or "no_mem_embed" in name:
                parameter.copy_(0.3 * noise)
            elif parameter.ndim == 1:
                parameter.add_(0.1 * noise)
            else:
                parameter.add_(0.02 * noise)
    return model.eval()


def official_sam1(size: Sam1Size, seed: int = 0, randomised: bool = True) -> Sam:
    """SAM v1 of that size; widths below 256 shrink the decoder too."""
    torch.manual_seed(seed)
    grid = size.side // 16
    build = randomise if randomised else lambda model, seed: model.eval()
    return build(
        Sam(
            image_encoder=ImageEncoderViT(
                depth=size.depth,
                embed_dim=size.channels,
                img_size=size.side,
                mlp_ratio=4,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
                num_heads=size.num_heads,
                patch_size=16,
                qkv_bias=True,
                use_rel_pos=True,
                global_attn_indexes=size.global_blocks,
                window_size=size.window,
                out_chans=size.neck,
            ),
            prompt_encoder=PromptEncoder(
                embed_dim=size.neck,
                image_embedding_size=(grid, grid),
                input_image_size=(size.side, size.side),
                mask_in_chans=16,
            ),
            mask_decoder=MaskDecoder(
                num_multimask_outputs=3,
                transformer=TwoWayTransformer(depth=2, embedding_dim=size.neck, mlp_dim=8 * size.neck, num_heads=8),
                transformer_dim=size.neck,
                iou_head_depth=3,
                iou_head_hidden_dim=256,
            ),
        ),
        seed,
    )


def official_sam2(size: Sam2Size, seed: int = 0, cls: type = SAM2Base, randomised: bool = True) -> SAM2Base:
    """SAM v2 or v2.1 of that size with the released yaml files' settings, post-processing off."""
    torch.manual_seed(seed)
    is_21 = size.version == "2.1"
    width = size.width

    def rope(**options) -> RoPEAttention:
        grid = size.side // 16
        return RoPEAttention(
            rope_theta=10000.0,
            feat_sizes=(grid, grid),
            embedding_dim=width,
            num_heads=1,
            downsample_rate=1,
            dropout=0.1,
            **options,
        )

    build = randomise if randomised else lambda model, seed: model.eval()
    return build(
        cls(
            image_encoder=ImageEncoder(
                trunk=Hiera(
                    embed_dim=size.channels,
                    num_heads=size.num_heads,
                    stages=size.stages,
                    global_att_blocks=size.global_blocks,
                    window_pos_embed_bkg_spatial_size=size.background,
                    window_spec=size.windows,
                ),
                neck=FpnNeck(
                    position_encoding=PositionEmbeddingSine(
                        num_pos_feats=width, normalize=True, scale=None, temperature=10000
                    ),
                    d_model=width,
                    backbone_channel_list=[size.channels * factor for factor in (8, 4, 2, 1)],
                    fpn_top_down_levels=[2, 3],
                    fpn_interp_model="nearest",
                ),
                scalp=1,
            ),
            memory_attention=MemoryAttention(
                d_model=width,
                pos_enc_at_input=True,
                num_layers=4,
                layer=MemoryAttentionLayer(
                    activation="relu",
                    dim_feedforward=2048,
                    dropout=0.1,
                    pos_enc_at_attn=False,
                    self_attention=rope(),
                    d_model=width,
                    pos_enc_at_cross_attn_keys=True,
                    pos_enc_at_cross_attn_queries=False,
                    cross_attention=rope(rope_k_repeat=True, kv_in_dim=64),
                ),
            ),
            memory_encoder=MemoryEncoder(
                out_dim=64,
                in_dim=width,
                position_encoding=PositionEmbeddingSine(
                    num_pos_feats=64, normalize=True, scale=None, temperature=10000
                ),
                mask_downsampler=MaskDownSampler(embed_dim=width, kernel_size=3, stride=2, padding=1),
                fuser=Fuser(
                    CXBlock(dim=width, kernel_size=7, padding=3, layer_scale_init_value=1e-6, use_dwconv=True),
                    num_layers=2,
                ),
            ),
            num_maskmem=7,
            image_size=size.side,
            sigmoid_scale_for_mem_enc=20.0,
            sigmoid_bias_for_mem_enc=-10.0,
            use_mask_input_as_output_without_sam=True,
            directly_add_no_mem_embed=True,
            no_obj_embed_spatial=is_21,
            use_high_res_features_in_sam=True,
            multimask_output_in_sam=True,
            iou_prediction_use_sigmoid=True,
            use_obj_ptrs_in_encoder=True,
            add_tpos_enc_to_obj_ptrs=is_21,
            proj_tpos_enc_in_obj_ptrs=is_21,
            use_signed_tpos_enc_to_obj_ptrs=is_21,
            only_obj_ptrs_in_the_past_for_eval=True,
            pred_obj_scores=True,
            pred_obj_scores_mlp=True,
            fixed_no_obj_ptr=True,
            multimask_output_for_tracking=True,
            use_multimask_token_for_obj_ptr=True,
            multimask_min_pt_num=0,
            multimask_max_pt_num=1,
            use_mlp_for_obj_ptr_proj=True,
            **size.extra,
        ),
        seed,
    )
