"""A memory bank's file as somebody else may have written it: read whole, and checked before anything is made of it."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
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

Count = Annotated[int, Field(ge=0, le=MAX_ENTRIES)]
FrameNumber = Annotated[int, Field(ge=0, le=MAX_FRAME)]


class BankEntry(BaseModel):
    """frame: on the bank's clock; None for a memory from another picture or film."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: Literal["prompt", "frame"]
    frame: FrameNumber | None
    object_score: Annotated[float, Field(allow_inf_nan=False)]
    model_sha256: Annotated[str, Field(max_length=64)]
    iou: Annotated[float, Field(allow_inf_nan=False)] | None = None


class BankRules(BaseModel):
    """As `MemoryRules.to_json` writes them."""

    model_config = ConfigDict(frozen=True, strict=True)

    name: Annotated[str, Field(max_length=100)]
    mask_way: MaskWay = "sam2"
    cut_prompted: bool = False
    nearest_prompts: Count | None = None
    least_quality: Annotated[float, Field(allow_inf_nan=False)] | None = None


class BankRecord(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    version: int
    frame: FrameNumber
    max_frames: Count
    max_pointers: Count
    entries: Annotated[list[BankEntry], Field(max_length=MAX_ENTRIES)]
    rules: BankRules | None = None


@dataclass(frozen=True)
class BankContent:
    """tensors: `N.pointer` and `N.features` of entry N."""

    record: BankRecord
    tensors: Mapping[str, Tensor]
    rules: MemoryRules


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
        record = BankRecord.model_validate(json.loads(text))
        _check(record, tensors)
        rules = SAM2_RULES if record.rules is None else MemoryRules.from_json(record.rules.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
        raise BadInput(f"The memory bank in {path} is damaged ({reason}): save it again.") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"The memory bank in {path} is damaged ({str(error)[:200]}): save it again.") from error
    return BankContent(record, tensors, rules)


def _check(record: BankRecord, tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError for what no model can have remembered."""
    if record.version != FORMAT_VERSION:
        raise ValueError(f"its version is {record.version}, this samkit reads {FORMAT_VERSION}")
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
