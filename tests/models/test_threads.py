"""The number of threads of one thread is no other's."""

import os
import threading

import torch

from samkit.models.threads import own_threads, set_own_threads, set_usual_threads


def count_in_new_thread() -> int:
    counts = []
    thread = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return counts[0]


def test_threads_are_counted_for_one_thread_and_set_back():
    usual = torch.get_num_threads()
    with own_threads(1):
        assert torch.get_num_threads() == 1 and count_in_new_thread() == usual
    assert torch.get_num_threads() == count_in_new_thread() == usual


def test_no_more_threads_than_cores():
    with own_threads(10**6):
        assert torch.get_num_threads() == os.cpu_count()


def test_many_that_set_their_own_at_once_leave_the_usual_number_to_all():
    usual, start = torch.get_num_threads(), threading.Barrier(8)
    seen: list[int] = []

    def alone() -> None:
        start.wait()
        set_own_threads(1)
        seen.append(torch.get_num_threads())

    for _ in range(20):
        threads = [threading.Thread(target=alone) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(seen) == {1} and count_in_new_thread() == usual


def test_a_number_that_is_set_for_good_holds_for_later_threads_and_is_no_more_than_the_cores():
    set_usual_threads(1)
    assert torch.get_num_threads() == count_in_new_thread() == 1
    set_usual_threads(10_000)
    assert torch.get_num_threads() == os.cpu_count()
