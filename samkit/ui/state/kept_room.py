"""Whether a public server has room for one more kept run."""

from pathlib import Path

import streamlit as st

from samkit.errors import BadInput
from samkit.limits import check
from samkit.settings import artifacts_folder, spool_folder
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.store.search import Query, search_runs
from samkit.tracking.store.store import RunStore
from samkit.ui.state.public import owner_name, present_limits


def check_room_for_run(bundle: Bundle) -> None:
    """Raises BadInput where the run is too large, its visitor has kept too many, or the server has no room left."""
    limits = present_limits()
    if not limits.public:
        return
    size = folder_bytes(bundle.path)
    check("This run", size / 2**20, limits.run_mb, "MB", "Leave out what makes it large, such as maps or frames.")
    if limits.runs_visitor is not None:
        store, query = RunStore(), Query(owner=owner_name())
        kept = len(search_runs(store, query, size=limits.runs_visitor).runs) if store.is_there() else 0
        if kept >= limits.runs_visitor:
            raise BadInput(
                f"You have kept {kept} runs; on this server {limits.runs_visitor} are the most. Delete some under Runs."
            )
    if limits.runs_all_mb is not None and _kept_bytes() + size > limits.runs_all_mb * 2**20:
        raise BadInput(
            "This server has no more room for runs. Nothing was kept; the Download menu gives you what is on the page."
        )


@st.cache_data(ttl=20, show_spinner=False)
def _kept_bytes() -> int:
    return folder_bytes(artifacts_folder()) + folder_bytes(spool_folder())


def folder_bytes(folder: Path) -> int:
    """Of all files below it; those that go meanwhile count nothing."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.lstat().st_size
        except OSError:
            continue
    return total
