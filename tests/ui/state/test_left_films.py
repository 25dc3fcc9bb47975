"""Runs of films whose visitors have left: how many are held, for how long, and how they go on."""

import gc
import weakref
from types import SimpleNamespace

import pytest

from samkit.ui.state.left_films import DAY_S, MOST, LeftFilms


class Table:
    def __init__(self, job: bool = True):
        self.job = SimpleNamespace(away=False) if job else None
        self.kept = self.discarded = self.aside = None


@pytest.fixture
def here():
    return set()


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


@pytest.fixture
def films(here, clock):
    return LeftFilms(here.__contains__, lambda: 14, lambda: clock.now)


def put(films, work, table=None, visitor="v"):
    """Whether the film is still there is for the weak reference to tell: nobody else has it."""
    table = table or Table()
    films.put(work, table, visitor)
    return weakref.ref(table)


def test_a_film_with_a_run_is_held_and_one_without_is_not(films):
    with_run, without = put(films, "a"), put(films, "b", Table(job=False))
    gc.collect()
    assert with_run() is not None and without() is None
    assert films.find("a") is with_run() and films.find("b") is None and films.find("c") is None
    with_run().job = None
    films.put("a", with_run(), "v")
    gc.collect()
    assert with_run() is None


def test_whoever_leaves_has_a_run_that_is_away_until_they_are_back(films):
    mine, other = put(films, "a"), put(films, "b", visitor="w")
    films.leave("v")
    assert mine().job.away and not other().job.away
    assert films.find("a") is mine() and not mine().job.away


def test_of_many_the_ones_left_last_are_held_and_those_in_use_always(films, here):
    here.add("0")
    runs = [put(films, str(number)) for number in range(MOST + 3)]
    gc.collect()
    assert [run() is not None for run in runs] == [True, False, False] + [True] * MOST


def test_a_run_waits_as_long_as_the_work_is_kept(films, here, clock):
    here.add("b")
    old, used = put(films, "a"), put(films, "b")
    clock.now = 14 * DAY_S + 1
    put(films, "c")
    gc.collect()
    assert old() is None and used() is not None
