"""On a public server: what its limits are, and the owner's way in."""

import streamlit as st

from samkit.limits import read_limits
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.public import admin_secret, enter, is_admin, leave

ADDRESS = "owner"
"""Word of the address with which the owner finds the field for the secret."""


def about_text(about: str) -> str:
    """What the app says of itself, in Markdown, with the limits of a public server."""
    limits = read_limits()
    if not limits.public:
        return about
    lines = "\n".join(f"- {plain_text(sentence)}" for sentence in limits.sentences())
    return (
        f"{about}\n\n**This server is open to the public.** Runs that you keep are yours: others see one only with its "
        f"link. Please upload nothing that is confidential. At most:\n\n{lines}"
    )


def owner_door() -> None:
    """For the sidebar, where the address has ?owner: a field for the secret. An owner who is in sees a way out."""
    if is_admin():
        st.caption("You are here as the owner: no limits hold, and you see all runs.")
        st.button("Leave as the owner", icon=":material/logout:", key="leave_owner", on_click=leave, width="stretch")
        return
    if ADDRESS not in st.query_params or not read_limits().public or not admin_secret():
        return
    with st.form("owner_door", border=False):
        secret = st.text_input("The owner's secret", type="password", max_chars=200)
        if st.form_submit_button("Enter", icon=":material/key:"):
            with sentences():
                enter(secret)
                st.rerun()
