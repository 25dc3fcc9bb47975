"""Remembered values: by key, in no more bytes than allowed, made once however many ask at the same time; and how many
bytes a value holds.
"""

import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from samkit.media.pictures import Picture
from samkit.work.memory import Memory, bytes_of


class Sized:
    """A value that holds so many bytes."""

    def __init__(self, nbytes: int):
        self.nbytes = nbytes


def test_a_value_is_made_once():
    memory, calls = Memory(1000), []

    def make():
        calls.append(1)
        return Sized(10)

    first = memory.get("a", make)
    assert memory.get("a", make) is first and len(calls) == 1 and memory.has("a") and not memory.has("b")
    state = memory.state()
    assert (state.entries, state.used, state.limit, state.hits, state.misses) == (1, 10, 1000, 1, 1)
    memory.clear()
    assert not memory.has("a") and memory.state().used == memory.state().entries == 0
    assert memory.get("a", make) is not first


def test_the_least_recently_used_goes_first():
    memory = Memory(30)
    for key in "abc":
        memory.get(key, lambda: Sized(10))
    memory.get("a", lambda: Sized(10))
    memory.get("d", lambda: Sized(10))
    assert [memory.has(key) for key in "abcd"] == [True, False, True, True] and memory.state().used == 30
    memory.get("e", lambda: Sized(25))
    assert [memory.has(key) for key in "acde"] == [False, False, False, True]


def test_peeking_makes_nothing_and_counts_as_use():
    memory = Memory(250)
    assert memory.peek("a") is None
    a = memory.get("a", lambda: Sized(100))
    memory.get("b", lambda: Sized(100))
    assert memory.peek("a") is a
    memory.get("c", lambda: Sized(100))
    assert (memory.has("a"), memory.has("b")) == (True, False)


def test_a_value_that_is_too_large_is_given_and_not_kept():
    memory = Memory(30)
    memory.get("small", lambda: Sized(10))
    assert memory.get("large", lambda: Sized(31)).nbytes == 31
    state = memory.state()
    assert (state.entries, state.used, state.too_large) == (1, 10, 31) and memory.has("small")
    memory.get("next", lambda: Sized(1))
    assert memory.state().too_large == 0, "of the last value"
    memory.get("large", lambda: Sized(31))
    memory.clear()
    assert memory.state().too_large == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=60))
def test_no_more_bytes_than_allowed_and_as_many_as_are_kept(asked):
    memory = Memory(100)
    for key, size in asked:
        memory.get(str(key), lambda size=size: Sized(size))
        kept = [memory.get(str(other), lambda: None) for other in range(10) if memory.has(str(other))]
        state = memory.state()
        assert state.used == sum(value.nbytes for value in kept) <= 100 and state.entries == len(kept)


def at_once(count: int, ask) -> list:
    """What `count` threads get that ask at the same time; an exception where one was raised."""
    start, gained = threading.Barrier(count), []

    def work():
        start.wait()
        try:
            gained.append(ask())
        except ValueError as error:
            gained.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return gained


def test_those_who_ask_at_once_wait_for_one_of_them():
    memory, calls = Memory(1000), []

    def make():
        calls.append(1)
        time.sleep(0.05)
        return Sized(10)

    values = at_once(6, lambda: memory.get("a", make))
    assert len(calls) == 1 and len(values) == 6 and len(set(map(id, values))) == 1


def test_whoever_asks_for_another_does_not_wait():
    memory, inside, let_go = Memory(1000), threading.Event(), threading.Event()

    def slow():
        inside.set()
        assert let_go.wait(30)
        return Sized(1)

    thread = threading.Thread(target=memory.get, args=("slow", slow))
    thread.start()
    assert inside.wait(30)
    assert memory.get("quick", lambda: Sized(1)).nbytes == 1
    let_go.set()
    thread.join(30)
    assert memory.has("slow")


def test_a_failure_is_kept_by_nobody_and_only_one_tries_at_a_time():
    memory, trying, most = Memory(1000), [], []

    def fail():
        trying.append(1)
        most.append(len(trying))
        time.sleep(0.01)
        trying.pop()
        raise ValueError("no")

    outcomes = at_once(6, lambda: memory.get("a", fail))
    assert len(most) == 6 and max(most) == 1 and all(isinstance(outcome, ValueError) for outcome in outcomes)
    assert not memory.has("a") and memory.state().entries == 0
    assert memory.get("a", lambda: Sized(10)).nbytes == 10 and memory.state().used == 10


def test_a_value_may_need_another_one():
    memory = Memory(1000)
    whole = memory.get("whole", lambda: [memory.get("part", lambda: 3), memory.get("part", lambda: 4)])
    assert whole == [3, 3] and memory.has("whole") and memory.has("part")


@dataclass(frozen=True)
class Pair:
    first: object
    second: object


def test_arrays_and_tensors_count_by_their_bytes():
    assert bytes_of(np.zeros((10, 10), np.float32)) == 400
    assert bytes_of(torch.zeros(10, 10, dtype=torch.bfloat16)) == 200
    tensor, array = torch.zeros(100), np.zeros(100)
    assert bytes_of(tensor[:1]) == 400, "a view holds all of it"
    assert bytes_of(array[:1]) == 800
    assert bytes_of(tensor.numpy()[:1]) == 400, "an array over a tensor's memory"


@pytest.mark.parametrize("gather", [lambda a, b: (a, b), lambda a, b: [a, b], lambda a, b: {"a": a, "b": b}, Pair])
def test_what_is_shared_counts_once(gather):
    array, tensor = np.zeros(1000), torch.zeros(1000)
    assert bytes_of(gather(array, array[5:])) < 8000 + 500
    assert bytes_of(gather(tensor, tensor[5:].view(5, -1))) < 4000 + 500
    assert bytes_of(gather(array, tensor)) >= 12000


def test_pictures_and_models_count_nothing():
    picture = Picture(np.zeros((100, 100, 3), np.uint8), "a")
    assert bytes_of(picture) == 0 and bytes_of(Pair(picture, np.zeros(10))) < 300


def test_values_without_arrays_count_a_little():
    assert 0 < bytes_of({"row": 1, "text": "word", "none": None}) < 1000
    assert bytes_of("x" * 5000) >= 5000 and bytes_of(b"x" * 5000) >= 5000


def test_what_one_user_asked_for_goes_with_them_and_what_others_use_stays():
    memory = Memory(10_000)
    memory.get("alone", lambda: b"1", "a")
    memory.get("both", lambda: b"2", "a")
    memory.get("both", lambda: b"2", "b")
    memory.get("nobody's", lambda: b"3")
    memory.get("nobody's", lambda: b"3", "a")
    memory.get("a's, then nobody's", lambda: b"4", "a")
    memory.get("a's, then nobody's", lambda: b"4")
    used = memory.state().used
    memory.let_go("a")
    assert [memory.has(key) for key in ("alone", "both", "nobody's", "a's, then nobody's")] == [False, True, True, True]
    assert memory.state().used == used * 3 // 4
    memory.let_go("b")
    assert not memory.has("both") and memory.state().used == used // 2
    memory.clear()
    memory.get("alone", lambda: b"1")
    memory.let_go("a")
    assert memory.has("alone")


def test_what_there_is_no_room_for_has_no_users_either():
    memory = Memory(1000)
    for number in range(50):
        memory.get(str(number), lambda: bytes(300), "a")
    memory.let_go("a")
    assert (memory.state().entries, memory.state().used) == (0, 0)
