"""What a browser remembers of its visitor from one visit to the next, in cookies of this app's own: the colour scale,
and a random name by which it is known again. And the address that it shows.
"""

import re
import secrets

import streamlit as st

from samkit.media.colormaps import COLORMAPS

COOKIE, NAME_COOKIE = "samkit_colormap", "samkit_browser"
YEAR_SECONDS = 365 * 24 * 3600
_NAME = re.compile(r"[0-9a-f]{32}")
_NAME_KEY = "samkit.browser_name"


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


def browser_name() -> str:
    """32 random hex digits that this browser brings along at each visit; where it takes no cookies, others each
    time.
    """
    if _NAME_KEY not in st.session_state:
        known = str(st.context.cookies.get(NAME_COOKIE))
        st.session_state[_NAME_KEY] = known if _NAME.fullmatch(known) else secrets.token_hex(16)
    return st.session_state[_NAME_KEY]


def remember_work(page: str, work_id: str) -> None:
    """Have the browser keep its name, and show the work's id in its address: in place of the one shown, so that Back
    leads to the page before. Takes no room on the page.

    page: as in the address; work_id: hex digits
    """
    with st.container(key="browser_address"):
        st.html(
            f"<script>/* {page} */ document.cookie = '{NAME_COOKIE}={browser_name()}; path=/; "
            f"max-age={YEAR_SECONDS}; SameSite=Lax'; {{ const shown = new URL(location.href); "
            f"if (shown.searchParams.get('work') !== '{work_id}') {{ shown.searchParams.set('work', '{work_id}'); "
            "history.replaceState(history.state, '', shown) } }</script>",
            unsafe_allow_javascript=True,
        )
