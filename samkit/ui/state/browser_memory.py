"""What a browser remembers of its visitor from one visit to the next: the colour scale, in a cookie of this app's
own.
"""

import streamlit as st

from samkit.media.colormaps import COLORMAPS

COOKIE = "samkit_colormap"
YEAR_SECONDS = 365 * 24 * 3600


def remembered_colormap() -> str | None:
    """The colour scale that this browser used last; None at a first visit."""
    name = st.context.cookies.get(COOKIE)
    return name if name in COLORMAPS else None


def remember_colormap(name: str) -> None:
    """name: one of `COLORMAPS`. Takes no room on the page."""
    with st.container(key="browser_memory"):
        st.html(
            f"<script>document.cookie = '{COOKIE}={name}; path=/; max-age={YEAR_SECONDS}; SameSite=Lax'</script>",
            unsafe_allow_javascript=True,
        )
