"""YAML that somebody wrote by hand: its values, and the line on which each stands."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from samkit.errors import BadInput

MAX_DEPTH = 20
Place = tuple[str | int, ...]
"""Where a value stands: keys and indices from the outside in."""


class Lines:
    """Which line each value of a text stands on."""

    def __init__(self, lines: dict[Place, int]):
        self._lines = lines

    def of(self, place: Sequence[str | int]) -> int:
        """The line of the innermost part of `place` that is in the text, from 1."""
        for length in range(len(place), 0, -1):
            if (known := self._lines.get(tuple(place[:length]))) is not None:
                return known
        return 1

    def wrong(self, place: Sequence[str | int], sentence: str) -> BadInput:
        """An error that names the line."""
        return BadInput(f"Line {self.of(place)}: {sentence}")


def read_yaml(text: str) -> tuple[Any, Lines]:
    """(the values, where they stand). Raises BadInput for what is not YAML, for a key that is there twice, and for
    aliases, of which a few lines can mean more than any memory holds.
    """
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            # Here and not later: what is deep takes the time of its length squared to read.
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise BadInput(f"Line {event.start_mark.line + 1}: this is nested too deeply.")
            if isinstance(event, yaml.AliasEvent):
                raise BadInput(
                    f"Line {event.start_mark.line + 1}: write *{event.anchor} out, for aliases are not read."
                )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_places(node, ())) if node is not None else {}
        return yaml.safe_load(text), Lines(lines)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f"Line {mark.line + 1}" if mark is not None else "The text"
        raise BadInput(f"{where} is not YAML: {problem or 'it holds characters that no text has'}.") from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise BadInput(f"This YAML can't be read ({str(error)[:100] or 'too deep'}).") from error


def _places(node: Any, place: Place) -> Iterator[tuple[Place, int]]:
    """Of a key the line that it is on, of an entry of a list its own."""
    if isinstance(node, yaml.MappingNode):
        known: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in known:
                raise BadInput(f'Line {line}: "{name:.60}" is there twice, first on line {known[name]}: give it once.')
            known[name] = line
            yield (*place, name), line
            yield from _places(value, (*place, name))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*place, index), value.start_mark.line + 1
            yield from _places(value, (*place, index))
