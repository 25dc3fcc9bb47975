"""Mask stability: the logits behind a mask, and how much of it stays when the cut, the picture or the prompt moves a
little.
"""

from samkit.ui.bench.bench import show_page
from samkit.ui.experiments.mask_stability import PAGE

show_page(PAGE)
