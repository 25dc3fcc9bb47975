"""What a server gives to its visitors."""

import pytest

from samkit.errors import BadInput
from samkit.limits import Limits, check, read_limits


def test_a_machine_of_ones_own_has_no_limits(monkeypatch):
    monkeypatch.delenv("SAMKIT_PUBLIC", raising=False)
    limits = read_limits()
    assert limits == Limits() and not limits.sentences() and not limits.public


def test_a_public_one_has_all_of_them_and_its_owner_sets_others(monkeypatch):
    monkeypatch.setenv("SAMKIT_PUBLIC", "1")
    monkeypatch.setenv("SAMKIT_LIMIT_FILM_MB", "7")
    monkeypatch.setenv("SAMKIT_LIMIT_SIDE", "many")
    monkeypatch.setenv("SAMKIT_LIMIT_JOBS_ALL", "-1")
    limits = read_limits()
    assert limits.public and (limits.film_mb, limits.side, limits.jobs_all) == (7, 1024, 24)
    assert None not in limits.model_dump().values() and len(limits.sentences()) == len(Limits.model_fields) - 2
    assert "a film's file: 7 MB" in limits.sentences()
    assert "SAMKIT_LIMIT_SIDE must be a positive whole number; it is 'many'." in limits.complaint


def test_what_is_over_a_limit_is_a_sentence():
    check("It", 10**9, None, "frames", "")
    check("It", 600, 600, "frames", "")
    with pytest.raises(BadInput, match="It has 601 frames; on this server 600 are the most. Cut it first."):
        check("It", 601, 600, "frames", "Cut it first.")
