"""Which dicts of weights a file holds, at any name: a bare state dict, one that a trainer wrapped, or several. Knows no
torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from samkit.models.files.stored_weights import OddTensor, StoredTensor

Stored = StoredTensor | OddTensor
MAX_DEPTH = 3
MAX_PARTS = 64
_FIRST = ("model", "state_dict", "model_state_dict", "model_state", "net", "weights", "params")
"""Under which names trainers put the weights, so that these are looked at before others."""
_MODULES = (
    "image_encoder",
    "prompt_encoder",
    "mask_decoder",
    "sam_prompt_encoder",
    "sam_mask_decoder",
    "memory_attention",
    "memory_encoder",
)
"""A model's own parts, which some save one by one."""


@dataclass(frozen=True)
class Part:
    """name: where in the file, with / between; "" for the file itself. beside: names of entries that are no weights.
    joined: names of the dicts that the weights were put together from.
    """

    name: str
    weights: Mapping[str, Stored]
    beside: tuple[str, ...]
    joined: tuple[str, ...] = ()


def _joined(name: str, value: Mapping[object, object]) -> Part | None:
    """The weights of a model that were saved module by module, each in a dict of its own; None where they were not."""
    modules = {key: value[key] for key in _MODULES if isinstance(value.get(key), dict)}
    weights = {
        f"{module}.{key}": each
        for module, inside in modules.items()
        for key, each in inside.items()  # type: ignore[attr-defined]
        if isinstance(key, str) and isinstance(each, Stored)
    }
    if len(modules) < 2 or not weights:
        return None
    return Part(name, weights, tuple(str(key) for key in value if key not in modules), tuple(modules))


def find_parts(content: object) -> list[Part]:
    """All dicts of the file that hold weights by name, those with a trainer's usual names first."""
    parts: list[Part] = []
    waiting: list[tuple[str, object]] = [("", content)]
    seen: set[int] = set()
    while waiting and len(parts) < MAX_PARTS:
        name, value = waiting.pop(0)
        if not isinstance(value, dict) or id(value) in seen:
            continue
        seen.add(id(value))
        if name.count("/") < MAX_DEPTH and (joined := _joined(name, value)) is not None:
            parts.append(joined)
        weights = {key: each for key, each in value.items() if isinstance(key, str) and isinstance(each, Stored)}
        if weights:
            parts.append(Part(name, weights, tuple(str(key) for key in value if key not in weights)))
        depth = name.count("/") + 1 if name else 0
        if depth < MAX_DEPTH:
            inner = [(key, each) for key, each in value.items() if isinstance(key, str) and isinstance(each, dict)]
            inner.sort(key=lambda entry: _FIRST.index(entry[0]) if entry[0] in _FIRST else len(_FIRST))
            waiting += [(f"{name}/{key}" if name else key, each) for key, each in inner[:MAX_PARTS]]
    return parts
