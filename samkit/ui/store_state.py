"""The run store at a glance: where it is, whether it answers, and what waits in the spool."""

import threading
from urllib.parse import urlsplit

import streamlit as st

from samkit.tracking.spool import Spool
from samkit.tracking.store import RunStore
from samkit.ui.edge import sentences

PROBE_EVERY_S = 15


@st.cache_data(ttl=PROBE_EVERY_S, show_spinner=False)
def _answers(uri: str) -> bool:
    return RunStore(uri).reachable(0.5)


def store_place(uri: str) -> str:
    """The store's URI for people: the kind and the host or file, never a password."""
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        return f"SQLite, {parts.path.rsplit('/', 1)[-1]}"
    return f"{parts.scheme}, {parts.netloc.rsplit('@', 1)[-1]}"


def store_panel() -> None:
    """For the sidebar."""
    store, spool = RunStore(), Spool()
    answers = _answers(store.uri)
    st.markdown(f"{':material/database:' if answers else ':material/cloud_off:'} Run store: **{store_place(store.uri)}**")
    waiting = len(spool.waiting())
    if not answers:
        st.caption("It does not answer. Runs you keep wait in the spool and are delivered later.")
    elif not waiting:
        st.caption("Answers. Nothing waits in the spool.")
    if waiting and st.button(f"Deliver {waiting} waiting", icon=":material/outbox:", disabled=not answers, key="deliver_spool", width="stretch"):
        with sentences():
            bar = st.progress(0.0)
            delivery = spool.deliver(store, lambda done, total: bar.progress(done / total, text=f"{done} of {total}"))
            for sentence in delivery.set_aside:
                st.warning(sentence)
            st.toast(delivery.problem or f"Delivered {len(delivery.delivered)}.", icon=":material/outbox:")
            st.rerun()


@st.cache_resource(show_spinner=False)
def deliver_at_start() -> None:
    """Once per server, send what an earlier one had to leave in the spool."""

    def deliver() -> None:
        if Spool().waiting():
            Spool().deliver(RunStore())

    threading.Thread(target=deliver, name="deliver-spool", daemon=True).start()
