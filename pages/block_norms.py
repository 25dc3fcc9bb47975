"""Block norms: how long each token is after every transformer block, and which tokens stick out."""

from samkit.ui.bench.bench import show_page
from samkit.ui.experiments.block_norms import PAGE

show_page(PAGE)
