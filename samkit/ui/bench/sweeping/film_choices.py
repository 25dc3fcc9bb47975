"""Which films a sweep takes: the one on the page, samples, and those on this machine's disk."""

from pathlib import Path

import streamlit as st

from samkit.errors import BadInput
from samkit.media.sample_videos import SAMPLE_VIDEOS
from samkit.prompts import Prompts
from samkit.ui.bench.sweeping.film_draft import FilmAtHand, FilmChoices
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.public import owner_only
from samkit.ui.state.recorded import FilmTable, film_table
from samkit.work.sweep.case import Case
from samkit.work.sweep.film_cases import film_cases
from samkit.work.sweep.spec import FilmSource


def choose_films() -> tuple[FilmChoices, tuple[Case, ...]]:
    """Draw the fields. (what was chosen, the cases of the films on disk). Raises BadInput where nothing was."""
    at_hand = film_at_hand(film_table())
    told = f"{plain_text(at_hand.film.name)}, from the page" + (", with its truth" if at_hand.sample else "")
    wanted = st.checkbox(told, True, key="sweep_film_at_hand")
    samples = st.multiselect(
        "Sample films",
        [name for name in SAMPLE_VIDEOS if name != at_hand.sample or not wanted],
        format_func=lambda name: f"{SAMPLE_VIDEOS[name].title} · with truth",
        key="sweep_film_samples",
        placeholder="More films",
    )
    source, others = None, tuple[Case, ...]()
    if owner_only():
        with st.expander("Films on this machine", icon=":material/folder:"):
            source, others = _on_disk()
    if not wanted and not samples and source is None:
        raise BadInput("Choose at least one film.")
    if wanted and not at_hand.prompts.is_empty:
        st.caption(f"The object is marked as on frame {at_hand.frame}. Recorded memories are no part of a sweep.")
    return FilmChoices(at_hand if wanted else None, tuple(samples), source), others


def film_at_hand(table: FilmTable) -> FilmAtHand:
    """The film on the page with what marks its object first: on the canvas, else on the earliest corrected frame."""
    if table.on_film and not (shown := table.lay_frame().prompts).is_empty:
        return FilmAtHand(table.video, table.frame, shown)
    marks = [each for each in table.corrections if each.object == table.object and not each.prompts.is_empty]
    first = min(marks, key=lambda each: each.frame, default=None)
    return FilmAtHand(table.video, *((first.frame, first.prompts) if first is not None else (0, Prompts())))


def _on_disk() -> tuple[FilmSource | None, tuple[Case, ...]]:
    files = st.text_input(
        "Films", placeholder="/data/films/*.mp4", key="sweep_film_files", help="A path, or one with * for many"
    )
    masks = st.text_input(
        "Their true masks",
        placeholder="/data/masks",
        key="sweep_film_masks",
        help="A folder with, for each film, a mask of its first frame or a folder with masks of its frames",
    )
    if not files.strip():
        return None, ()
    place = Path(files.strip()).expanduser()
    if not place.is_absolute():
        raise BadInput("Give the whole path of the films, beginning with /.")
    source = FilmSource(files=(str(place),), masks=str(Path(masks.strip()).expanduser()) if masks.strip() else None)
    cases = _found(source)
    st.caption(f"{len(cases):,} objects." if masks.strip() else f"{len(cases):,} films.")
    return source, tuple(cases)


@st.cache_data(ttl=120, max_entries=8, show_spinner="Looking for films and masks")
def _found(source: FilmSource) -> list[Case]:
    return film_cases((source,), 0)
