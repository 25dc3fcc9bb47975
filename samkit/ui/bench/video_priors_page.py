"""The Video with image priors page, put together: memories are recorded, then a film runs in the background."""

from collections.abc import Callable

import streamlit as st

from samkit.experiments import video_priors
from samkit.experiments.measures.predicted_masks import predicted_masks
from samkit.experiments.params import build_params
from samkit.experiments.result import Prior
from samkit.experiments.video_priors import FilmRun
from samkit.media.masks import stability_score
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.header import About, page_header
from samkit.ui.bench.keep import keep_bar, recipe
from samkit.ui.bench.opened_run import opened_notes, restore_from_link
from samkit.ui.bench.workbench import timings_tab
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.masks_panel import masks_panel, refine_toggle
from samkit.ui.controls.memory_models import can_follow, offer_models
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.controls.prompt_editor import prompt_editor
from samkit.ui.controls.sidebar import encoding_knobs, sidebar_bottom, sidebar_is_old, sidebar_top
from samkit.ui.experiments.video_priors import (
    draw_files,
    draw_film,
    draw_inspect,
    draw_knobs,
    draw_numbers,
    draw_recorded,
    draw_running,
    figures,
    film_frame,
    film_picker,
    load_bank_file,
    record_mask_file,
    restore,
)
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.process_memory import process_memory_line
from samkit.ui.state.encodings import encoding_cache
from samkit.ui.state.experiment_pages import ExperimentPage
from samkit.ui.state.models import shared_model
from samkit.ui.state.recorded import FIRST_PICTURE, FilmTable, film_table
from samkit.ui.state.workspace import Workspace, workspace

POLL_S = 1.0


def video_priors_page(
    page: ExperimentPage, about: About, try_it: Callable[[Workspace, FilmTable, Knobs], None]
) -> None:
    """Run the whole page."""
    work = workspace()
    knobs = Knobs(work, page.name)
    page_header(page, about, try_it=lambda: try_it(work, film_table(), knobs.without_run()))
    with sentences():
        restore_from_link(page, work, knobs, restore, lambda inputs, params: _show_run(work, inputs))
        sidebar_top(work)
        with st.spinner(f"Loading {work.model_ref}", show_time=True):
            model = shared_model(work.model_ref, work.device, work.dtype)
        if can_follow(model):
            side, fit = encoding_knobs(knobs, model.info)
            table = film_table()
            if not table.visited:
                _first_visit(work, table, model, {"side": side, "fit": fit})
            with st.container(key="workbench"):
                _record_row(page, work, table, model, {"side": side, "fit": fit}, knobs)
                _film_row(page, work, table, model, {"side": side, "fit": fit}, knobs)
        else:
            offer_models(work, model, "Following an object through a film")
    with sentences():
        sidebar_bottom()


def _show_run(work: Workspace, inputs) -> None:
    film_table().restore(inputs)
    work.show_picture(inputs.image, inputs.prompts)


def _first_visit(work: Workspace, table: FilmTable, model, encoding: dict) -> None:
    """Something to see at once: a sample picture's prompt becomes a memory, and the film runs. A picture that the
    visitor has chosen stays where it is.
    """
    table.visited = True
    if table.recorded or table.bank is not None:
        return
    first, sample = load_sample(FIRST_PICTURE), SAMPLES[FIRST_PICTURE]
    if work.picture.name in SAMPLES and work.prompts == SAMPLES[work.picture.name].prompts:
        work.show_picture(first, sample.prompts)
    params = build_params(video_priors.Params, encoding)
    prior = Prior(first, sample.prompts)
    _, mask = video_priors.record(model, prior, params, encoding_cache().encode)
    table.record(prior, mask)
    inputs = table.inputs(work.picture)
    table.start(lambda: FilmRun(model, inputs, params, encoding_cache().encode))


@st.fragment
def _record_row(page: ExperimentPage, work: Workspace, table: FilmTable, model, encoding: dict, knobs: Knobs) -> None:
    """The picture with its prompts, the masks they give, and the memories recorded so far."""
    with sentences():
        with st.container(key="row_top"):
            left, right = st.columns([6, 5], gap="medium")
        with left:
            picture_picker(work)
            prompt_editor(
                work, page.name, no_prompt="No prompt yet: click the picture, or drag a box, on what is to be followed."
            )
        with right:
            if not work.prompts.is_empty:
                encoded = encoding_cache().encode(model, work.picture, **encoding)
                prediction = model.predict_masks(encoded, work.prompts)
                masks = predicted_masks(prediction, work.picture.rgb, work.prompts)
                chosen = prediction.best if knobs.get("mask_index") is None else knobs.get("mask_index")
                rows = [
                    {
                        "predicted_iou": float(prediction.iou[i]),
                        "stability_score": stability_score(prediction.logits_at(i)),
                    }
                    for i in range(len(masks))
                ]
                masks_panel(work.picture.rgb, masks, rows, chosen, knobs, page.name)
                prior = Prior(work.picture, work.prompts, chosen)
                with st.container(horizontal=True, gap="small"):
                    st.button(
                        "Record this memory",
                        icon=":material/add_circle:",
                        type="primary",
                        key="record",
                        on_click=table.record,
                        args=(prior, masks[chosen]),
                    )
                    record_mask_file(work, table)
                    load_bank_file(table, model)
            else:
                with st.container(horizontal=True, gap="small"):
                    record_mask_file(work, table)
                    load_bank_file(table, model)
            draw_recorded(table)
        remembered = len(table.recorded), table.bank is not None
        if sidebar_is_old() or st.session_state.get("samkit.recorded") != remembered:
            # The film's part of the page is another fragment.
            st.session_state["samkit.recorded"] = remembered
            st.rerun()


@st.fragment
def _film_row(page: ExperimentPage, work: Workspace, table: FilmTable, model, encoding: dict, knobs: Knobs) -> None:
    """The film with its knobs, the run, and what came out of it."""
    with sentences():
        st.divider()
        with st.container(key="row_film"):
            main, beside = st.columns([7, 4], gap="medium")
        with main:
            film_picker(table)
        with beside:
            values = encoding | draw_knobs(table, knobs) | refine_toggle(knobs)
        params = knobs.params(video_priors.Params, values)
        inputs = table.inputs(work.picture)
        with main:
            opened_notes(knobs, values)
            film_frame(work, table, knobs)
            _run_buttons(table, model, inputs, params)
            st.caption(process_memory_line(model))
        job = table.job
        if job is None:
            return
        if job.result is None or job.active:
            _running(table, knobs)
            return
        result = job.result
        if result.params != params or job.run.inputs.priors != inputs.priors:
            st.caption(":material/info: Memories or knobs were changed since this run: run again to see what they do.")
        tabs = st.tabs(["Film", "Masks of a frame", "Numbers", "Files", "Recipe", "Timings"])
        draw = (
            lambda: draw_film(result, table.video.fps),
            lambda: draw_inspect(job.run, knobs),
            lambda: draw_numbers(result),
            lambda: draw_files(result, page.name),
            lambda: st.json(recipe(page, job.run.inputs, model, result.params), expanded=2),
            lambda: timings_tab(result),
        )
        for tab, show in zip(tabs, draw, strict=True):
            with tab:
                show()
        keep_bar(page, work, model, job.run.inputs, result, figures)


def _run_buttons(table: FilmTable, model, inputs, params) -> None:
    job = table.job
    with st.container(horizontal=True, gap="small"):
        make = lambda: FilmRun(model, inputs, params, encoding_cache().encode)  # noqa: E731
        st.button(
            "Run the film" if job is None else "Run again",
            icon=":material/play_arrow:",
            type="primary",
            key="run_film",
            disabled=not (table.recorded or table.bank) or (job is not None and job.active),
            help=None if table.recorded or table.bank else "Record a memory first",
            on_click=table.start,
            args=(make,),
        )
        if job is not None:
            st.button("Pause", icon=":material/pause:", key="pause_film", disabled=not job.active, on_click=job.pause)
            paused = job.state == "paused"
            st.button("Go on", icon=":material/resume:", key="resume_film", disabled=not paused, on_click=job.resume)
            st.button(
                "Finish here",
                icon=":material/stop:",
                key="finish_film",
                disabled=not (paused and job.run and job.run.done),
                on_click=job.finish_here,
            )
            st.button(
                "Cancel", icon=":material/close:", key="cancel_film", on_click=table.drop_run, help="Forget this run"
            )


def _running(table: FilmTable, knobs: Knobs) -> None:
    """A run that goes on, drawn anew every second; the whole page when it changes its state."""
    job, state = table.job, table.job.state

    @st.fragment(run_every=POLL_S if job.active else None)
    def poll() -> None:
        with sentences():
            draw_running(job, knobs)
        if job.state != state:
            st.rerun()

    poll()
