"""What goes over the live channel, as text and bytes. Pure: no sockets, no models.

A question is a JSON text: `{"n": 17, "points": [[x, y, label], ...], "boxes": [[x1, y1, x2, y2], ...], "masks": "one"}`
with coordinates as shares of the picture. `masks` is "one" for the best one, "all", or a list of numbers 0 to 3. A
`"view"` beside it names the picture that the asker sees: while the page shows another one there is no answer yet.

An answer is binary: a little-endian uint32 with the length of a JSON header, the header, then little-endian int16
[masks, h, w]: logits times `LOGIT_STEPS` over the decoder's own grid. Or it is a text: `{"n": 17, "wait": true}` where
the page is still encoding, with `"missed": true` beside it where nobody is and the page has to run again, and
`{"n": 17, "error": "a sentence"}` where the question has no answer.
"""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samkit.prompts import Prompts
from samkit.ui.live.door import MALFORMED, TurnedAway

LOGIT_STEPS = 256
MASK_COUNT = 4
ONE, ALL = "one", "all"
Masks = str | tuple[int, ...]


@dataclass(frozen=True)
class Question:
    """n: the asker's own number; masks: `ONE`, `ALL`, or which of them.

    view: of the picture that the asker sees, "" for whichever there is

    rows: the points and boxes as they came, for `prompts` to judge
    """

    n: int
    rows: dict[str, Any]
    masks: Masks
    view: str = ""

    def prompts(self) -> Prompts:
        """Raises PromptError with a sentence for what can't be used."""
        return Prompts.from_dict(self.rows)


def read_token(text: str) -> str:
    """The token of a socket's first message. Raises `TurnedAway` for any other message."""
    message = _read_object(text)
    token = message.get("token")
    if not isinstance(token, str):
        raise TurnedAway(MALFORMED)
    return token


def read_question(text: str) -> Question:
    """Raises `TurnedAway` for what is no question."""
    message = _read_object(text)
    n, masks = message.get("n"), message.get("masks", ONE)
    if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < 2**53:
        raise TurnedAway(MALFORMED)
    if isinstance(masks, list):
        masks = tuple(masks)
        known = all(type(index) is int and 0 <= index < MASK_COUNT for index in masks)
        if not known or not masks or len(set(masks)) < len(masks):
            raise TurnedAway(MALFORMED)
    elif masks not in (ONE, ALL):
        raise TurnedAway(MALFORMED)
    rows = {name: message.get(name, []) for name in ("points", "boxes")}
    if not all(isinstance(value, list) for value in rows.values()):
        raise TurnedAway(MALFORMED)
    view = message.get("view", "")
    if not isinstance(view, str):
        raise TurnedAway(MALFORMED)
    return Question(n, rows, masks, view)


def _read_object(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise TurnedAway(MALFORMED) from None
    if not isinstance(message, dict):
        raise TurnedAway(MALFORMED)
    return message


def ready(decode_ms: float | None) -> str:
    """What a socket hears once it is in. decode_ms: how long the last decode took, where that is known."""
    return json.dumps({"ready": True, "decode_ms": decode_ms})


def wait(n: int, missed: bool = False) -> str:
    """missed: whether nobody makes what is waited for until the page runs again"""
    return json.dumps({"n": n, "wait": True} | ({"missed": True} if missed else {}))


def refusal(n: int, sentence: str) -> str:
    return json.dumps({"n": n, "error": sentence})


def answer(
    n: int,
    logits: np.ndarray,
    chosen: Sequence[int],
    *,
    share: tuple[float, float],
    best: int,
    iou: Sequence[float],
    stability: Sequence[float],
    decode_ms: float,
) -> bytes:
    """
    logits:  float32 [4, h, w] over the decoder's grid
    chosen:  which of them are sent
    share:   (of h, of w) of the grid, from the top left, that the picture covers; the rest is padding
    best:    the mask that a page chooses where nobody did
    """
    _, height, width = logits.shape
    header = {
        "n": n,
        "h": height,
        "w": width,
        "share": list(share),
        "masks": list(chosen),
        "best": best,
        "iou": [_plain(value) for value in iou],
        "stability": [_plain(value) for value in stability],
        "decode_ms": decode_ms,
    }
    text = json.dumps(header).encode()
    steps = np.rint(logits[list(chosen)] * np.float32(LOGIT_STEPS))
    payload = np.clip(np.nan_to_num(steps), -(2**15), 2**15 - 1).astype("<i2")
    return struct.pack("<I", len(text)) + text + payload.tobytes()


def read_answer(message: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """(header, int16 [masks, h, w]) of an answer."""
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    logits = np.frombuffer(message, "<i2", offset=4 + length)
    return header, logits.reshape(len(header["masks"]), header["h"], header["w"])


def _plain(value: float) -> float | None:
    """JSON has no word for what is no number."""
    return float(value) if math.isfinite(value) else None
