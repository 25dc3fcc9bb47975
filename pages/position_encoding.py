"""ViT position encoding: what tells the encoder where a token is, on any grid."""

from samkit.ui.bench.bench import show_page
from samkit.ui.experiments.position_encoding import PAGE

show_page(PAGE)
