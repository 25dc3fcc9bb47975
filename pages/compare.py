"""Compare: kept runs side by side."""

from samkit.ui.runs.pages import compare_page

compare_page()
