"""The memories a visitor has recorded on pictures and on frames of the film, and the film itself."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.video_priors import FilmRun
from samkit.media.drawing import overlay
from samkit.media.films import FileVideo, Video
from samkit.media.pictures import Picture
from samkit.media.sample_videos import load_sample_video
from samkit.media.video import open_video
from samkit.prompts import Prompts
from samkit.ui.parts import style
from samkit.ui.parts.inline_image import fit_within, shrink_mask
from samkit.ui.state.films import film_store, use_film
from samkit.ui.state.jobs import JobHolder
from samkit.ui.state.kept_work import FILM_KEY, opened_film
from samkit.work.kept.value import FilmWork, Memory

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank

FIRST_FILM, FIRST_PICTURE = "coin", "coins"
"""What a first visit finds: a film, and a sample picture with what the film shows."""
THUMB_PX = (280, 200)


@dataclass(frozen=True)
class Recorded:
    """A prior and how it looks: uint8 [h, w, 3], the picture with its mask, small."""

    prior: Prior
    thumbnail: np.ndarray


@dataclass
class FilmTable(JobHolder[FilmRun]):
    """What lies on this visitor's table for films.

    bank:        memories from a file
    visited:     whether the page was shown before
    changed:     whether the visitor has put another film here since the page last looked
    drawn:       (memories recorded, whether there is a bank) when the film's part of the page was last drawn
    mask_upload: the uploaded mask file that was recorded last; bank_upload: the bank file that was taken last
    """

    video: Video
    recorded: list[Recorded] = field(default_factory=list)
    bank: "MemoryBank | None" = None
    visited: bool = False
    changed: bool = False
    drawn: tuple[int, bool] | None = None
    mask_upload: str = ""
    bank_upload: str = ""

    @property
    def remembered(self) -> tuple[int, bool]:
        """(memories recorded, whether there is a bank)."""
        return len(self.recorded), self.bank is not None

    def show_film(self, video: Video) -> None:
        """Another film. Memories stay; those of the film before become memories of pictures."""
        self.video, self.changed = video, True
        self.recorded = [replace(each, prior=replace(each.prior, film_frame=None)) for each in self.recorded]
        self.drop_run()

    def record(self, prior: Prior, mask: np.ndarray) -> None:
        prior = replace(prior, film_frame=self.video.frame_of(prior.picture))
        self.recorded.append(Recorded(prior, thumbnail(prior.picture, mask)))

    def record_prior(self, prior: Prior) -> None:
        """A prior whose mask is not known yet."""
        self.recorded.append(Recorded(prior, thumbnail(prior.picture, prior.mask)))

    def remove(self, index: int) -> None:
        del self.recorded[index]

    def inputs(self, picture: Picture) -> Inputs:
        """picture: what stands for the run where nothing is recorded."""
        priors = tuple(each.prior for each in self.recorded)
        first = priors[0] if priors else Prior(picture)
        return Inputs(
            image=first.picture,
            prompts=first.prompts if priors else Prompts(),
            video=self.video,
            priors=priors,
            bank=self.bank,
        )

    def forget_bank(self) -> None:
        self.bank = None

    def restore(self, inputs: Inputs) -> None:
        """A kept run's film and memories. A film that lies in the run's own folder is stored first, for that folder
        goes.
        """
        self.video = _stored(inputs.video or self.video)
        self.drop_run()
        self.bank = inputs.bank
        self.recorded = []
        for prior in inputs.priors:
            self.record_prior(prior)


def film_table() -> FilmTable:
    """This visitor's table; a first visit finds a sample film."""
    if FILM_KEY not in st.session_state:
        st.session_state[FILM_KEY] = _kept_table() or FilmTable(load_sample_video(FIRST_FILM))
    table: FilmTable = st.session_state[FILM_KEY]
    use_film(table.video)
    return table


def _stored(video: Video) -> Video:
    """A film that lies in a folder that goes, from the store of films."""
    if not isinstance(video, FileVideo):
        return video
    return open_video(film_store().put(video.path, video.path.name), video.name, max_side=max(video.size))


def _kept_table() -> FilmTable | None:
    """The table that lay here when the page was reloaded, or of the shared link that was opened; None without one."""
    kept = opened_film()
    if kept is None:
        return None
    film = _stored(kept.film) if kept.film is not None else load_sample_video(FIRST_FILM)
    table = FilmTable(film, bank=kept.bank, visited=True)
    table.recorded = [Recorded(memory.prior, memory.thumbnail) for memory in kept.memories]
    return table


def film_work(table: FilmTable) -> FilmWork:
    """The table as it is kept."""
    return FilmWork(table.video, tuple(Memory(each.prior, each.thumbnail) for each in table.recorded), table.bank)


def thumbnail(picture: Picture, mask: np.ndarray | None) -> np.ndarray:
    """uint8 [h, w, 3]. mask: bool [H, W], or None where it is not known."""
    small = fit_within(picture.rgb, *THUMB_PX)
    if mask is None:
        return small
    return overlay(small, shrink_mask(mask, small.shape[:2]), style.MASK_COLOR, alpha=0.5)
