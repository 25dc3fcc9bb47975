"""What a file is that samkit can't load: told by its keys, in a sentence that names it. And what extra weights beside a
whole model are. Knows no torch.
"""

import re
from collections.abc import Collection, Iterable

_READABLE = "SAM v1 (ViT and MobileSAM), SAM v2 and v2.1 (Hiera) and SAM 3 files can be loaded."
_WHOLE = "save the whole model's state_dict()."
_NO_SAM = "not a Segment Anything model."


def _encoder(project: str, encoder: str) -> str:
    return f"is {project}: its image encoder ({encoder}) is not in samkit. {_READABLE}"


def _part(what: str, example: str = "sam_vit_b") -> str:
    return f"holds {what}: name the model that it belongs to, as {{file}}#base={example} or {{file}}#base=PATH."


_Kinds = tuple[tuple[tuple[str, ...], str], ...]
_PROJECTS: _Kinds = (
    (
        (
            r"(^|\.)detector\.backbone\.|(^|\.)detector_model\.|backbone\.vision_backbone\.trunk\.",
            r"!mask_decoder\.iou_token\.",
        ),
        "is a SAM 3 detector without the tracker, which has the mask decoder for clicks and boxes: give the whole "
        "SAM 3 checkpoint, or name it as {file}#base=PATH.",
    ),
    ((r"image_encoder\.features\.\d+\.",), _encoder("EdgeSAM or RepViT-SAM", "RepViT")),
    ((r"image_encoder\.backbone\.(input_stem|stages)\.",), _encoder("EfficientViT-SAM", "EfficientViT")),
    ((r"image_encoder\.trunk\.body\.|spatial_perceiver\.",), _encoder("EdgeTAM", "RepViT")),
    ((r"vision_encoder\.backbone\.timm_model\.",), _encoder("EdgeTAM as transformers saves it", "RepViT")),
    (
        (r"prompt_encoder\.invalid_points\.|final_output_upscaling_layers\.",),
        _encoder("EfficientSAM", "a plain ViT without windows"),
    ),
    (
        (r"image_encoder\.trunk\.patch_embed\.proj\.weight", "!pos_embed_window"),
        _encoder("EfficientTAM, or another SAM v2 with a plain ViT", "ViT"),
    ),
)
"""Patterns that must all be found among the keys (with a ! in front: that none may have) -> whose model it is."""
_OTHERS: _Kinds = (
    (
        (r"lora_A\.|lora_B\.|lora_embedding_",),
        "is a LoRA adapter, which changes a model and is none itself: name the model that it was trained on, as "
        "{file}#base=sam_vit_b or {file}#base=PATH.",
    ),
    ((r"mask_decoder\.(iou_token|transformer)\.",), _part("a mask decoder without an image encoder")),
    (
        (r"image_encoder\.(trunk\.)?patch_embed\.|vision_encoder\.(.+\.)?patch_embed\.",),
        _part("an image encoder without a mask decoder"),
    ),
    ((r"^iou_token\.weight",), f"holds the weights of a mask decoder alone, without the prefix mask_decoder: {_WHOLE}"),
    (
        (r"^(trunk\.)?blocks\.0\.norm1\.", r"pos_embed"),
        "holds an image encoder alone (a ViT or Hiera, as it is before it learns to segment), without a prompt encoder "
        f"and a mask decoder: {_WHOLE}",
    ),
    ((r"prompt_encoder\.",), _part("a prompt encoder alone")),
    ((r"memory_attention\.|memory_encoder\.",), _part("the memory side alone", "sam2.1_hiera_tiny")),
    (
        (r"level_embed|bbox_embed\.", r"bert\.|class_embed|transformer\."),
        f"is a detector of the DETR or Grounding DINO kind, {_NO_SAM}",
    ),
    ((r"logit_scale", r"text_model\.|(^|\.)visual\."), f"is a CLIP model, {_NO_SAM}"),
    ((r"layer1\.0\.conv1\.weight",), f"is a ResNet, {_NO_SAM}"),
    ((r"down_blocks\.|up_blocks\.",), f"is a diffusion model, {_NO_SAM}"),
    ((r"^(cls_token|mask_token)$",), f"is a vision transformer of another kind (such as DINO or MAE), {_NO_SAM}"),
)
"""The same where no whole model is there."""
_HQ = (
    "hf_token|hf_mlp|compress_vit_feat|embedding_encoder|embedding_maskfeature|hq_token|hq_mask_mlp|"
    r"compress_vit_(conv|norm)\d?|encoder_(conv|norm)\d?|mask_(conv|norm)\d?"
)
_EXTRAS = (
    (rf"mask_decoder\.({_HQ})\b", "SAM-HQ's own head"),
    (r"(custom_robust_token|robust_mlp|fourier_|custom_token_block)", "RobustSAM's own head"),
    (r"(lora_|adapter|Adapter)", "adapters"),
    (r"(criterion|loss)", "a loss"),
)
_ROOTS = {
    "sam1": re.compile(r"(image_encoder|prompt_encoder|mask_decoder)\."),
    "sam2": re.compile(
        r"(image_encoder|sam_prompt_encoder|sam_mask_decoder|memory_attention|memory_encoder|maskmem_|no_mem_|no_obj_|"
        r"obj_ptr_|mask_downsample)"
    ),
}
"""How all names of a family's weights begin. SAM 3's files hold models beside it, which are left out by their names."""


def what_it_is(name: str, keys: Collection[str], whole: bool = False) -> str | None:
    """A sentence that names what the file is, or None where nothing tells.

    name: of the file; whole: whether it has the names of a whole Segment Anything model, so that it is no part of one
    """
    for patterns, sentence in _PROJECTS if whole else (*_PROJECTS, *_OTHERS):
        if all(_found(pattern.removeprefix("!"), keys) != pattern.startswith("!") for pattern in patterns):
            return f"{name} {sentence.replace('{file}', name)}"
    return None


def optimizer_alone(content: object) -> bool:
    """Whether that is what `optimizer.state_dict()` gives."""
    return isinstance(content, dict) and {"state", "param_groups"} <= content.keys() and len(content) <= 4


def what_extras_are(keys: Iterable[str]) -> str:
    """ "SAM-HQ's own head", or "" where nothing tells."""
    names = dict.fromkeys(next((name for pattern, name in _EXTRAS if re.search(pattern, key)), "") for key in keys)
    return " and ".join(name for name in names if name) if "" not in names else ""


def extras_of(family: str, names: Iterable[str]) -> list[str]:
    """Official names of weights that no network of the family has a place for, as far as their names alone tell."""
    roots = _ROOTS.get(family)
    known = re.compile("|".join(pattern for pattern, _ in _EXTRAS))
    return [name for name in sorted(names) if known.search(name) or (roots is not None and not roots.match(name))]


def _found(pattern: str, keys: Collection[str]) -> bool:
    return any(re.search(pattern, key) for key in keys)
