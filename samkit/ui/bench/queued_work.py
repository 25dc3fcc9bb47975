"""Long work that goes on in the background: its buttons, its progress, and what it came to."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.jobs import JobHolder, RunT
from samkit.work.execute import Computed
from samkit.work.queue import FAILED, PAUSED, BackgroundJob

POLL_S = 1.0


def draw_steps(name: str, holder: JobHolder[RunT], go_on: Callable[[], None]) -> None:
    """In the present row: what begins or goes on with the run, pause, finish and cancel, as far as there is a run.

    Where the run pauses, what goes on with it takes the place of Pause, and Finish that of a button which could not be
    pressed; where it ends, Pause stays and can't be pressed: so a second press in a hurry ends nothing. name: of the
    work, in their keys; go_on: draws its button
    """
    job = holder.job
    if job is not None and job.state == PAUSED:
        st.button(
            "Finish here",
            icon=":material/stop:",
            key=f"finish_{name}",
            disabled=job.run is None or not job.run.done,
            help="Take what was done until now as the result",
            on_click=job.finish_here,
        )
    go_on()
    if job is None:
        return
    if job.active:
        st.button(
            "Pausing…" if job.stopping else "Pause",
            icon=":material/pause:",
            key=f"pause_{name}",
            disabled=job.stopping,
            help="The present step is done first" if job.stopping else None,
            on_click=job.pause,
        )
    elif job.state != PAUSED:
        st.button("Pause", icon=":material/pause:", key=f"over_{name}", disabled=True)
    st.button(
        "Cancel" if finished(job) is None else "Discard",
        icon=":material/close:",
        key=f"cancel_{name}",
        help="Stops this run; what it has found can be brought back"
        if finished(job) is None
        else "Takes this run away; it can be brought back",
        on_click=holder.discard,
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
