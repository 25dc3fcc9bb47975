"""Frames of a visitor's film for the player in the browser: a random token stands for the film, the memories and the
run that the page shows. As with live masks, a token is worth something only while its session is connected, and keeps
nothing alive.
"""

import secrets
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from samkit.experiments.film.look import look_at, look_on
from samkit.experiments.film.tracks import Found
from samkit.media.mask_views import film_view
from samkit.ui.state.labs import open_beside

if TYPE_CHECKING:
    from samkit.experiments.film.params import Params
    from samkit.experiments.inputs import Inputs
    from samkit.models.sam import SamModel
    from samkit.ui.state.recorded import FilmTable
    from samkit.work.lab import Lab

_KEY = "samkit.film_place"
FILM_PATH = "/live/film"
SHOWN_PX = 960
"""Longest side of the frames that are sent."""
QUALITY = 85
Step = Callable[["Lab"], tuple[Any, ...]]
Origin = Literal["run", "kept", "next", "prompts", "none"]
"""Where the masks on a frame come from: the run; the kept run that was opened; what is remembered up to the frame
before; prompts alone; or there are none.
"""


@dataclass(frozen=True)
class Sight:
    """A frame and the objects on it, by their numbers. rgb: uint8 [H, W, 3]"""

    frame: int
    rgb: np.ndarray
    found: Mapping[int, Found]
    origin: Origin


def see(
    table: "FilmTable",
    model: "SamModel",
    inputs: "Inputs",
    params: "Params",
    frame: int,
    look: bool,
    recall: Callable[[Step], Mapping[int, Found] | None],
) -> Sight:
    """A frame of the film, tracked with the memories so far: as the run, or one that was kept, found it; where the run
    comes next, with all it remembers; anywhere else with prompts alone.

    look:   whether the model may be asked; without it only what a run has found is there
    recall: gives what a step of function and arguments comes to, in a lab; None where that is still being computed
    """
    job, run = table.job, table.run
    if found := table.found_on(frame):
        latest = run.latest if run is not None else None
        rgb = latest[1] if latest is not None and latest[0] == frame else table.video.frame(frame)
        return Sight(frame, rgb, found, "run" if run is not None else "kept")
    rgb = table.video.frame(frame)
    busy = job is not None and job.active
    if not look or busy or not table.anything_remembered(inputs):
        return Sight(frame, rgb, {}, "none")
    comes_next = run is not None and run.done and frame == run.next_frame and not run.has_wishes and run.model is model
    banks = tuple(track.bank.copy() for track in run.tracks) if run is not None and comes_next else ()

    def step(lab: "Lab") -> tuple[Any, ...]:
        if run is not None and comes_next:
            return look_on, model, run.inputs, params, frame, banks
        return look_at, model, inputs, params, frame, lab

    seen = recall(step)
    if seen is None:
        return Sight(frame, rgb, {}, "none")
    return Sight(frame, rgb, seen, "next" if comes_next else "prompts")


class FilmPlace:
    """The player of one session. draw: a frame's number, or None for the one that the run found last, and whether the
    model may be asked -> JPEG file, frame, origin; rows: of the run so far, as plain values
    """

    def __init__(self, session_id: str):
        self.token = secrets.token_urlsafe(24)
        self.session_id = session_id
        self.draw: Callable[[int | None, bool], tuple[bytes, int, Origin]] | None = None
        self.rows: Callable[[], dict[str, Any]] | None = None
        self.turn = threading.Lock()


_places: "weakref.WeakValueDictionary[str, FilmPlace]" = weakref.WeakValueDictionary()
_lock = threading.Lock()


def film_token(table: "FilmTable", model: "SamModel", inputs: "Inputs", params: "Params") -> str:
    """The token of this session's player; from here on it stands for these."""
    context = get_script_run_ctx()
    session_id = context.session_id if context is not None else ""
    place: FilmPlace | None = st.session_state.get(_KEY)
    if place is None or place.session_id != session_id:
        place = st.session_state[_KEY] = FilmPlace(session_id)
    # The thread that answers the player has no session to ask whose this is.
    model_ref, open_lab = weakref.ref(model), open_beside()

    def draw(frame: int | None, look: bool) -> tuple[bytes, int, Origin]:
        loaded = model_ref()
        number = table.newest if frame is None else frame
        if loaded is None:
            return jpeg(table.video.frame(number)), number, "none"
        lab = open_lab(loaded, inputs)
        sight = see(table, loaded, inputs, params, number, look, lambda step: lab.recall(*step(lab)))
        return jpeg(drawn(table, sight)), number, sight.origin

    place.draw, place.rows = draw, lambda: rows_of(table)
    with _lock:
        _places[place.token] = place
    return place.token


def find_film_place(token: str) -> FilmPlace | None:
    """The place of that token, while its session is connected."""
    with _lock:
        place = _places.get(token)
    if place is None or not runtime.exists() or not runtime.get_instance().is_active_session(place.session_id):
        return None
    return place


def film_path() -> str:
    """The path of frames on the server that runs this script, from its root on."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{FILM_PATH}" if base else FILM_PATH


def drawn(table: "FilmTable", sight: Sight) -> np.ndarray:
    """uint8 [h, w, 3], at most `SHOWN_PX` pixels a side: the frame with every object in its colour."""
    layers = [(each.pixels, table.steering.rgb(number)) for number, each in sorted(sight.found.items())]
    return film_view(sight.rgb, layers, SHOWN_PX)


def jpeg(rgb: np.ndarray) -> bytes:
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def rows_of(table: "FilmTable") -> dict[str, Any]:
    """What the charts show: of each object the frames, and on each the object score, predicted IoU and area."""
    run, state = table.run, table.job.state if table.job is not None else ""
    if run is not None:
        tracks = [track.rows for track in tuple(run.tracks)]
        return {"state": state, "done": run.done, "tracks": [_track(rows) for rows in tracks]}
    kept = table.kept.found if table.kept is not None and table.job is None else ()
    rows = [[each.row for each in found.values()] for found in kept]
    return {"state": state, "done": max(map(len, rows), default=0), "tracks": [_track(each) for each in rows]}


def _track(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "frame": [row["frame"] for row in rows],
        "object_score": [round(row["object_score"], 2) for row in rows],
        "predicted_iou": [None if row["predicted_iou"] is None else round(row["predicted_iou"], 3) for row in rows],
        "area_share": [round(row["area_share"], 5) for row in rows],
        "marked": [row["frame"] for row in rows if row["corrected"]],
    }
