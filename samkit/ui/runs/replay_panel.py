"""Replay on a page: the run again on this machine, and what differs."""

from collections.abc import Callable

import streamlit as st

from samkit.errors import CheckpointError
from samkit.tracking.bundle.bundle import Bundle
from samkit.ui.state.models import shared_model
from samkit.work.find_model import find_model
from samkit.work.replay import ReplayOutcome, replay, replay_device

HELP = "Runs it again from its pictures, prompts and parameters, and compares every mask pixel by pixel"
MAX_LINES = 30


def replay_button(disabled: bool) -> Callable[[Bundle], ReplayOutcome] | None:
    """What to call with the run, where the button was pressed."""
    pressed = st.button("Replay", icon=":material/replay:", key="replay_run", disabled=disabled, help=HELP)
    return _replay if pressed else None


def _replay(bundle: Bundle) -> ReplayOutcome:
    record = bundle.record
    kept_model = find_model(record.model)
    if kept_model.ref is None:
        raise CheckpointError(
            f"The run's model, {record.model.name}, is not on this machine: download it or add its checkpoint with "
            "Change in the sidebar of any experiment, and replay again."
        )
    bar = st.progress(0.0, text=f"Loading {kept_model.ref}")

    def progress(share: float, line: str) -> None:
        bar.progress(min(1.0, share), text=line)

    try:
        model = shared_model(kept_model.ref, replay_device(record.device), record.dtype)
        return replay(bundle, model=model, progress=progress)
    finally:
        bar.empty()


def replay_outcome(outcome: ReplayOutcome | None) -> None:
    if outcome is None:
        return
    lines = (*outcome.mask_differences, *outcome.array_sentences)[:MAX_LINES]
    text = f"Replayed: {outcome.sentence}\n\n" + "\n".join(f"- {line}" for line in lines)
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
        st.dataframe(rows, hide_index=True, height=min(300, 36 * len(rows) + 40), key="replay_metrics")
    for line in outcome.surroundings:
        st.caption(line)


def _shown(value: object) -> str:
    """A cell of the table, as text: so small differences are seen, and metrics and facts share a column."""
    if value is None:
        return "–"
    return f"{value:.9g}" if isinstance(value, float) else str(value)
