"""What a token stands for: the page's own encoding and memory, and nothing that is kept alive by it."""

import gc
import json
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import samkit
from samkit.experiments.measures.predicted_masks import predict
from samkit.media.samples import load_sample
from samkit.ui.live.decoding import _answered, answer_to
from samkit.ui.live.messages import read_answer, read_question
from samkit.ui.live.routes import ROUTES
from samkit.ui.state import labs, live_work, long_encodings
from samkit.ui.state.labs import page_lab
from samkit.ui.state.live_work import LIVE_PATH, MAX_CANVASES, LiveWork, live_token
from samkit.work.memory import Memory
from tests.loops import in_a_thread

QUESTION = {"n": 1, "points": [[0.4, 0.5, 1]], "boxes": [[0.1, 0.1, 0.9, 0.8]]}
SIDE = 128


@pytest.fixture(autouse=True)
def session(monkeypatch):
    """A session's own state."""
    state: dict = {}
    monkeypatch.setattr(live_work.st, "session_state", state)
    return state


@pytest.fixture
def model():
    return samkit.load_model("nano-sam2")


def _standing(token):
    return live_work._places[token].standing


def _ask(standing, masks):
    return _answered(read_question(json.dumps(QUESTION | {"masks": masks})), standing)


def test_the_path_is_the_routes():
    assert ROUTES[0].path == LIVE_PATH
    assert live_work.live_path() == LIVE_PATH


def test_a_canvas_keeps_its_token(model):
    picture, other = load_sample("coins"), load_sample("coffee")
    token = live_token("main", LiveWork(model, picture))
    first = _standing(token).encoding_key
    assert live_token("main", LiveWork(model, picture)) == token
    assert _standing(token).encoding_key == first
    assert live_token("main", LiveWork(model, other)) == token
    assert _standing(token).encoding_key != first
    assert live_token("second", LiveWork(model, picture)) != token


def test_each_setting_of_the_encoding_counts(model):
    picture = load_sample("coins")
    settings = [{}, {"side": 256}, {"fit": "aspect"}, {"window_sizes": (2, 2, 2, 2)}]
    keys = {_standing(live_token("main", LiveWork(model, picture, **each))).encoding_key for each in settings}
    assert len(keys) == len(settings)


def _heard(place, masks="one"):
    """What a socket hears, as text."""
    question = read_question(json.dumps(QUESTION | {"masks": masks}))
    heard = in_a_thread(answer_to(question, place))
    return heard if isinstance(heard, bytes) else json.loads(heard)


def _ignore(share, line):
    pass


def test_nothing_is_encoded_for_a_question(model, monkeypatch):
    standing = _standing(live_token("main", LiveWork(model, load_sample("coins"), side=96)))
    monkeypatch.setattr(type(model), "encode_image", lambda *_, **__: pytest.fail("encoded"))
    assert json.loads(_ask(standing, "one")) == {"n": 1, "wait": True}


def test_the_page_makes_what_a_question_has_missed(model):
    """It is drawn from what is remembered, or its encoding made room for others': nothing else would encode."""
    work = LiveWork(model, load_sample("coins"), side=160)
    place = live_work._places[live_token("main", work)]
    live_work.make_what_was_missed(_ignore)
    assert _heard(place) == {"n": 1, "wait": True, "missed": True}, "not made before it was missed"
    assert live_token("main", work) == place.token
    live_work.make_what_was_missed(_ignore)
    assert isinstance(_heard(place), bytes)
    assert place.work is None


def test_an_encoding_on_its_way_is_not_missed(model):
    place = live_work._places[live_token("main", LiveWork(model, load_sample("coins"), side=192))]
    memory, key = live_work.encoding_memory(), place.standing.encoding_key
    heard = []
    with pytest.raises(ZeroDivisionError):
        memory.get(key, lambda: heard.append(_heard(place)) or 1 / 0)
    assert heard == [{"n": 1, "wait": True}] and not place.missed


def test_an_encoding_that_cannot_be_remembered_is_made_once(model, monkeypatch):
    small = Memory(1000)
    monkeypatch.setattr(live_work, "encoding_memory", lambda: small)
    monkeypatch.setattr(labs, "encoding_memory", lambda: small)
    work = LiveWork(model, load_sample("coins"), side=224)
    place = live_work._places[live_token("main", work)]
    assert _heard(place)["missed"]
    live_work.make_what_was_missed(_ignore)
    assert "larger than" in _heard(place)["error"] and not place.missed
    live_token("main", LiveWork(model, load_sample("coins"), side=288))
    assert _heard(place)["missed"], "another one may fit"


def test_what_takes_long_is_not_made_for_a_pointer(model, monkeypatch):
    monkeypatch.setattr(long_encodings, "ASK_S", 0.0)
    work = LiveWork(model, load_sample("coins"), side=352)
    place = live_work._places[live_token("main", work)]
    assert _heard(place)["missed"]
    live_work.make_what_was_missed(_ignore)
    assert "takes long" in _heard(place)["error"] and not place.missed
    monkeypatch.undo()
    _ = page_lab(model).encoding(model, work.picture, side=work.side).value
    assert isinstance(_heard(place), bytes)


def test_an_encoding_stays_for_whoever_asks(model, monkeypatch):
    """Two visitors look at one picture; the second finds all results remembered, and the first leaves."""
    work, visitors = LiveWork(model, load_sample("coins"), side=320), ["first"]
    monkeypatch.setattr(live_work, "visitor_id", lambda: visitors[-1])
    _ = page_lab(model, visitor="first").encoding(model, work.picture, side=work.side).value
    visitors.append("second")
    standing = _standing(live_token("main", work))
    assert standing.encoding() is not None
    labs.let_go_of("first")
    assert standing.encoding() is not None
    labs.let_go_of("second")
    assert standing.encoding() is None


def test_what_a_click_asked_is_found_by_the_page(model):
    picture = load_sample("coins")
    standing = _standing(live_token("main", LiveWork(model, picture, side=SIDE)))
    lab = page_lab(model)
    encoding = lab.encoding(model, picture, side=SIDE)
    prompts = samkit.Prompts(QUESTION["points"], QUESTION["boxes"])
    assert encoding.value is standing.encoding()
    assert not lab.knows(predict, model, encoding, prompts, None)
    _ask(standing, "one")
    assert not lab.knows(predict, model, encoding, prompts, None)
    _, logits = read_answer(_ask(standing, "all"))
    assert lab.knows(predict, model, lab.encoding(model, picture, side=SIDE), prompts, None)
    known = lab.recall(predict, model, encoding, prompts, None).logits.numpy()
    np.testing.assert_allclose(logits / 256, known.clip(-128, 128), atol=2e-3)


def test_a_token_keeps_no_model_and_no_picture():
    model, picture = samkit.load_model("nano-sam2"), samkit.Picture(np.zeros((40, 50, 3), np.uint8), "mine")
    token = live_token("main", LiveWork(model, picture))
    gone = weakref.ref(model), weakref.ref(picture)
    live_work.make_what_was_missed(_ignore)
    del model, picture
    gc.collect()
    assert token in live_work._places
    assert [each() for each in gone] == [None, None]


def test_what_a_token_stands_for_goes_with_the_session(model, session):
    token = live_token("main", LiveWork(model, load_sample("coins")))
    assert token in live_work._places
    session.clear()
    gc.collect()
    assert token not in live_work._places


def test_canvases_of_pages_that_were_left_make_room(model, session):
    picture = load_sample("coins")
    tokens = [live_token(str(name), LiveWork(model, picture)) for name in range(MAX_CANVASES + 1)]
    (places,) = session.values()
    assert isinstance(places, OrderedDict)
    assert len(places) == MAX_CANVASES
    assert live_token(str(MAX_CANVASES), LiveWork(model, picture)) == tokens[-1]
    assert live_token("0", LiveWork(model, picture)) != tokens[0]


def test_a_model_that_was_let_go_is_waited_for(model):
    picture = load_sample("coins")
    standing = _standing(live_token("main", LiveWork(model, picture, side=SIDE)))
    _ = page_lab(model).encoding(model, picture, side=SIDE).value
    gone = live_work.Standing(lambda: None, standing.encoding_key, standing.lab, None, standing.timed_as)
    assert json.loads(_ask(gone, "one")) == {"n": 1, "wait": True}
