"""Fine-tuning: a model beside the one it was trained from."""

from samkit.ui.bench.bench import show_page
from samkit.ui.experiments.fine_tuning import PAGE

show_page(PAGE)
