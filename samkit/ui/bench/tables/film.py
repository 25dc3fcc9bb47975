"""A film and the memories that steer it. The run is queued: it goes on in the background while the visitor looks
elsewhere, and what the visitor switches and corrects reaches it while it runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.errors import SamkitError
from samkit.experiments.film.film_run import FilmRun
from samkit.experiments.film.memories import record
from samkit.experiments.film.params import Params
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.measures.predicted_masks import chosen_index, cut_masks, mask_rows, predict, stability_scores
from samkit.experiments.measures.truth import add_true_ious
from samkit.experiments.params import build_params
from samkit.experiments.steering import Correction
from samkit.media.rle import mask_to_rle
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.live_masks import live_link
from samkit.ui.bench.page import Scene, Side
from samkit.ui.bench.queued_work import Buttons, draw_buttons, finished, follow
from samkit.ui.bench.results import shown_spec
from samkit.ui.bench.tables.table import Places, Setup, Table, Visit, result_places, screen_rows
from samkit.ui.controls.canvas import lay_masks
from samkit.ui.controls.film_objects import object_choice
from samkit.ui.controls.film_picker import film_picker
from samkit.ui.controls.film_player import film_charts, film_player
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.masks_panel import masks_panel
from samkit.ui.controls.memories import load_bank_file, record_mask_file, recorded_memories
from samkit.ui.controls.prompt_editor import canvas_frame, prompt_editor
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.film_frames import Sight, see
from samkit.ui.state.given import FoundMask, found_mask
from samkit.ui.state.labs import page_lab
from samkit.ui.state.recorded import FIRST_PICTURE, FilmTable, film_table
from samkit.ui.state.workspace import Workspace
from samkit.work.queue import BackgroundJob
from samkit.work.spec import RunSpec

NO_PROMPT = "Nothing is marked here: click the object, or choose Box and drag around it."
NO_MEMORY = "Mark an object on a frame first, or record a memory"
OLD_RUN = (
    ":material/info: Memories, objects, knobs, film or model have changed since this run: segment anew to see their "
    "effect."
)
LOST_RUN = (
    "The run of this film is gone: the server was started anew, or nobody came back to it for too long. Film, memories "
    "and marks are as they were, and runs that you kept are under Runs. “Segment” makes this one again."
)
BUTTONS = Buttons("film", "Segment", "Segment anew", "Pause", "Finish here")
OF_A_FILM = ("start", "some", "count", "backwards", "inspect")
"""Knobs that mean something for one film only."""
FRAME, PICTURE = ":material/movie: Frame", ":material/image: Picture"


@dataclass(frozen=True)
class FilmPlaces(Places):
    """player: below the canvas; marked: the masks of what is marked on it; strip: the memories"""

    player: DeltaGenerator = None  # type: ignore[assignment]
    marked: DeltaGenerator = None  # type: ignore[assignment]
    strip: DeltaGenerator = None  # type: ignore[assignment]


class Film(Table):
    needs_memory = "Following an object through a film"

    def begin(self, visit: Visit) -> None:
        table = film_table()
        if not table.visited:
            _first_visit(visit, table)

    def refresh(self, work: Workspace, knobs: KnobValues) -> None:
        table = film_table()
        if table.changed:
            knobs.forget(*OF_A_FILM)
            table.changed = False

    def arrange(self, visit: Visit) -> Places:
        table = film_table()
        _see_how_the_run_is(table)
        rows = screen_rows()
        with rows.left:
            _source(table)
            work = _work(visit, table)
            if table.on_film and not work.is_marked:
                work.given.found = _of_the_run(table)
            live = live_link(visit, work)
            prompt_editor(
                work,
                visit.page.name,
                no_prompt=NO_PROMPT,
                live=live,
                pick_picture=not table.on_film,
                color=table.steering.rgb(table.object),
            )
            player = st.container(key="film_below", gap="xsmall")
            marked = st.container(key="film_marked")
        notes, main, progress = result_places(rows.right)
        strip = rows.right.container(key="film_strip", gap="xsmall")
        return FilmPlaces(rows.beside, notes, main, progress, None, player, marked, strip)

    def setups(self, visit: Visit) -> list[Setup]:
        return [Setup(visit.model, visit.work.model_ref, film_table().inputs(visit.work.picture))]

    def scene(self, visit: Visit, params: Mapping[str, Any], places: Places) -> Scene | None:
        assert isinstance(places, FilmPlaces)
        table, (setup,) = film_table(), self.setups(visit)
        built = visit.knobs.params(Params, params)
        with places.marked:
            prior, mask = _marked(visit, table)
        correction = _correction(table, prior, mask) if table.on_film and prior is not None else None
        missing = "" if correction is not None or table.anything_remembered(setup.inputs) else NO_MEMORY
        starts = table.was_asked() and not missing
        if starts and correction is not None:
            # What is marked on the present frame counts although nobody pressed its button.
            table.drop_run()
            table.correct(correction)
            (setup,), correction = self.setups(visit), None
        present = shown_spec(visit.page, visit.work, setup, built)
        if starts:
            _start(table, setup, present)
        sight = _look(visit, table, setup, built) if table.on_film else None
        with places.player:
            film_player(table, visit.model, setup.inputs, built, sight, canvas_frame())
            with st.container(horizontal=True, gap="xsmall", key="film_marking"):
                object_choice(table)
                _mark_buttons(table, prior, mask, correction)
        with places.main:
            film_charts(table)
            controls = st.container(key="film_controls", gap="xsmall")
        with controls:
            with st.container(horizontal=True, gap="xsmall", key="film_buttons"):
                draw_buttons(BUTTONS, table, missing)
            if table.lost:
                st.info(LOST_RUN, icon=":material/history_toggle_off:")
            _steer(table)
        with places.strip:
            with st.container(horizontal=True, gap="xsmall"):
                record_mask_file(_work(visit, table), table)
                load_bank_file(table, visit.model)
            recorded_memories(table)
        if prior is None and (table.job is None or not table.job.active):
            _ready_to_hover(visit, table)
        return _result(visit, table, present, controls)

    def show(self, work: Workspace, knobs: KnobValues, inputs: Inputs, params: Mapping[str, Any]) -> None:
        film_table().restore(inputs)
        work.show_picture(inputs.picture, inputs.prompts)


def _result(visit: Visit, table: FilmTable, present: RunSpec, place: DeltaGenerator) -> Scene | None:
    job = table.job
    if job is None:
        return None
    with place:
        computed = finished(job)
        if computed is None:
            follow(job)
            return None
        if table.was_active:
            st.rerun()  # It came to its end while the page was being drawn.
        if not _is_of(job, present):
            st.caption(OLD_RUN)
    return Scene(visit.page, visit.work, visit.knobs, (Side("A", computed),), job.run)


def _see_how_the_run_is(table: FilmTable) -> None:
    """When a run comes to rest, whoever watched it stands where it did; what was asked for as it ended is done."""
    job, run = table.job, table.run
    if job is None or run is None:
        table.was_active = job is not None
        return
    if not job.active and run.has_wishes and job.result is not None:
        job.resume()
    if job.active and not table.was_active:
        table.followed = True
    if table.was_active and not job.active and table.followed and run.latest is not None:
        table.go_to(run.latest[0])
    table.was_active = job.active


def _is_of(job: BackgroundJob[FilmRun], present: RunSpec) -> bool:
    """Whether the job was started with what the page shows, or has been told of it since. Beside memory banks alone,
    the picture on the table has no part in the run.
    """
    assert job.run is not None
    done = replace(job.spec, steering=job.run.steering)
    told = replace(present, steering=replace(present.steering, switches=done.steering.switches))
    return done.id == (told if told.priors else replace(told, image=done.image)).id


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
    table.record(prior, record(visit.model, prior, params, page_lab(visit.model))[1], example=True)


def _start(table: FilmTable, setup: Setup, spec: RunSpec) -> None:
    table.start(FilmRun, spec, setup.model, setup.inputs, "Recording the memories")
    table.was_active, table.followed = True, True


def _work(visit: Visit, table: FilmTable) -> Workspace:
    """What is on the canvas."""
    return table.lay_frame() if table.on_film else visit.work


def _of_the_run(table: FilmTable) -> FoundMask | None:
    """What the run has found of the object on the present frame, to begin a correction with."""
    found = table.run.on(table.frame).get(table.object) if table.run is not None else None
    if found is None or not found.pixels.any():
        return None
    return FoundMask(found.row["best"], found.pixels, name=f"the run's mask of frame {table.frame}")


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
    """What the memories find on the present frame, laid on the canvas as long as nothing is marked there."""
    try:
        sight = see(table, visit.model, setup.inputs, params, table.frame, look=True)
    except SamkitError as error:
        st.warning(plain_text(str(error)), icon=":material/broken_image:")
        return None
    work = table.frame_work
    if not work.is_marked:
        found = sight.found.get(table.object)
        lay_masks(canvas_frame(), work.picture, work.prompts, [found.pixels] if found is not None else [], 0)
    return sight


def _marked(visit: Visit, table: FilmTable) -> tuple[Prior, Any] | tuple[None, None]:
    """Draw the four masks of the prompts on the canvas; (what the chosen one makes, its mask bool [H, W])."""
    work, model = _work(visit, table), visit.model
    if not work.is_marked:
        return None, None
    lab = page_lab(model, Inputs(image=work.picture))
    encoding = lab.encoding(model, work.picture, **visit.encoding)
    hint = work.given.hint_for(model, work.picture, visit.encoding)
    prediction = lab.recall(predict, model, encoding, work.prompts, hint)
    masks = lab.recall(cut_masks, prediction, work.picture, work.prompts, False)
    chosen = chosen_index(prediction, visit.knobs.get("mask_index"))
    rows = mask_rows(prediction, masks, lab.recall(stability_scores, prediction), chosen)
    add_true_ious(rows, masks, work.given.truth)
    work.given.found = found_mask(prediction, chosen, masks[chosen])
    color = table.steering.rgb(table.object)
    masks_panel(work.picture, masks, rows, chosen, visit.knobs, refined=False, strip=visit.page.name, color=color)
    lay_masks(canvas_frame(), work.picture, work.prompts, masks, chosen)
    return Prior(work.picture, work.prompts, chosen, mask_hint=hint), masks[chosen]


def _ready_to_hover(visit: Visit, table: FilmTable) -> None:
    """Encode what is on the canvas as a first prompt on it will need it, so that masks follow the pointer before."""
    picture = _work(visit, table).picture
    _ = page_lab(visit.model, Inputs(image=picture)).encoding(visit.model, picture, **visit.encoding).value


def _correction(table: FilmTable, prior: Prior, mask: Any) -> Correction | None:
    """What is marked on the present frame; None where it is what an earlier correction says. mask: bool [H, W]"""
    correction = Correction(table.frame, prior.prompts, prior.mask_index, None, table.object)
    if prior.mask_hint is not None:
        # A correction has no hint: the mask that was seen is taken as it is.
        correction = Correction(table.frame, mask=mask_to_rle(mask), object=table.object)
    return correction if correction not in table.corrections else None


def _mark_buttons(table: FilmTable, prior: Prior | None, mask: Any, correction: Correction | None) -> None:
    """What can be made of the marked object."""
    if prior is not None:
        if table.on_film:
            st.button(
                "Mark from this frame on",
                icon=":material/edit_location_alt:",
                type="primary",
                key="correct",
                disabled=correction is None,
                on_click=table.correct,
                args=(correction,),
                help="Corrects this frame with what is marked, and nothing else: to begin with the run's mask, use it "
                "as the Hint. Frames before stay, those after are segmented anew",
            )
        st.button(
            "Record this memory",
            icon=":material/add_circle:",
            type="secondary" if table.on_film else "primary",
            key="record",
            on_click=table.record,
            args=(prior, mask),
            help="Remembered from the beginning of the film; counts when the film is segmented anew",
        )


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
            help="Forgets the frames remembered so far; recorded memories and corrections stay",
        )
        reachable = 0 <= run.place_of(table.frame) < run.total and table.frame != run.next_frame
        st.button(
            "Segment from here",
            icon=":material/start:",
            key="segment_from",
            disabled=job.active or not reachable,
            on_click=table.segment_from,
            args=(table.frame,),
            help="Goes on here: frames between are passed without a look, frames from here on are segmented anew",
        )
