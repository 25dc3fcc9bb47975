"""One socket of the live channel, from the door to its end.

One question is answered at a time. While it is, the newest one waits and those before it are dropped: a pointer is
where it is, not where it was.
"""

import asyncio
import time
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from samkit.ui.live.decoding import answer_to
from samkit.ui.live.door import (
    MALFORMED,
    OTHER_ORIGIN,
    SESSION_ENDED,
    SILENT,
    UNKNOWN_TOKEN,
    Allowance,
    Sockets,
    TurnedAway,
    check_size,
    origin_allowed,
)
from samkit.ui.live.messages import Question, read_question, read_token, ready
from samkit.ui.state.live_work import decode_time, find_place

TOKEN_WITHIN_S = 10.0
LOOK_FOR_SESSION_S = 1.0
APART_S = 0.02
"""At least between the starts of two answers of a socket: more a second than a screen shows serve nobody."""

_sockets = Sockets()


async def serve(websocket: WebSocket) -> None:
    """A socket's whole life."""
    await websocket.accept()
    try:
        with _sockets.one():
            await _admit(websocket)
    except TurnedAway as turned_away:
        with suppress(RuntimeError, WebSocketDisconnect):
            await websocket.close(turned_away.code)
    except WebSocketDisconnect:
        pass


async def _admit(websocket: WebSocket) -> None:
    origin, host = websocket.headers.get("origin"), websocket.headers.get("host")
    if not await asyncio.to_thread(origin_allowed, origin, host):
        raise TurnedAway(OTHER_ORIGIN)
    allowance = Allowance()
    try:
        token = read_token(await asyncio.wait_for(_receive(websocket, allowance), TOKEN_WITHIN_S))
    except TimeoutError:
        raise TurnedAway(SILENT) from None
    place = find_place(token)
    if place is None:
        raise TurnedAway(UNKNOWN_TOKEN)
    with _sockets.of_session(place.session_id):
        await websocket.send_text(ready(decode_time(place.standing) if place.standing else None))
        del place  # A socket keeps no session's things alive.
        await _converse(websocket, token, allowance)


async def _converse(websocket: WebSocket, token: str, allowance: Allowance) -> None:
    """Until one side has enough. Whatever ends first ends all."""
    waiting = Newest()
    tasks = [
        asyncio.create_task(_take_questions(websocket, waiting, allowance)),
        asyncio.create_task(_answer_questions(websocket, token, waiting)),
        asyncio.create_task(_watch_session(token)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Newest:
    """Holds one question: the newest that nobody took."""

    def __init__(self) -> None:
        self._question: Question | None = None
        self._there = asyncio.Event()

    def put(self, question: Question) -> None:
        self._question = question
        self._there.set()

    async def take(self) -> Question:
        await self._there.wait()
        self._there.clear()
        assert self._question is not None
        return self._question


async def _take_questions(websocket: WebSocket, waiting: Newest, allowance: Allowance) -> None:
    while True:
        waiting.put(read_question(await _receive(websocket, allowance)))


async def _answer_questions(websocket: WebSocket, token: str, waiting: Newest) -> None:
    while True:
        question = await waiting.take()
        start = time.monotonic()
        place = find_place(token)
        if place is None:
            raise TurnedAway(SESSION_ENDED)
        answering = answer_to(question, place)
        del place
        message = await answering
        if isinstance(message, bytes):
            await websocket.send_bytes(message)
        else:
            await websocket.send_text(message)
        await asyncio.sleep(max(0.0, start + APART_S - time.monotonic()))


async def _watch_session(token: str) -> None:
    while find_place(token) is not None:
        await asyncio.sleep(LOOK_FOR_SESSION_S)
    raise TurnedAway(SESSION_ENDED)


async def _receive(websocket: WebSocket, allowance: Allowance) -> str:
    """The next message. Raises `TurnedAway` for one too many, one too large, and bytes."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    allowance.spend()
    text = message.get("text")
    if text is None:
        raise TurnedAway(MALFORMED)
    check_size(text)
    return text
