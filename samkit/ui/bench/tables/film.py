"""A film and the memories that steer it. The run is queued: it goes on in the background while the visitor looks
elsewhere, and what the visitor switches and corrects reaches it while it runs.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.errors import SamkitError
from samkit.experiments.film.film_run import FilmRun
from samkit.experiments.film.memories import record
from samkit.experiments.film.params import Params
from samkit.experiments.film.tracks import Found
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.params import build_params
from samkit.experiments.steering import Correction
from samkit.media.samples import SAMPLES, load_sample
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.kept_film import kept_film
from samkit.ui.bench.live_masks import live_link
from samkit.ui.bench.long_encoding import ask_for_encoding
from samkit.ui.bench.page import Scene, Side
from samkit.ui.bench.queued_work import draw_refusal, draw_steps, finished, follow
from samkit.ui.bench.results import shown_spec
from samkit.ui.bench.tables.film_marks import (
    LOOK,
    MASKS,
    Marked,
    beside,
    draw_marked,
    encoding_of_next_mark,
    lay_on_canvas,
    marks_left,
    mask_of_the_run,
    record_button,
    remember_choice,
    work_on_canvas,
)
from samkit.ui.bench.tables.film_steps import NextStep, draw_next_step, next_step
from samkit.ui.bench.tables.table import Places, Setup, Table, Visit, result_places, screen_rows
from samkit.ui.controls.film_objects import forget_object_words, object_choice
from samkit.ui.controls.film_picker import film_picker
from samkit.ui.controls.film_player import film_charts, film_player
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.memories import load_bank_file, record_mask_file, recorded_memories
from samkit.ui.controls.prompt_editor import canvas_frame, prompt_editor
from samkit.ui.parts.leftovers import nothing_below
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.beside_page import call_off, is_waited_for, recall_beside
from samkit.ui.state.film_frames import Sight, Step, see
from samkit.ui.state.labs import page_lab
from samkit.ui.state.recorded import FIRST_PICTURE, FilmTable, film_table
from samkit.ui.state.shown_marks import figures_of_marks
from samkit.ui.state.workspace import Workspace
from samkit.work.long_encoding import LongEncoding
from samkit.work.spec import RunSpec

NO_PROMPT = "Nothing is marked here: click the object, or choose Box and drag around it."
LOST_RUN = (
    "The run of this film is gone: the server was started anew, or nobody came back to it for too long. Film, memories "
    "and marks are as they were, and runs that you kept are under Runs. “Segment” makes this one again."
)
OF_A_FILM = ("start", "some", "count", "backwards")
"""Knobs that mean something for one film only."""
WAIT_S = 0.3
"""Between two looks whether what the page waits for is there."""
FRAME, PICTURE = ":material/movie: Frame", ":material/image: Picture"


@dataclass(frozen=True)
class FilmPlaces(Places):
    """buttons, player: below the canvas; marked: the masks of what is marked on it; strip: the memories"""

    buttons: DeltaGenerator = None  # type: ignore[assignment]
    player: DeltaGenerator = None  # type: ignore[assignment]
    marked: DeltaGenerator = None  # type: ignore[assignment]
    strip: DeltaGenerator = None  # type: ignore[assignment]


class Film(Table):
    needs_memory = "Following an object through a film"
    hovers_beside = True  # Buttons of a run answer at any moment.

    def begin(self, visit: Visit) -> None:
        table = film_table()
        if not table.visited:
            _first_visit(visit, table)

    def refresh(self, work: Workspace, knobs: KnobValues) -> None:
        table = film_table()
        if table.changed:
            knobs.forget(*OF_A_FILM)
            forget_object_words()
            table.changed = False

    def arrange(self, visit: Visit) -> Places:
        table = film_table()
        _see_how_the_run_is(table)
        rows = screen_rows()
        with rows.left:
            _source(table)
            work = work_on_canvas(visit, table)
            remember_choice(visit, table)
            if table.on_film and not work.is_marked:
                work.given.found = mask_of_the_run(table)
            live = live_link(visit, work, encoding=encoding_of_next_mark(table))
            buttons = prompt_editor(
                work,
                visit.page.name,
                no_prompt=NO_PROMPT,
                live=live,
                pick_picture=not table.on_film,
                color=table.steering.rgb(table.object),
                between="film_buttons",
            )
            assert buttons is not None
            player = st.container(key="film_below", gap="xsmall")
            marked = st.container(key="film_marked")
        main, progress = result_places(rows.right)
        strip = rows.right.container(key="film_strip", gap="xsmall")
        return FilmPlaces(rows.beside, rows.notes, main, progress, None, buttons, player, marked, strip)

    def setups(self, visit: Visit) -> list[Setup]:
        return [Setup(visit.model, visit.work.model_ref, film_table().inputs(visit.work.picture))]

    def scene(self, visit: Visit, params: Mapping[str, Any], places: Places) -> Scene | None:
        assert isinstance(places, FilmPlaces)
        table = film_table()
        table.note_marks()
        built = visit.knobs.params(Params, params)
        marked, unasked = None, None
        with places.marked:
            try:
                marked = draw_marked(visit, table)
            except LongEncoding as encoding:
                unasked = encoding
            _wait_for(MASKS, "Finding the masks of what you have marked")
            nothing_below()
        marked, left, step = self._do_what_was_asked(visit, table, built, marked)
        (setup,) = self.setups(visit)
        sight = _look(visit, table, setup, built)
        lay_on_canvas(visit, table, marked, sight)
        with places.buttons:
            draw_steps("film", table, partial(draw_next_step, table, step))
        with places.player:
            marks = figures_of_marks(table, marked.own if marked is not None else None, sight)
            gone = [number for frame, number in table.changed_marks(left)[1] if frame == table.frame]
            film_player(table, visit.model, setup.inputs, built, sight, canvas_frame(), marks, gone)
            with st.container(horizontal=True, gap="xsmall", key="film_marking"):
                object_choice(table)
                record_button(table, marked)
                nothing_below()
            _wait_for(LOOK, "Looking at this frame")
        with places.main:
            film_charts(table)
            controls = st.container(key="film_controls", gap="xsmall")
        if unasked is not None:
            # Below what is marked it would be out of sight.
            ask_for_encoding(unasked, visit.page, visit.work, controls)
        with controls:
            draw_refusal(table)
            _draw_notes(table)
            _steer(table)
        with places.strip:
            with st.container(horizontal=True, gap="xsmall"):
                record_mask_file(work_on_canvas(visit, table), table)
                load_bank_file(table, visit.model)
            recorded_memories(table, step.waiting)
        return _result(visit, table, step, controls, partial(_look_again, table, sight, left))

    def _do_what_was_asked(
        self, visit: Visit, table: FilmTable, params: Params, marked: Marked | None
    ) -> tuple[Marked | None, list[Correction], NextStep]:
        """What is marked, which marks the run does not know yet, and what the main button would do now: after what it
        was pressed for, if it was.
        """

        def standing() -> tuple[Setup, RunSpec, list[Correction], NextStep]:
            (setup,) = self.setups(visit)
            spec, left = shown_spec(visit.page, visit.work, setup, params), marks_left(table, marked)
            return setup, spec, left, next_step(table, spec, left, table.anything_remembered(setup.inputs))

        _, _, left, step = standing()
        asked = table.was_asked() and step.can
        if asked:
            # What is marked counts although nobody pressed its button, of whichever object.
            for correction in left:
                table.correct(correction)
        if not asked and not table.take_back(left):
            return marked, left, step
        if marked is not None and marked.correction in table.corrections:
            marked = replace(marked, correction=None)
        if asked:
            setup, spec, _, _ = standing()
            _take(table, step, setup, spec)
        _, _, left, step = standing()
        return marked, left, step

    def show(self, work: Workspace, knobs: KnobValues, inputs: Inputs, params: Mapping[str, Any]) -> None:
        film_table().restore(inputs)
        forget_object_words()
        if inputs.priors or not inputs.prompts.is_empty:
            work.open_picture(inputs.picture, inputs.prompts)
        # Of any other run the picture was only at hand, and took no part: whatever is in work stays.

    def show_found(self, bundle: Bundle) -> None:
        table = film_table()
        table.kept = kept_film(bundle)
        if table.kept is not None:
            table.go_to(table.kept.first)


def _draw_notes(table: FilmTable) -> None:
    _draw_discarded(table)
    _draw_put_aside(table)
    if table.lost:
        st.info(LOST_RUN, icon=":material/history_toggle_off:")
    if table.kept is not None and table.job is None:
        st.info(
            f"You see the masks and curves that were kept with the run **{plain_text(table.kept.name)}**. **Segment "
            "anew** makes them again, with what is marked and set on this page; from then on you can correct them.",
            icon=":material/inventory_2:",
        )


def _draw_discarded(table: FilmTable) -> None:
    """A way back to the run that was cancelled or discarded last."""
    job = table.discarded
    if job is None or job.run is None:
        return
    done, total = job.run.done, job.run.total
    cancelled = finished(job) is None
    said = f"Cancelled after {done} of {total} frames." if cancelled else f"Discarded: the run of {done} frames."
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="film_discarded"):
        st.caption(said)
        st.button("Bring it back", icon=":material/undo:", key="film_undiscard", on_click=table.bring_back_run)


def _draw_put_aside(table: FilmTable) -> None:
    """What was here before, and a way back to it, one after the other."""
    aside = table.aside
    if aside is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="film_aside"):
        name = plain_text(aside.name)
        more = "".join(f", then **{plain_text(each.name)}**" for each in table.put_aside[1:])
        st.caption(f"Put aside: the film **{name}** with {aside.what}{more}.")
        if st.button(f"Back to {name}", icon=":material/undo:", key="film_bring_back", type="tertiary"):
            table.bring_back()
            st.rerun()


def _result(
    visit: Visit, table: FilmTable, step: NextStep, place: DeltaGenerator, look_again: Callable[[FilmRun], None]
) -> Scene | None:
    """look_again: at the run, while it goes on"""
    job = table.job
    if job is None:
        return None
    with place:
        if table.was_active and not job.active:
            st.rerun()  # It came to rest while the page was being drawn.
        computed = finished(job)
        if computed is None:
            follow(job, look_again)
            return None
        if step.note:
            st.caption(step.note)
    return Scene(visit.page, visit.work, visit.knobs, (Side("A", computed),), job.run)


def _wait_for(name: str, what: str) -> None:
    """Say what the page waits for, if it does; the page is drawn anew when that is there."""
    waited = is_waited_for(name)
    if waited is None:
        return

    @st.fragment(run_every=WAIT_S)
    def poll() -> None:
        with st.container(key=f"film_waits_{name.replace(' ', '_')}"):
            st.caption(f":material/hourglass_top: {what}… {plain_text(waited.line)}")
        if waited.done:
            st.rerun()

    poll()


def _look_again(table: FilmTable, sight: Sight | None, left: Sequence[Correction], run: FilmRun) -> None:
    """The page is drawn anew once the run has found what the frame on the canvas lacked, and where marks were taken
    back before there was a run to tell.
    """
    found = sight is not None and sight.origin == "none" and table.frame == sight.frame and run.on(table.frame)
    if found or table.taken_back(left):
        st.rerun()


def _see_how_the_run_is(table: FilmTable) -> None:
    """When a run comes to rest, whoever watched it stands where it did; what was asked for as it ended is done."""
    job, run = table.job, table.run
    if job is None or run is None:
        table.was_active = job is not None and job.active
        return
    if not job.active and run.has_wishes and job.result is not None:
        job.resume()
    if table.was_active and not job.active and table.followed and run.latest is not None:
        table.go_to(run.latest[0])
    table.was_active = job.active


def _first_visit(visit: Visit, table: FilmTable) -> None:
    """Something to see at once that costs little: a sample picture's prompt becomes a memory, and shows on the film's
    first frame. A picture that the visitor has chosen stays where it is.
    """
    table.visited = True
    if table.recorded or table.bank is not None or table.corrections:
        return
    work, first, sample = visit.work, load_sample(FIRST_PICTURE), SAMPLES[FIRST_PICTURE]
    if work.picture.name in SAMPLES and work.prompts == SAMPLES[work.picture.name].prompts:
        work.show_picture(first, sample.prompts)
    params, prior = build_params(Params, visit.encoding), Prior(first, sample.prompts)
    with suppress(LongEncoding):
        table.record(prior, record(visit.model, prior, params, page_lab(visit.model))[1], example=True)


def _take(table: FilmTable, step: NextStep, setup: Setup, spec: RunSpec) -> None:
    """Do the step that the visitor has asked for."""
    if step.does == "take marks":
        table.take_marks()
    else:
        table.start(FilmRun, spec, setup.model, setup.inputs, "Recording the memories")
    table.was_active, table.followed = True, True


def _source(table: FilmTable) -> None:
    """Film or picture on the canvas; the choice of the film."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="film_source"):
        st.session_state["film_on_canvas"] = FRAME if table.on_film else PICTURE
        st.segmented_control(
            "On the canvas",
            [FRAME, PICTURE],
            key="film_on_canvas",
            required=True,
            label_visibility="collapsed",
            help="A frame of the film, or a picture of which a memory can be recorded",
            on_change=lambda: setattr(table, "on_film", st.session_state["film_on_canvas"] == FRAME),
        )
        film_picker(table)


def _look(visit: Visit, table: FilmTable, setup: Setup, params: Params) -> Sight | None:
    """What the memories find on the present frame; None where the canvas shows a picture."""
    open_lab, waits = partial(page_lab, visit.model, setup.inputs), False

    def recall(step: Step) -> Mapping[int, Found] | None:
        nonlocal waits
        lab = open_lab()
        waits = beside(table)
        found: Mapping[int, Found] | None
        found = recall_beside(LOOK, lab, open_lab, step) if waits else lab.recall(*step(lab))
        return found

    if not table.on_film:
        call_off(LOOK)
        return None
    try:
        return see(table, visit.model, setup.inputs, params, table.frame, True, recall)
    except LongEncoding:
        return see(table, visit.model, setup.inputs, params, table.frame, False, recall)
    except SamkitError as error:
        st.warning(plain_text(str(error)), icon=":material/broken_image:")
        return None
    finally:
        if not waits:
            call_off(LOOK)


def _steer(table: FilmTable) -> None:
    """Switches that act on the run while it goes on."""
    run, job = table.run, table.job
    if run is None or job is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="film_switches"):
        st.session_state["film_store"] = run.storing
        st.toggle(
            "Store memories",
            key="film_store",
            on_change=lambda: table.switch("store_on" if st.session_state["film_store"] else "store_off"),
            help="Whether each frame's best mask is remembered, from the next frame on",
        )
        st.button(
            "Reset",
            icon=":material/restart_alt:",
            key="film_reset",
            on_click=table.switch,
            args=("reset",),
            help="Forgets the frames remembered so far; recorded memories and marks stay",
        )
        _skip_button(table)


def _skip_button(table: FilmTable) -> None:
    """Go on elsewhere: past frames that are of no interest, or again over some."""
    run, job = table.run, table.job
    if run is None or job is None or job.active or not 0 <= (place := run.place_of(table.frame)) < run.total:
        return
    if table.frame == run.next_frame:
        return
    ahead = place > run.done
    st.button(
        f"Skip to frame {table.frame}" if ahead else f"Again from frame {table.frame}",
        icon=":material/skip_next:" if ahead else ":material/replay:",
        key="segment_from",
        on_click=table.segment_from,
        args=(table.frame,),
        help="The run goes on here, and the frames between are left out"
        if ahead
        else "This frame and those after it are segmented once more, with the memories as they are switched now",
    )
