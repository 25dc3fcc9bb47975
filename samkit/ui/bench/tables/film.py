"""A film and the memories that steer it. The run is queued: it goes on in the background while the visitor looks
elsewhere.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.measures.predicted_masks import chosen_index, cut_masks, mask_rows, predict, stability_scores
from samkit.experiments.params import build_params
from samkit.experiments.result import Result
from samkit.experiments.video_priors import FilmRun, Params, record
from samkit.media.samples import SAMPLES, load_sample
from samkit.models.sam import SamModel
from samkit.ui.bench.page import Scene, Side
from samkit.ui.bench.tables.table import Places, Setup, Table, Visit, main_row
from samkit.ui.controls.film_picker import FRAME, film_frame, film_picker
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.masks_panel import masks_panel
from samkit.ui.controls.memories import load_bank_file, record_mask_file, recorded_memories
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.controls.prompt_editor import prompt_editor
from samkit.ui.controls.running_film import running_film
from samkit.ui.controls.sidebar import sidebar_is_old
from samkit.ui.parts.edge import sentences
from samkit.ui.state.labs import page_lab
from samkit.ui.state.process_memory import process_memory_line
from samkit.ui.state.recorded import FIRST_PICTURE, FilmTable, film_table
from samkit.ui.state.workspace import Workspace
from samkit.work.execute import Computed, spec_of
from samkit.work.queue import PAUSED

NO_PROMPT = "No prompt yet: click the object to follow, or drag a box around it."
OLD_RUN = ":material/info: Memories or knobs have changed since this run: run again to see their effect."
OF_A_FILM = ("start", "some", "count", "backwards", "inspect", FRAME)
"""Knobs that mean something for one film only."""
POLL_S = 1.0


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
        _record_row(visit, film_table())
        st.divider()
        places = Places(*main_row("row_film"))
        with places.notes:
            film_picker(film_table())
        return places

    def setups(self, visit: Visit) -> list[Setup]:
        return [Setup(visit.model, visit.work.model_ref, film_table().inputs(visit.work.picture))]

    def scene(self, visit: Visit, params: Mapping[str, Any], places: Places) -> Scene | None:
        table, (setup,) = film_table(), self.setups(visit)
        built = visit.knobs.params(Params, params)
        with places.main:
            film_frame(visit.work, table, visit.knobs)
            _run_buttons(table, setup, built)
            st.caption(process_memory_line(visit.model.device))
        job = table.job
        if job is None:
            return None
        run = job.run
        if job.result is None or run is None or job.active:
            _running(table)
            return None
        if job.result.params != built or run.inputs.priors != setup.inputs.priors:
            st.caption(OLD_RUN)
        side = Side("A", _computed(visit, setup, run.inputs, job.result))
        return Scene(visit.page, visit.work, visit.knobs, (side,), run)

    def show(self, work: Workspace, knobs: KnobValues, inputs: Inputs, params: Mapping[str, Any]) -> None:
        film_table().restore(inputs)
        work.show_picture(inputs.picture, inputs.prompts)


def _computed(visit: Visit, setup: Setup, inputs: Inputs, result: Result[Any]) -> Computed:
    """The finished run. inputs: those it was started with."""
    spec = spec_of(
        visit.page.name,
        setup.model_ref,
        visit.model,
        inputs,
        result.params,
        device=visit.work.device,
        dtype=visit.model.dtype,
    )
    return Computed(spec, visit.model, inputs, result)


def _first_visit(visit: Visit, table: FilmTable) -> None:
    """Something to see at once: a sample picture's prompt becomes a memory, and the film runs. A picture that the
    visitor has chosen stays where it is.
    """
    table.visited = True
    if table.recorded or table.bank is not None:
        return
    work, first, sample = visit.work, load_sample(FIRST_PICTURE), SAMPLES[FIRST_PICTURE]
    if work.picture.name in SAMPLES and work.prompts == SAMPLES[work.picture.name].prompts:
        work.show_picture(first, sample.prompts)
    params, prior = build_params(Params, visit.encoding), Prior(first, sample.prompts)
    table.record(prior, record(visit.model, prior, params, page_lab(visit.model))[1])
    _start(table, visit.model, table.inputs(work.picture), params)


def _start(table: FilmTable, model: SamModel, inputs: Inputs, params: Params) -> None:
    table.start(lambda: FilmRun(model, inputs, params, page_lab(model, inputs)), model, inputs)


@st.fragment
def _record_row(visit: Visit, table: FilmTable) -> None:
    """The picture with its prompts, the masks they give, and the memories recorded so far."""
    work = visit.work
    with sentences():
        with st.container(key="row_top"):
            left, right = st.columns([6, 5], gap="medium")
        with left:
            picture_picker(work)
            prompt_editor(work, visit.page.name, no_prompt=NO_PROMPT)
        with right:
            prior, mask = _marked(visit) if not work.prompts.is_empty else (None, None)
            with st.container(horizontal=True, gap="small"):
                if prior is not None:
                    st.button(
                        "Record this memory",
                        on_click=table.record,
                        args=(prior, mask),
                        icon=":material/add_circle:",
                        type="primary",
                        key="record",
                    )
                record_mask_file(work, table)
                load_bank_file(table, visit.model)
            recorded_memories(table)
        remembered = len(table.recorded), table.bank is not None
        if sidebar_is_old() or st.session_state.get("samkit.recorded") != remembered:
            # The film's part of the page is another fragment.
            st.session_state["samkit.recorded"] = remembered
            st.rerun()


def _marked(visit: Visit) -> tuple[Prior, Any]:
    """Draw the four masks of the prompts; (what the chosen one makes, its mask bool [H, W])."""
    work, model = visit.work, visit.model
    lab = page_lab(model, Inputs(image=work.picture))
    encoding = lab.encoding(model, work.picture, **visit.encoding)
    prediction = lab.recall(predict, model, encoding, work.prompts)
    masks = lab.recall(cut_masks, prediction, work.picture, work.prompts, False)
    chosen = chosen_index(prediction, visit.knobs.get("mask_index"))
    rows = mask_rows(prediction, masks, lab.recall(stability_scores, prediction), chosen)
    masks_panel(work.picture.rgb, masks, rows, chosen, visit.knobs, refined=False)
    return Prior(work.picture, work.prompts, chosen), masks[chosen]


def _run_buttons(table: FilmTable, setup: Setup, params: Params) -> None:
    job, ready = table.job, bool(table.recorded) or table.bank is not None
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Run the film" if job is None else "Run again",
            icon=":material/play_arrow:",
            type="primary",
            key="run_film",
            disabled=not ready or (job is not None and job.active),
            help=None if ready else "Record a memory first",
            on_click=_start,
            args=(table, setup.model, setup.inputs, params),
        )
        if job is None:
            return
        paused = job.state == PAUSED
        unfinished = job.run is None or not job.run.done
        st.button("Pause", icon=":material/pause:", key="pause_film", disabled=not job.active, on_click=job.pause)
        st.button("Go on", icon=":material/resume:", key="resume_film", disabled=not paused, on_click=job.resume)
        st.button(
            "Finish here",
            on_click=job.finish_here,
            icon=":material/stop:",
            key="finish_film",
            disabled=not paused or unfinished,
        )
        st.button(
            "Cancel", on_click=table.drop_run, icon=":material/close:", key="cancel_film", help="Discard this run"
        )


def _running(table: FilmTable) -> None:
    """A run that goes on, drawn anew every second; the whole page when it changes its state."""
    job = table.job
    assert job is not None
    state = job.state

    @st.fragment(run_every=POLL_S if job.active else None)
    def poll() -> None:
        with sentences():
            running_film(job)
        if job.state != state:
            st.rerun()

    poll()
