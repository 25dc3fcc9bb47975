"""The pictures and films of a sweep as MLflow's datasets."""

import hashlib
import json
from collections.abc import Callable, Iterable

from samkit.errors import SamkitError
from samkit.tracking.store.about import DataEntry
from samkit.work.sources import Sources
from samkit.work.spec import Ref
from samkit.work.sweep.case import Case

MAX_DATASETS = 12
"""Pictures and films that are datasets of their own, as in single runs; of more than that all are one."""


def datasets_of_sweep(cases: Iterable[Case]) -> list[DataEntry]:
    """What the cells were made on: each picture or film by the name and content that single runs give it, so that both
    are found together; or all of them as one dataset, where there are many.
    """
    pictures, films = dict[Ref, None](), dict[Ref, None]()
    for case in cases:
        if case.film is not None:
            films[case.film] = None
        else:
            pictures |= {ref: None for ref in (case.picture, case.second) if ref is not None}
    if len(pictures) + len(films) > MAX_DATASETS:
        return [_together(what, list(refs)) for what, refs in (("pictures", pictures), ("films", films)) if refs]
    sources = Sources()
    return [_alone("picture", ref, _of_picture, sources) for ref in pictures] + [
        _alone("film", ref, _of_film, sources) for ref in films
    ]


def _alone(what: str, ref: Ref, look: Callable[[Sources, Ref], tuple[str, int, int]], sources: Sources) -> DataEntry:
    name = ref.name or ref.ref
    try:
        sha256, width, height = look(sources, ref)
    except (SamkitError, OSError):
        # It was there when the sweep was run.
        return DataEntry(what, name, _digest([ref]), ref.ref, {})
    return DataEntry(what, name, sha256, ref.ref, {"width": width, "height": height})


def _of_picture(sources: Sources, ref: Ref) -> tuple[str, int, int]:
    """(SHA-256, width, height)"""
    picture = sources.picture(ref)
    height, width = picture.size
    return picture.sha256, width, height


def _of_film(sources: Sources, ref: Ref) -> tuple[str, int, int]:
    with sources.film(ref) as film:
        height, width = film.size
        return film.sha256, width, height


def _together(what: str, refs: list[Ref]) -> DataEntry:
    name = f"{len(refs):,} {what}, from {refs[0].name or refs[0].ref} on"
    return DataEntry(what, name, _digest(refs), refs[0].ref, {"count": len(refs)})


def _digest(refs: list[Ref]) -> str:
    """Of what is known of them without opening any."""
    return hashlib.sha256(json.dumps([ref.identity for ref in refs]).encode()).hexdigest()
