"""The values of swept parameters, and every way to combine them."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from samkit.errors import BadInput

MAX_VALUES = 100_000
"""Of one parameter."""
AUTO = "auto"
"""What people read where a parameter is left open, so that the model or the experiment chooses."""
RANGE_KEYS = {"from", "to", "step"}


def values_of(written: Any) -> list[Any]:
    """A list as it is, a range {from, to, step} with both ends, anything else as one value. Raises BadInput for an
    empty list or a range that ends nowhere.
    """
    if isinstance(written, list):
        if not written:
            raise BadInput("This list is empty: give at least one value.")
        return written
    if not isinstance(written, Mapping):
        return [written]
    if unknown := [str(key) for key in written if key not in RANGE_KEYS]:
        raise BadInput(f"There is no {unknown[0]:.60} in a range: write {{from: 256, to: 1024, step: 256}}.")
    if set(written) != RANGE_KEYS:
        raise BadInput("A range is written {from: 256, to: 1024, step: 256}.")
    first, last, step = (written[key] for key in ("from", "to", "step"))
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (first, last, step)):
        raise BadInput("A range goes from a number to a number in steps of a number.")
    if not all(math.isfinite(value) for value in (first, last, step)) or step <= 0 or last < first:
        raise BadInput("A range goes up: from is at most to, and step is above 0.")
    # Steps are counted, so that no rounding adds up; a share of a step forgives 0.1 * 3 != 0.3.
    count = math.floor((last - first) / step + 1e-6) + 1
    if count > MAX_VALUES:
        raise BadInput(f"A range has at most {MAX_VALUES} values: take a larger step.")
    if all(isinstance(value, int) for value in (first, last, step)):
        return [first + index * step for index in range(count)]
    return [round(first + index * step, 12) for index in range(count)]


def combinations(params: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of the parameters' values, the last one moving fastest. What is in one of the groups goes
    along together.
    """
    axes = [[{name: value} for value in values_of(written)] for name, written in params.items()]
    for group in groups:
        rows = zip(*(values_of(written) for written in group.values()), strict=True)
        axes.append([dict(zip(group, row, strict=True)) for row in rows])
    for chosen in itertools.product(*axes):
        yield {name: value for part in chosen for name, value in part.items()}


def count_combinations(params: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> int:
    """How many `combinations` gives, without making them."""
    lengths = [len(values_of(written)) for written in params.values()]
    lengths += [len(values_of(next(iter(group.values())))) for group in groups if group]
    return math.prod(lengths)


def swept_names(params: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """The parameters that have more than one value."""
    return [name for part in (params, *groups) for name, written in part.items() if len(values_of(written)) > 1]
