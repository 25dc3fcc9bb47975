"""Opening a kept run again on its experiment's page: what is here at once, and the whole of it when what is missing
arrives.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import ValidationError

from samkit.errors import ParamsError, SamkitError
from samkit.experiments.inputs import Inputs
from samkit.experiments.registry import find_experiment
from samkit.media.given_masks import Truth
from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.scratch import scratch
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.record import FilmEntry, ModelEntry, PictureEntry
from samkit.tracking.store.store import RunStore
from samkit.ui.bench.page import ExperimentPage
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import restore_knobs
from samkit.ui.controls.masks_panel import REFINE_EDGES
from samkit.ui.controls.model_picker import DTYPES
from samkit.ui.controls.sidebar import ENCODING_KNOBS
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.pending_run import Entry, FailedLink, PendingRun
from samkit.ui.state.picture_pair import picture_pair
from samkit.ui.state.store_state import require_store, store_answers
from samkit.ui.state.workspace import Workspace
from samkit.work.find_model import find_model, is_model

_log = logging.getLogger(__name__)
PICTURES = {"image": "picture", "image_b": "picture_b"}
"""Fields of `Inputs` -> entries of run.json."""


def restore_from_link(page: ExperimentPage, work: Workspace, knobs: KnobValues) -> bool:
    """`?run=ID` opens a kept run: its pictures, prompts, model and parameters. Each link is followed once, so that
    later edits stay.

    Where the model or a picture is missing the page says so, and shows the run as it was kept when it arrives.

    False where the run can't be opened: the page then shows why, and nothing that could be taken for the run.
    """
    run_id = st.query_params.get("run")
    if not run_id:
        work.failed_link = None
    if run_id and work.restored_run != run_id:
        if not _follow(run_id, page, work, knobs):
            return False
    elif work.pending and work.pending.page == page.name:
        _take_arrived(page, work.pending, work, knobs)
    if work.pending and work.pending.page == page.name:
        _draw_pending(work.pending, work)
    return True


def _follow(run_id: str, page: ExperimentPage, work: Workspace, knobs: KnobValues) -> bool:
    """Open the run, or say why that failed. The store is asked once, and again when the visitor says so."""
    failed = work.failed_link
    if failed is None or (failed.run_id, failed.page) != (run_id, page.name):
        work.failed_link = None
        try:
            _open(run_id, page, work, knobs)
            work.restored_run = run_id
            return True
        except SamkitError as error:
            failed = FailedLink(run_id, page.name, str(error))
        except Exception as error:
            _log.exception("unexpected error while a kept run was opened")
            failed = FailedLink(
                run_id,
                page.name,
                f"Something went wrong inside the app while this run was opened ({type(error).__name__}); the server's "
                "log has the details.",
            )
        work.failed_link = failed
    st.error(plain_text(failed.sentence), icon=":material/error:")
    with st.container(horizontal=True, gap="small"):
        st.button("Try again", on_click=_try_again, args=(work,), icon=":material/refresh:", key="open_again")
        st.button(
            "Go on without",
            on_click=_leave_link,
            args=(work,),
            icon=":material/close:",
            key="leave_run",
            type="tertiary",
        )
    return False


def _try_again(work: Workspace) -> None:
    """Ask the store anew, also where it did not answer some seconds ago."""
    store_answers.clear(RunStore().uri)
    work.failed_link = None


def _leave_link(work: Workspace) -> None:
    """The page as it is without the run."""
    st.query_params.pop("run", None)
    work.failed_link = None


def opened_notes(knobs: KnobValues, values: Mapping[str, Any]) -> None:
    """What the page can't show of the opened run, and which of its parameters count without a knob. values: those that
    the page sets, by name.
    """
    for sentence in knobs.notices():
        st.warning(plain_text(sentence), icon=":material/tune:")
    hidden = {name: value for name, value in knobs.base.items() if name not in values}
    if not hidden:
        return
    defaults = find_experiment(knobs.page).Params()
    differing = [
        f"{name.replace('_', ' ')} {value}" for name, value in hidden.items() if value != getattr(defaults, name)
    ]
    if differing:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(
                f"Kept from the opened run, though this page has no knob for it: {plain_text(', '.join(differing))}."
            )
            st.button("Their defaults", key=f"without_run_{knobs.page}", type="tertiary", on_click=knobs.forget_run)


def _open(run_id: str, page: ExperimentPage, work: Workspace, knobs: KnobValues) -> None:
    with st.spinner("Opening the kept run"), scratch("run") as folder:
        require_store(RunStore())
        bundle = RunStore().load(run_id, Path(folder) / "run", partial=True)
        if bundle.experiment != page.name:
            raise SamkitError(
                f"This run belongs to the experiment {bundle.experiment}, not to {page.name}: open the link on that "
                "page."
            )
        params, prompts = _params_of(bundle), bundle.prompts
        forget_pending(work)
        inputs, missing = _present_inputs(bundle, work, params)
        if inputs is not None:
            inputs = _with_masks_that_fit(inputs, bundle, params)
            # While the folder is there: a film is read from it, and stored by the table that takes it.
            page.table.show(work, knobs, inputs, params)
            page.table.show_found(bundle)
    record = bundle.record
    if record.dtype in DTYPES:
        work.take_dtype(record.dtype)
    else:
        st.warning(
            f"The run was made with the number type {plain_text(record.dtype)}, which is not one of "
            f"{', '.join(DTYPES)}: it is shown with {work.dtype}."
        )
    missing += _take_model(record.model, work)
    restore_params(page, knobs, params)
    if missing:
        parts = {"model": record.model, "video": record.video, "picture": record.picture, "picture_b": record.picture_b}
        entries = {key: entry for key, entry in parts.items() if entry is not None}
        work.pending = PendingRun(page.name, bundle.name, params, prompts, entries, tuple(missing))
    st.toast(f"Opened **{plain_text(bundle.name)}**", icon=":material/history:")


def _take_model(entry: ModelEntry, work: Workspace) -> list[str]:
    """Choose the run's model where it is on this machine; ["model"] where it is not."""
    known = find_model(entry)
    work.model_ref = known.ref or work.model_ref
    if known.ref is not None and not known.same:
        st.warning(
            f"The run was made with another file called {plain_text(entry.name)}: its masks may differ from what is "
            "shown here.",
            icon=":material/swap_horiz:",
        )
    return [] if known.ref is not None else ["model"]


def _params_of(bundle: Bundle) -> dict[str, Any]:
    """All parameters of the run, as the experiment takes them."""
    experiment = find_experiment(bundle.experiment)
    for name in bundle.params:
        if name not in experiment.Params.model_fields:
            raise ParamsError(
                f'This run can\'t be opened: its parameter "{name}" is not one of {bundle.experiment} in this version '
                "of samkit."
            )
    try:
        return experiment.Params(**bundle.params).model_dump()
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ParamsError(
            f"This run can't be opened: {bundle.experiment} does not accept its parameters ({reason})."
        ) from None


def restore_params(page: ExperimentPage, knobs: KnobValues, params: Mapping[str, Any]) -> None:
    """Put every knob of the page where it makes these parameters."""
    everywhere = [*(ENCODING_KNOBS if "side" in params else ()), *([REFINE_EDGES] if "refine_edges" in params else [])]
    knobs.restore(params, restore_knobs([*everywhere, *page.knobs], params))


def _present_inputs(bundle: Bundle, work: Workspace, params: Mapping[str, Any]) -> tuple[Inputs | None, list[str]]:
    """(the run's inputs, the present picture in place of one that is missing, or None where its film is; what is
    missing, by its key in run.json).
    """
    record = bundle.record
    try:
        inputs = bundle.inputs()
    except SamkitError as error:
        if record.video is None:
            raise
        st.warning(plain_text(str(error)), icon=":material/search_off:")
        return None, ["video"]
    missing: list[str] = []
    prompted = "image_b" if params.get("prompt_on") == "b" else "image"
    for field, entry in (("image", record.picture), ("image_b", record.picture_b)):
        if entry is None or getattr(inputs, field) is not None:
            continue
        first = field == "image"
        side = work if first else picture_pair(work).b
        inputs = replace(inputs, image=side.picture) if first else replace(inputs, image_b=side.picture)
        if side.picture.sha256 != entry.sha256:
            missing.append(PICTURES[field])
            side.awaited = entry.sha256, bundle.prompts if field == prompted else Prompts()
            if field == prompted and "prompt_on" in params:
                # Of two pictures that may both be prompted, the one that stands in would be taken for the run's own.
                inputs = replace(inputs, prompts=Prompts())
    return inputs, missing


def _with_masks_that_fit(inputs: Inputs, bundle: Bundle, params: Mapping[str, Any]) -> Inputs:
    """The inputs without hint and truths that belong to a picture which is missing; says which files are gone."""
    record, marked = bundle.record, inputs.image_b if params.get("prompt_on") == "b" else inputs.image
    names = {"mask hint": record.mask_hint, "truth": record.truth, "truth of the second picture": record.truth_b}
    present = (inputs.mask_hint, inputs.truth, inputs.truth_b)
    for (name, entry), value in zip(names.items(), present, strict=True):
        if entry is not None and value is None:
            st.warning(
                f"The run's {name} is missing in the run store, so it is shown without.", icon=":material/search_off:"
            )
    hint = inputs.mask_hint
    if hint is not None and hint.kind == "mask" and (marked is None or marked.size != hint.values.shape):
        inputs = replace(inputs, mask_hint=None)
    return replace(inputs, truth=_of(inputs.truth, inputs.image), truth_b=_of(inputs.truth_b, inputs.image_b))


def _of(truth: Truth | None, picture: Picture | None) -> Truth | None:
    """The truth, where it is as large as the picture."""
    return truth if truth is not None and picture is not None and truth.mask.shape == picture.size else None


def forget_pending(work: Workspace) -> None:
    """Nothing is waited for any more."""
    if work.pending is not None:
        work.pending = work.awaited = picture_pair(work).b.awaited = None


def _take_arrived(page: ExperimentPage, pending: PendingRun, work: Workspace, knobs: KnobValues) -> None:
    """Show the run as it was kept, as far as it is here, where a part of it has arrived since the page was last
    drawn.
    """
    arrived = [key for key in pending.missing if _is_here(pending.entries[key], key, work)]
    if not arrived:
        return
    model = pending.entries["model"]
    if "model" in arrived and isinstance(model, ModelEntry) and not is_model(work.model_ref, model):
        work.model_ref = find_model(model).ref or work.model_ref
    _place_prompts(pending, work)
    restore_params(page, knobs, pending.params)
    missing = tuple(key for key in pending.missing if key not in arrived)
    work.pending = replace(pending, missing=missing) if missing else None
    names = " and ".join(plain_text(pending.entries[key].name) for key in arrived)
    st.toast(
        f"{names} is here: prompts and parameters are as they were kept with **{plain_text(pending.name)}**.",
        icon=":material/history:",
    )


def _is_here(entry: Entry, key: str, work: Workspace) -> bool:
    if isinstance(entry, ModelEntry):
        return is_model(work.model_ref, entry) or find_model(entry).same
    if isinstance(entry, FilmEntry):
        from samkit.ui.state.recorded import film_table

        return film_table().video.sha256 == entry.sha256
    return (work if key == "picture" else picture_pair(work).b).picture.sha256 == entry.sha256


def _place_prompts(pending: PendingRun, work: Workspace) -> None:
    """The run's prompts on the picture they belong to, if it is here; on a page where either of two can be prompted,
    none on the other one.
    """
    if "picture" not in pending.entries:
        return
    on_b = pending.params.get("prompt_on") == "b"
    key, side = ("picture_b", picture_pair(work).b) if on_b else ("picture", work)
    if side.picture.sha256 != pending.entries[key].sha256:
        return
    side.edit(pending.prompts)
    if "prompt_on" in pending.params:
        (work if on_b else picture_pair(work).b).edit(Prompts())


def _draw_pending(pending: PendingRun, work: Workspace) -> None:
    """What is missing, how to give it, and a way to go on without."""
    for key in pending.missing:
        icon = ":material/swap_horiz:" if key == "model" else ":material/search_off:"
        st.warning(_missing_sentence(key, pending.entries[key]), icon=icon)
    st.button(
        "Go on without",
        on_click=forget_pending,
        args=(work,),
        icon=":material/close:",
        key="forget_pending",
        type="tertiary",
    )


def _missing_sentence(key: str, entry: Entry) -> str:
    name = plain_text(entry.name)
    if isinstance(entry, ModelEntry):
        return (
            f"The run was made with {name}, which is not on this machine; it is shown with the present model. Press "
            "Change model in the sidebar to download it or to add its checkpoint: the page then shows the original "
            "run."
        )
    if isinstance(entry, FilmEntry):
        return (
            f"The run's film '{name}' is missing. Choose it again with Film to restore the parameters. Its memories "
            "are not shown."
        )
    button = "Picture" if key == "picture" else "the second Picture button"
    size = f"{entry.width or '?'} × {entry.height or '?'} px" if isinstance(entry, PictureEntry) else ""
    return (
        f"The run's picture {name} ({size}) is missing in the run store, so another one is shown. Choose it again with "
        f"{button} to restore prompts and parameters."
    )
