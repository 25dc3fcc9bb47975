"""What a field stands at as long as nobody has changed it."""

from typing import Any

import streamlit as st


def propose(key: str, value: Any) -> None:
    """Before the widget of that key is drawn, without a default of its own: it follows what is proposed until a visitor
    chooses something else.
    """
    state, last = st.session_state, f"samkit.proposed.{key}"
    if key not in state or state[key] == state.get(last):
        state[key] = value
    state[last] = value
