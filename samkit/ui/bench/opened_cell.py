"""`?cell=SWEEP.CELL` opens a cell of a sweep on its experiment's page: picture, prompts, truth, model, knobs."""

import streamlit as st

from samkit.errors import BadInput, SamkitError
from samkit.experiments.inputs import Inputs
from samkit.experiments.params import build_params
from samkit.media.rle import mask_to_rle
from samkit.prompts import Prompts
from samkit.ui.bench.opened_run import forget_pending, restore_params
from samkit.ui.bench.page import ExperimentPage
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.page_links import CELL
from samkit.ui.state.sweeps import live_table, seen_sweep
from samkit.ui.state.workspace import Workspace
from samkit.work.execute import open_inputs
from samkit.work.sources import Sources
from samkit.work.sweep.cells import Cell


def open_cell_from_link(page: ExperimentPage, work: Workspace, knobs: KnobValues) -> None:
    """Each link is followed once, so that later edits stay. Says why where the cell can't be opened; the page is then
    as it was.
    """
    asked = st.query_params.get(CELL)
    if not asked or work.restored_run == asked:
        return
    work.restored_run = asked
    try:
        _open(asked, page, work, knobs)
    except SamkitError as error:
        st.error(f"The cell can't be opened: {plain_text(str(error))}", icon=":material/error:")


def _open(asked: str, page: ExperimentPage, work: Workspace, knobs: KnobValues) -> None:
    sweep_id, _, cell_id = asked.rpartition(".")
    table = live_table(str(seen_sweep(sweep_id).path))
    table.refresh()
    index = table.index(cell_id)
    if index is None:
        raise BadInput(f"The sweep {sweep_id:.60} has no cell {cell_id:.40}: open it from the sweep's page.")
    cell, outcome = table.cells[index], table.outcome(index)
    if cell.experiment != page.name:
        raise BadInput(f"It belongs to the experiment {cell.experiment}, not to {page.name}.")
    params = build_params(page.entry.experiment.Params, cell.params).model_dump()
    prompts = Prompts.from_dict(outcome.prompts) if outcome is not None and outcome.prompts else cell.prompts
    forget_pending(work)
    work.model_ref, work.device = cell.model, cell.device
    work.take_dtype(cell.dtype)
    if cell.case.picture is not None:
        page.table.show(work, knobs, _inputs(cell, prompts or Prompts()), params)
    restore_params(page, knobs, params)
    st.toast(f"Opened the cell **{plain_text(cell.case.name)}**", icon=":material/stacked_line_chart:")


def _inputs(cell: Cell, prompts: Prompts) -> Inputs:
    """All that the cell's run takes, from where the sweep found it."""
    sources, mask = Sources(), None
    if cell.rule.truth == "mask" and cell.case.truth is not None and cell.case.picture is not None:
        mask = mask_to_rle(sources.truth(cell.case.truth, sources.picture(cell.case.picture)).mask)
    return open_inputs(cell.run_spec(prompts, mask=mask), sources)
