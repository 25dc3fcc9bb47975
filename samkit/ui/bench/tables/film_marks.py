"""What is marked on the film page's canvas, and what can be made of it: corrections of the film, and memories."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from samkit.experiments.film.look import frame_to_refine
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.measures.predicted_masks import chosen_index, cut_masks, mask_rows, predict, stability_scores
from samkit.experiments.measures.truth import add_true_ious
from samkit.experiments.steering import Correction
from samkit.prompts import Prompts
from samkit.ui.bench.results import ProgressBar
from samkit.ui.bench.tables.table import Visit
from samkit.ui.controls.canvas import Layer, lay_masks
from samkit.ui.controls.masks_panel import masks_panel
from samkit.ui.controls.prompt_editor import canvas_frame
from samkit.ui.state.beside_page import call_off, recall_beside
from samkit.ui.state.film_frames import Sight
from samkit.ui.state.given import FoundMask, found_mask
from samkit.ui.state.labs import page_lab
from samkit.ui.state.long_encodings import long_encodings
from samkit.ui.state.recorded import FilmTable
from samkit.ui.state.shown_marks import OwnMark, mask_of_mark
from samkit.ui.state.workspace import Workspace

if TYPE_CHECKING:
    from samkit.work.lab import Lab, LazyEncoding

MASKS, LOOK = "masks of marks", "look at the frame"
"""What the page may wait for."""
ANOTHER = Prompts(points=[(0.0, 0.0, 1)])
"""Stands for prompts that differ from those of the correction that was made."""


@dataclass(frozen=True)
class Marked:
    """
    prior:      what is recorded of it
    masks:      four bool [H, W]; chosen: which of them is seen
    correction: what it comes to on the film's frame; None on a picture, and where an earlier correction says the same
    iou:        the predicted IoU of the mask that is seen
    """

    prior: Prior
    masks: tuple[np.ndarray, ...]
    chosen: int
    correction: Correction | None
    iou: float

    @property
    def mask(self) -> np.ndarray:
        return self.masks[self.chosen]

    @property
    def own(self) -> OwnMark:
        return OwnMark(self.mask, self.iou, self.correction is None)


def beside(table: FilmTable) -> bool:
    """Whether the page is not to stand still for the model: a run has the machine, and whoever watches it wants to stop
    it at any moment. A long encoding that was asked for has a button that stops it.
    """
    return table.computes and long_encodings().wanted is None


def work_on_canvas(visit: Visit, table: FilmTable) -> Workspace:
    return table.lay_frame() if table.on_film else visit.work


def mask_of_the_run(table: FilmTable) -> FoundMask | None:
    """What the run has found of the object on the present frame."""
    found = table.found_on(table.frame).get(table.object)
    if found is None or not found.pixels.any():
        return None
    return FoundMask(found.row["best"], found.pixels, name=f"the run's mask of frame {table.frame}")


def remember_choice(visit: Visit, table: FilmTable) -> None:
    """Which of the four masks is meant belongs to a frame and an object: elsewhere the choice that was made there."""
    if not table.on_film:
        return
    place, made = table.place, table.made(*table.place)
    if table.chosen_at != place and (table.chosen_at is not None or made is not None):
        visit.knobs.set({"mask_index": table.chosen.get(place, made.mask_index if made is not None else None)})
    table.chosen_at = place
    table.chosen[place] = visit.knobs.get("mask_index")


def encoding_of_next_mark(table: FilmTable) -> "Callable[[Lab], LazyEncoding] | None":
    """What one more prompt on the canvas is decoded on, where the run has found the object there."""
    return _refined_on(table, table.correction(ANOTHER, None)) if table.on_film else None


def draw_marked(visit: Visit, table: FilmTable) -> Marked | None:
    """Draw the four masks of the prompts; None where nothing is marked, and where they are still being found."""
    work, model = work_on_canvas(visit, table), visit.model
    if not (work.is_marked and beside(table)):
        call_off(MASKS)
    if not work.is_marked:
        return None
    hint = work.given.hint_for(model, work.picture, visit.encoding)
    present = table.correction(work.prompts, None)
    refined = _refined_on(table, present) if table.on_film and hint is None else None
    bar, open_lab = ProgressBar(visit.sidebar.meter), partial(page_lab, model, Inputs(image=work.picture))

    def step(lab: "Lab") -> tuple[Any, ...]:
        encoding = refined(lab) if refined is not None else lab.encoding(model, work.picture, **visit.encoding)
        return predict, model, encoding, work.prompts, hint

    lab = open_lab(bar)
    try:
        prediction = recall_beside(MASKS, lab, open_lab, step) if beside(table) else lab.recall(*step(lab))
    finally:
        bar.clear()
    if prediction is None:
        return None
    masks = lab.recall(cut_masks, prediction, work.picture, work.prompts, False)
    chosen = chosen_index(prediction, visit.knobs.get("mask_index"))
    rows = mask_rows(prediction, masks, lab.recall(stability_scores, prediction), chosen)
    add_true_ious(rows, masks, work.given.truth)
    work.given.found = found_mask(prediction, chosen, masks[chosen])
    color = table.steering.rgb(table.object)
    masks_panel(work.picture, masks, rows, chosen, visit.knobs, refined=False, strip=visit.page.name, color=color)
    if table.on_film and len(table.objects) > 1:
        table.note_seen(masks[chosen])
    # A memory is recorded without the film's other memories, and a correction has no hint: where these had a say, the
    # mask that was seen is taken as it is.
    prior = Prior(work.picture, work.prompts, chosen, mask_hint=hint)
    if refined is not None:
        prior = Prior(work.picture, mask=masks[chosen])
    correction = table.correction(work.prompts, chosen, masks[chosen] if hint is not None else None)
    unmade = table.on_film and correction not in table.corrections
    return Marked(prior, tuple(masks), chosen, correction if unmade else None, float(rows[chosen]["predicted_iou"]))


def lay_on_canvas(visit: Visit, table: FilmTable, marked: Marked | None, sight: Sight | None) -> None:
    """The present object's mask on the canvas, as it is marked or was found; on a frame of the film those of all other
    objects beside it, with what marks them.
    """
    work = work_on_canvas(visit, table)
    found = dict(sight.found) if sight is not None else {}
    own = found.pop(table.object, None)
    masks, chosen = ([own.pixels], 0) if own is not None else ([], 0)
    if marked is not None:
        masks, chosen = list(marked.masks), marked.chosen
    others = []
    for number in range(len(table.objects) if sight is not None else 0):
        place, each = (table.frame, number), found.get(number)
        if number == table.object:
            continue
        mask = mask_of_mark(table, number, sight)
        if mask is None and each is not None:
            mask = each.pixels
        if mask is not None or not table.prompts_at(place).is_empty:
            others.append(Layer(table.steering.rgb(number), mask, table.prompts_at(place)))
    if marked is not None or sight is not None:
        lay_masks(canvas_frame(), work.picture, work.prompts, masks, chosen, others=others)


def _refined_on(table: FilmTable, marks: Correction) -> "Callable[[Lab], LazyEncoding] | None":
    """What marks on the present frame are decoded on, where they refine what the run has found; else None."""
    run = table.run
    if run is None or not marks.refines or marks.object not in run.on(marks.frame):
        return None
    values = run.model, run.inputs, run.params, marks.frame, marks.object, marks.earlier
    side = run.params.side or run.model.info.native_side
    return lambda lab: lab.lazily(frame_to_refine, run, *values, lab, side=side)


def marks_left(table: FilmTable, marked: Marked | None) -> list[Correction]:
    """What all marks on the film come to that are no corrections yet: what is seen on the canvas, and what was marked
    of other objects and on other frames.
    """
    left = table.unmade()
    if not table.on_film or marked is None:
        return left
    others = [each for each in left if (each.frame, each.object) != (table.frame, table.object)]
    return [*others, marked.correction] if marked.correction is not None else others


def record_button(table: FilmTable, marked: Marked | None) -> None:
    """What is marked can be a memory too."""
    if marked is None:
        return
    st.button(
        "Record this memory",
        icon=":material/add_circle:",
        type="secondary" if table.on_film else "primary",
        key="record",
        on_click=table.record,
        args=(marked.prior, marked.mask),
        help="Also remembered from the film's beginning on, as if it were another picture; counts when the film is "
        "segmented anew"
        if table.on_film
        else "Remembered from the film's beginning on",
    )
