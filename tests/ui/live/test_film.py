"""Frames of a film over HTTP: what the route answers, and to whom."""

import json

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from samkit.errors import PictureError
from samkit.ui.live import film as route
from samkit.ui.live.routes import ROUTES
from samkit.ui.state.film_frames import FilmPlace, find_film_place
from tests.loops import in_a_thread


class Place(FilmPlace):
    """A player's place without a session."""

    def __init__(self):
        super().__init__("nobody")
        self.asked = []
        self.draw, self.rows = self._draw, lambda: {"state": "running", "done": 2, "tracks": []}

    def _draw(self, frame, look):
        self.asked.append((frame, look))
        if frame == 99:
            raise PictureError("The film has no frame 99.")
        return b"jpeg", 7 if frame is None else frame, "run"


@pytest.fixture
def place(monkeypatch):
    place = Place()
    monkeypatch.setattr(route, "find_film_place", lambda token: place if token == place.token else None)
    return place


def get(path: str, origin: str | None = None) -> Response:
    """What the routes answer."""
    address, _, query = path.partition("?")
    headers = [(b"host", b"testserver"), *([(b"origin", origin.encode())] if origin else [])]
    scope = {"type": "http", "method": "GET", "path": address, "query_string": query.encode(), "headers": headers}
    for each in ROUTES:
        match, more = each.matches(scope)
        if match == Match.FULL:
            return in_a_thread(each.endpoint(Request(scope | more)))
    raise AssertionError("no route")


def test_a_frame_comes_as_a_picture_that_says_which_it_is(place):
    answer = get(f"/live/film/{place.token}/3?look=1")
    assert answer.status_code == 200 and answer.body == b"jpeg" and answer.headers["content-type"] == "image/jpeg"
    assert (answer.headers["X-Samkit-Frame"], answer.headers["X-Samkit-Origin"]) == ("3", "run")
    assert answer.headers["Cache-Control"] == "no-store"
    assert get(f"/below/a/path/live/film/{place.token}/newest").headers["X-Samkit-Frame"] == "7"
    assert place.asked == [(3, True), (None, False)]
    assert json.loads(get(f"/live/film/{place.token}/rows").body)["done"] == 2


@pytest.mark.parametrize("what", ["-1", "1e3", "9" * 12, "nothing"])
def test_what_is_no_frame_is_not_found(place, what):
    assert get(f"/live/film/{place.token}/{what}").status_code == 404


def test_a_frame_that_cant_be_decoded_is_told_from_one_that_is_not_there(place):
    assert get(f"/live/film/{place.token}/99").status_code == 422


def test_unknown_tokens_and_other_origins_get_nothing(place):
    assert get("/live/film/unknown/3").status_code == 404
    assert get(f"/live/film/{place.token}/3", "http://elsewhere.example").status_code == 403 and not place.asked


def test_a_token_without_a_session_stands_for_nothing():
    assert find_film_place(Place().token) is None


def test_a_flood_is_turned_away(place):
    """As long as requests of the same player wait."""
    route._waiting[place.token] = route.MAX_WAITING
    assert get(f"/live/film/{place.token}/3").status_code == 429
    del route._waiting[place.token]
    assert get(f"/live/film/{place.token}/3").status_code == 200 and place.token not in route._waiting
