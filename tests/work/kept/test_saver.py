"""What was kept for a visitor lies on the disk, and nowhere else."""

import gc
import os
import sys
import threading
import weakref

import pytest

from samkit.work.kept.limits import Limits
from samkit.work.kept.saver import WorkSaver
from samkit.work.kept.store import WorkStore, new_id
from tests.work.kept.works import a_work, noise


def test_a_saver_that_waits_holds_no_pictures(tmp_path):
    saver, picture = WorkSaver(WorkStore(tmp_path / "works", Limits(64 * 2**20, 14)), settle_s=0.01), noise(1)
    gone = weakref.ref(picture)
    saver.put(new_id(), a_work(picture))
    del picture
    assert saver.flush()
    for _ in range(100):
        gc.collect()
        if gone() is None:
            return
        # The thread has told that it is done, and lets go in its next step.
        saver._hurry.wait(0.02)
    raise AssertionError("the last visitor's picture is still held")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a thread has no priority of its own")
def test_a_large_picture_is_written_behind_what_its_visitor_waits_for(tmp_path, monkeypatch):
    saver, seen = WorkSaver(WorkStore(tmp_path / "works", Limits(64 * 2**20, 14)), settle_s=0.01), []

    def save(*_) -> tuple[str, ...]:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return ()

    monkeypatch.setattr(saver.store, "save", save)
    saver.put(new_id(), a_work(noise(1)))
    assert saver.flush() and seen[0] > os.getpriority(os.PRIO_PROCESS, os.getpid())
