"""A real server with the live channel: what it answers, to whom, and how it ends."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import samkit
from samkit.media.samples import load_sample
from samkit.ui.live.door import (
    BURST,
    FLOOD,
    MALFORMED,
    MAX_MESSAGE_BYTES,
    MAX_SOCKETS_OF_SESSION,
    OTHER_ORIGIN,
    SESSION_ENDED,
    TOO_LARGE,
    TOO_MANY_SOCKETS,
    UNKNOWN_TOKEN,
)
from tests.ui.live.client import Visitors
from tools.running_app import free_port, running

POINT = [[0.4, 0.5, 1]]
PAGE = "picture=coins&side=256"
NO_QUESTIONS = [
    "{",
    "[]",
    '"text"',
    "[" * 20_000,
    b"bytes",
    '{"points": []}',
    '{"n": true}',
    '{"n": -1}',
    '{"n": 1, "points": {}}',
    '{"n": 1, "masks": [4]}',
    '{"n": 1, "masks": [1, 1]}',
    '{"n": 1, "masks": "some"}',
]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    home, port = tmp_path_factory.mktemp("live"), free_port()
    address = f"http://127.0.0.1:{port}"
    options = {"port": port, "headless": "true", "fileWatcherType": "none", "address": "127.0.0.1"}
    flags = [word for name, value in options.items() for word in (f"--server.{name}", str(value))]
    app = Path(__file__).with_name("live_app.py")
    command = [sys.executable, "-m", "streamlit", "run", str(app), *flags]
    here = {"SAMKIT_HOME": str(home), "PYTHONPATH": str(Path(samkit.__file__).parents[1])}
    with running(command, f"{address}/_stcore/health", here, home / "app.log"):
        yield address


@pytest.fixture
def visitors(url):
    with ExitStack() as stack:
        yield Visitors(url, stack)


@pytest.fixture(scope="module")
def predict():
    """What the page predicts from these points on that sample at that side."""
    model = samkit.load_model("nano-sam2")

    def prediction(picture, side, points, boxes=()):
        encoding = model.encode_image(load_sample(picture).rgb, side=side)
        return model.predict_masks(encoding, samkit.Prompts(points, boxes))

    return prediction


def test_the_best_mask_is_the_pages(visitors, predict):
    live = visitors.live(visitors.page().run(PAGE))
    header, logits = live.ask(POINT)
    expected = predict("coins", 256, POINT)
    assert header["masks"] == [expected.best] == [header["best"]]
    assert header["iou"] == pytest.approx(expected.iou.tolist(), abs=1e-4)
    assert header["share"] == [1.0, 1.0]
    np.testing.assert_allclose(logits[0], expected.logits[expected.best].numpy(), atol=2e-3)


def test_all_masks_are_within_half_a_per_cent_of_the_pages(visitors, predict):
    live = visitors.live(visitors.page().run(PAGE))
    header, logits = live.ask(POINT, [[0.1, 0.2, 0.6, 0.9]], "all")
    expected = predict("coins", 256, POINT, [[0.1, 0.2, 0.6, 0.9]])
    assert header["masks"] == [0, 1, 2, 3]
    for index in range(4):
        upsampled = _over_picture(logits[index], expected)
        mask = expected.mask(index)
        assert np.mean(upsampled != mask) <= 0.005


def test_chosen_masks_alone(visitors):
    live = visitors.live(visitors.page().run(PAGE))
    header, logits = live.ask(POINT, masks=[3, 0])
    assert header["masks"] == [3, 0]
    assert len(logits) == 2


def test_padding_is_told(visitors, predict):
    live = visitors.live(visitors.page().run("picture=coffee&side=256&model=nano-sam1"))
    header, _ = live.ask(POINT)
    height, width = load_sample("coffee").size
    assert header["share"] == pytest.approx([height / width, 1.0], abs=0.01)


def test_a_page_that_has_not_encoded_is_waited_for(visitors):
    page = visitors.page()
    live = visitors.live(page.run("picture=coffee&side=192&encode=no"))
    assert live.ask(POINT) == ({"n": 1, "wait": True, "missed": True}, None)
    page.run("picture=coffee&side=192")
    header, logits = live.ask(POINT)
    assert logits.shape == (1, header["h"], header["w"])


def test_a_token_lasts_and_what_it_stands_for_follows_the_page(visitors, predict):
    page = visitors.page()
    token = page.run(PAGE)
    live = visitors.live(token)
    assert page.run("picture=coffee&side=256") == token
    header, _ = live.ask(POINT)
    assert header["iou"] == pytest.approx(predict("coffee", 256, POINT).iou.tolist(), abs=1e-4)
    assert page.run(f"{PAGE}&canvas=second") != token
    assert visitors.page().run(PAGE) != token


def test_the_next_socket_is_told_how_long_a_decode_takes(visitors):
    token = visitors.page().run(PAGE)
    header, _ = visitors.live(token).ask(POINT)
    assert header["decode_ms"] > 0
    again = visitors.socket(json.dumps({"token": token}))
    assert again.receive()[0]["decode_ms"] > 0


def test_of_many_questions_the_last_one_is_answered_and_in_order(visitors):
    live = visitors.live(visitors.page().run(PAGE))
    for n in range(100):
        live.send(n, [[n / 100, 0.5, 1]])
    answered = []
    while not answered or answered[-1] != 99:
        answered.append(live.receive()[0]["n"])
    assert answered == sorted(answered)


def test_what_can_not_be_answered_is_said(visitors):
    live = visitors.live(visitors.page().run(PAGE))
    header, _ = live.ask([[2, 0.5, 1]])
    assert "outside the picture" in header["error"]
    assert live.ask(POINT)[0]["h"] > 0


@pytest.mark.parametrize("message", NO_QUESTIONS)
def test_what_is_no_question_closes(visitors, message):
    live = visitors.live(visitors.page().run(PAGE))
    live.send_text(message)
    assert live.closed_with() == MALFORMED


def test_a_large_message_closes(visitors):
    live = visitors.live(visitors.page().run(PAGE))
    live.send_text(json.dumps({"n": 1, "points": [], "note": "x" * MAX_MESSAGE_BYTES}))
    assert live.closed_with() == TOO_LARGE


def test_a_flood_closes(visitors):
    live = visitors.live(visitors.page().run(PAGE))
    for n in range(20 * int(BURST)):
        try:
            live.send(n, POINT)
        except Exception:
            break
    assert live.closed_with() == FLOOD


def test_an_unknown_token_closes(visitors):
    visitors.page().run(PAGE)
    assert visitors.socket(json.dumps({"token": "x" * 32})).closed_with() == UNKNOWN_TOKEN


@pytest.mark.parametrize("first", ['{"n": 1}', '{"token": 7}', "token"])
def test_whoever_begins_without_a_token_is_closed(visitors, first):
    assert visitors.socket(first).closed_with() == MALFORMED


def test_pages_of_other_origins_are_closed(visitors, url):
    token = visitors.page().run(PAGE)
    elsewhere = visitors.socket(json.dumps({"token": token}), origin="http://elsewhere.example")
    assert elsewhere.closed_with() == OTHER_ORIGIN
    assert visitors.live(token, origin=url).ask(POINT)[0]["n"] == 1


def test_a_session_has_only_so_many_sockets(visitors):
    token = visitors.page().run(PAGE)
    for _ in range(MAX_SOCKETS_OF_SESSION):
        visitors.live(token)
    assert visitors.socket(json.dumps({"token": token})).closed_with() == TOO_MANY_SOCKETS
    visitors.live(visitors.page().run(PAGE))


def test_the_channel_ends_with_the_session(visitors):
    page = visitors.page()
    token = page.run(PAGE)
    live = visitors.live(token)
    page.leave()
    assert live.closed_with() == SESSION_ENDED
    assert visitors.socket(json.dumps({"token": token})).closed_with() == UNKNOWN_TOKEN


def _over_picture(logits: np.ndarray, prediction) -> np.ndarray:
    """bool [H, W]: logits over the decoder's grid, cut at 0 over the picture as `MaskPrediction.mask` does."""
    import torch

    from samkit.models.geometry import restore_size

    return restore_size(torch.from_numpy(logits)[None], prediction.geometry)[0].numpy() > 0
