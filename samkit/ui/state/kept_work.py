"""Reloads and shared links: what a visitor has is kept on the server under an id in the address, and comes back by it.

`?work=ID` is the visitor's own and goes on. It is one session's at a time: a second tab, another browser and whoever
opens `?shared=ID` get a copy under an id of their own, so that nobody writes over the work of another.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st
from pydantic import TypeAdapter, ValidationError
from streamlit import runtime
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from samkit.errors import CheckpointError, SamkitError
from samkit.experiments.registry import NAMES, find_experiment
from samkit.media.given_masks import MaskHint
from samkit.models.files.catalogue import catalogue
from samkit.models.files.folders import own_checkpoints
from samkit.models.files.reference import split_reference
from samkit.settings import works_folder
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.browser_memory import browser_name, remember_work
from samkit.ui.state.left_films import LeftFilms
from samkit.ui.state.picture_pair import PAIR_KEY, picture_pair
from samkit.ui.state.visitors import when_a_visitor_left
from samkit.ui.state.workspace import TOOL_NAMES, Marks, Workspace, has_workspace, workspace
from samkit.work.kept.document import MAX_STEPS, FilmEntry, Step
from samkit.work.kept.limits import Limits, read_limits
from samkit.work.kept.saver import WorkSaver, left_out_sentence
from samkit.work.kept.store import NotKept, WorkStore, is_id, new_id
from samkit.work.kept.value import FilmWork, Side, Work, newest

_log = logging.getLogger(__name__)

WORK, SHARED = "work", "shared"
"""Words of the address."""
_KEY = "samkit.kept_work"
FILM_KEY = "samkit.film_table"
"""Where the session has its film, once the film's page was visited."""
COPIED = "You have a copy of your own of the work behind this link: what you change stays yours."


class Holding:
    """What a session knows of its kept work.

    work_id: None as long as there is nothing worth keeping
    last:    what was handed over last; film: one that was kept and not looked at since
    notes:   sentences for the visitor, until they are read; copied: whether they are to hear that it is a copy
    shared:  (what the last link shows, its id, what there was no room for), as long as nothing has changed since
    links:   ids of all links made here; share_problem: why the last one could not be made
    """

    def __init__(self) -> None:
        self.work_id: str | None = None
        self.last: Work | None = None
        self.film: Any = None
        self.notes: list[str] = []
        self.copied = False
        self.shared: tuple[Work, str, str] | None = None
        self.links: list[str] = []
        self.share_problem = ""


class Holders:
    """Which session goes on with which work. One for the server."""

    def __init__(self) -> None:
        self._sessions: dict[str, str] = {}

    def take(self, work_id: str, session: str) -> bool:
        """Whether the session now goes on with the work: no other one that is connected does."""
        held = self._sessions.get(work_id)
        if held not in (None, session) and is_connected(str(held)):
            return False
        self._sessions[work_id] = session
        return True

    def is_held_by(self, work_id: str, session: str) -> bool:
        return self._sessions.get(work_id) == session

    def is_in_use(self, work_id: str) -> bool:
        held = self._sessions.get(work_id)
        return held is not None and is_connected(held)

    def in_use(self) -> list[str]:
        """Ids of the works of all sessions that are connected."""
        for work_id, session in list(self._sessions.items()):
            if not is_connected(session):
                self._sessions.pop(work_id, None)
        return list(self._sessions)


@st.cache_resource(show_spinner=False)
def work_saver(folder: str, limits: Limits) -> WorkSaver:
    """The server's. A test with another folder gets another one."""
    return WorkSaver(WorkStore(works_folder(), limits, holders().in_use))


@st.cache_resource(show_spinner=False)
def holders() -> Holders:
    return Holders()


@st.cache_resource(show_spinner=False)
def left_films() -> LeftFilms:
    return LeftFilms(holders().is_in_use, lambda: read_limits().days)


def _leave_films(visitor: str) -> None:
    left_films().leave(visitor)


when_a_visitor_left(_leave_films)


def saver() -> WorkSaver:
    return work_saver(str(works_folder()), read_limits())


def holding() -> Holding:
    """This session's."""
    return st.session_state.setdefault(_KEY, Holding())


def session_id() -> str:
    context = get_script_run_ctx()
    return context.session_id if context is not None else ""


def is_connected(session: str) -> bool:
    """Whether a browser is at the other end of that session."""
    return runtime.exists() and runtime.get_instance().is_active_session(session)


def open_kept_work() -> None:
    """At the beginning of a session: put what the address names on the table. Whatever goes wrong, the page goes on."""
    if _KEY in st.session_state:
        return
    held = holding()
    asked, shared = st.query_params.get(WORK), st.query_params.get(SHARED)
    if not (asked or shared) or has_workspace() or not read_limits().on:
        return
    try:
        _open(held, asked, shared)
    except SamkitError as error:
        held.notes.append(str(error))
    except Exception as error:
        _log.exception("unexpected error while a work was opened")
        held.notes.append(
            f"Something went wrong inside the app while your work was opened ({type(error).__name__}): the page starts "
            "anew."
        )


def _open(held: Holding, asked: str | None, shared: str | None) -> None:
    store = saver().store
    if shared:
        work = store.open_shared(shared)
        held.copied = True
    else:
        if not is_id(asked):
            raise NotKept("Nothing is kept under this address, so the page starts anew.")
        assert asked is not None
        saver().flush(asked)
        work = store.open(asked)
    run = st.query_params.get("run")
    if run and run != work.restored_run:
        return  # the link to a kept run says what is shown
    if work.owner != owner():
        work = work.without_history()  # what somebody else has taken back is theirs
    _put_on_table(work)
    held.film = work.film
    held.notes.extend(work.missing)
    if not shared and asked is not None:
        if work.owner != owner() or not holders().take(asked, session_id()):
            held.copied = True
        else:
            held.work_id = asked
            _go_on_with_film(held)
    if held.copied and isinstance(held.film, FilmEntry):
        held.film = replace(held.film, run=False)  # the run is somebody else's


def _go_on_with_film(held: Holding) -> None:
    """After a reload: the film is still here as the session before has left it, with the run that goes on."""
    table = left_films().find(str(held.work_id))
    if table is not None:
        st.session_state[FILM_KEY], held.film = table, None


def _is_here(model: str) -> bool:
    """Whether a model that a kept work names may be opened: it, and a base of it, by name or from the own folders."""
    known = {entry.name for entry in catalogue() if entry.on_disk} | {str(path) for path in own_checkpoints()}
    try:
        place, choices = split_reference(model)
    except CheckpointError:
        return False
    return place in known and (not choices.base or split_reference(choices.base)[0] in known)


def _put_on_table(work: Work) -> None:
    held, own = holding(), workspace()
    if work.first is not None:
        _bring(own, work.first)
        own.recent = [work.first.picture]
    own.awaited = work.awaited[0]
    own.page = work.page
    if _is_here(work.model):
        own.model_ref = work.model
    else:
        held.notes.append(f"The model of this work is not on this machine; it is shown with {own.model_ref}.")
    own.device, own.dtype = work.device, work.dtype
    own.tool = work.tool if work.tool in TOOL_NAMES else own.tool
    own.params = {page: _of_right_kind(page, values) for page, values in work.params.items() if page in NAMES}
    own.shared_params = dict(work.shared_params)
    own.opened = {page: values for page in work.opened if (values := _valid(page, work.opened[page])) is not None}
    own.restored_run = work.restored_run
    if work.second is not None or work.awaited[1] is not None:
        second = picture_pair(own).b
        if work.second is not None:
            _bring(second, work.second)
        second.awaited = work.awaited[1]


def _of_right_kind(page: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs' values but for those that no parameter of that name could have. Knobs that stand for several
    parameters, or for none, look at their own.
    """
    known = find_experiment(page).Params.model_fields
    return {name: value for name, value in values.items() if name not in known or _fits(known[name].annotation, value)}


def _fits(annotation: Any, value: Any) -> bool:
    if value is None:
        return True
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def _valid(page: str, params: Any) -> dict[str, Any] | None:
    """The whole parameters of an opened run, where this version has such an experiment and takes them."""
    if page not in NAMES:
        return None
    try:
        return find_experiment(page).Params(**params).model_dump()
    except (ValidationError, TypeError):
        return None


def opened_film() -> FilmWork | None:
    """The film that was opened with the work; None where there is none. It is opened when its page first asks."""
    held = holding()
    if held.film is None:
        return None
    entry, held.film = held.film, None
    film, missing = saver().store.open_film(entry)
    held.notes.extend(missing)
    return film


def hold_address(page: str, on: bool) -> None:
    """Have the address name this session's work. page: as in the address; on: whether this page's address does."""
    held = holding()
    if not on or not read_limits().on:
        return
    if held.work_id is None:
        _hold_new(held)
    work_id = str(held.work_id)
    if SHARED in st.query_params or st.query_params.get(WORK, work_id) != work_id or "run" in st.query_params:
        # Streamlit sends its own idea of the address when it connects again; where that is not empty, it must be right.
        st.query_params.pop(SHARED, None)
        if st.query_params.get(WORK) != work_id:
            st.query_params[WORK] = work_id
    remember_work(page, work_id)


def _hold_new(held: Holding) -> None:
    held.work_id, held.last = new_id(), None
    holders().take(held.work_id, session_id())


def keep_work() -> None:
    """Have what the visitor has now kept. Takes no time of theirs: a thread writes it, and only what has changed."""
    held = holding()
    if held.work_id is None or not has_workspace() or not read_limits().on:
        return
    try:
        if not holders().is_held_by(held.work_id, session_id()) and not holders().take(held.work_id, session_id()):
            if not is_connected(session_id()):
                return  # the page was reloaded, and goes on in another session
            if FILM_KEY in st.session_state:
                # Another session goes on with the film that lay here.
                st.session_state[FILM_KEY] = st.session_state[FILM_KEY].apart()
            _hold_new(held)
            st.query_params[WORK] = str(held.work_id)
        if FILM_KEY in st.session_state:
            left_films().put(str(held.work_id), st.session_state[FILM_KEY], session_id())
        work = present_work()
        if not work.is_as(held.last):
            held.last, held.shared = work, None
            saver().put(str(held.work_id), work)
    except Exception:
        _log.exception("unexpected error while a work was to be kept")


def present_work() -> Work:
    """What this visitor has, as values that don't change any more."""
    own = workspace()
    second = None
    if PAIR_KEY in st.session_state:
        pair = picture_pair(own)
        second = _side(pair.b)
    return Work(
        page=own.page or "",
        model=own.model_ref,
        device=own.device,
        dtype=own.dtype,
        tool=own.tool,
        first=_side(own),
        second=second,
        film=_film(),
        params={page: dict(values) for page, values in own.params.items()},
        shared_params=dict(own.shared_params),
        opened={page: dict(values) for page, values in own.opened.items()},
        restored_run=own.restored_run if own.pending is None else None,
        owner=owner(),
    )


def _side(work: Workspace) -> Side:
    given = work.given
    history, undone = (_steps(marks, given.hint) for marks in (work.history, work.undone))
    return Side(work.picture, work.prompts, given.hint, given.share, given.truth, history, undone)


def _steps(marks: Sequence[Marks], hint: MaskHint | None) -> tuple[Step, ...]:
    """The last changes, from behind the last with another hint than that: the masks of all of them would take much
    room.
    """
    known = newest(marks[-MAX_STEPS:], lambda each: each.hint is None or each.hint is hint)
    return tuple(Step(each.prompts, each.hint is not None) for each in known)


def _bring(work: Workspace, side: Side) -> None:
    work.show_picture(side.picture, side.prompts)
    work.given.take_hint(side.hint, side.share)
    work.given.take_truth(side.truth)

    def marks(step: Step) -> Marks:
        return Marks(step.prompts, side.hint, side.share) if step.hinted else Marks(step.prompts)

    work.history, work.undone = [marks(step) for step in side.history], [marks(step) for step in side.undone]


def _film() -> Any:
    table = st.session_state.get(FILM_KEY)
    if table is None:
        return holding().film
    from samkit.ui.state.recorded import film_work

    return film_work(table)


def owner() -> str:
    """Tells this browser from others; says nothing about it."""
    return hashlib.sha256(f"samkit {browser_name()}".encode()).hexdigest()[:32]


def share() -> None:
    """Make a frozen copy of what the visitor has now, which `shared_now` then tells; where that fails, `share_problem`
    says why.
    """
    held, work, store = holding(), present_work(), saver().store
    held.share_problem = ""
    try:
        shared_id, left_out = store.share(work)
    except SamkitError as error:
        held.share_problem = str(error)
        return
    held.shared = work, shared_id, left_out_sentence(left_out, store.limits.one_work)
    held.links.append(shared_id)


def shared_now() -> tuple[str, str] | None:
    """(id of the frozen copy that was made last, what there was no room for as a sentence); None where something has
    changed since.
    """
    held = holding()
    return held.shared[1:] if held.shared is not None and present_work().is_as(held.shared[0]) else None


def take_back_links() -> None:
    """Let the links that were made here show nothing any more."""
    held = holding()
    for shared_id in held.links:
        saver().store.take_back(shared_id)
    held.links, held.shared = [], None


def draw_notes(place: DeltaGenerator) -> bool:
    """Draw what the visitor is to know about the work that was opened, until they have read it; False where there is
    nothing.
    """
    held = holding()
    if held.copied:
        held.copied = False
        st.toast(COPIED, icon=":material/content_copy:", duration="long")
    if not held.notes:
        return False
    with place, st.container(key="kept_work_notes", horizontal=True, vertical_alignment="center"):
        st.info(plain_text(" ".join(dict.fromkeys(held.notes))), icon=":material/history:")
        st.button("OK", key="kept_work_read", type="tertiary", on_click=held.notes.clear)
    return True
