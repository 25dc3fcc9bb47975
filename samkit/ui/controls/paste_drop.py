"""What is pasted, or dropped anywhere on the page: a picture, prompts, a film. Each goes through the same checks as the
file that a dialog takes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePath

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.errors import BadInput, SamkitError
from samkit.media.pictures import FORMATS_TEXT
from samkit.prompts import Prompts
from samkit.ui.controls.canvas import take_drawn
from samkit.ui.controls.pasted_prompts import MAX_CHARACTERS, counted, read_pasted
from samkit.ui.controls.picture_picker import UPLOAD_MB, UPLOAD_TYPES
from samkit.ui.parts import style
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.films import FILM_TYPES, FILM_UPLOAD_MB
from samkit.ui.state.public import check_upload
from samkit.ui.state.uploads import uploaded_picture
from samkit.ui.state.workspace import Workspace
from samkit.words import listed

PROMPTS_MB = 1
NO_PROMPTS_HERE = "Nothing is prompted on this page, so pasted text is not used."
FILM_ELSEWHERE = "A film is taken on the page Video with image priors; frames of one are under Picture."
_KEY = "samkit.dropped"

_browser_side = st.components.v2.component("samkit_paste_drop", html="<div></div>", js=style.part("paste_drop.js"))


def paste_and_drop(
    sides: Sequence[Workspace], prompts: bool, take_film: Callable[[UploadedFile], str] | None = None
) -> None:
    """Take what is pasted and dropped on the present page. Draws nothing, and is called once on a page, outside of
    fragments, for a picture changes the whole page.

    sides:     the page's picture, and the second one where it has two: what is dropped on that one is for that one
    prompts:   whether the page takes any
    take_film: puts a film on the table and says what it is; None on pages without one
    """
    number = st.session_state.get(_KEY, 0)
    most = dict.fromkeys(UPLOAD_TYPES, UPLOAD_MB)
    most |= {"json": PROMPTS_MB} if prompts else {}
    # On other pages a film is refused with a sentence that says where it goes, before it is sent.
    most |= dict.fromkeys(FILM_TYPES, FILM_UPLOAD_MB if take_film else 0)
    fields = {}
    with st.container(key="paste_drop"):
        for letter, work in zip("ab", sides, strict=False):
            # Another key each time, so that the server keeps no file that was taken.
            fields[letter] = f"dropped_{letter}_{number}"
            st.file_uploader(
                "Dropped on the page",
                type=list(most),
                key=fields[letter],
                max_upload_size=FILM_UPLOAD_MB if take_film else UPLOAD_MB,
                on_change=_take_file,
                args=(work, fields[letter], prompts, take_film),
            )
        words = ["a picture", *(["prompts (JSON)"] if prompts else [])]
        words += ["a film"] if take_film else []
        _browser_side(
            data={
                "fields": fields,
                "most": most,
                "characters": MAX_CHARACTERS,
                "words": f"Drop {listed(words, 'or')} here",
            },
            key="paste_drop_browser",
            on_given_change=partial(_take_text, tuple(sides), prompts),
        )


def _take_file(work: Workspace, key: str, prompts: bool, take_film: Callable[[UploadedFile], str] | None) -> None:
    """The file that lies in the hidden field."""
    upload = st.session_state.get(key)
    if upload is None:
        return
    st.session_state[_KEY] = st.session_state.get(_KEY, 0) + 1
    name, ending = plain_text(upload.name), PurePath(upload.name).suffix.lower().lstrip(".")
    try:
        if ending == "json":
            if not prompts:
                raise BadInput(NO_PROMPTS_HERE)
            check_upload(upload.name, upload.size)
            loaded = Prompts.from_json(upload.getvalue())
            edit_prompts(work, loaded)
            _say(f"Took {counted(loaded)} from **{name}** in place of those that were there.", ":material/data_object:")
        elif ending in FILM_TYPES:
            if take_film is None:
                raise BadInput(FILM_ELSEWHERE)
            _say(take_film(upload), ":material/movie:")
        else:
            picture = uploaded_picture(upload)
            work.dialog = None
            work.open_picture(picture, own_first=True)
            size = f"{picture.width} × {picture.height} px"
            _say(f"Took the picture **{plain_text(picture.name)}**, {size}.", ":material/image:")
    except SamkitError as error:
        _say(plain_text(str(error)), ":material/error:")


def _take_text(sides: tuple[Workspace, ...], prompts: bool) -> None:
    """Text that was pasted, or why a file was not sent."""
    given = st.session_state.get("paste_drop_browser", {}).get("given") or {}
    kind, name = given.get("kind"), plain_text(str(given.get("name", ""))[:100])
    if kind == "large" and given.get("most") == 0:
        _say(FILM_ELSEWHERE, ":material/movie:")
    elif kind == "large":
        _say(f"{name} is larger than {given.get('most')} MB, the most that is taken: make it smaller first.")
    elif kind == "empty":
        _say(f"{name} is empty: save or download it again.")
    elif kind == "late":
        _say(f"{name} came while the page was being made: drop or paste it again.")
    elif kind == "several":
        _say(f"Of {given.get('count')} files the first was taken, {name}.", ":material/info:")
    elif kind == "unknown":
        also = ", or prompts as JSON" if prompts else ""
        _say(f"{name or 'This file'} can't be used here: give a {FORMATS_TEXT} picture{also}.")
    elif kind == "text" and not prompts:
        _say(NO_PROMPTS_HERE, ":material/info:")
    elif kind == "text":
        work = sides[1] if given.get("side") == "b" and len(sides) > 1 else sides[0]
        try:
            pasted = read_pasted(str(given.get("text", "")), work.picture.size)
            take_drawn(work)
            before = Prompts() if pasted.replaces else work.prompts
            points = dict.fromkeys((*before.points, *pasted.prompts.points))
            boxes = dict.fromkeys((*before.boxes, *pasted.prompts.boxes))
            edit_prompts(work, Prompts(tuple(points), tuple(boxes)))
            _say(f"{pasted.sentence} Undo takes them back.", ":material/content_paste:")
        except SamkitError as error:
            _say(plain_text(str(error)))


def edit_prompts(work: Workspace, prompts: Prompts) -> None:
    """Another list of prompts, after what was drawn and is not reported yet."""
    take_drawn(work)
    work.edit(prompts)
    work.edits += 1


def _say(sentence: str, icon: str = ":material/error:") -> None:
    st.toast(sentence, icon=icon, duration="long")
