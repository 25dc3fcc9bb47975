"""A kept run that could not be opened, or of which something was not found when it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samkit.prompts import Prompts
from samkit.tracking.bundle.record import FilmEntry, ModelEntry, PictureEntry

Entry = ModelEntry | PictureEntry | FilmEntry


@dataclass(frozen=True)
class FailedLink:
    """A link to a kept run that could not be opened: its page shows why until the visitor tries again or goes on
    without.

    page:     name of the experiment on whose page it was followed
    sentence: what was wrong
    """

    run_id: str
    page: str
    sentence: str


@dataclass(frozen=True)
class PendingRun:
    """It is shown as it was kept when what is missing arrives.

    page:    name of its experiment
    entries: what run.json says of model, pictures and film, by its keys there
    missing: those keys that are waited for
    """

    page: str
    name: str
    params: Mapping[str, Any]
    prompts: Prompts
    entries: Mapping[str, Entry]
    missing: tuple[str, ...]
