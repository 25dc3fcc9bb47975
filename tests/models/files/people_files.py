"""Checkpoints as people have them, each made from one small model with random weights: how trainers, wrappers and other
projects write what samkit is asked to load. `python -m tests.models.files.people_files` prints the table of
docs/checkpoints.md.
"""

import argparse
import datetime
import json
import random
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from tests.random_models import SMALL_MOBILE_SAM, SMALL_SAM1, SMALL_SAM2, random_state

State = dict[str, torch.Tensor]
SAID = {
    "sam1": {"decoder_heads": 4},
    "sam2": {
        "decoder_heads": 4,
        "native_side": 128,
        "num_heads": 1,
        "window_sizes": [8, 4, 4, 2],
        "global_blocks": [5],
    },
}
"""What the small models' shapes don't tell, for a JSON beside their file."""


@dataclass(frozen=True)
class Row:
    """One kind of file.

    write:  into a folder; gives the reference to load
    family: that it loads as, or None where it is refused
    told:   words of the change or of the refusal
    """

    what: str
    write: Callable[[Path], str]
    family: str | None
    told: str = ""
    same: bool = True
    """Whether it is the small model as it was."""


def sam1() -> State:
    return random_state(SMALL_SAM1)


def sam2() -> State:
    return random_state(SMALL_SAM2)


def saved(folder: Path, content: Any, family: str = "sam1", name: str = "model.pt") -> str:
    """Save it as torch.save does, with a JSON beside it for what the small shapes don't tell."""
    path = folder / name
    torch.save(content, path)
    path.with_suffix(".json").write_text(json.dumps(SAID[family]))
    return str(path)


def under(prefix: str, state: State) -> State:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def other(state: State) -> State:
    """Weights of the same shapes that are others."""
    return {key: tensor + 1 for key, tensor in state.items()}


def extra(*keys: str) -> State:
    return {key: torch.zeros(3) for key in keys}


HQ = extra(
    "mask_decoder.hf_token.weight", "mask_decoder.hf_mlp.layers.0.weight", "mask_decoder.compress_vit_feat.0.weight"
)
ROBUST = extra("mask_decoder.custom_robust_token.weight", "mask_decoder.robust_mlp.layers.0.weight")
SETTINGS = {
    "args": argparse.Namespace(lr=1e-4, out=Path("runs")),
    "best": np.float64(0.9),
    "when": datetime.datetime(2026, 1, 1),
    "folder": Path("runs/1"),
}

ODD_SETTINGS = {
    "steps": range(3),
    "classes": frozenset({1}),
    "rate": Fraction(1, 3),
    "history": {(0, "iou"): 0.5},
    "random": random.Random(0).getstate(),
    "numpy_random": np.random.RandomState(0).get_state(),
}
SAM1_PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")


def without(state: State, *beginnings: str) -> State:
    return {key: tensor for key, tensor in state.items() if not key.startswith(beginnings)}


def only(state: State, *beginnings: str) -> State:
    return {key: tensor for key, tensor in state.items() if key.startswith(beginnings)}


def with_base(folder: Path, state: State) -> str:
    base = Path(saved(folder, sam1(), name="base.pt"))
    return f"{saved(folder, state)}#base={base}"


def in_parts(folder: Path) -> str:
    state, index = sam1(), {}
    for number, keys in enumerate((list(state)[:20], list(state)[20:]), start=1):
        name = f"model-{number:05d}-of-00002.safetensors"
        save_file({key: state[key].contiguous() for key in keys}, folder / name)
        index |= dict.fromkeys(keys, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / "model.safetensors.index.json").with_suffix(".json").touch()
    return f"{folder}"


def only_inside(state: State, part: str) -> State:
    return {key.removeprefix(f"{part}."): tensor for key, tensor in state.items() if key.startswith(f"{part}.")}


def at_side(folder: Path, state: State, side: int) -> str:
    path = Path(saved(folder, state, "sam2"))
    path.with_suffix(".json").write_text(json.dumps(SAID["sam2"] | {"native_side": side}))
    return str(path)


def lora_on_base(folder: Path) -> str:
    base = saved(folder, sam1(), name="base.pt")
    out, inside = sam1()["image_encoder.blocks.1.attn.qkv.weight"].shape
    module = "base_model.model.image_encoder.blocks.1.attn.qkv"
    place = folder / "adapter"
    place.mkdir()
    pair = {f"{module}.lora_A.weight": torch.ones(2, inside), f"{module}.lora_B.weight": torch.ones(out, 2)}
    save_file(pair, place / "adapter_model.safetensors")
    (place / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4}))
    return f"{place}#base={base}"


def pickled_model(folder: Path) -> str:
    path = folder / "model.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    return str(path)


def foreign(*keys: str) -> Callable[[Path], str]:
    return lambda folder: saved(folder, {key: torch.zeros(2, 2) for key in keys})


ROWS = (
    Row(
        "a plain state dict",
        lambda f: saved(f, sam1()),
        "sam1",
    ),
    Row(
        '`{"model": ...}` with optimizer, epoch and loss',
        lambda f: saved(f, {"model": sam2(), "optimizer": {"state": {}}, "epoch": 3, "loss": 0.5}, "sam2"),
        "sam2",
        "epoch",
    ),
    Row(
        '`{"model_state_dict": ...}`',
        lambda f: saved(f, {"model_state_dict": sam1(), "epoch": 1}),
        "sam1",
        "model_state_dict",
    ),
    Row(
        '`{"net": ...}`',
        lambda f: saved(f, {"net": sam1()}),
        "sam1",
        '"net"',
    ),
    Row(
        '`{"ema": ...}` alone',
        lambda f: saved(f, {"ema": sam1()}),
        "sam1",
        '"ema"',
    ),
    Row(
        '`{"ema": ..., "model": ...}`: the model',
        lambda f: saved(f, {"ema": other(sam1()), "model": sam1()}),
        "sam1",
        "#ema",
    ),
    Row(
        "the same with `#ema` behind its name",
        lambda f: saved(f, {"ema": sam1(), "model": other(sam1())}) + "#ema",
        "sam1",
        '"ema"',
    ),
    Row(
        "micro-sam's `model_state` with `decoder_state`",
        lambda f: saved(f, {"model_state": under("sam.", sam1()), "decoder_state": extra("deconv.weight")}),
        "sam1",
        "decoder_state",
    ),
    Row(
        "`module.` (DataParallel)",
        lambda f: saved(f, under("module.", sam1())),
        "sam1",
        '"module."',
    ),
    Row(
        "`model.` and `state_dict` (Lightning)",
        lambda f: saved(
            f, {"state_dict": under("model.", sam2()) | extra("loss_fn.weight"), "hyper_parameters": {"lr": 1}}, "sam2"
        ),
        "sam2",
        '"model."',
    ),
    Row(
        "`sam.`",
        lambda f: saved(f, under("sam.", sam1())),
        "sam1",
        '"sam."',
    ),
    Row(
        "`_orig_mod.` (torch.compile)", lambda f: saved(f, under("_orig_mod.", sam2()), "sam2"), "sam2", '"_orig_mod."'
    ),
    Row(
        "`module.` round one part only",
        lambda f: saved(
            f, {key.replace("image_encoder.", "image_encoder.module."): each for key, each in sam1().items()}
        ),
        "sam1",
        '"module."',
    ),
    Row(
        "`module.` in `image_model.`",
        lambda f: saved(f, under("module.image_model.", sam1())),
        "sam1",
        '"image_model."',
    ),
    Row(
        "`student.` and `teacher.` in one dict",
        lambda f: saved(f, under("teacher.", other(sam1())) | under("student.", sam1())),
        "sam1",
        "#teacher",
    ),
    Row(
        "settings beside the weights: Namespace, numpy scalar, datetime, Path",
        lambda f: saved(f, {"model": sam1(), **SETTINGS}),
        "sam1",
        "args",
    ),
    Row(
        "others: a range, a set that is frozen, fractions, a dict with pairs as keys, states of random generators",
        lambda f: saved(f, {"model": sam1(), **ODD_SETTINGS}),
        "sam1",
        "steps",
    ),
    Row(
        "float16",
        lambda f: saved(f, {key: tensor.half() for key, tensor in sam2().items()}, "sam2"),
        "sam2",
        same=False,
    ),
    Row(
        "`image_encoder`, `prompt_encoder` and `mask_decoder` in dicts of their own",
        lambda f: saved(f, {part: only_inside(sam1(), part) for part in SAM1_PARTS}),
        "sam1",
        "a dict each",
    ),
    Row(
        "MedSAM2 at 512: a side in a JSON beside it",
        lambda f: at_side(f, sam2(), 512),
        "sam2",
        "a native side of 512 pixels",
    ),
    Row(
        "MobileSAM, and TinySAM, whose layers are the same",
        lambda f: saved(f, random_state(SMALL_MOBILE_SAM)),
        "sam1",
        same=False,
    ),
    Row(
        "a LoRA adapter of peft, with `#base=`",
        lora_on_base,
        "sam1",
        "A LoRA adapter was merged into 1 weight of base",
    ),
    Row(
        "buffers `pixel_mean`, `pixel_std`",
        lambda f: saved(f, sam1() | extra("pixel_mean", "pixel_std")),
        "sam1",
        "pixel_mean",
    ),
    Row(
        "SAM-HQ",
        lambda f: saved(f, sam1() | HQ),
        "sam1",
        "SAM-HQ",
    ),
    Row(
        "HQ-SAM 2",
        lambda f: saved(f, sam2() | under("sam_", HQ), "sam2"),
        "sam2",
        "SAM-HQ",
    ),
    Row(
        "RobustSAM",
        lambda f: saved(f, sam1() | ROBUST),
        "sam1",
        "RobustSAM",
    ),
    Row(
        "other weights beside a whole model",
        lambda f: saved(f, sam1() | extra("head.weight")),
        "sam1",
        "may differ",
    ),
    Row(
        "a decoder alone, with `#base=`",
        lambda f: with_base(f, only(other(sam1()), "mask_decoder.")),
        "sam1",
        "filled from base",
        same=False,
    ),
    Row(
        "a frozen encoder left out, with `#base=`",
        lambda f: with_base(f, without(sam1(), "image_encoder.")),
        "sam1",
        "filled from base",
    ),
    Row(
        "SAM v2 without its memory side",
        lambda f: saved(
            f, without(sam2(), "memory_", "obj_ptr", "no_obj", "maskmem", "no_mem_pos", "mask_downsample"), "sam2"
        ),
        "sam2",
        same=False,
    ),
    Row(
        "safetensors in parts with an index, by its folder",
        in_parts,
        "sam1",
        "2 files",
        same=False,
    ),
    Row(
        "a decoder alone",
        lambda f: saved(f, only(sam1(), "mask_decoder.")),
        None,
        "a mask decoder without an image encoder",
    ),
    Row(
        "an encoder alone",
        lambda f: saved(f, only(sam1(), "image_encoder.")),
        None,
        "an image encoder without a mask decoder",
    ),
    Row(
        "an optimizer alone",
        lambda f: saved(f, {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1}]}),
        None,
        "optimizer alone",
    ),
    Row(
        "a LoRA adapter without its base",
        foreign(
            "base_model.model.image_encoder.blocks.0.attn.qkv.lora_A.weight",
            "base_model.model.image_encoder.blocks.0.attn.qkv.lora_B.weight",
        ),
        None,
        "LoRA adapter",
    ),
    Row(
        "EdgeSAM",
        foreign("image_encoder.features.0.0.c.weight", "mask_decoder.iou_token.weight"),
        None,
        "EdgeSAM",
    ),
    Row(
        "EfficientSAM",
        foreign(
            "image_encoder.patch_embed.proj.weight",
            "prompt_encoder.invalid_points.weight",
            "mask_decoder.iou_token.weight",
        ),
        None,
        "EfficientSAM",
    ),
    Row(
        "EfficientViT-SAM", foreign("image_encoder.backbone.input_stem.op_list.0.conv.weight"), None, "EfficientViT-SAM"
    ),
    Row(
        "EdgeTAM",
        foreign("image_encoder.trunk.body.stem.conv1.weight", "spatial_perceiver.latents"),
        None,
        "EdgeTAM",
    ),
    Row(
        "EfficientTAM",
        foreign("image_encoder.trunk.patch_embed.proj.weight", "sam_mask_decoder.iou_token.weight"),
        None,
        "EfficientTAM",
    ),
    Row(
        "a whole model as `torch.save(model)` writes it",
        pickled_model,
        None,
        "torch.save(model.state_dict()",
    ),
    Row(
        "SAM 3 without its tracker",
        foreign("detector.backbone.vision_backbone.trunk.patch_embed.proj.weight"),
        None,
        "without the tracker",
    ),
    Row(
        "CLIP",
        foreign("logit_scale", "visual.conv1.weight"),
        None,
        "CLIP",
    ),
    Row(
        "a U-Net or anything else",
        foreign("encoder.conv.weight"),
        None,
        "not a Segment Anything model",
    ),
)


def before_and_after(load: Callable[[str], Any]) -> list[tuple[str, str, str]]:
    """(what, whether it loads, the sentences told of it) for each row. load: what loads a reference."""
    rows = []
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            ref = row.write(Path(folder))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    info = load(ref).info
                told = " ".join(getattr(info, "changes", ())) or "as it is"
                rows.append((row.what, "loads", told.replace(folder, "...")))
            except Exception as error:
                rows.append((row.what, "refused", str(error).replace(folder, "...")))
    return rows


if __name__ == "__main__":
    import samkit

    for what, outcome, told in before_and_after(lambda ref: samkit.load_model(ref, device="cpu")):
        sys.stdout.write(f"| {what} | {outcome} | {told} |\n")
