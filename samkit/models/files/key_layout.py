"""How a file names its weights: prefixes that wrappers put in front, whole other layouts, and what of it is not the
model's. Looks at keys alone. Knows no torch.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from samkit.errors import CheckpointError
from samkit.models.files.sam3_keys import PATCHES, sam3_names
from samkit.models.files.transformers_keys import official_names

_ANCHORS = {
    PATCHES: ("sam3", "official"),
    "detector_model.vision_encoder.backbone.embeddings.patch_embeddings.projection.weight": ("sam3", "transformers"),
    "vision_encoder.backbone.embeddings.patch_embeddings.projection.weight": ("sam3", "transformers"),
    "image_encoder.trunk.patch_embed.proj.weight": ("sam2", "official"),
    "image_encoder.patch_embed.proj.weight": ("sam1", "official"),
    "image_encoder.patch_embed.seq.0.c.weight": ("sam1", "official"),
    "vision_encoder.backbone.patch_embed.projection.weight": ("sam2", "transformers"),
    "vision_encoder.patch_embed.projection.weight": ("sam1", "transformers"),
}
"""A weight that each model has -> its family and who named it."""
_ANCHORS_OF_PARTS = {
    "sam_mask_decoder.iou_token.weight": ("sam2", "official"),
    "mask_decoder.output_upscaling.0.weight": ("sam1", "official"),
    "mask_decoder.obj_score_token.weight": ("sam2", "transformers"),
    "mask_decoder.upscale_conv1.weight": ("sam1", "transformers"),
    "sam_prompt_encoder.no_mask_embed.weight": ("sam2", "official"),
    "memory_attention.norm.weight": ("sam2", "official"),
}
"""The same for files that hold only a part of one."""
_WRAPPERS = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Names that torch itself puts between others, at any depth."""
_WRAPPER = re.compile(rf"(?:(?<=\.)|^)(?:{'|'.join(_WRAPPERS)})\.")
_BUFFERS = re.compile(
    r"(?:^|\.)(?:pixel_mean|pixel_std|image_mean|image_std|attention_bias_idxs|relative_position_index)$"
)
"""Constants that samkit has itself."""
_SAM3_HEADS = re.compile(r"mask_decoder\.iou_token\.weight$")
_SAM3_TABLES = re.compile(r"\.attn\.freqs_cis$")
"""Tables of rotary positions, which follow from the grid."""
_LAST = ("ema", "teacher", "average", "avg", "swa", "old", "target")
MAX_PREFIX = 120


@dataclass(frozen=True)
class Layout:
    """One model among the keys.

    prefix:    what stands in front of all its keys, once torch's own wrappers are gone
    wrappers:  which of those were there, such as "module."
    named_by:  "official" or "transformers"
    whole:     False where only a part of a model is there
    """

    family: str
    named_by: str
    prefix: str
    wrappers: tuple[str, ...]
    whole: bool

    @property
    def name(self) -> str:
        return self.prefix.rstrip(".")


@dataclass(frozen=True)
class NamedKeys:
    """names: key in the file -> official key; left_out: keys that are not the model's."""

    names: Mapping[str, str]
    left_out: tuple[str, ...]
    buffers: tuple[str, ...]


def find_layouts(keys: Collection[str]) -> list[Layout]:
    """The models that these keys hold, likely ones first: none, one, or several such as a student and a teacher."""
    short = {_WRAPPER.sub("", key) for key in keys}
    wrappers = tuple(f"{word}." for word in _WRAPPERS if any(f".{word}." in f".{key}" for key in keys))
    layouts = _anchored(short, _ANCHORS, wrappers, True) or _anchored(short, _ANCHORS_OF_PARTS, wrappers, False)
    return sorted(layouts, key=lambda layout: comes_last(layout.prefix))


def is_rotary_table(key: str) -> bool:
    """Whether it is one of SAM 3's tables of rotary positions, which are complex numbers and no weights."""
    return _SAM3_TABLES.search(key) is not None


def plain_key(key: str) -> str:
    """Without the names that torch's own wrappers put into it."""
    return _WRAPPER.sub("", key)


def comes_last(name: str) -> bool:
    """Whether a name says that its weights are an average or a copy of others."""
    return any(word in _LAST for word in re.split(r"[._/]", name.lower()))


def apply_layout(keys: Collection[str], layout: Layout) -> NamedKeys:
    """Raises CheckpointError where two weights would have the same name."""
    inner, left_out, buffers = {}, [], []
    for key in keys:
        short = _WRAPPER.sub("", key)
        if _BUFFERS.search(short) or (layout.family == "sam3" and _SAM3_TABLES.search(short)):
            buffers.append(key)
        elif short.startswith(layout.prefix):
            inner[key] = short[len(layout.prefix) :]
        else:
            left_out.append(key)
    if layout.family == "sam3":
        official = sam3_names(set(inner.values()), layout.named_by)
        left_out += [key for key, name in inner.items() if name not in official]
        # Three of transformers' weights become one, so names may come more than once.
        return NamedKeys(
            {key: official[name] for key, name in inner.items() if name in official}, tuple(left_out), tuple(buffers)
        )
    if layout.named_by == "transformers":
        official = official_names(set(inner.values()), layout.family)
        # The copy of the positions has no name of its own.
        inner = {key: official[name] for key, name in inner.items() if name in official}
    if len(set(inner.values())) != len(inner):
        raise CheckpointError(
            "Two weights of this file have the same name once its wrappers' prefixes are taken off: save the wrapped "
            "model's own state_dict()."
        )
    return NamedKeys(inner, tuple(left_out), tuple(buffers))


def _anchored(
    keys: Collection[str], anchors: Mapping[str, tuple[str, str]], wrappers: tuple[str, ...], whole: bool
) -> list[Layout]:
    found: dict[str, Layout] = {}
    for anchor, (family, named_by) in anchors.items():
        for key in keys:
            prefix = key[: -len(anchor)]
            if not key.endswith(anchor) or (prefix and not prefix.endswith(".")) or len(prefix) > MAX_PREFIX:
                continue
            if family == "sam3" and not _sam3_with_heads(prefix, keys):
                continue
            found.setdefault(prefix, Layout(family, named_by, prefix, wrappers, whole))
    order = {key: place for place, key in enumerate(sorted(found, key=lambda prefix: (len(prefix), prefix)))}
    return sorted(found.values(), key=lambda layout: order[layout.prefix])


def _sam3_with_heads(prefix: str, keys: Collection[str]) -> bool:
    """Whether a SAM 3 encoder behind that prefix has a mask decoder beside it. A detector alone is no model here."""
    if prefix.endswith("detector_model."):
        return False
    return any(_SAM3_HEADS.search(key) and key.startswith(prefix) for key in keys)
