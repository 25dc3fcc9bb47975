"""The networks of SAM v1 and v2 in torch, and the parts they share. Nothing here knows files, pictures or screens.

Maps are channels last ([B, h, w, C]) unless a name says otherwise. Parameters are named as in the official packages, so
that their state dicts fit. What a picture goes through, in order:

vit                         image encoder of v1; its attention is in relative_attention
hiera, fpn_neck             image encoder of v2: the trunk, and the neck that makes features of its stages
memory_side                 v2 only: frames remembered by memory_encoder, looked at by memory_attention
prompt_encoder              points, boxes and mask hints to tokens
mask_decoder                tokens and features to four masks, through the two_way_transformer

The parts: linear (products that a CPU can pack), layers, windows (a map in tiles and strips), rope and sine_positions
(fixed positions), table_cache.
"""
