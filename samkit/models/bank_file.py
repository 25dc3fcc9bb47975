"""A memory bank's file as somebody else may have written it: read whole, and checked before anything is made of it."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from samkit.errors import BadInput
from samkit.files import opened_regular
from samkit.models.files.tables import CutShort, TableDamaged, read_safetensors_header
from samkit.models.memory_rules import SAM2_RULES, MaskWay, MemoryRules

FORMAT = "samkit-memory-bank"
FORMAT_VERSION = 1
MAX_BYTES = 2**30
MAX_ENTRIES = 10_000
MAX_FRAME = 10**9
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class BankEntry:
    """frame: on the bank's clock; None for a memory from another picture or film."""

    kind: str
    frame: int | None
    object_score: float
    model_sha256: str
    iou: float | None


@dataclass(frozen=True)
class BankRecord:
    frame: int
    max_frames: int
    max_pointers: int
    entries: tuple[BankEntry, ...]
    rules: MemoryRules


@dataclass(frozen=True)
class BankContent:
    """tensors: `N.pointer` and `N.features` of entry N."""

    record: BankRecord
    tensors: Mapping[str, Tensor]


def read_bank_file(path: Path) -> BankContent:
    """Raises BadInput with a sentence for whatever `MemoryBank.save` has not written."""
    try:
        with opened_regular(path, MAX_BYTES) as (file, size):
            data = file.read(size)
        metadata = read_safetensors_header(io.BytesIO(data), len(data))[0].get("__metadata__")
        text = metadata.get(FORMAT) if isinstance(metadata, dict) else None
        tensors = safetensors.torch.load(data) if text is not None else {}
    except (CutShort, TableDamaged) as error:
        raise BadInput(
            f"{path} can't be read as a memory bank: it is damaged, or none. Give a file that samkit saved."
        ) from error
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise BadInput(
            f"{path} can't be read as a memory bank ({str(error)[:200]}): give a file that samkit saved."
        ) from error
    if text is None:
        raise BadInput(f"{path} is a safetensors file, but not a memory bank: give a file that samkit saved as one.")
    try:
        record = _record(json.loads(text))
        _check(record, tensors)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"The memory bank in {path} is damaged ({str(error)[:200]}): save it again.") from error
    return BankContent(record, tensors)


def _record(said: object) -> BankRecord:
    """Raises ValueError for values that can't be."""
    if not isinstance(said, dict):
        raise ValueError("its record is none")
    if _whole(said, "version", FORMAT_VERSION) != FORMAT_VERSION:
        raise ValueError(f"this samkit reads version {FORMAT_VERSION}")
    entries = said.get("entries")
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise ValueError("its list of memories is none")
    return BankRecord(
        _whole(said, "frame", MAX_FRAME),
        _whole(said, "max_frames", MAX_ENTRIES),
        _whole(said, "max_pointers", MAX_ENTRIES),
        tuple(map(_entry, entries)),
        SAM2_RULES if "rules" not in said else _rules(said["rules"]),
    )


def _entry(said: object) -> BankEntry:
    if not isinstance(said, dict) or said.get("kind") not in ("prompt", "frame"):
        raise ValueError("one of its memories is neither a prompt nor a frame")
    model = said.get("model_sha256")
    if not isinstance(model, str) or len(model) > 64:
        raise ValueError("one of its memories names no model")
    return BankEntry(
        said["kind"],
        None if said.get("frame") is None else _whole(said, "frame", MAX_FRAME),
        _finite(said, "object_score"),
        model,
        None if said.get("iou") is None else _finite(said, "iou"),
    )


def _rules(said: object) -> MemoryRules:
    if not isinstance(said, dict) or not isinstance(said.get("name"), str) or len(said["name"]) > 100:
        raise ValueError("its memory rules have no name")
    if said.get("mask_way", "sam2") not in get_args(MaskWay) or not isinstance(said.get("cut_prompted", False), bool):
        raise ValueError("its memory rules are none")
    for name, check in (("nearest_prompts", partial(_whole, most=MAX_ENTRIES)), ("least_quality", _finite)):
        if said.get(name) is not None:
            check(said, name)
    return MemoryRules.from_json(said)


def _whole(said: Mapping[str, Any], name: str, most: int) -> int:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"its {name} is not a whole number from 0 to {most}")
    return value


def _finite(said: Mapping[str, Any], name: str) -> float:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e30 < value < 1e30:
        raise ValueError(f"its {name} is not a number")
    return float(value)


def _check(record: BankRecord, tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError for what no model can have remembered."""
    if len({entry.model_sha256 for entry in record.entries}) > 1:
        raise ValueError("its memories are of several models")
    widths = set()
    for index, entry in enumerate(record.entries):
        pointer, features = tensors.get(f"{index}.pointer"), tensors.get(f"{index}.features")
        if pointer is None:
            raise ValueError(f"the pointer of memory {index} is missing")
        if entry.kind == "prompt" and features is None:
            raise ValueError(f"the map of prompt {index} is missing")
        if entry.kind == "frame" and (entry.frame is None or entry.frame > record.frame):
            raise ValueError(f"memory {index} is of no frame that was seen")
        for name, tensor, sides in (("pointer", pointer, 1), ("map", features, 3)):
            if tensor is None:
                continue
            if tensor.ndim != sides or tensor.numel() == 0 or tensor.dtype not in _DTYPES:
                raise ValueError(f"the {name} of memory {index} is none")
            if not bool(tensor.isfinite().all()):
                raise ValueError(f"the {name} of memory {index} has numbers that are not finite")
            widths.add((name, tensor.shape[-1]))
    if len(widths) > 2 or len({name for name, _ in widths}) < len(widths):
        raise ValueError("its memories are of several widths")
    times = [entry.frame for entry in record.entries if entry.kind == "frame" and entry.frame is not None]
    if any(later <= earlier for earlier, later in zip(times, times[1:], strict=False)):
        raise ValueError("its frames are not in order")
