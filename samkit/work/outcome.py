"""What a replay came to: which masks, metrics, facts and arrays are not as they were kept, and by how much."""

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from safetensors import SafetensorError

from samkit.words import listed

BANK = re.compile(r"memory_bank(_\d+)?")
"""The arrays of a result that hold the bytes of a memory bank's file: one for each object."""
NUMBERS = "biuf"
"""The kinds of numpy's types that can be subtracted as float64."""

TOLERANCE = 1e-5
"""By how much a metric or an array may move, of its largest value or of 1 where that is smaller: what float32 gives up
on another machine or device.
"""


@dataclass(frozen=True)
class ArrayDifference:
    """by: the largest |replayed - kept|; None where only one of them has the array, or it has another shape, or values
    that are no numbers.

    largest: the largest absolute value that was kept
    """

    by: float | None
    largest: float = 1.0

    def within(self, tolerance: float) -> bool:
        return self.by is not None and self.by <= tolerance * max(1.0, self.largest)


@dataclass(frozen=True)
class ReplayOutcome:
    """mask_differences, surroundings: sentences. metric_differences, fact_differences: name -> (kept, replayed); None
    where one of them has none of that name.

    array_differences: of the arrays that are not value for value the same
    surroundings:      what is not as it was when the run was kept (model file, versions, device), which may explain a
                       difference
    tolerance:         see `TOLERANCE`
    """

    mask_count: int
    mask_differences: tuple[str, ...]
    metric_differences: dict[str, tuple[object, object]]
    surroundings: tuple[str, ...]
    array_count: int = 0
    array_differences: dict[str, ArrayDifference] = field(default_factory=dict)
    tolerance: float = TOLERANCE
    fact_differences: dict[str, tuple[object, object]] = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        """Every mask has every pixel as it was kept, every fact is the same, and no array and no metric moved by more
        than the tolerance. Timings never count.
        """
        return not (self.mask_differences or self.fact_differences or self.moved_arrays or self.moved)

    @property
    def moved(self) -> tuple[str, ...]:
        """The metrics that moved by more than the tolerance, or that only one of the two has as a number."""
        return tuple(
            name for name, (then, again) in self.metric_differences.items() if not _agree(then, again, self.tolerance)
        )

    @property
    def moved_arrays(self) -> tuple[str, ...]:
        """The arrays that moved by more than the tolerance, or can't be compared."""
        return tuple(
            name for name, difference in self.array_differences.items() if not difference.within(self.tolerance)
        )

    @property
    def array_sentences(self) -> tuple[str, ...]:
        return tuple(
            f"{name} differs." if each.by is None else f"{name} differs by at most {each.by:.2g}."
            for name, each in self.array_differences.items()
        )

    @property
    def sentence(self) -> str:
        """What is identical, what is so within the tolerance, and which masks, facts, arrays and metrics are not."""
        parts = [*self._beyond_tolerance(), *self._within_tolerance(), *self._the_same()]
        if self.identical:
            parts.reverse()
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}."

    def _beyond_tolerance(self) -> list[str]:
        parts = []
        if self.mask_differences:
            parts.append(f"{len(self.mask_differences)} of {self.mask_count} masks differ")
        if self.fact_differences:
            parts.append(f"facts that differ: {', '.join(self.fact_differences)}")
        for kind, moved in (("arrays", self.moved_arrays), ("metrics", self.moved)):
            if moved:
                parts.append(f"{kind} that moved by more than {self.tolerance:g}: {', '.join(moved)}")
        return parts

    def _within_tolerance(self) -> list[str]:
        differ = {
            "array": self.array_differences and not self.moved_arrays,
            "metric": self.metric_differences and not self.moved,
        }
        near = [kind for kind, slightly in differ.items() if slightly]
        return [f"no {' and no '.join(near)} moved by more than {self.tolerance:g}"] if near else []

    def _the_same(self) -> list[str]:
        same = []
        if self.array_count and not self.array_differences:
            same.append(_all_of("array", self.array_count))
        if self.mask_count and not self.mask_differences:
            same.append(_all_of("mask", self.mask_count))
        if not self.metric_differences:
            same.append("all metrics")
        if not same:
            return []
        plural = len(same) > 1 or same[0].startswith("all")
        return [f"{listed(same)} {'are' if plural else 'is'} identical"]


def _all_of(what: str, count: int) -> str:
    return f"all {count} {what}s" if count > 1 else f"the {what}"


def _agree(kept: object, replayed: object, tolerance: float) -> bool:
    then, again = _number(kept), _number(replayed)
    if then is None or again is None:
        return False
    if then == again or (math.isnan(then) and math.isnan(again)):
        return True
    return math.isclose(then, again, rel_tol=tolerance, abs_tol=tolerance)


def _number(value: object) -> float | None:
    """A metric as a number; None for what is not a number, such as a text or an integer beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def with_bank_tensors(
    kept: Mapping[str, np.ndarray], replayed: Mapping[str, np.ndarray]
) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """The same arrays, with the tensors of two memory banks in place of their files: a file's bytes say nothing of how
    far its numbers are apart.
    """
    for bank in sorted(name for name in kept if BANK.fullmatch(name)):
        if bank in replayed and not np.array_equal(kept[bank], replayed[bank]):
            with suppress(ValueError, KeyError, TypeError, SafetensorError):
                kept, replayed = _without_file(kept, bank), _without_file(replayed, bank)
    return kept, replayed


def _without_file(arrays: Mapping[str, np.ndarray], bank: str) -> dict[str, np.ndarray]:
    others = {name: each for name, each in arrays.items() if name != bank}
    return others | _bank_tensors(bank, arrays[bank].tobytes())


def _bank_tensors(bank: str, file: bytes) -> dict[str, np.ndarray]:
    """The tensors of `MemoryBank.save`'s file, its object scores, and as text what else it says of itself."""
    from safetensors.torch import load

    from samkit.models.memory_bank import FORMAT

    tensors = {f"{bank} {name}": tensor.float().numpy() for name, tensor in load(file).items()}
    header = json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])
    record = json.loads(header["__metadata__"][FORMAT])
    scores = np.array([float(entry.pop("object_score")) for entry in record["entries"]])
    return tensors | {
        f"{bank} object_scores": scores,
        f"{bank} entries": np.array([json.dumps(record, sort_keys=True)]),
    }


def compare_masks(kept: Mapping[str, np.ndarray], replayed: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """A sentence for each mask that is not pixel for pixel the same, by name."""
    sentences = []
    for name in sorted(kept.keys() | replayed.keys()):
        if name not in replayed:
            sentences.append(f"{name} was kept, but the replay has no such mask.")
        elif name not in kept:
            sentences.append(f"{name} comes out of the replay, but was not kept.")
        elif kept[name].shape != replayed[name].shape:
            (height, width), (again_height, again_width) = kept[name].shape, replayed[name].shape
            sentences.append(
                f"{name} was {width} x {height} pixels and is {again_width} x {again_height} in the replay."
            )
        elif count := int(np.count_nonzero(kept[name] != replayed[name])):
            sentences.append(f"{name} differs in {count} of {kept[name].size} pixels.")
    return tuple(sentences)


def compare_metrics(kept: Mapping[str, object], replayed: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """The metrics that are not exactly the same, with both values. NaN is the same as NaN; what is not a number differs
    from every number.
    """
    pairs = {name: (kept.get(name), replayed.get(name)) for name in sorted(kept.keys() | replayed.keys())}
    return {name: pair for name, pair in pairs.items() if not _agree(*pair, tolerance=0)}


def compare_facts(kept: Mapping[str, object], replayed: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """The facts that are not the same, with both values."""
    pairs = {name: (kept.get(name), replayed.get(name)) for name in sorted(kept.keys() | replayed.keys())}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def compare_arrays(kept: Mapping[str, np.ndarray], replayed: Mapping[str, np.ndarray]) -> dict[str, ArrayDifference]:
    """The arrays that are not value for value the same. NaN is the same as NaN."""
    differences = {}
    for name in sorted(kept.keys() | replayed.keys()):
        if name not in kept or name not in replayed or kept[name].shape != replayed[name].shape:
            differences[name] = ArrayDifference(None)
        elif kept[name].dtype.kind not in NUMBERS or replayed[name].dtype.kind not in NUMBERS:
            if not np.array_equal(kept[name], replayed[name]):
                differences[name] = ArrayDifference(None)
        elif difference := _number_difference(kept[name].astype(np.float64), replayed[name].astype(np.float64)):
            differences[name] = difference
    return differences


def _number_difference(kept: np.ndarray, replayed: np.ndarray) -> ArrayDifference | None:
    """None for the same values."""
    other = ~((kept == replayed) | (np.isnan(kept) & np.isnan(replayed)))
    if not other.any():
        return None
    with np.errstate(all="ignore"):
        by = float(np.max(np.abs(replayed[other] - kept[other])))
    finite = np.abs(kept[np.isfinite(kept)])
    return ArrayDifference(by if math.isfinite(by) else None, float(finite.max()) if finite.size else 1.0)
