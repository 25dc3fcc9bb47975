"""From a reference to a network with its weights: which files it takes, what is done to them, and what is told of that.

A model is what its file, what lies beside it, what is remembered of it and a base make of it together. Its SHA-256 is
the file's where nothing else has a say, and otherwise follows from all that has.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from samkit.errors import CheckpointError
from samkit.models.config import ModelConfig, module_keys, read_config
from samkit.models.files.adapter import is_adapter, merge, named_base, read_adapter
from samkit.models.files.beside import said_beside, said_by_config
from samkit.models.files.catalogue import find_entry, resolve_model
from samkit.models.files.checkpoint import Checkpoint, read_checkpoint
from samkit.models.files.foreign import what_it_is
from samkit.models.files.key_layout import Layout
from samkit.models.files.key_mismatch import describe_key_mismatch
from samkit.models.files.locate import locate, plain_name
from samkit.models.files.metadata import ModelMetadata, read_metadata
from samkit.models.files.own_bytes import check_room
from samkit.models.files.reference import Choices, split_reference
from samkit.models.files.remembered import remembered
from samkit.models.files.told import extras_left_out, listed, weights_text
from samkit.models.sam_network import SamNetwork, build_network


@dataclass(frozen=True)
class LoadedWeights:
    """checkpoint: without its weights. `sha256` is the model's; `changes` are all that was done."""

    network: SamNetwork
    config: ModelConfig
    checkpoint: Checkpoint
    file_sha256: str
    name: str
    official: Mapping[str, tuple[int, ...]]
    """Official key of each weight that was loaded -> its shape."""
    settings: Mapping[str, object]
    """Native side and windows as JSON values, where others than the file said them."""


@dataclass(frozen=True)
class _Source:
    """One file with all that is said of it. own: by the file itself; said: by that and all else."""

    checkpoint: Checkpoint
    own: ModelMetadata
    said: ModelMetadata
    told: tuple[str, ...]


def load_weights(ref: str | Path) -> LoadedWeights:
    """Raises `CheckpointError` with a sentence that says what to do."""
    place, choices = split_reference(ref)
    path = resolve_model(place)
    source = _source(path, choices)
    checkpoint = source.checkpoint
    file_sha256 = checkpoint.sha256
    name = source.own.name or plain_name(path)
    state = checkpoint.state_dict
    changes = list(checkpoint.changes)
    identity: dict[str, object] = {}
    base_ref = choices.base or (_base_at_hand(path) if is_adapter(state) else "")
    if base_ref:
        base_place, base_choices = split_reference(base_ref)
        if base_choices.base:
            raise CheckpointError("A base can't have a base itself: merge the two first, or name one.")
        base = _source(resolve_model(base_place), base_choices)
        base_name = base.own.name or plain_name(base.checkpoint.path)
        state, told = _with_base(path, source, base, base_name)
        changes.append(told)
        identity["base"] = base.checkpoint.sha256
        source = _Source(checkpoint, base.own, source.said.or_else(base.said), (*base.told, *source.told))
        if is_adapter(checkpoint.state_dict):
            name = f"{name} on {base_name}"
    layout = checkpoint.layout
    config = _config(path.name, state, source.said, whole=bool(base_ref) or (layout is not None and layout.whole))
    if source.said != source.own:
        changed = _differences(state, config, source.own)
        if changed:
            identity |= changed
            changes += source.told
    if choices.part and checkpoint.others:
        identity["part"] = choices.part
    network = _built(path.name, config)
    weights, left_out = _fitting(path.name, network, module_keys(state, config), config)
    if left_out:
        changes.append(extras_left_out(left_out))
    # Half as wide weights take twice as much.
    check_room(path, sum(4 * tensor.numel() for tensor in weights.values() if tensor.dtype != torch.float32))
    weights = {key: tensor.to(torch.float32) for key, tensor in weights.items()}
    _check_finite(path.name, weights)
    with warnings.catch_warnings():
        network.load_state_dict(weights, strict=True, assign=True)
    official = {key: tuple(tensor.shape) for key, tensor in state.items() if key not in left_out}
    kept = replace(
        checkpoint, state_dict={}, changes=tuple(changes), sha256=_identity(file_sha256, identity), path=path
    )
    settings: dict[str, object] = {key: identity[key] for key in ("native_side", "window_sizes") if key in identity}
    return LoadedWeights(network, config, kept, file_sha256, name, official, settings)


def _source(path: Path, choices: Choices) -> _Source:
    checkpoint = read_checkpoint(path, choices.part)
    own = said = read_metadata(checkpoint.metadata)
    told: list[str] = []
    if not choices.plain:
        for other, where in said_by_others(path, checkpoint.layout, checkpoint.sha256):
            said = other.or_else(said)
            told.append(f"{where} {_in_words(other)}")
    chosen = ModelMetadata(native_side=choices.native_side, window_sizes=choices.window_sizes)
    if chosen != ModelMetadata():
        said = chosen.or_else(said)
        told.append(f"it was asked for with {_in_words(chosen)}")
    return _Source(checkpoint, own, said, tuple(f"{text[0].upper()}{text[1:]}." for text in told))


def said_by_others(path: Path, layout: Layout | None, sha256: str | None) -> list[tuple[ModelMetadata, str]]:
    """What others than the file itself say of it, with who says it; what counts more comes later.

    sha256: of the file; None where nobody has read it, so that nothing is remembered of it
    """
    located = locate(path)
    by_config = None
    if layout is not None and layout.named_by == "transformers":
        by_config = said_by_config(located, layout.family)
    known = (
        (by_config, "the config.json beside the file says"),
        (said_beside(located), "the JSON beside the file says"),
        (remembered(sha256) if sha256 else None, "it is remembered here that"),
    )
    return [(said, who) for said, who in known if said is not None]


def _in_words(said: ModelMetadata) -> str:
    words = {
        "native_side": f"a native side of {said.native_side} pixels",
        "window_sizes": f"windows of {', '.join(map(str, said.window_sizes or ()))}",
    }
    others = [
        text
        for name, text in (
            ("num_heads", "its attention heads"),
            ("global_blocks", "which blocks have no windows"),
            ("decoder_heads", "the decoder's heads"),
            ("memory_heads", "the memory's heads"),
        )
        if name in said
    ]
    told = [text for name, text in words.items() if name in said] + others
    return ", ".join(told) or "nothing that counts"


def _base_at_hand(path: Path) -> str:
    """The base that an adapter's configuration names, where it is on this machine; "" where it is not."""
    name = named_base(locate(path))
    return name if name is not None and find_entry(name).on_disk else ""


def _with_base(path: Path, source: _Source, base: _Source, base_name: str) -> tuple[dict[str, Tensor], str]:
    own, under = source.checkpoint.state_dict, base.checkpoint.state_dict
    digest = base.checkpoint.sha256[:12]
    if is_adapter(own):
        layout = base.checkpoint.layout
        adapter = read_adapter(locate(path), own, under, layout.family if layout is not None else "")
        merged = merge(path.name, base_name, under, adapter)
        whole = f", and {len(adapter.replaced)} were replaced" if adapter.replaced else ""
        return merged, (
            f"A LoRA adapter was merged into {weights_text(adapter.pairs)} of {base_name} (SHA-256 {digest}...){whole}."
        )
    reshaped = [key for key in own if key in under and own[key].shape != under[key].shape]
    if reshaped:
        raise CheckpointError(
            f"{base_name} can't fill what {path.name} lacks, for it is another model: {reshaped[0][:100]} has another "
            "shape there. Name the model that the file was trained from."
        )
    filled = [key for key in under if key not in own]
    return {**own, **{key: under[key] for key in filled}}, (
        f"{len(filled)} missing weights were filled from {base_name} (SHA-256 {digest}...): {listed(filled)}."
        if filled
        else f"Nothing was missing, so nothing was taken from {base_name}."
    )


def _config(name: str, state: Mapping[str, Tensor], said: ModelMetadata, whole: bool) -> ModelConfig:
    known = what_it_is(name, state.keys(), whole and any("mask_decoder." in key for key in state))
    if known is not None:
        raise CheckpointError(known)
    return read_config(state, said)


def _differences(state: Mapping[str, Tensor], config: ModelConfig, own: ModelMetadata) -> dict[str, object]:
    """What others than the file itself made of the model: by name, as JSON values; empty where that is nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            alone: ModelConfig | None = read_config(state, own)
    except CheckpointError:
        alone = None
    said, before = _described(config), _described(alone) if alone else {}
    return {name: value for name, value in said.items() if name not in before or before[name] != value}


def _described(config: ModelConfig) -> dict[str, object]:
    encoder = config.encoder
    return {
        "version": config.version,
        "native_side": config.native_side,
        "num_heads": encoder.num_heads,
        "window_sizes": list(encoder.window_sizes),
        "global_blocks": list(encoder.global_blocks),
        "decoder_heads": config.decoder.num_heads,
        "memory_heads": config.memory.num_heads if config.memory else None,
    }


def _identity(file_sha256: str, others: Mapping[str, object]) -> str:
    if not others:
        return file_sha256
    text = json.dumps({"file": file_sha256, **others}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _fitting(
    name: str, network: SamNetwork, weights: Mapping[str, Tensor], config: ModelConfig
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """(the weights that the network takes, keys of those that it has no place for)."""
    expected = {key: tensor.shape for key, tensor in network.state_dict().items()}
    extras = tuple(key for key in weights if key not in expected)
    fitting = {key: tensor for key, tensor in weights.items() if key in expected}
    mismatch = describe_key_mismatch(expected, {key: tensor.shape for key, tensor in fitting.items()})
    if mismatch:
        family = {"sam1": "SAM v1", "sam2": "SAM v2"}.get(config.family, "SAM 3")
        whole = describe_key_mismatch(expected, {key: tensor.shape for key, tensor in weights.items()})
        missing = any(key not in fitting for key in expected)
        advice = f" Name a model to fill them from, as {name}#base=NAME." if missing and not extras else ""
        raise CheckpointError(f"{name} does not fit the {family} architecture: {whole}{advice}")
    return fitting, extras


def _built(name: str, config: ModelConfig) -> SamNetwork:
    try:
        return build_network(config)
    except (RuntimeError, ValueError, OverflowError, TypeError) as error:
        raise CheckpointError(
            f"The weights in {name} have shapes that no Segment Anything model has: fetch it again, or give a SAM v1, "
            "v2, v2.1 or v3 checkpoint with the official keys."
        ) from error


def _check_finite(name: str, weights: dict[str, Tensor]) -> None:
    # A sum is quicker than looking at each number, and is finite only where all of them are. numpy's, because torch's
    # threads wait for each other at each of a thousand weights.
    with np.errstate(over="ignore", invalid="ignore"):
        broken = [
            key
            for key, tensor in weights.items()
            if not np.isfinite(tensor.numpy().sum()) and not tensor.isfinite().all()
        ]
    if broken:
        raise CheckpointError(
            f"{len(broken)} of the {len(weights)} weights in {name} are not finite numbers (NaN or infinite), "
            f"{broken[0]} among them: the training that made it went wrong, or the file is damaged. Give an "
            "earlier checkpoint, or fetch it again."
        )
