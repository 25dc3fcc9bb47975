"""nano-sam2 built from the official classes: what loads strictly here is a complete official checkpoint."""

import torch

from samkit.models.config import ModelConfig
from tests.parity import official  # noqa: F401 (declares the operators that torchvision misses beside a CPU build of torch)


def build_official(config: ModelConfig) -> torch.nn.Module:
    """The official `SAM2Base` of that configuration, with fresh weights."""
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
    from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine
    from sam2.modeling.sam.mask_decoder import MaskDecoder
    from sam2.modeling.sam.transformer import RoPEAttention, TwoWayTransformer
    from sam2.modeling.sam2_base import SAM2Base

    encoder, decoder, memory = config.encoder, config.decoder, config.memory
    width, grid = decoder.channels, config.native_side // config.feature_stride

    def sine(channels: int) -> PositionEmbeddingSine:
        return PositionEmbeddingSine(num_pos_feats=channels, normalize=True, scale=None, temperature=10000)

    def rope(**options) -> RoPEAttention:
        return RoPEAttention(
            rope_theta=10000.0,
            feat_sizes=(grid, grid),
            embedding_dim=width,
            num_heads=1,
            downsample_rate=1,
            dropout=0.1,
            **options,
        )

    model = SAM2Base(
        image_encoder=ImageEncoder(
            trunk=Hiera(
                embed_dim=encoder.channels,
                num_heads=encoder.num_heads,
                stages=encoder.blocks_per_stage,
                global_att_blocks=encoder.global_blocks,
                window_pos_embed_bkg_spatial_size=encoder.background_size,
                window_spec=encoder.window_sizes,
            ),
            neck=FpnNeck(
                position_encoding=sine(width),
                d_model=width,
                backbone_channel_list=list(reversed(encoder.channels_per_stage)),
                fpn_top_down_levels=[2, 3],
                fpn_interp_model="nearest",
            ),
            scalp=1,
        ),
        memory_attention=MemoryAttention(
            d_model=width,
            pos_enc_at_input=True,
            num_layers=memory.layers,
            layer=MemoryAttentionLayer(
                activation="relu",
                dim_feedforward=memory.hidden,
                dropout=0.1,
                pos_enc_at_attn=False,
                self_attention=rope(),
                d_model=width,
                pos_enc_at_cross_attn_keys=True,
                pos_enc_at_cross_attn_queries=False,
                cross_attention=rope(rope_k_repeat=True, kv_in_dim=memory.channels),
            ),
        ),
        memory_encoder=MemoryEncoder(
            out_dim=memory.channels,
            in_dim=width,
            position_encoding=sine(memory.channels),
            mask_downsampler=MaskDownSampler(embed_dim=width, kernel_size=3, stride=2, padding=1),
            fuser=Fuser(
                CXBlock(dim=width, kernel_size=7, padding=3, layer_scale_init_value=1e-6, use_dwconv=True), num_layers=2
            ),
        ),
        num_maskmem=memory.memories,
        image_size=config.native_side,
        sigmoid_scale_for_mem_enc=20.0,
        sigmoid_bias_for_mem_enc=-10.0,
        use_mask_input_as_output_without_sam=True,
        directly_add_no_mem_embed=True,
        no_obj_embed_spatial=True,
        use_high_res_features_in_sam=True,
        multimask_output_in_sam=True,
        iou_prediction_use_sigmoid=True,
        use_obj_ptrs_in_encoder=True,
        add_tpos_enc_to_obj_ptrs=True,
        proj_tpos_enc_in_obj_ptrs=True,
        use_signed_tpos_enc_to_obj_ptrs=True,
        only_obj_ptrs_in_the_past_for_eval=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        fixed_no_obj_ptr=True,
        multimask_output_for_tracking=True,
        use_multimask_token_for_obj_ptr=True,
        multimask_min_pt_num=0,
        multimask_max_pt_num=1,
        use_mlp_for_obj_ptr_proj=True,
    )
    # SAM2Base builds its own decoder with the released sizes whatever the width; this one has the configuration's.
    model.sam_mask_decoder = MaskDecoder(
        num_multimask_outputs=decoder.num_masks - 1,
        transformer=TwoWayTransformer(
            depth=decoder.depth, embedding_dim=width, mlp_dim=decoder.hidden, num_heads=decoder.num_heads
        ),
        transformer_dim=width,
        iou_head_depth=len(decoder.iou_dims) - 1,
        iou_head_hidden_dim=decoder.iou_dims[1],
        use_high_res_features=decoder.high_resolution,
        iou_prediction_use_sigmoid=decoder.iou_sigmoid,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        use_multimask_token_for_obj_ptr=True,
    )
    return model.eval()
