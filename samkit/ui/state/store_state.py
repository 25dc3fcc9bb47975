"""The run store at a glance: where it is, whether it answers, and what waits in the spool."""

import logging
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import streamlit as st

from samkit.errors import SamkitError, StoreError
from samkit.scratch import remove_abandoned
from samkit.settings import home_folder
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.public import owner_only

_log = logging.getLogger(__name__)
PROBE_EVERY_S = 15
SETTLE_S = 30
HALF_RUN_S = 30 * 60
"""A run that was begun so many seconds ago and is still not whole was abandoned."""


QUESTION = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
"""What only a server with a working database behind it can answer."""
PATIENCE_S = 1.8


@st.cache_data(ttl=PROBE_EVERY_S, show_spinner=False)
def store_answers(uri: str) -> bool:
    """Whether the store answers what pages ask of it. One that does not is not asked again for some seconds, so that it
    keeps no page waiting.
    """
    return RunStore(uri).reachable(PATIENCE_S, QUESTION)


def require_store(store: RunStore) -> None:
    """Raises `StoreError` with what to do, at once, for a store that is known not to answer."""
    if not store_answers(store.uri):
        raise StoreError(
            f"The run store ({store_place(store.uri)}) does not answer: start it, or set MLFLOW_TRACKING_URI to "
            f"another one. The app tries again in {PROBE_EVERY_S} seconds; runs that you keep meanwhile wait in the "
            "spool."
        )


def store_place(uri: str) -> str:
    """The store's URI for people: the kind and the host or file, never a password."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "no address"
    if parts.scheme == "sqlite":
        return f"SQLite, {parts.path.rsplit('/', 1)[-1]}"
    return f"{parts.scheme}, {parts.netloc.rsplit('@', 1)[-1]}"


def store_panel() -> None:
    """For the sidebar."""
    store, spool = RunStore(), Spool()
    try:
        answers = store_answers(store.uri)
    except StoreError as error:
        st.warning(plain_text(str(error)), icon=":material/cloud_off:")
        return
    icon = ":material/database:" if answers else ":material/cloud_off:"
    st.markdown(f"{icon} Run store: **{plain_text(store_place(store.uri))}**")
    waiting = len(spool.waiting())
    if not answers:
        st.caption("It does not answer. Runs you keep wait in the spool and are delivered later.")
    elif not waiting:
        st.caption("It answers. No runs are waiting in the spool.")
    if not owner_only():
        return
    if waiting and st.button(
        f"Deliver {waiting} waiting",
        icon=":material/outbox:",
        disabled=not answers,
        key="deliver_spool",
        width="stretch",
    ):
        with sentences():
            delivery = spool.deliver(store, _counting_bar())
            for sentence in delivery.set_aside:
                st.warning(plain_text(sentence))
            st.toast(plain_text(delivery.problem or f"Delivered {len(delivery.delivered)}."), icon=":material/outbox:")
            st.rerun()


def _counting_bar() -> Callable[[int, int], None]:
    """A progress bar that is told how many of how many are done."""
    bar = st.progress(0.0)

    def count(done: int, total: int) -> None:
        bar.progress(done / total, text=f"{done} of {total}")

    return count


@st.cache_resource(show_spinner=False)
def deliver_at_start() -> None:
    """Once per server, send what an earlier one had to leave in the spool, and take away what nobody completes."""
    threading.Thread(target=mend_store, name="deliver-spool", daemon=True).start()


def mend_store(settle_s: float = SETTLE_S) -> None:
    """settle_s: how long to leave the machine to its first visitor before the store is looked through."""
    remove_abandoned()
    spool, store = Spool(), RunStore()
    try:
        if spool.waiting():
            spool.deliver(store)
        time.sleep(settle_s)
        _deliver_sweeps(store)
        if store.is_there() and store.reachable():
            store.remove_half_runs({path.name for path in spool.waiting()}, HALF_RUN_S)
    except SamkitError as error:
        _log.warning("The run store could not be repaired at the start: %s", error)


def _deliver_sweeps(store: RunStore) -> None:
    if not any((home_folder() / "sweeps").glob("*/keep")):
        return
    # What a report is made of is much to import for a server that has no sweep.
    from samkit.work.sweep.keeping import deliver_sweeps

    deliver_sweeps(store)
