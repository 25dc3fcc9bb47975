"""Runs leave as a zip file and come in from one; and those that wait for the store."""

from pathlib import Path

import streamlit as st

from samkit.errors import SamkitError
from samkit.scratch import scratch
from samkit.tracking.bundle.archive import export_runs, import_runs
from samkit.tracking.store.keep import keep_imported
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.runs.state import present_store
from samkit.ui.state.page_links import RUN_PAGE
from samkit.ui.state.public import check_owner_only
from samkit.words import format_bytes

MAX_EXPORTED = 100


def download_zip(store: RunStore, run_ids: list[str], label: str, key: str) -> None:
    """A button that gives the runs as one zip file. It is made when the button is pressed."""

    def pack() -> bytes:
        with scratch("export") as folder:
            bundles = [store.load(run_id, Path(folder, run_id)) for run_id in run_ids]
            return export_runs(bundles, Path(folder, "runs.zip")).read_bytes()

    many = len(run_ids) > MAX_EXPORTED
    help_text = (
        f"At most {MAX_EXPORTED} runs at once: the command `python -m samkit runs export` takes more"
        if many
        else "A zip file to import or replay elsewhere"
    )
    name = f"run-{run_ids[0][:8]}.zip" if len(run_ids) == 1 else f"{len(run_ids)}-runs.zip"
    st.download_button(
        label,
        pack,
        name,
        "application/zip",
        icon=":material/archive:",
        disabled=not run_ids or many,
        key=key,
        help=help_text,
        on_click="ignore",
    )


def import_panel() -> None:
    """A zip file into the store: all of it, or nothing and why."""
    file = st.file_uploader(
        "A zip file with runs, from Export here or `python -m samkit runs export`", type="zip", key="import_runs_file"
    )
    if (
        not st.button("Import", icon=":material/unarchive:", disabled=file is None, key="import_runs", type="primary")
        or file is None
    ):
        return
    with sentences(), scratch("import") as folder:
        check_owner_only()
        source = Path(folder) / "uploaded.zip"
        source.write_bytes(file.getbuffer())
        bundles = import_runs(source, Path(folder) / "runs", shown_name=file.name)
        bar = st.progress(0.0)

        def progress(number: int, total: int) -> None:
            bar.progress(number / total, text=f"Run {number + 1} of {total}: {plain_text(bundles[number].name)}")

        outcomes = keep_imported(bundles, present_store(), progress=progress)
        bar.empty()
        kept = [
            (bundle.name, outcome.run.run_id) for bundle, outcome in zip(bundles, outcomes, strict=True) if outcome.run
        ]
        for sentence in dict.fromkeys(outcome.sentence for outcome in outcomes if not outcome.run):
            st.warning(plain_text(sentence))
        if kept:
            existed = sum(outcome.run.existed for outcome in outcomes if outcome.run)
            skipped = f", {existed} already here" if existed else ""
            st.success(f"{len(kept) - existed} imported{skipped}.", icon=":material/check_circle:")
        for name, run_id in kept[:20]:
            st.page_link(RUN_PAGE, label=plain_text(name), query_params={"id": run_id}, icon=":material/history:")


def spool_panel() -> None:
    """What waits and why."""
    spool, store = Spool(), present_store()
    waiting = spool.entries()
    if not waiting:
        st.caption("No runs are waiting: every run that was kept here is in the store.")
        return
    st.markdown(
        "These runs are safe on this machine's disk and are sent to the store at the next start of the app, or when "
        "you press Deliver."
    )
    rows = [
        {
            "name": each.name,
            "experiment": each.experiment,
            "kept": each.created,
            "size": format_bytes(each.bytes),
            "why it waits": each.problem,
        }
        for each in waiting
    ]
    st.dataframe(rows, hide_index=True)
    if st.button(f"Deliver {len(waiting)}", icon=":material/outbox:", key="deliver_waiting"):
        with sentences():
            check_owner_only()
            bar = st.progress(0.0)

            def progress(done: int, total: int) -> None:
                bar.progress(done / total, text=f"{done} of {total}")

            delivery = spool.deliver(store, progress)
            for sentence in delivery.set_aside:
                st.warning(plain_text(sentence))
            if delivery.problem:
                raise SamkitError(delivery.problem)
            st.toast(f"Delivered {len(delivery.delivered)}.", icon=":material/outbox:")
            st.rerun()
