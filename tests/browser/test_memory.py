"""What a visitor with a film costs, and that it comes back. Minutes long, so it is left out by default."""

import sys

import numpy as np
import pytest

from samkit.media.film import write_film

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_visitor_with_a_film_leaves_little_behind(tmp_path):
    from benchmarks.memory import report

    ground = np.random.default_rng(0).integers(0, 200, (45, 80, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    film = write_film(tmp_path / "film.mp4", (np.roll(ground, 4 * index, axis=1) for index in range(200)), 24)
    peak_mb, left_mb = report(film, wait_s=60)
    assert peak_mb < 350 and left_mb < 150, "with room for what else the machine does"
