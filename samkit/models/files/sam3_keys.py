"""The names of SAM 3's weights in the files that people have, and which of them segmenting needs. Those of sam3.pt are
the official ones here. Knows no torch.

A file of SAM 3 holds a detector, which finds things by words, and a tracker, which takes clicks and follows objects.
Needed are the encoder that both share and the tracker; text encoder and detector stay on disk.
"""

import re
from collections.abc import Collection, Mapping

from samkit.models.files.transformers_keys import POINT_TABLE, official_names

TRUNK = "detector.backbone.vision_backbone.trunk."
NECK = "detector.backbone.vision_backbone.sam2_convs."
PATCHES = f"{TRUNK}patch_embed.proj.weight"
TABLE = f"{TRUNK}pos_embed"

_TO_MODULES = (
    (rf"^{re.escape(TRUNK)}", "image_encoder.trunk."),
    (rf"^{re.escape(NECK)}", "image_encoder.neck.convs."),
    (r"\.mlp\.fc([12])\.", lambda match: f".mlp.layers.{int(match[1]) - 1}."),
    (r"^(tracker\..+)\.mlp\.lin([12])\.", lambda match: f"{match[1]}.mlp.layers.{int(match[2]) - 1}."),
    (r"^tracker\.transformer\.encoder\.", "memory_attention."),
    (r"^tracker\.maskmem_backbone\.", "memory_encoder."),
    (r"^tracker\.", ""),
)
_TO_OFFICIAL = (
    (r"^(image_encoder\.trunk\..+\.mlp)\.layers\.([01])\.", lambda match: f"{match[1]}.fc{int(match[2]) + 1}."),
    (
        r"^(sam_mask_decoder\.transformer\..+\.mlp)\.layers\.([01])\.",
        lambda match: f"{match[1]}.lin{int(match[2]) + 1}.",
    ),
    (r"^memory_attention\.", "transformer.encoder."),
    (r"^memory_encoder\.", "maskmem_backbone."),
    (r"^(?!image_encoder\.)", "tracker."),
    (r"^image_encoder\.trunk\.", TRUNK),
    (r"^image_encoder\.neck\.convs\.", NECK),
)
_TRUNK_OF_TRANSFORMERS = (
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^layer_norm\.", "ln_pre."),
    (r"^layers\.", "blocks."),
    (r"\.layer_norm(\d)\.", r".norm\1."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.attention\.[qkv]_proj\.", ".attn.qkv."),
)
_LEVEL_OF_TRANSFORMERS = {
    "0.scale_layers.0": "0.dconv_2x2_0",
    "0.scale_layers.2": "0.dconv_2x2_1",
    "1.scale_layers.0": "1.dconv_2x2",
}
_HEADS_3_1 = (
    (r"^interactive_(sam_prompt_encoder|sam_mask_decoder|obj_ptr_proj|mask_downsample)\.", r"\1."),
    (r"^interactivity_no_mem_embed$", "no_mem_embed"),
)
_THIRDS = ("q_proj", "k_proj", "v_proj")
_NEEDED = re.compile(
    rf"^(?:{re.escape(TRUNK)}(?!.*freqs_cis)|{re.escape(NECK)}[012]\.|tracker\.(?:sam_prompt_encoder|sam_mask_decoder|"
    r"transformer\.encoder|maskmem_backbone|maskmem_tpos_enc|no_mem_embed|no_mem_pos_enc|no_obj_ptr|"
    r"no_obj_embed_spatial|mask_downsample|obj_ptr_proj|obj_ptr_tpos_proj)(?:\.|$))"
)
_FREQUENCIES = re.compile(rf"^{re.escape(TRUNK)}blocks\.(\d{{1,3}})\.attn\.freqs_cis$")
MULTIPLEX = "tracker.model.interactive_sam_mask_decoder."
"""What the heads of a 3.1 file are called."""


def module_name(official: str) -> str:
    """As SAM v2's official keys are, and the encoder's as samkit's modules are."""
    for pattern, to in _TO_MODULES:
        official = re.sub(pattern, to, official)
    return official


def official_name(name: str) -> str:
    """The inverse of `module_name`."""
    for pattern, to in _TO_OFFICIAL:
        name = re.sub(pattern, to, name)
    return name


def sam3_names(keys: Collection[str], named_by: str) -> dict[str, str]:
    """Each key that is needed -> its official name. named_by: "official" for sam3.pt and sam3.1_multiplex.pt, or
    "transformers", whose names for the thirds of queries, keys and values all lead to one, see `third_of`; its table of
    points keeps its name, for it becomes four.
    """
    names = _from_transformers(keys) if named_by == "transformers" else {key: _from_official(key) for key in keys}
    return {key: name for key, name in names.items() if _NEEDED.match(name) or name == POINT_TABLE}


def third_of(key: str) -> int | None:
    """Which third of `attn.qkv` a weight is that transformers keeps on its own, 0 to 2; None for any other."""
    words = key.split(".")
    if len(words) > 2 and words[-3] == "attention" and words[-2] in _THIRDS and "backbone" in words:
        return _THIRDS.index(words[-2])
    return None


def windows_by_tables(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, object]:
    """What the tables of rotary positions in a file say, as entries of the metadata: each has a row for every token of
    its block's window, or of the whole map in a block without windows. shapes: of all entries, under official names.
    """
    rows = {int(match[1]): shape[0] for key, shape in shapes.items() if shape and (match := _FREQUENCIES.match(key))}
    sides = {block: round(count**0.5) for block, count in rows.items()}
    patches = shapes.get(PATCHES, ())
    if len(set(sides.values())) != 2 or len(patches) != 4 or any(sides[block] ** 2 != rows[block] for block in rows):
        return {}
    window, grid = min(sides.values()), max(sides.values())
    return {
        "window_sizes": [window] * 4,
        "global_blocks": sorted(block for block, side in sides.items() if side == grid),
        "native_side": grid * patches[-1],
    }


def _from_official(key: str) -> str:
    key = key.replace(".vision_backbone.interactive_convs.", ".vision_backbone.sam2_convs.")
    if key.startswith("tracker.model."):
        inner = key.removeprefix("tracker.model.")
        for pattern, to in _HEADS_3_1:
            inner, changed = re.subn(pattern, to, inner)
            if changed:
                return f"tracker.{inner}"
    return key


def _from_transformers(keys: Collection[str]) -> dict[str, str]:
    trackers = any(key.startswith("tracker_neck.") for key in keys)
    names, heads = {}, {}
    for key in keys:
        short = key.removeprefix("detector_model.")
        if short.startswith("vision_encoder.backbone."):
            name = short.removeprefix("vision_encoder.backbone.")
            for pattern, to in _TRUNK_OF_TRANSFORMERS:
                name = re.sub(pattern, to, name)
            names[key] = TRUNK + name
        elif short.startswith("vision_encoder.neck.fpn_layers." if not trackers else "tracker_neck.fpn_layers."):
            level = short.partition(".fpn_layers.")[2]
            for theirs, ours in _LEVEL_OF_TRANSFORMERS.items():
                level = level.replace(f"{theirs}.", f"{ours}.")
            names[key] = NECK + level.replace(".proj1.", ".conv_1x1.").replace(".proj2.", ".conv_3x3.")
        elif not key.startswith(("detector_model.", "text_encoder.", "vision_encoder.")):
            heads[key.removeprefix("tracker_model.")] = key
    for short, name in official_names(heads.keys(), "sam2").items():
        names[heads[short]] = name if name == POINT_TABLE else official_name(name)
    return names
