"""Long work that goes on in the background: its buttons, its progress, and what it came to."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st

from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.jobs import JobHolder, RunT
from samkit.work.execute import Computed
from samkit.work.queue import FAILED, PAUSED, BackgroundJob

POLL_S = 1.0


@dataclass(frozen=True)
class Buttons:
    """What is written on a page's buttons.

    name:  of the work, in the buttons' keys
    run:   starts it; again: where there was a run before
    pause: stops it after the present step; finish: takes what was done until then
    """

    name: str
    run: str
    again: str
    pause: str
    finish: str


def draw_buttons(buttons: Buttons, holder: JobHolder[RunT], missing: str = "") -> None:
    """Run, pause, go on, finish and cancel, in the present row. The page starts what `holder` was asked for. missing:
    what to do before anything can be run.
    """
    job, name = holder.job, buttons.name
    st.button(
        buttons.run if job is None else buttons.again,
        icon=":material/play_arrow:",
        type="primary",
        key=f"run_{name}",
        disabled=bool(missing) or (job is not None and job.active),
        help=plain_text(missing) or None,
        on_click=holder.ask,
    )
    if job is None:
        return
    paused = job.state == PAUSED
    begun = job.run is not None and job.run.done > 0
    if paused:
        st.button("Go on", icon=":material/resume:", key=f"resume_{name}", on_click=job.resume)
    else:
        st.button(
            "Pausing…" if job.stopping else buttons.pause,
            icon=":material/pause:",
            key=f"pause_{name}",
            disabled=not job.active or job.stopping,
            help="The present step is done first" if job.stopping else None,
            on_click=job.pause,
        )
    st.button(
        buttons.finish,
        icon=":material/stop:",
        key=f"finish_{name}",
        disabled=not (paused and begun),
        on_click=job.finish_here,
    )
    st.button(
        "Cancel" if finished(job) is None else "Discard",
        icon=":material/close:",
        key=f"cancel_{name}",
        help="Forget this run and its result",
        on_click=holder.drop_run,
    )


def draw_refusal(holder: JobHolder[RunT]) -> None:
    """Why the last run was not taken, or ended early. Below the buttons: a row of them has no room for a sentence."""
    if holder.refused:
        st.error(plain_text(holder.refused), icon=":material/hourglass_disabled:")
    if holder.job is not None and holder.job.note:
        st.warning(plain_text(holder.job.note), icon=":material/timer_off:")


def follow(job: BackgroundJob[RunT], draw: Callable[[RunT], None] | None = None) -> None:
    """Progress of a job that is not done, drawn anew every second; the whole page when it changes its state.

    draw: what there is to be seen of the run so far
    """
    state = job.state

    @st.fragment(run_every=POLL_S if job.active else None)
    def poll() -> None:
        with sentences():
            _progress(job)
            if draw is not None and job.run is not None:
                draw(job.run)
        if job.state != state or finished(job) is not None:
            st.rerun()

    poll()


def _progress(job: BackgroundJob[RunT]) -> None:
    run, line = job.run, job.line
    if run is not None and job.state == PAUSED:
        line = f"Paused after {run.done} of {run.total}"
    st.progress(min(1.0, run.done / max(1, run.total)) if run is not None else 0.0, text=plain_text(line))
    if job.state == FAILED:
        st.error(plain_text(job.error), icon=":material/error:")


def finished(job: BackgroundJob[RunT]) -> Computed | None:
    """What the job came to, with the settings it was started with; None where it is not done."""
    run, result = job.run, job.result
    if run is None or result is None or job.active:
        return None
    # A run that is finished early has other parameters, one that was steered other inputs; and its thread has a number
    # of threads of its own.
    params = result.params.model_dump(mode="json")
    spec = replace(job.spec, params=params, steering=run.inputs.steering, threads=result.threads)
    return Computed(spec, run.model, run.inputs, result)
