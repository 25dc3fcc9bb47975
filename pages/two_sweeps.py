"""Two sweeps on the same cells, picture by picture."""

from samkit.ui.sweeps.pages import compare_page

compare_page()
