"""Video with image priors: memories of pictures, and what they find in a film."""

from samkit.ui.bench.bench import show_page
from samkit.ui.experiments.video_priors import PAGE

show_page(PAGE)
