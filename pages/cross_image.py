"""Cross-image segmentation: prompt one picture, and see what the model finds in another."""

from samkit.ui.bench.bench import show_page
from samkit.ui.experiments.cross_image import PAGE

show_page(PAGE)
