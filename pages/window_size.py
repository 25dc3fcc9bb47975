"""Window size: the encoder's attention windows at other sizes, and what that does to mask, encoding and time."""

from samkit.ui.bench.bench import show_page
from samkit.ui.experiments.window_size import PAGE

show_page(PAGE)
