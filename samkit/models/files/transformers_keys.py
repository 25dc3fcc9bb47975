"""The names that Hugging Face transformers gives to the weights of `SamModel`, `Sam2Model` and `Sam2VideoModel`, and
the official ones. Knows no torch.
"""

import re
from collections.abc import Collection

SHARED_POSITIONS = "shared_image_embedding.positional_embedding"
"""A copy of the prompt encoder's."""
POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"
POINT_TABLE = "prompt_encoder.point_embed.weight"
"""v2's four point embeddings in one table [4, C]; officially four tables [1, C]."""

_BOTH = (
    (r"layer_norm_final_attn\.", "norm_final_attn."),
    (r"\.patch_embed\.projection\.", ".patch_embed.proj."),
    (r"\.o_proj\.", ".out_proj."),
    (r"\.shared_embedding\.positional_embedding$", ".pe_layer.positional_encoding_gaussian_matrix"),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
)
_V1 = (
    (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"^vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"^vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
    (r"^vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"^vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
    (r"^vision_encoder\.", "image_encoder."),
    (r"\.layer_norm(\d)\.", r".norm\1."),
)
_V2 = (
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"^no_memory_positional_encoding$", "no_mem_pos_enc"),
    (r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"),
    (r"^no_object_pointer$", "no_obj_ptr"),
    (r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"),
    (r"^object_pointer_proj\.", "obj_ptr_proj."),
    (r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."),
    (r"^memory_encoder\.feature_projection\.", "memory_encoder.pix_feat_proj."),
    (r"^memory_encoder\.projection\.", "memory_encoder.out_proj."),
    (r"^memory_encoder\.memory_fuser\.", "memory_encoder.fuser."),
    (r"\.depthwise_conv\.", ".dwconv."),
    (r"\.pointwise_conv(\d)\.", r".pwconv\1."),
    (r"^(memory_encoder\.fuser\.layers\.\d+)\.scale$", r"\1.gamma"),
    (r"\.layer_norm(\d?)\.", r".norm\1."),
    (r"^(prompt_encoder|mask_decoder)\.", r"sam_\1."),
)
_COMPILED = {
    family: tuple((re.compile(pattern), to) for pattern, to in (*_BOTH, *rules))
    for family, rules in (("sam1", _V1), ("sam2", _V2))
}
_CHAIN = re.compile(r"(.+)\.(proj_in|proj_out|layers\.(\d{1,4}))\.(weight|bias)$")
_MASK_CONV = re.compile(
    r"(memory_encoder\.mask_downsampler)\.(?:layers\.(\d{1,4})\.(conv|layer_norm)|final_conv)\.(weight|bias)$"
)


def official_names(keys: Collection[str], family: str) -> dict[str, str]:
    """Each of transformers' keys -> the official one. v2's table of points keeps its name, for it becomes four.

    family: "sam1" or "sam2"
    """
    have = set(keys)
    names = {}
    for key in keys:
        if key == SHARED_POSITIONS:
            if POSITIONS not in have:
                names[key] = official_name(POSITIONS, family, have)
        else:
            names[key] = key if key == POINT_TABLE else official_name(key, family, have)
    return names


def names_in(keys: Collection[str], model: Collection[str], family: str) -> dict[str, str]:
    """The same of a few of a model's keys. model: all its weights, by their official names"""
    if family not in _COMPILED:
        return {key: key for key in keys}
    have = set(keys)
    for chain in {match[1] for key in keys if (match := _CHAIN.match(key))}:
        first = _renamed(f"{chain}.layers.0.weight", family)
        count = _count(model, first.removesuffix("0.weight"), ".weight")
        have |= {f"{chain}.proj_in.weight", *(f"{chain}.layers.{layer}.weight" for layer in range(count - 2))}
    return {key: official_name(key, family, have) for key in keys}


def official_name(key: str, family: str, have: Collection[str]) -> str:
    """have: all keys of the model, for the layers of a perceptron are numbered there by what comes before them."""
    return _renamed(_numbered(key, have), family)


def _renamed(key: str, family: str) -> str:
    for pattern, to in _COMPILED[family]:
        key = pattern.sub(to, key)
    return key


def _numbered(key: str, have: Collection[str]) -> str:
    """`proj_in`, `layers.0`, `proj_out` of a perceptron as `layers.0`, `layers.1`, `layers.2`."""
    if conv := _MASK_CONV.match(key):
        name, layer, kind, end = conv.groups()
        if layer is None:
            layer, kind = str(_count(have, f"{name}.layers.", ".conv.weight")), "conv"
        return f"{name}.encoder.{3 * int(layer) + (kind == 'layer_norm')}.{end}"
    chain = _CHAIN.match(key)
    if chain is None or f"{chain[1]}.proj_in.weight" not in have:
        return key
    name, place, number, end = chain.groups()
    if place == "proj_in":
        return f"{name}.layers.0.{end}"
    layer = _count(have, f"{name}.layers.", ".weight") if place == "proj_out" else int(number)
    return f"{name}.layers.{layer + 1}.{end}"


def _count(have: Collection[str], before: str, after: str) -> int:
    number = 0
    while f"{before}{number}{after}" in have:
        number += 1
    return number
