"""Replay on a page: the run again on this machine, how far it is, and what differs."""

import streamlit as st

from samkit.errors import CheckpointError
from samkit.tracking.bundle.bundle import Bundle
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.tables import table_height
from samkit.ui.runs.replay_job import ReplayJob
from samkit.ui.runs.state import RunsTable
from samkit.ui.state.models import shared_model
from samkit.work.find_model import find_model
from samkit.work.replay import ReplayOutcome, replay_device

HELP = "Runs it again from its pictures, prompts and parameters, and compares every mask pixel by pixel"
MAX_LINES = 30
POLL_S = 1.0
PATIENCE_S = 1.5
"""How long the page waits for a replay before it shows how far it is; most take less."""


def replay_button(disabled: bool) -> bool:
    """Whether it was pressed."""
    return st.button("Replay", icon=":material/replay:", key="replay_run", disabled=disabled, help=HELP)


def start_replay(table: RunsTable, run_id: str, bundle: Bundle) -> None:
    """Put the run's replay into the queue, in place of one that is under way. Raises CheckpointError where the model is
    not on this machine.
    """
    table.drop_replay(run_id)
    record = bundle.record
    kept_model = find_model(record.model)
    if kept_model.ref is None:
        raise CheckpointError(
            f"The run's model, {record.model.name}, is not on this machine: download it or add its checkpoint with "
            "Change in the sidebar of any experiment, and replay again."
        )
    with st.spinner(f"Loading {plain_text(kept_model.ref)}", show_time=True):
        model = shared_model(kept_model.ref, replay_device(record.device), record.dtype)
    job = table.replaying[run_id] = ReplayJob(bundle, model)
    with st.spinner("Replaying"):
        job.wait(PATIENCE_S)


def show_replay(table: RunsTable, run_id: str) -> None:
    """How far the run's replay is, with a button that cancels it; or what came of it."""
    job = table.replaying.get(run_id)
    if job is not None and job.active:
        _under_way(job, table, run_id)
    elif job is not None and job.outcome is not None:
        table.replays[run_id] = job.outcome
        del table.replaying[run_id]
    elif job is not None:
        st.error(plain_text(job.error), icon=":material/error:")
    replay_outcome(table.replays.get(run_id))


@st.fragment(run_every=POLL_S)
def _under_way(job: ReplayJob, table: RunsTable, run_id: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(job.share, text=plain_text(job.line))
        if st.button("Cancel", icon=":material/close:", key="cancel_replay"):
            table.drop_replay(run_id)
    if not job.active or run_id not in table.replaying:
        st.rerun()


def replay_outcome(outcome: ReplayOutcome | None) -> None:
    if outcome is None:
        return
    lines = (*outcome.mask_differences, *outcome.array_sentences)[:MAX_LINES]
    text = f"**Replayed.** {plain_text(outcome.sentence)}\n\n" + "\n".join(f"- {plain_text(line)}" for line in lines)
    if outcome.identical:
        st.success(text, icon=":material/verified:")
    else:
        st.warning(text, icon=":material/difference:")
    differences = outcome.metric_differences | outcome.fact_differences
    if differences:
        beyond = {*outcome.moved, *outcome.fact_differences}
        rows = [
            {
                "metric or fact": name.replace("_", " "),
                "kept": _shown(then),
                "replayed": _shown(again),
                "beyond tolerance": name in beyond,
            }
            for name, (then, again) in differences.items()
        ]
        st.dataframe(rows, hide_index=True, height=table_height(len(rows), 300), key="replay_metrics")
    for line in outcome.surroundings:
        st.caption(plain_text(line))


def _shown(value: object) -> str:
    """A cell of the table, as text: so small differences are seen, and metrics and facts share a column."""
    if value is None:
        return "–"
    return f"{value:.9g}" if isinstance(value, float) else str(value)
