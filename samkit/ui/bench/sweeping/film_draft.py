"""A sweep over films that is being thought of. Pure: no Streamlit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samkit.errors import BadInput
from samkit.media.file_film import FileVideo
from samkit.media.films import Video
from samkit.media.folder_film import FolderVideo
from samkit.media.sample_videos import MadeVideo
from samkit.prompts import Prompts
from samkit.ui.bench.sweeping.draft import AS_GIVEN, TRUTH_RULES, Choices, Draft, spec_of_choices
from samkit.work.sweep.case import Case
from samkit.work.sweep.film_cases import film_cases
from samkit.work.sweep.spec import FilmSource, PromptRule

TRUE_MASK = "true mask"
HOW_TO_GIVE_FILM_TRUTH = (
    "under Films on this machine name a folder with, for each film, a mask of its first frame, such as walk.png for "
    "walk.mp4, or a folder with masks of its frames."
)
FILM_RULES: dict[str, PromptRule] = {
    "true box": TRUTH_RULES["true box"],
    TRUE_MASK: PromptRule(truth="mask"),
    **{name: rule for name, rule in TRUTH_RULES.items() if name != "true box"},
}
"""Prompts on a film's first annotated frame that follow from its true mask, by what they are called."""


@dataclass(frozen=True)
class FilmAtHand:
    """The film on the page. frame: of it, on which the object is marked with `prompts`"""

    film: Video
    frame: int = 0
    prompts: Prompts = Prompts()

    @property
    def sample(self) -> str:
        """Its name among the sample films; "" where it is none."""
        return self.film.name if isinstance(self.film, MadeVideo) else ""

    @property
    def path(self) -> Path | None:
        """Of its file, or of the folder with its frames; None where it has neither."""
        if isinstance(self.film, FolderVideo):
            return self.film.files[0].parent
        return self.film.path if isinstance(self.film, FileVideo) else None

    @property
    def file(self) -> str:
        """The name of its file in the sweep."""
        suffix = self.path.suffix if self.path is not None else ""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", self.film.name.removesuffix(suffix)).strip(".-")[:80]
        return f"{stem or 'film'}{suffix}"


@dataclass(frozen=True)
class FilmChoices:
    """Which films, beside what `Choices` says of models, params, prompts and the rest. at_hand: None where the film on
    the page is left out; samples: more sample films; source: films on this machine's disk
    """

    at_hand: FilmAtHand | None = None
    samples: tuple[str, ...] = ()
    source: FilmSource | None = None


def make_film_draft(choices: Choices, films: FilmChoices, others: Sequence[Case] = ()) -> Draft:
    """others: the cases of `films.source`, which whoever asks has found. Raises BadInput where something is missing or
    does not go together.
    """
    if not choices.prompts:
        raise BadInput("Choose at least one kind of prompts.")
    at_hand, sources = films.at_hand, list[FilmSource]()
    linked: dict[str, Path] = {}
    cases: list[Case] = []
    if at_hand is not None:
        source = _source(at_hand, AS_GIVEN in choices.prompts)
        sources.append(source)
        if source.samples:
            cases += film_cases((source,), 0)
        elif at_hand.path is not None:
            cases += film_cases((source.model_copy(update={"files": (str(at_hand.path),)}),), 0)
            if at_hand.path.is_file():
                linked[at_hand.file] = at_hand.path
    samples = tuple(name for name in films.samples if at_hand is None or name != at_hand.sample)
    if samples:
        sources.append(FilmSource(samples=samples))
        cases += film_cases((sources[-1],), 0)
    if films.source is not None:
        sources.append(films.source)
        cases += others
    rules = _rules(choices, films, cases)
    spec = spec_of_choices(choices, rules, films=sources)
    return Draft(spec, cases=tuple(cases), linked=linked)


def _source(at_hand: FilmAtHand, as_marked: bool) -> FilmSource:
    frame = at_hand.frame if as_marked else 0
    if at_hand.sample:
        return FilmSource(samples=(at_hand.sample,), frame=frame)
    if at_hand.path is None:
        raise BadInput("The film on the page has no file: choose other films.")
    place = at_hand.file if at_hand.path.is_file() else str(at_hand.path)
    return FilmSource(files=(place,), frame=frame, side=at_hand.film.shrunk_side)


def _rules(choices: Choices, films: FilmChoices, cases: Sequence[Case]) -> list[PromptRule]:
    rules = [FILM_RULES[name] for name in choices.prompts if name != AS_GIVEN]
    for case in cases:
        if rules and case.truth is None:
            raise BadInput(
                f"{case.name} has no true mask, from which the chosen prompts follow. Mark the object on the page and "
                f"choose “{AS_GIVEN}”; or leave the film out; or give it a true mask: {HOW_TO_GIVE_FILM_TRUTH}"
            )
    if AS_GIVEN in choices.prompts:
        at_hand = films.at_hand
        if at_hand is None or at_hand.prompts.is_empty:
            raise BadInput("Mark the object on a frame of the film first, or choose prompts that follow from its mask.")
        if len(cases) > 1:
            raise BadInput(
                "What is marked on the page belongs to its film alone: choose prompts that follow from true masks for "
                "several films."
            )
        rules = [PromptRule(points=at_hand.prompts.points, boxes=at_hand.prompts.boxes), *rules]
    return rules
