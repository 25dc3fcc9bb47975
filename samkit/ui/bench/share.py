"""*Share*: a link to what is on the page, and what whoever has it will see."""

from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from samkit.ui.bench.page import ExperimentPage
from samkit.ui.controls.model_names import model_name
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.kept_work import holding, present_work, saver, share, shared_now, take_back_links
from samkit.words import listed
from samkit.work.kept.limits import read_limits
from samkit.work.kept.value import FilmWork, Work

OFF = "This server keeps no work for links: its owner has set SAMKIT_WORKS_MB or SAMKIT_WORKS_DAYS to 0."


def share_button(page: ExperimentPage) -> None:
    """A button that opens what the link shows, and makes it."""
    with st.popover("Share", icon=":material/share:", key="share", help="Share: a link that shows this page to others"):
        limits = read_limits()
        if not limits.on:
            st.info(OFF, icon=":material/link_off:")
            return
        if limits.complaint:
            st.warning(plain_text(limits.complaint))
        work = present_work()
        st.markdown(f"**Whoever has the link sees**\n\n{_shown(page, work)}")
        st.caption(
            "They get a copy of their own: what they change does not change yours, and what you change later is not in "
            f"it. The link lasts {limits.days} days after it was last opened, or until the server needs the room. "
            "Pictures used before, the undo steps and a finished film's masks are not in it."
        )
        _link(page)
        work_id = holding().work_id
        if work_id is not None and (problem := saver().problem(work_id)):
            st.warning(plain_text(problem), icon=":material/cloud_off:")


def _link(page: ExperimentPage) -> None:
    made, links = shared_now(), holding().links
    if made is None:
        st.button(
            "Make the link",
            icon=":material/add_link:",
            type="primary",
            key="make_link",
            width="stretch",
            on_click=share,
        )
        if holding().share_problem:
            st.error(plain_text(holding().share_problem), icon=":material/error:")
    else:
        shared_id, problem = made
        st.code(shared_link(page, shared_id), language=None, wrap_lines=True)
        if problem:
            st.warning(plain_text(problem), icon=":material/inventory_2:")
    if links:
        st.button(
            "Take the link back" if len(links) == 1 else f"Take all {len(links)} links back",
            icon=":material/link_off:",
            key="take_back",
            type="tertiary",
            help="They show nothing any more; copies that others have opened stay theirs",
            on_click=take_back_links,
        )


def _shown(page: ExperimentPage, work: Work) -> str:
    """A list in Markdown of all that goes along."""
    lines = []
    for side in (work.first, work.second):
        if side is not None:
            count = side.prompts.count
            prompts = f"with {count} prompt{'s' if count != 1 else ''}" if count else "without prompts"
            name = plain_text(side.picture.name)
            masks = [word for word, mask in (("mask hint", side.hint), ("true mask", side.truth)) if mask is not None]
            along = f", and its {listed(masks)}" if masks else ""
            lines.append(f"the picture {name}, {side.picture.width} × {side.picture.height} px, {prompts}{along}")
    if isinstance(work.film, FilmWork) and work.film.film is not None:
        count = len(work.film.memories)
        parts = [f"{count} recorded memor{'ies' if count != 1 else 'y'} with their pictures"] if count else []
        parts += ["a memory bank"] if work.film.bank is not None else []
        lines.append(f"the film {plain_text(work.film.film.name)}" + (f", {listed(parts)}" if parts else ""))
    elif work.film is not None:
        lines.append("the film and the memories of the film's page")
    lines.append(f"the model {plain_text(model_name(work.model))}, the page {page.entry.title}, and all knobs")
    return "\n".join(f"- {line}" for line in lines)


def shared_link(page: ExperimentPage, shared_id: str) -> str:
    """The page's address with the frozen copy in it; the address is the one this visitor came by."""
    shown, own = urlsplit(st.context.url or ""), page.entry.module_name
    folder = shown.path.rstrip("/").removesuffix(f"/{own}")
    return urlunsplit((shown.scheme, shown.netloc, f"{folder}/{own}", f"shared={shared_id}", ""))
