"""The chosen cell: its picture with truth and mask, its figures, and the way into its experiment."""

from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import streamlit as st

from samkit.errors import SamkitError
from samkit.experiments.inputs import Inputs
from samkit.experiments.registry import find_entry
from samkit.media.drawing import overlay
from samkit.media.mask_files import read_mask_file
from samkit.media.mask_views import outlined
from samkit.prompts import Prompts
from samkit.ui.parts import style
from samkit.ui.parts.inline_image import fit_within, inline_image, shrink_mask
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.models import shared_model
from samkit.ui.state.page_links import CELL, page_file
from samkit.ui.sweeps.columns import title, value_text
from samkit.ui.sweeps.looked_at import LookedAt
from samkit.words import number_text
from samkit.work.sources import Sources
from samkit.work.sweep.cells import Cell
from samkit.work.sweep.compute import mask_file, run_folder
from samkit.work.sweep.results import Outcome
from samkit.work.sweep.summary import swept_columns

DRAWN_PX = (560, 300)
TRUE_COLOR = (255, 214, 10)
SHOWN_METRICS = 4
COMPUTED = "samkit.sweep_mask"


def draw_cell(looked: LookedAt, shown: str, side: str = "") -> None:
    """shown: the metric that the charts show, as a column; side: tells two of them on a page apart."""
    index = looked.chosen
    if index is None:
        st.markdown("**One cell**")
        st.info(
            "Click a point, or tick a row of the table of cells below, to see its picture, truth and mask.",
            icon=":material/image:",
        )
        return
    cell, outcome, row = looked.table.cells[index], looked.table.outcome(index), looked.rows[index]
    st.markdown(f"**{plain_text(cell.case.name)}**")
    if outcome is not None and outcome.status == "failed":
        st.error(plain_text(outcome.reason), icon=":material/error:")
    if cell.case.picture is not None:
        _draw_picture(looked, cell, outcome)
    st.html(f'<div class="samkit-small">{_figures(looked, row, shown, _shows_mask(looked, cell))}</div>')
    _ways(looked, cell, outcome, side)


def _ways(looked: LookedAt, cell: Cell, outcome: Outcome | None, side: str) -> None:
    entry = find_entry(cell.experiment)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(
            page_file(entry),
            label=f"Open in {entry.title}",
            icon=":material/open_in_new:",
            query_params={CELL: f"{looked.sweep.id}.{cell.id}"},
        )
        if outcome is not None and outcome.status == "done" and _can_be_shown(looked, cell):
            st.button(
                "Show the mask",
                icon=":material/auto_awesome:",
                key=f"compute_mask{side}",
                type="tertiary",
                help="This sweep keeps no masks: compute this one again",
                on_click=_compute,
                args=(cell, outcome),
            )
    if (problem := st.session_state.get(f"{COMPUTED}.problem")) and problem[0] == cell.id:
        st.warning(plain_text(problem[1]), icon=":material/error:")


def _can_be_shown(looked: LookedAt, cell: Cell) -> bool:
    """Whether a mask that was not kept can be computed again on the spot."""
    alone = cell.case.film is None and cell.case.second is None
    return alone and "prompts" in find_entry(cell.experiment).experiment.TAKES and kept_mask(looked, cell) is None


def _shows_mask(looked: LookedAt, cell: Cell) -> bool:
    return cell.case.picture is not None and kept_mask(looked, cell) is not None


def _draw_picture(looked: LookedAt, cell: Cell, outcome: Outcome | None) -> None:
    try:
        picture = _picture(str(looked.sweep.path), cell.id, cell, outcome, kept_mask(looked, cell))
    except SamkitError as error:
        st.warning(plain_text(str(error)), icon=":material/broken_image:")
        return
    inline_image(picture, cell.case.name, "samkit-cell")


def kept_mask(looked: LookedAt, cell: Cell) -> np.ndarray | None:
    """bool [H, W] of the picture: the chosen mask, from the sweep's folder or computed for this visitor again."""
    again: tuple[str, np.ndarray] | None = st.session_state.get(COMPUTED)
    if again is not None and again[0] == cell.id:
        return again[1]
    for file in (mask_file(looked.sweep.path, cell.id), *_run_masks(looked.sweep.path, cell.id)):
        if file.is_file():
            try:
                return read_mask_file(file).mask()
            except SamkitError:
                return None
    return None


def _run_masks(folder: Path, cell: str) -> list[Path]:
    """Of a run that was kept whole."""
    return [run_folder(folder, cell) / "outputs" / f"mask_{name}.png" for name in ("chosen", "tracked")]


def _picture(folder: str, cell_id: str, cell: Cell, outcome: Outcome | None, mask: np.ndarray | None) -> np.ndarray:
    """uint8 [h, w, 3]: mask filled, truth as an outline, prompts."""
    sources, (ref, truth_ref) = Sources(), cell.judged
    assert ref is not None
    picture = sources.picture(ref)
    rgb = drawn = fit_within(picture.rgb, *DRAWN_PX)
    size = rgb.shape[0], rgb.shape[1]
    if mask is not None and mask.shape == picture.size:
        drawn = overlay(rgb, shrink_mask(mask, size), style.MASK_COLOR)
    if truth_ref is not None:
        drawn = outlined(drawn, shrink_mask(sources.truth(truth_ref, picture).mask, size), TRUE_COLOR)
    return _with_prompts(drawn, _used(cell, outcome)) if ref == cell.marked_picture else drawn


def _used(cell: Cell, outcome: Outcome | None) -> Prompts:
    if outcome is not None and outcome.prompts:
        return Prompts.from_dict(outcome.prompts)
    return cell.prompts or Prompts()


def _with_prompts(rgb: np.ndarray, prompts: Prompts) -> np.ndarray:
    drawn = np.array(rgb)
    height, width = drawn.shape[:2]
    for x1, y1, x2, y2 in prompts.boxes:
        corners = (round(x1 * width), round(y1 * height)), (round(x2 * width), round(y2 * height))
        cv2.rectangle(drawn, *corners, _rgb(style.BOX), 1, cv2.LINE_AA)
    for x, y, kind in prompts.points:
        at = round(x * width), round(y * height)
        cv2.circle(drawn, at, 4, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(drawn, at, 3, _rgb(style.FOREGROUND if kind else style.BACKGROUND), -1, cv2.LINE_AA)
    return drawn


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _figures(looked: LookedAt, row: dict[str, Any], shown: str, with_mask: bool) -> str:
    """HTML: the cell's setting, its figures, and what is drawn on its picture."""
    columns = [*swept_columns(looked.sweep.spec), *(["size"] if row.get("size") else [])]
    setting = [f"{escape(title(name))} <b>{escape(value_text(name, row.get(name)))}</b>" for name in columns]
    names = [shown, *(name for name in row if name.startswith("metric.") and name != shown)]
    figures = [
        f"{escape(title(name))} <b>{number_text(row[name], 4)}</b>"
        for name in names[: SHOWN_METRICS + 1]
        if row.get(name) is not None
    ]
    marks = ['<span style="color:#16a0aa">■</span> mask'] if with_mask else []
    marks += ['<span style="color:#d9b70a">□</span> truth'] if row.get("size") else []
    return " · ".join([*setting, *figures, *([" ".join(marks)] if marks else [])])


def _compute(cell: Cell, outcome: Outcome) -> None:
    """Compute the cell's mask again, for this visitor."""
    from samkit.ui.state.labs import page_lab
    from samkit.work.execute import compute

    try:
        sources = Sources()
        assert cell.case.picture is not None
        picture = sources.picture(cell.case.picture)
        truth = sources.truth(cell.case.truth, picture) if cell.case.truth is not None else None
        model = shared_model(cell.model, cell.device, cell.dtype)
        prompts = Prompts.from_dict(outcome.prompts) if outcome.prompts else Prompts()
        lab = page_lab(model, Inputs(image=picture, prompts=prompts, truth=truth), asked=True)
        found = compute(cell.run_spec(prompts), lab).result.masks.get("mask_chosen")
        if found is None:
            raise SamkitError("This experiment gives no mask.")
        st.session_state[COMPUTED] = cell.id, found.pixels
        st.session_state.pop(f"{COMPUTED}.problem", None)
    except SamkitError as error:
        st.session_state[f"{COMPUTED}.problem"] = cell.id, str(error)
