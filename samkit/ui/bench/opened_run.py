"""Opening a kept run again on its experiment's page: what is here at once, and the whole of it when what is missing
arrives.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from samkit.errors import ParamsError, SamkitError
from samkit.experiments.registry import find_experiment
from samkit.experiments.result import Inputs
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import PICTURES, Bundle
from samkit.tracking.store.store import RunStore
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.model_picker import DTYPES
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.experiment_pages import ExperimentPage
from samkit.ui.state.picture_pair import picture_pair
from samkit.ui.state.store_state import require_store
from samkit.ui.state.workspace import PendingRun, Workspace
from samkit.work.find_model import find_model, is_model

Restore = Callable[[dict], dict]
SKELETONS = ("side", "fit", "mask_index", "refine_edges")
"""Parameters whose knobs every page has, under the same names."""


def restore_from_link(
    page: ExperimentPage,
    work: Workspace,
    knobs: Knobs,
    restore: Restore,
    show: Callable[[Inputs, dict], None] | None = None,
) -> None:
    """`?run=ID` opens a kept run: its picture, prompts, model and parameters. Each link is followed once, so that later
    edits stay.

    Where model or pictures are missing the page says so, and shows the run as it was kept when they arrive.
    show: puts a run's inputs and parameters on the page; None where there is one picture
    """
    run_id = st.query_params.get("run")
    if run_id and work.restored_run != run_id:
        work.restored_run = run_id
        _open(run_id, page, work, knobs, restore, show)
    elif work.pending and work.pending.page == page.name:
        _take_arrived(work, knobs, restore)
    if work.pending and work.pending.page == page.name:
        _draw_pending(work)


def opened_notes(knobs: Knobs, values: Mapping[str, Any]) -> None:
    """What the page can't show of the opened run, and which of its parameters count without a knob. values: those that
    the page gives, by name.
    """
    for sentence in knobs.notices():
        st.warning(plain_text(sentence), icon=":material/tune:")
    hidden = {name: value for name, value in knobs.base.items() if name not in values}
    if hidden:
        defaults = find_experiment(knobs.page).Params()
        told = [
            f"{name.replace('_', ' ')} {value}" for name, value in hidden.items() if value != getattr(defaults, name)
        ]
        if told:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.caption(f"Kept from the opened run, without a knob: {plain_text(', '.join(told))}.")
                st.button(
                    "Their defaults", key=f"without_run_{knobs.page}", type="tertiary", on_click=knobs.without_run
                )


def _open(run_id: str, page: ExperimentPage, work: Workspace, knobs: Knobs, restore: Restore, show) -> None:
    with st.spinner("Opening the kept run"), tempfile.TemporaryDirectory(prefix="samkit-run-") as folder:
        require_store(RunStore())
        bundle = RunStore().load(run_id, Path(folder) / "run", partial=True)
        if bundle.experiment != page.name:
            raise SamkitError(
                f"This run belongs to the experiment {bundle.experiment}, not to {page.name}: open the link on "
                "that page."
            )
        params, prompts = _params_of(bundle), bundle.prompts
        forget_pending(work)
        inputs, missing = _present_inputs(bundle, work, params, prompts)
    if inputs is not None and show is None:
        work.show_picture(inputs.image, inputs.prompts)
    elif inputs is not None:
        show(inputs, params)
    record = bundle.record
    if record["dtype"] in DTYPES:
        work.take_dtype(record["dtype"])
    else:
        told = plain_text(str(record["dtype"]))
        st.warning(
            f"The run was made with the number type {told}, which is not one of {', '.join(DTYPES)}: it is shown "
            f"with {work.dtype}."
        )
    found = find_model(record["model"])
    work.model_ref = found.ref or work.model_ref
    if found.ref is None:
        missing.append("model")
    elif not found.same:
        name = plain_text(record["model"]["name"])
        st.warning(
            f"The run was made with another file called {name}: its masks may differ from what is shown here.",
            icon=":material/swap_horiz:",
        )
    _restore(knobs, params, restore)
    if missing:
        told = {key: record[key] for key in ("model", "video", *PICTURES.values()) if key in record}
        work.pending = PendingRun(page.name, bundle.name, params, prompts, told, tuple(missing))
    st.toast(f"Opened **{plain_text(bundle.name)}**", icon=":material/history:")


def _params_of(bundle: Bundle) -> dict:
    """All parameters of the run, as the experiment takes them."""
    experiment = find_experiment(bundle.experiment)
    for name in bundle.params:
        if name not in experiment.Params.model_fields:
            raise ParamsError(
                f'This run can\'t be opened: its parameter "{name}" is not one of {bundle.experiment} in this '
                "version of samkit."
            )
    try:
        return experiment.Params(**bundle.params).model_dump()
    except ValueError as error:
        reason = str(error.errors()[0]["msg"]) if hasattr(error, "errors") else str(error)
        raise ParamsError(
            f"This run can't be opened: its parameters are not ones that {bundle.experiment} takes ({reason})."
        ) from None


def _restore(knobs: Knobs, params: Mapping[str, Any], restore: Restore) -> None:
    knobs.restore(params, {name: params[name] for name in SKELETONS if name in params} | restore(dict(params)))


def _present_inputs(
    bundle: Bundle, work: Workspace, params: Mapping[str, Any], prompts: Prompts
) -> tuple[Inputs | None, list[str]]:
    """(the run's inputs, the present picture in place of one that is missing, or None where its film is; what is
    missing, by its key in run.json).
    """
    try:
        inputs = bundle.inputs()
    except SamkitError as error:
        if "video" not in bundle.record:
            raise
        st.warning(plain_text(str(error)), icon=":material/search_off:")
        return None, ["video"]
    missing, prompted = [], "image_b" if params.get("prompt_on") == "b" else "image"
    for field, key in PICTURES.items():
        told = bundle.record.get(key)
        if told is None or getattr(inputs, field) is not None:
            continue
        side = work if field == "image" else picture_pair(work).b
        inputs = replace(inputs, **{field: side.picture})
        if side.picture.sha256 != told["sha256"]:
            missing.append(key)
            side.awaited = told["sha256"], prompts if field == prompted else Prompts()
            if field == prompted and "prompt_on" in params:
                # Of two pictures that may both be prompted, the one that stands in would be taken for the run's own.
                inputs = replace(inputs, prompts=Prompts())
    return inputs, missing


def forget_pending(work: Workspace) -> None:
    """Nothing is waited for any more."""
    if work.pending is not None:
        work.pending = work.awaited = picture_pair(work).b.awaited = None


def _take_arrived(work: Workspace, knobs: Knobs, restore: Restore) -> None:
    """Show the run as it was kept, as far as it is here, where a part of it has arrived since the page was drawn
    before.
    """
    pending = work.pending
    arrived = [key for key in pending.missing if _is_here(key, pending.told[key], work)]
    if not arrived:
        return
    if "model" in arrived and not is_model(work.model_ref, pending.told["model"]):
        work.model_ref = find_model(pending.told["model"]).ref
    _place_prompts(pending, work)
    _restore(knobs, pending.params, restore)
    missing = tuple(key for key in pending.missing if key not in arrived)
    work.pending = replace(pending, missing=missing) if missing else None
    names = " and ".join(plain_text(pending.told[key]["name"]) for key in arrived)
    st.toast(
        f"{names} is here: prompts and parameters are as they were kept with **{plain_text(pending.name)}**.",
        icon=":material/history:",
    )


def _is_here(key: str, told: dict, work: Workspace) -> bool:
    if key == "model":
        return is_model(work.model_ref, told) or find_model(told).same
    if key == "video":
        from samkit.ui.state.recorded import film_table

        return film_table().video.sha256 == told.get("sha256")
    return (work if key == "picture" else picture_pair(work).b).picture.sha256 == told["sha256"]


def _place_prompts(pending: PendingRun, work: Workspace) -> None:
    """The run's prompts on the picture they belong to, if it is here; on a page where either of two can be prompted,
    none on the other one.
    """
    if "picture" not in pending.told:
        return
    on_b = pending.params.get("prompt_on") == "b"
    key, side = ("picture_b", picture_pair(work).b) if on_b else ("picture", work)
    if side.picture.sha256 != pending.told[key]["sha256"]:
        return
    side.edit(pending.prompts)
    if "prompt_on" in pending.params:
        (work if on_b else picture_pair(work).b).edit(Prompts())


def _draw_pending(work: Workspace) -> None:
    """What is missing, how to give it, and a way to go on without."""
    for key in work.pending.missing:
        st.warning(
            _missing_sentence(key, work.pending.told[key]),
            icon=":material/swap_horiz:" if key == "model" else ":material/search_off:",
        )
    st.button(
        "Go on without",
        icon=":material/close:",
        key="forget_pending",
        type="tertiary",
        on_click=forget_pending,
        args=(work,),
    )


def _missing_sentence(key: str, told: dict) -> str:
    name = plain_text(told["name"])
    if key == "model":
        return (
            f"The run was made with {name}, which is not on this machine; it is shown with the present model. "
            "Press Change model in the sidebar to download it "
            "or to add its checkpoint: the run is then shown as it was kept."
        )
    if key == "video":
        return (
            f"The run's film {name} is missing. Give it again with Film: the parameters are then as they were. Its "
            "memories are not shown."
        )
    button = "Picture" if key == "picture" else "the second Picture button"
    return (
        f"The run's picture {name} ({told.get('width', '?')} × {told.get('height', '?')} px) is missing in the run "
        "store, so another one is "
        f"shown. Give it again with {button}: prompts and parameters are then as they were."
    )
