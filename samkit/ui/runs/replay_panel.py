"""Replay on a page: the run again on this machine, and what came out otherwise."""

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
    return (
        _replay
        if st.button("Replay", icon=":material/replay:", key="replay_run", disabled=disabled, help=HELP)
        else None
    )


def _replay(bundle: Bundle) -> ReplayOutcome:
    record = bundle.record
    found = find_model(record["model"])
    if found.ref is None:
        raise CheckpointError(
            f"The run's model, {record['model']['name']}, is not on this machine: download it or add its "
            "checkpoint with Change in the sidebar of any "
            "experiment, and replay again."
        )
    bar = st.progress(0.0, text=f"Loading {found.ref}")
    try:
        model = shared_model(found.ref, replay_device(record["device"]), record["dtype"])
        return replay(bundle, model=model, progress=lambda share, line: bar.progress(min(1.0, share), text=line))
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
    if outcome.metric_differences:
        rows = [
            {"metric": name, "kept": _shown(then), "replayed": _shown(again), "beyond tolerance": name in outcome.moved}
            for name, (then, again) in outcome.metric_differences.items()
        ]
        st.dataframe(rows, hide_index=True, height=min(300, 36 * len(rows) + 40), key="replay_metrics")
    for line in outcome.surroundings:
        st.caption(line)


def _shown(value) -> float | str | None:
    """A cell of the table: what is neither a number nor missing goes as text."""
    return value if value is None or isinstance(value, float) else str(value)
