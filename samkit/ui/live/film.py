"""Frames of a visitor's film over HTTP, by the token that the page handed to its player."""

import asyncio
import json
from collections import Counter

from starlette.requests import Request
from starlette.responses import Response

from samkit.errors import SamkitError
from samkit.ui.live.door import origin_allowed
from samkit.ui.state.film_frames import FilmPlace, find_film_place

MAX_WAITING = 4
"""Requests of one player that are answered or wait; a player asks for one frame at a time."""
NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_waiting: Counter[str] = Counter()


async def film(request: Request) -> Response:
    """GET TOKEN/12 and TOKEN/newest: the frame as JPEG; ?look=1 lets the model look at it where no run has come.
    TOKEN/rows: the run's figures as JSON.
    """
    origin, host = request.headers.get("origin"), request.headers.get("host")
    if not await asyncio.to_thread(origin_allowed, origin, host):
        return Response(status_code=403)
    place = find_film_place(request.path_params["token"])
    if place is None:
        return Response(status_code=404)
    if _waiting[place.token] >= MAX_WAITING:
        return Response(status_code=429)
    _waiting[place.token] += 1
    try:
        return await asyncio.to_thread(_answer, place, request.path_params["what"], request.query_params.get("look"))
    finally:
        _waiting[place.token] -= 1
        if not _waiting[place.token]:
            del _waiting[place.token]


def _answer(place: FilmPlace, what: str, look: str | None) -> Response:
    if what == "rows" and place.rows is not None:
        return Response(json.dumps(place.rows()), media_type="application/json", headers=NO_STORE)
    frame = None if what == "newest" else int(what) if what.isdecimal() and len(what) < 10 else -1
    if place.draw is None or frame == -1:
        return Response(status_code=404)
    try:
        with place.turn:
            content, number, origin = place.draw(frame, look == "1")
    except SamkitError:
        return Response(status_code=422)
    headers = NO_STORE | {"X-Samkit-Frame": str(number), "X-Samkit-Origin": origin}
    return Response(content, media_type="image/jpeg", headers=headers)
