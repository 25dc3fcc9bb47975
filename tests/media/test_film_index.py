"""Which frames a film shows, in which order and when, from its packets."""

import numpy as np
import pytest

from samkit.media.decoding.messages import HIDDEN, KEY, UNKNOWN
from samkit.media.film_index import PACKET_TYPE, Unordered, index_by_decoding, index_by_packets
from samkit.media.turn import Turn


def packets(*rows: tuple) -> np.ndarray:
    """Of (pts, dts, flags)."""
    return np.array([(pts, dts, -1, flags) for pts, dts, flags in rows], PACKET_TYPE)


def by_packets(*rows: tuple, container: str = "mov", codec: str = "h264"):
    return index_by_packets(packets(*rows), 0.5, container, codec)


def test_frames_are_in_the_order_in_which_they_are_shown_from_time_zero():
    index = by_packets((10, 0, KEY), (40, 10, 0), (20, 20, 0), (30, 30, 0), (50, 40, KEY))
    assert index.stamps.tolist() == [10, 20, 30, 40, 50] and index.dts.tolist() == [0, 20, 30, 10, 40]
    assert index.times.tolist() == [0, 5, 10, 15, 20]
    assert index.starts(3) == ([10], 10) and index.starts(4) == ([50, 10], 50)
    assert index.same_run(0, 3) and not index.same_run(3, 4)


def test_what_is_hidden_or_lies_before_the_first_key_frame_is_not_shown():
    index = by_packets((0, 0, 0), (10, 10, KEY | HIDDEN), (20, 20, HIDDEN), (30, 30, 0), (40, 40, 0))
    assert index.stamps.tolist() == [30, 40] and index.times.tolist() == [0, 5]
    assert index.starts(0) == ([10], 10), "but decoding begins there"


def test_a_frame_that_is_decoded_after_a_key_frame_and_shown_before_it_is_looked_for_earlier():
    index = by_packets((0, 0, KEY), (10, 10, 0), (30, 20, KEY), (20, 30, 0))
    assert index.starts(2) == ([0], 0) and index.starts(3) == ([30, 0], 30)


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 0, KEY), (UNKNOWN, 10, 0)],
        [(0, 0, KEY), (0, 10, 0)],
        [(0, 0, KEY), (2**62, 10, 0)],
        [(time, time, KEY) for time in (*range(50, 120), *range(50))],
    ],
    ids=["no time", "twice the same", "beyond all time", "jumps back"],
)
def test_times_that_cannot_be_are_not_believed(rows):
    with pytest.raises(Unordered):
        by_packets(*rows)


def test_avi_does_not_say_when_frames_are_shown():
    rows = [(1, 0, KEY), (4, 1, 0), (2, 2, 0), (3, 3, 0)]
    with pytest.raises(Unordered):
        by_packets(*rows, container="avi")
    assert by_packets(*rows, container="avi", codec="mjpeg").stamps.tolist() == [0, 1, 2, 3]
    index = index_by_decoding(packets(*rows), np.array([0, 2, 3, 1]), True, 1.0, "avi")
    assert index.stamps.tolist() == index.dts.tolist() == [0, 2, 3, 1] and index.times.tolist() == [0, 1, 2, 3]
    with pytest.raises(Unordered):
        index_by_decoding(packets(*rows), np.array([0, 2, 3, 9]), True, 1.0, "avi")


def test_no_place_is_looked_for_where_times_are_guessed():
    assert by_packets((0, 0, KEY), (10, 10, KEY), container="mpeg").starts(1) == ([], 0)


@pytest.mark.parametrize("matrix, degrees", [((0, 1, -1, 0), 270), ((-1, 0, 0, -1), 180), ((0, -1, 1, 0), 90)])
def test_turns_are_those_of_the_matrix(matrix, degrees):
    stored, turn = np.arange(24).reshape(2, 4, 3), Turn.from_matrix(matrix)
    assert turn.anticlockwise == degrees
    assert np.array_equal(turn(stored), np.rot90(stored, degrees // 90))
    assert turn.size((2, 4)) == turn(stored).shape[:2]
