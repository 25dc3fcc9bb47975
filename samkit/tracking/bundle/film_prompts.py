"""What marks the objects of a kept run on a film: memories and marks on frames, as prompts with their places."""

from typing import NamedTuple

from samkit.errors import SamkitError
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.film_inputs import memory_marks, steering_of


class FilmPrompts(NamedTuple):
    """place: a sentence's words for where it is; has_mask: whether a given mask marks the object there, not prompts"""

    place: str
    prompts: Prompts
    has_mask: bool = False


def film_prompts(bundle: Bundle) -> list[FilmPrompts]:
    """Of all objects: what marks them on pictures that were remembered, then on frames, in order. Of a run without a
    film, and of what can't be read, none.
    """
    record = bundle.record
    if record.video is None:
        return []
    try:
        memories, steering = memory_marks(bundle.path), steering_of(bundle.path)
    except SamkitError:
        return []
    several = steering.count > 1
    found = [
        FilmPrompts(_of(steering.name(number) if several else "", f"memory {name}"), prompts, prompts.is_empty)
        for name, number, prompts in memories
    ]
    if not memories and record.picture is not None and not record.prompts.is_empty:
        found = [FilmPrompts(f"memory {record.picture.name}", record.prompts)]
    return found + [
        FilmPrompts(
            _of(steering.name(each.object) if several else "", f"frame {each.frame}"),
            each.prompts,
            each.mask is not None,
        )
        for each in sorted(steering.corrections, key=lambda each: (each.frame, each.object))
    ]


def _of(name: str, place: str) -> str:
    return f"{name}, {place}" if name else place
