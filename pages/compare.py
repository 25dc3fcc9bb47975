"""Compare: kept runs side by side."""

from samkit.ui.router import ensure_routed
from samkit.ui.runs.pages import compare_page

ensure_routed()
compare_page()
