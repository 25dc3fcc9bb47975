"""The player below the canvas, and the charts that follow it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from samkit.experiments.film.params import Params
from samkit.experiments.inputs import Inputs
from samkit.models.sam import SamModel
from samkit.ui.parts import style
from samkit.ui.parts.picture_view import view_name
from samkit.ui.state.film_frames import Sight, film_path, film_token, rows_of
from samkit.ui.state.recorded import FilmTable

MAX_TIMES = 5_000
"""Frames of a film whose times are sent; those of longer films follow from its rate."""

_player = st.components.v2.component(
    "samkit_film_player",
    html=style.part("film_player.html"),
    css=style.part("film_player.css"),
    js=style.part("film_player.js"),
)
_charts = st.components.v2.component(
    "samkit_film_charts",
    html=style.part("film_charts.html"),
    css=style.part("film_player.css"),
    js=style.part("film_charts.js"),
)


def film_player(
    table: FilmTable,
    model: SamModel,
    inputs: Inputs,
    params: Params,
    sight: Sight | None,
    canvas: str,
    marks: Mapping[str, Mapping[str, float | None]],
    taken_back: Sequence[int] = (),
) -> None:
    """Buttons, a slider over the film, and what was found on the frame. It plays on the page's canvas.

    sight:  what the canvas shows at rest; None where it shows another picture
    canvas: key of the canvas's frame
    marks:  of each object whose mask on the canvas is that of marks which no run has taken in, its "iou" and "area"
    """
    job, key = table.job, "film_player"
    _player(
        data=_shown(table)
        | {
            "path": film_path(),
            "token": film_token(table, model, inputs, params),
            "film": f"{table.video.sha256} {table.video.size}",
            "name": table.video.name,
            "size": f"{table.video.size[1]} × {table.video.size[0]} px",
            "fps": float(table.video.fps),
            "times": [round(float(time), 3) for time in table.video.timestamps[:MAX_TIMES]],
            "stamp": table.stamp,
            # As the page has seen it: of a run that came to rest since then the page does not know the last frame yet.
            "active": job is not None and table.was_active,
            "job": id(job),
            "followed": table.followed,
            "canvas": canvas,
            "marks": dict(marks),
            "taken_back": list(taken_back),
            "shown": sight is not None,
            "origin": sight.origin if sight is not None else "none",
            "view": view_name(table.lay_frame().picture),
        },
        key=key,
        on_rest_change=_rested(table, key),
    )


def film_charts(table: FilmTable) -> None:
    """Object score, predicted IoU and area of each object over the film."""
    _charts(data=_shown(table), key="film_charts")


def _shown(table: FilmTable) -> dict[str, Any]:
    steering = table.steering
    objects = [{"name": steering.name(number), "color": steering.color(number)} for number in range(steering.count)]
    return {
        "frame": table.frame,
        "length": table.video.length,
        "objects": objects,
        "rows": rows_of(table),
    }


def _rested(table: FilmTable, key: str) -> Callable[[], None]:
    def take() -> None:
        frame = st.session_state[key].rest
        if isinstance(frame, int | float):
            table.rest_at(int(frame))
            table.followed = False

    return take
