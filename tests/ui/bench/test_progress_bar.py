"""A bar appears for work that takes long, also where that reports only once; quick work shows none."""

import threading

from samkit.ui.bench import results
from samkit.ui.bench.results import ProgressBar


class Place:
    def __init__(self):
        self.drawn: list[object] = []
        self.changed = threading.Event()

    def progress(self, share, text):
        self.drawn.append((share, text))
        self.changed.set()

    def empty(self):
        self.drawn.append("empty")


def test_the_first_step_is_shown_while_it_runs(monkeypatch):
    monkeypatch.setattr(results, "BAR_AFTER_S", 0.0)
    place = Place()
    bar = ProgressBar(place)
    bar(0.0, "Encoding")
    assert place.changed.wait(20)
    bar(0.5, "Predicting")
    bar.clear()
    assert place.drawn == [(0.0, "Encoding"), (0.5, "Predicting"), "empty"]


def test_quick_work_shows_nothing(monkeypatch):
    monkeypatch.setattr(results, "BAR_AFTER_S", 1000.0)
    place = Place()
    bar = ProgressBar(place)
    bar(0.0, "Encoding")
    bar(0.5, "Predicting")
    bar.clear()
    bar._show()
    assert place.drawn == []
