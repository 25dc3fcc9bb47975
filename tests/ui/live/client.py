"""A visitor without a browser: the page's own WebSocket, and sockets of the live channel beside it."""

import json
from contextlib import ExitStack
from typing import Any

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from samkit.ui.live.messages import read_answer

PATIENCE_S = 60


class Page:
    """A page in a session of its own; `run` is one run of its script."""

    def __init__(self, socket: ClientConnection):
        self._socket = socket

    def run(self, query: str) -> str:
        """The text that the page shows when it is done: its token."""
        message = BackMsg()
        message.rerun_script.query_string = query
        self._socket.send(message.SerializeToString())
        shown = ""
        while True:
            told = ForwardMsg()
            told.ParseFromString(self._socket.recv(PATIENCE_S))
            if told.WhichOneof("type") == "delta" and told.delta.new_element.WhichOneof("type") == "text":
                shown = told.delta.new_element.text.body
            if told.WhichOneof("type") == "script_finished":
                assert told.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
                return shown

    def leave(self) -> None:
        self._socket.close()


class Live:
    """A socket of the live channel that is in."""

    def __init__(self, socket: ClientConnection):
        self._socket = socket

    def send(self, n: int, points: list, boxes: list | None = None, masks: Any = "one") -> None:
        self._socket.send(json.dumps({"n": n, "points": points, "boxes": boxes or [], "masks": masks}))

    def send_text(self, message: str | bytes) -> None:
        self._socket.send(message)

    def receive(self) -> tuple[dict, np.ndarray | None]:
        """(header, logits [masks, h, w] or None) of the next answer."""
        message = self._socket.recv(PATIENCE_S)
        if isinstance(message, str):
            return json.loads(message), None
        header, steps = read_answer(message)
        return header, steps.astype(np.float32) / 256

    def ask(self, points: list, boxes: list | None = None, masks: Any = "one") -> tuple[dict, np.ndarray | None]:
        self.send(1, points, boxes, masks)
        return self.receive()

    def closed_with(self) -> int:
        """The code that the server closes the socket with; answers before that are passed over."""
        try:
            while True:
                self._socket.recv(PATIENCE_S)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code


class Visitors:
    """Opens pages and sockets, and closes them in the end."""

    def __init__(self, url: str, stack: ExitStack):
        self._url, self._stack = url.replace("http:", "ws:"), stack

    def page(self) -> Page:
        return Page(self._connect("/_stcore/stream", subprotocols=["streamlit"]))

    def socket(self, first: str | None, origin: str | None = None) -> Live:
        """A socket that has sent its first message, if any."""
        live = Live(self._connect("/live/masks", origin=origin))
        if first is not None:
            live.send_text(first)
        return live

    def live(self, token: str, origin: str | None = None) -> Live:
        """A socket that was let in."""
        live = self.socket(json.dumps({"token": token}), origin)
        header, _ = live.receive()
        assert header["ready"]
        return live

    def _connect(self, path: str, **options: Any) -> ClientConnection:
        return self._stack.enter_context(connect(self._url + path, max_size=2**26, **options))
