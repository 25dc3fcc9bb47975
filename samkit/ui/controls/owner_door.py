"""On a public server: what its limits are, and the owner's way in."""

import streamlit as st

from samkit.limits import read_limits
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.public import admin_secret, enter, is_admin, leave

ADDRESS = "owner"
"""Word of the address with which the owner finds the field for the secret."""


def about_server() -> None:
    """On a public server: what that means for a visitor, and its limits. Nothing on any other."""
    limits = read_limits()
    if not limits.public:
        return
    with st.container(border=True, key="about_server"):
        st.markdown(":material/public: **About this server: it is open to the public**")
        st.caption(
            "Runs that you keep are yours: the list of runs shows you no others, and others see one of yours only with "
            "its link. Please upload nothing that is confidential. Long work takes turns. At most:"
        )
        half = (len(limits.sentences()) + 1) // 2
        for column, part in zip(
            st.columns(2, gap="medium"), (limits.sentences()[:half], limits.sentences()[half:]), strict=True
        ):
            column.caption("\n".join(f"- {plain_text(sentence)}" for sentence in part))
        if limits.complaint:
            st.warning(plain_text(limits.complaint), icon=":material/settings_alert:")


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
