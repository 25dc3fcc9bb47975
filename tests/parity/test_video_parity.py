"""samkit's memory side against the official video predictor, random weights: logits within 1e-3, object scores and
pointers within 1e-4.

Shrunken sizes run every time, over more frames than there are memories (7) and pointers (16); the official sizes are in
the slow tier.
"""

import pytest

from samkit.models.memory_bank import MemoryBank
from tests.parity.video_cases import CASES, absent_pair, from_click, load_video_pair, make_film

SMALL = ["shrunken 2.1", "shrunken 2.0"]
OFFICIAL = ["tiny", "small", "base_plus", "tiny 2.0"]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_film(tmp_path_factory.mktemp("films") / "film", frames=20)


@pytest.fixture(scope="module")
def short_film(tmp_path_factory):
    return make_film(tmp_path_factory.mktemp("films") / "short", frames=9)


@pytest.fixture(scope="module", params=SMALL)
def small(request, tmp_path_factory):
    return load_video_pair(request.param, tmp_path_factory.mktemp("video"))


@pytest.mark.parametrize("case", CASES)
def test_video(small, film, case):
    assert CASES[case](small, film).within()


@pytest.mark.parametrize("name", SMALL)
def test_hidden_object(name, film, tmp_path):
    difference = from_click(absent_pair(name, tmp_path, film), film)
    assert min(difference.scores) < 0 < max(difference.scores)
    assert difference.within()


FAULTS = {
    "times of pointers": ("pointers", lambda entries: [(pointer, 1.5 * share) for pointer, share in entries]),
    "a pointer left out": ("pointers", lambda entries: entries[:-1]),
    "times of maps": (
        "maps",
        lambda entries: [
            (features, None if distance is None else max(1, distance - 1)) for features, distance in entries
        ],
    ),
    "a map left out": ("maps", lambda entries: entries[: max(1, len(entries) - 1)]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_memory_would_be_noticed(fault, short_film, tmp_path, monkeypatch):
    """The limits are tight enough for these weights to tell."""
    name, spoil = FAULTS[fault]
    right = getattr(MemoryBank, name)
    monkeypatch.setattr(MemoryBank, name, lambda bank: spoil(right(bank)))
    assert not from_click(load_video_pair("shrunken 2.1", tmp_path), short_film).within()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", OFFICIAL)
def test_official_size(name, short_film, tmp_path):
    pair = load_video_pair(name, tmp_path)
    for case in ("click", "box", "mask", "backwards"):
        assert CASES[case](pair, short_film).within(), case
