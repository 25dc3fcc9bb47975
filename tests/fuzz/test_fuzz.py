"""A short run of what `python -m tests.fuzz` does for longer: the same cases each time."""

from pathlib import Path

import pytest

from tests.fuzz.kinds import KINDS
from tests.fuzz.runner import fuzz

CASES = 25


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits the process's memory by /proc")
def test_changed_files_are_read_or_refused_with_a_sentence():
    tally = fuzz(tuple(kind.name for kind in KINDS), seconds=120, most=CASES)
    assert not tally.findings, "\n".join(tally.lines())
    assert sum(tally.outcomes.values()) > len(KINDS)
