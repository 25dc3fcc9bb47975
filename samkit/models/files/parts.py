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


@dataclass(frozen=True)
class Part:
    """name: where in the file, with / between; "" for the file itself. beside: names of entries that are no weights."""

    name: str
    weights: Mapping[str, Stored]
    beside: tuple[str, ...]


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
        weights = {key: each for key, each in value.items() if isinstance(key, str) and isinstance(each, Stored)}
        if weights:
            parts.append(Part(name, weights, tuple(str(key) for key in value if key not in weights)))
        depth = name.count("/") + 1 if name else 0
        if depth < MAX_DEPTH:
            inner = [(key, each) for key, each in value.items() if isinstance(key, str) and isinstance(each, dict)]
            inner.sort(key=lambda entry: _FIRST.index(entry[0]) if entry[0] in _FIRST else len(_FIRST))
            waiting += [(f"{name}/{key}" if name else key, each) for key, each in inner[:MAX_PARTS]]
    return parts
