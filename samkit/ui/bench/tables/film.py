"""A film and the memories that steer it. The run is queued: it goes on in the background while the visitor looks
elsewhere.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.measures.predicted_masks import chosen_index, cut_masks, mask_rows, predict, stability_scores
from samkit.experiments.measures.truth import add_true_ious
from samkit.experiments.params import build_params
from samkit.experiments.video_priors import FilmRun, Params, record, segment_film
from samkit.media.rle import rle_to_mask
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.live_masks import live_link
from samkit.ui.bench.page import Scene, Side
from samkit.ui.bench.queued_work import Buttons, draw_buttons, finished, follow
from samkit.ui.bench.results import shown_spec
from samkit.ui.bench.tables.table import Places, Setup, Table, Visit, main_row
from samkit.ui.controls.canvas import lay_masks
from samkit.ui.controls.film_picker import FRAME, film_frame, film_picker
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.masks_panel import masks_panel
from samkit.ui.controls.memories import load_bank_file, record_mask_file, recorded_memories
from samkit.ui.controls.prompt_editor import canvas_frame, prompt_editor
from samkit.ui.controls.running_film import last_frame
from samkit.ui.parts.edge import sentences
from samkit.ui.state.given import found_mask
from samkit.ui.state.kept_work import keep_work
from samkit.ui.state.labs import page_lab
from samkit.ui.state.process_memory import process_memory_line
from samkit.ui.state.recorded import FIRST_PICTURE, FilmTable, film_table
from samkit.ui.state.workspace import Workspace
from samkit.work.queue import BackgroundJob
from samkit.work.spec import RunSpec

NO_PROMPT = "No prompt yet: click the object to follow, or drag a box around it."
NO_MEMORY = "Record a memory first"
OLD_RUN = ":material/info: Memories, knobs, film or model have changed since this run: run again to see their effect."
BUTTONS = Buttons("film", "Run the film", "Run again", "Pause", "Finish here")
OF_A_FILM = ("start", "some", "count", "backwards", "inspect", FRAME)
"""Knobs that mean something for one film only."""


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
            present = shown_spec(visit.page, visit.work, setup, built)
            film_frame(visit.work, table, visit.knobs, partial(_found, setup, built))
            with st.container(horizontal=True, gap="small"):
                draw_buttons(
                    BUTTONS, table, _start, (table, setup, present), "" if any(table.remembered) else NO_MEMORY
                )
            st.caption(process_memory_line(visit.model.device))
        job = table.job
        if job is None:
            return None
        computed = finished(job)
        if computed is None:
            follow(job, last_frame)
            return None
        if not _is_of(job, present):
            st.caption(OLD_RUN)
        return Scene(visit.page, visit.work, visit.knobs, (Side("A", computed),), job.run)

    def show(self, work: Workspace, knobs: KnobValues, inputs: Inputs, params: Mapping[str, Any]) -> None:
        film_table().restore(inputs)
        work.show_picture(inputs.picture, inputs.prompts)


def _is_of(job: BackgroundJob[FilmRun], present: RunSpec) -> bool:
    """Whether the job was started with what the page shows. Beside a memory bank alone, the picture on the table has no
    part in the run.
    """
    return job.spec.id == (present if present.priors else replace(present, image=job.spec.image)).id


def _found(setup: Setup, params: Params, frame: int) -> np.ndarray | None:
    """bool [H, W]: what the memories alone find on a frame; None where nothing is remembered. The same as the first
    frame of a run that starts there.
    """
    if not setup.inputs.priors and setup.inputs.bank is None:
        return None
    alone = params.model_copy(update={"start": frame, "count": 1, "backwards": False})
    lab = page_lab(setup.model, setup.inputs)
    return rle_to_mask(lab.recall(segment_film, setup.model, setup.inputs, alone, lab).masks[0]["rle"])


def _first_visit(visit: Visit, table: FilmTable) -> None:
    """Something to see at once that costs little: a sample picture's prompt becomes a memory, and shows on the film's
    first frame. A picture that the visitor has chosen stays where it is.
    """
    table.visited = True
    if table.recorded or table.bank is not None:
        return
    work, first, sample = visit.work, load_sample(FIRST_PICTURE), SAMPLES[FIRST_PICTURE]
    if work.picture.name in SAMPLES and work.prompts == SAMPLES[work.picture.name].prompts:
        work.show_picture(first, sample.prompts)
    params, prior = build_params(Params, visit.encoding), Prior(first, sample.prompts)
    table.record(prior, record(visit.model, prior, params, page_lab(visit.model))[1])


def _start(table: FilmTable, setup: Setup, spec: RunSpec) -> None:
    table.start(FilmRun, spec, setup.model, setup.inputs, "Recording the memories")


@st.fragment
def _record_row(visit: Visit, table: FilmTable) -> None:
    """The picture with its prompts, the masks they give, and the memories recorded so far."""
    work = visit.work
    with sentences():
        with st.container(key="row_top"):
            left, right = st.columns([6, 5], gap="medium")
        with left:
            prompt_editor(work, visit.page.name, no_prompt=NO_PROMPT, live=live_link(visit, work))
        with right:
            prior, mask = _marked(visit) if work.is_marked else (None, None)
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
        visit.sidebar.show_cache()
        keep_work()
        if table.drawn != table.remembered:
            # The film's part of the page is another fragment.
            table.drawn = table.remembered
            st.rerun()


def _marked(visit: Visit) -> tuple[Prior, Any]:
    """Draw the four masks of the prompts; (what the chosen one makes, its mask bool [H, W])."""
    work, model = visit.work, visit.model
    lab = page_lab(model, Inputs(image=work.picture))
    encoding = lab.encoding(model, work.picture, **visit.encoding)
    hint = work.given.hint_for(model, work.picture, visit.encoding)
    prediction = lab.recall(predict, model, encoding, work.prompts, hint)
    masks = lab.recall(cut_masks, prediction, work.picture, work.prompts, False)
    chosen = chosen_index(prediction, visit.knobs.get("mask_index"))
    rows = mask_rows(prediction, masks, lab.recall(stability_scores, prediction), chosen)
    add_true_ious(rows, masks, work.given.truth)
    work.given.found = found_mask(prediction, chosen, masks[chosen])
    masks_panel(work.picture, masks, rows, chosen, visit.knobs, refined=False, strip=visit.page.name)
    lay_masks(canvas_frame(), work.picture, work.prompts, masks, chosen)
    return Prior(work.picture, work.prompts, chosen, mask_hint=hint), masks[chosen]
