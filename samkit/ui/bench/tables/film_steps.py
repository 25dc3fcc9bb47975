"""What comes next with the film on the page, as one button: segment it, go on, take in new marks, begin anew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import streamlit as st

from samkit.experiments.film.film_run import FilmRun
from samkit.experiments.steering import Correction
from samkit.ui.state.film_marks import Place
from samkit.ui.state.recorded import FilmTable
from samkit.work.queue import FAILED, PAUSED, BackgroundJob
from samkit.work.spec import RunSpec

NO_MEMORY = "Mark an object on a frame first, or record a memory"
NOTHING_NEW = "Nothing has changed since this run: mark more, or turn a knob"
CHANGED = (
    ":material/info: Memories, objects, knobs, film or model have changed since this run: **Segment anew** shows their "
    "effect."
)
Does = Literal["begin", "take marks", "go on"]


@dataclass(frozen=True)
class NextStep:
    """label: of the button; help: why it can't be pressed, or what it does; note: above the run's result, for whoever
    does not look at the button; waiting: where marks have changed since the run
    """

    does: Does
    label: str
    help: str
    can: bool = True
    note: str = ""
    waiting: frozenset[Place] = frozenset()


def next_step(table: FilmTable, present: RunSpec, left: Sequence[Correction], remembered: bool) -> NextStep:
    """present: what the page shows; left: what is marked and no correction yet; remembered: whether anything else says
    what is to be followed
    """
    job, run = table.job, table.run
    changed, gone = table.changed_marks(left)
    # As it will be: a mark that was taken back may have been all there was.
    if not (left or remembered):
        return NextStep("begin", "Segment" if job is None else "Segment anew", NO_MEMORY, can=False)
    if job is None:
        return NextStep("begin", "Segment" if table.kept is None else "Segment anew", _follows(table))
    if run is None and job.active:
        return NextStep("begin", "Segmenting…", "", can=False)
    if run is None or not _is_of_the_rest(job, present):
        note = CHANGED if run is not None else ""
        return NextStep("begin", "Segment anew", "From the beginning", can=not job.active, note=note)
    places = [run.place_of(frame) for frame in (*(each.frame for each in changed), *(frame for frame, _ in gone))]
    if any(not 0 <= place < run.total for place in places):
        return NextStep("begin", "Segment anew", "From the beginning", can=not job.active, note=CHANGED)
    waiting = frozenset([*((each.frame, each.object) for each in changed), *gone])
    if places and (min(places) < run.done or job.active):
        frame = run.order[min(places)]
        return NextStep(
            "take marks",
            f"Segment from frame {frame}",
            "Takes in what you have marked. Frames before stay as they are; this one and those after it are segmented "
            "anew",
            note=f":material/info: Marks have changed since this run: **Segment from frame {frame}** takes them in.",
            waiting=waiting,
        )
    if job.state in (PAUSED, FAILED) or (not job.active and run.done < run.total):
        return NextStep("take marks" if places else "go on", "Go on", f"With frame {run.next_frame}", waiting=waiting)
    if job.active:
        return NextStep("begin", "Segmenting…", "", can=False)
    return NextStep("begin", "Segment anew", NOTHING_NEW, can=False)


def draw_next_step(table: FilmTable, step: NextStep) -> None:
    st.button(
        step.label,
        icon=":material/resume:" if step.does == "go on" else ":material/play_arrow:",
        type="primary",
        key="run_film",
        disabled=not step.can,
        help=step.help or None,
        on_click=_does(table, step),
    )


def _does(table: FilmTable, step: NextStep) -> Callable[[], None]:
    return table.go_on if step.does == "go on" else table.ask


def _follows(table: FilmTable) -> str:
    return (
        "Follow all marked objects through the film" if len(table.objects) > 1 else "Follow the object through the film"
    )


def _is_of_the_rest(job: BackgroundJob[FilmRun], present: RunSpec) -> bool:
    """Whether the job was started with what the page shows, marks apart. Beside memory banks alone, the picture on the
    table has no part in the run.
    """
    assert job.run is not None
    done = replace(job.spec, steering=job.run.steering)
    told = replace(present, steering=job.run.steering)
    return done.id == (told if told.priors else replace(told, image=done.image)).id
