"""The number of threads of one thread is no other's."""

import os
import threading

import torch

from samkit.models.threads import own_threads


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
