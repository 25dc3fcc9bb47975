"""What the live channel may work on: each page hands its canvas a random token, which stands for the model, the picture
and the settings that the page shows at that moment.

A token belongs to one session and one canvas. It is worth something only while that session is connected, and what it
stands for goes with the session's own state: nothing here keeps a picture, an encoding or a model alive.
"""

import secrets
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit import runtime

from samkit.experiments.lab import Progress
from samkit.media.given_masks import MaskHint
from samkit.media.pictures import Picture
from samkit.ui.state.beside_page import Errand, call_off, errand, is_waited_for
from samkit.ui.state.labs import encoding_memory, page_lab, part_memory
from samkit.ui.state.long_encodings import ask_beside
from samkit.ui.state.visitors import visitor_id
from samkit.work.long_encoding import LongEncoding

if TYPE_CHECKING:
    from samkit.models.encoding import ImageEncoding
    from samkit.models.sam import SamModel
    from samkit.work.lab import Lab, LazyEncoding

_KEY = "samkit.live"
LIVE_PATH = "/live/masks"
MAX_CANVASES = 4
"""Of a session. A page has two at most; those of pages that were left go first."""
TIMES_REMEMBERED = 32


@dataclass(frozen=True)
class LiveWork:
    """What a canvas shows, as its page encodes it.

    side, fit, window_sizes, window_reading: as in `SamModel.encode_image`
    mask_hint: what the page predicts with beside the prompts, or None
    encoding: what the page decodes on, where that is not the picture's own encoding
    view: by which the browser knows the picture on the canvas
    """

    model: "SamModel"
    picture: Picture
    side: int | None = None
    fit: str = "native"
    window_sizes: tuple[int, ...] | None = None
    mask_hint: MaskHint | None = None
    window_reading: str = "step"
    encoding: "Callable[[Lab], LazyEncoding] | None" = None
    view: str = ""


@dataclass(frozen=True)
class Standing:
    """What a token stands for at this moment.

    encoding_key: by which the page's encoding is remembered, once the page has made it
    lab:          whose memories are the page's; unlike a page's own lab it holds no model
    timed_as:     what the time of a decode depends on
    view:         of the canvas
    """

    model_ref: "weakref.ref[SamModel]"
    encoding_key: str
    lab: "Lab"
    mask_hint: MaskHint | None
    timed_as: tuple[Any, ...]
    view: str = ""

    def encoding(self) -> "ImageEncoding | None":
        """The page's encoding, where it is remembered; never made here. It stays for as long as who asks for it."""
        return encoding_memory().peek(self.encoding_key, self.lab.user)

    def is_coming(self) -> bool:
        """Whether the encoding is being made."""
        return encoding_memory().is_making(self.encoding_key)


class LivePlace:
    """One canvas of one session.

    missed: whether a question found no encoding, and nobody who makes it
    unkept: key of an encoding that was made for questions and is too large to be remembered; unasked: of one that would
            take long, and that nobody has asked for
    work:   what the page shows, for as long as a run of the page lasts
    """

    def __init__(self, session_id: str):
        self.token = secrets.token_urlsafe(24)
        self.session_id = session_id
        self.standing: Standing | None = None
        self.work: LiveWork | None = None
        self.missed = False
        self.unkept: str | None = None
        self.unasked: str | None = None


_places: "weakref.WeakValueDictionary[str, LivePlace]" = weakref.WeakValueDictionary()
_times: OrderedDict[tuple[Any, ...], float] = OrderedDict()
_lock = threading.Lock()


def live_token(name: str, work: LiveWork) -> str:
    """The token of the canvas `name`, the same in every run of its page; from here on it stands for `work`. To be
    called by the script's own thread.
    """
    from samkit.work.lab import Lab

    lab = Lab(encoding_memory(), part_memory(), user=visitor_id())
    key = _encoding(lab, work).content_key
    place = _place(name)
    timed_as = (work.model.info.sha256, work.model.device, work.side, work.fit)
    place.standing = Standing(weakref.ref(work.model), key, lab, work.mask_hint, timed_as, work.view)
    place.work = work
    with _lock:
        _places[place.token] = place
    return place.token


def make_what_was_missed(progress: Progress, beside: bool = False) -> None:
    """Encode what questions of this session's canvases have missed. To be called at the end of a page's run. beside: in
    a thread of its own, for which the page does not wait.

    A page whose results are all remembered is drawn without an encoding, and an encoding goes when others need its
    room: masks under the pointer need it again.
    """
    places: OrderedDict[str, LivePlace] = st.session_state.get(_KEY, OrderedDict())
    for name, place in places.items():
        work, place.work = place.work, None
        if not place.missed or work is None:
            continue
        place.missed, place.unasked = False, None
        open_lab = partial(page_lab, work.model)
        if not beside:
            _make(place, _encoding(open_lab(progress=progress), work))
            continue

        def prepare(begun: Errand[bool], place: LivePlace = place, work: LiveWork = work) -> Callable[[], bool]:
            lab = page_lab(work.model, progress=begun.tell, cancelled=lambda: begun.called_off, ask=ask_beside())
            return partial(_make, place, _encoding(lab, work))

        if is_waited_for(what := f"encoding of {name}") is None:
            call_off(what)  # It was there once, and is not any more.
        errand(what, _encoding(open_lab(), work).content_key, prepare)


def _make(place: LivePlace, encoding: "LazyEncoding") -> bool:
    """Whether the encoding is there."""
    try:
        _ = encoding.value
    except LongEncoding:
        place.unasked = encoding.content_key
        return False
    place.unkept = None if encoding_memory().has(encoding.content_key) else encoding.content_key
    return True


def _encoding(lab: "Lab", work: LiveWork) -> "LazyEncoding":
    if work.encoding is not None:
        return work.encoding(lab)
    return lab.encoding(
        work.model,
        work.picture,
        side=work.side,
        fit=work.fit,
        window_sizes=work.window_sizes,
        window_reading=work.window_reading,
    )


def _place(name: str) -> LivePlace:
    """This session's place for that canvas, used last of all."""
    session_id = visitor_id() or ""
    places: OrderedDict[str, LivePlace] = st.session_state.setdefault(_KEY, OrderedDict())
    place = places.pop(name, None)
    if place is None or place.session_id != session_id:
        place = LivePlace(session_id)
    places[name] = place
    while len(places) > MAX_CANVASES:
        places.popitem(last=False)
    return place


def find_place(token: str) -> LivePlace | None:
    """The place of that token, while its session is connected."""
    with _lock:
        place = _places.get(token)
    if place is None or not runtime.exists() or not runtime.get_instance().is_active_session(place.session_id):
        return None
    return place


def live_path() -> str:
    """The channel's path on the server that runs this script, from its root on."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{LIVE_PATH}" if base else LIVE_PATH


def decode_time(standing: Standing) -> float | None:
    """How long the last decode of this kind took, in milliseconds; None before the first."""
    with _lock:
        return _times.get(standing.timed_as)


def remember_decode_time(standing: Standing, decode_ms: float) -> None:
    with _lock:
        _times[standing.timed_as] = decode_ms
        _times.move_to_end(standing.timed_as)
        while len(_times) > TIMES_REMEMBERED:
            _times.popitem(last=False)
