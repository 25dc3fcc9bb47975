"""A few of the films that `hostile_films` makes; by hand it makes many."""

import time

import numpy as np

from tests.fuzz.hostile_films import run


def test_changed_films_are_read_or_end_in_a_sentence(tmp_path):
    counts = run(tmp_path, np.random.default_rng(2), time.monotonic() + 240, most=10)
    assert counts.total() == 10 and counts["ended its process"] <= 1
