"""Semantic similarity: mark one thing, and see what else the model takes for the same."""

from samkit.ui.bench.bench import show_page
from samkit.ui.experiments.semantic_similarity import PAGE

show_page(PAGE)
