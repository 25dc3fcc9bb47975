"""Answers of the live channel as bytes, and the door's limits."""

from types import SimpleNamespace

import numpy as np
import pytest

from samkit.errors import PromptError
from samkit.ui.live.decoding import answer_to
from samkit.ui.live.door import FLOOD, TOO_MANY_SOCKETS, Allowance, Sockets, TurnedAway, origin_allowed
from samkit.ui.live.messages import LOGIT_STEPS, Question, answer, read_answer, read_question, wait
from tests.loops import in_a_thread


def _answer(logits, chosen, **header):
    usual = dict(share=(0.75, 1.0), best=2, iou=[0.1, 0.2, 0.3, 0.4], stability=[1, 1, 1, 1], decode_ms=7.5)
    return read_answer(answer(17, logits, chosen, **usual | header))


def test_an_answer_says_what_it_holds():
    header, logits = _answer(np.zeros((4, 3, 5), np.float32), [2])
    assert (header["n"], header["h"], header["w"], header["masks"], header["best"]) == (17, 3, 5, [2], 2)
    assert header["share"] == [0.75, 1.0]
    assert header["iou"] == [0.1, 0.2, 0.3, 0.4]
    assert logits.shape == (1, 3, 5)


def test_logits_are_rounded_to_steps_and_clipped():
    row = np.array([0.0, 1.0, -2.5, 0.3 / LOGIT_STEPS, 0.7 / LOGIT_STEPS, 1e6, -1024.0], np.float32)
    _, logits = _answer(np.broadcast_to(row, (4, 1, 7)), [0])
    assert logits[0, 0].tolist() == [0, LOGIT_STEPS, -2.5 * LOGIT_STEPS, 0, 1, 2**15 - 1, -(2**15)]


def test_what_is_no_number_is_null():
    header, _ = _answer(np.zeros((4, 1, 1), np.float32), [0], iou=[float("nan"), 0, 0, float("inf")])
    assert header["iou"] == [None, 0.0, 0.0, None]


def test_a_question_is_read_with_what_it_leaves_out():
    question = read_question('{"n": 3, "points": [[0.5, 0.25, 1]]}')
    assert question == Question(3, {"points": [[0.5, 0.25, 1]], "boxes": []}, "one")
    assert question.prompts().points == ((0.5, 0.25, 1),)
    assert read_question('{"n": 0, "masks": [2, 0]}').masks == (2, 0)


def test_masks_of_another_picture_than_the_asker_sees_are_never_sent():
    standing = SimpleNamespace(view="frame 59", model_ref=lambda: pytest.fail("it was decoded"))
    place = SimpleNamespace(standing=standing)
    answered = in_a_thread(answer_to(read_question('{"n": 3, "view": "frame 0"}'), place))
    assert answered == wait(3)
    with pytest.raises(TurnedAway):
        read_question('{"n": 3, "view": 7}')


@pytest.mark.parametrize("rows", ['{"n": 1, "points": [["a", 0, 1]]}', '{"n": 1, "boxes": [[0, 0, 0, 0]]}'])
def test_prompts_that_can_not_be_used_are_judged_as_everywhere(rows):
    with pytest.raises(PromptError):
        read_question(rows).prompts()


def test_an_allowance_grows_back_with_time():
    now = [0.0]
    allowance = Allowance(rate=10, burst=3, clock=lambda: now[0])
    for _ in range(3):
        allowance.spend()
    with pytest.raises(TurnedAway) as turned_away:
        allowance.spend()
    assert turned_away.value.code == FLOOD
    now[0] += 0.1
    allowance.spend()


def test_a_socket_that_has_gone_makes_room():
    sockets = Sockets(limit=2, limit_of_session=1)
    with sockets.one(), sockets.of_session("a"):
        with sockets.one(), sockets.of_session("b"):
            pass
        with pytest.raises(TurnedAway) as turned_away, sockets.one(), sockets.of_session("a"):
            pass
        assert turned_away.value.code == TOO_MANY_SOCKETS
        with sockets.one(), pytest.raises(TurnedAway):
            with sockets.one():
                pass
    with sockets.of_session("a"):
        pass


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "app.example:8501", True),
        ("http://app.example:8501", "app.example:8501", True),
        ("https://app.example", "app.example", True),
        ("http://localhost:3000", "app.example", True),
    ],
)
def test_origins_are_judged_as_streamlit_does(origin, host, allowed):
    from streamlit.web.server.starlette.starlette_websocket import _is_origin_allowed

    assert origin_allowed(origin, host) == _is_origin_allowed(origin, host) == allowed
