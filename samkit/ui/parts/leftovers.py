"""What an earlier run of a page has drawn where this one draws nothing.

Streamlit takes it away when the run is over. That may be seconds later, and until then it stands half faded beside what
has taken its place.
"""

import streamlit as st

MOST = 12
"""Elements of a container that may be left over."""


def nothing_here() -> None:
    """Leave the next place of the present container empty, so that those after it keep theirs from run to run."""
    st.empty()


def nothing_below(most: int = MOST) -> None:
    """End the present container: what an earlier run had drawn in it below this goes at once."""
    for _ in range(most):
        st.empty()
