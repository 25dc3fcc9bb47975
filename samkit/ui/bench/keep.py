"""Keeping the run and copying the command that does the same, in the first line of every experiment page; and what was
kept last.
"""

import json
import uuid
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from samkit.experiments.steering import STEERING_FILE
from samkit.scratch import scratch
from samkit.tracking.bundle.bundle import relabel_bundle
from samkit.tracking.store.keep import KeepOutcome, keep_run
from samkit.tracking.store.store import RunStore
from samkit.ui.bench.download import download_menu
from samkit.ui.bench.kept_figures import figure_html
from samkit.ui.bench.page import ExperimentPage, Scene, Side
from samkit.ui.controls.keys import with_key
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.kept_room import check_room_for_run
from samkit.ui.state.public import owner_only, owner_tags
from samkit.work.command_line import command_line, takes_bank_file, takes_steering_file
from samkit.work.execute import write
from samkit.work.run_name import usual_name
from samkit.work.sources import BANK_FILE, SAMPLE_PREFIX
from samkit.work.spec import RunSpec

POLL_S = 2
PATIENCE_S = 8
"""A store that takes longer gets the run while the visitor goes on."""


def keep_bar(scene: Scene) -> None:
    """Keep, its name and note, and the command, in the present row. A second side is kept as a run of its own, with a
    number after the name.
    """
    page, side = scene.page, scene.side
    usual = usual_name(side.computed.spec)
    with st.popover(
        "Name, note", icon=":material/edit_note:", key=f"keep_words_{page.name}", help="Name and note of the kept run"
    ):
        name = st.text_input("Name", placeholder=usual, key=f"keep_name_{page.name}", max_chars=200)
        note = st.text_area("Note", placeholder="What you saw", key=f"keep_note_{page.name}", max_chars=4000)
    pressed = st.button(
        "Keep both" if len(scene.sides) > 1 else "Keep",
        icon=":material/bookmark_add:",
        type="primary",
        key=f"keep_{page.name}",
        help=with_key("Keep this run: prompts, parameters, masks and figures", "keep"),
    )
    with st.popover("Command", icon=":material/terminal:", help="Command: the same run without a browser"):
        _command(side.computed.spec)
    download_menu(scene)
    if pressed:
        with st.spinner("Keeping the run"):
            for number, other in reversed(list(enumerate(scene.sides, start=1))):
                own = name or usual_name(other.computed.spec)
                _keep(scene, other, own + (f" ({number})" if number > 1 else ""), note)


def last_kept(scene: Scene) -> None:
    """The run that was kept last on this page, with links to it."""
    last = scene.work.last_kept.get(scene.page.name)
    if last is None:
        return
    name, outcome = last
    if outcome.under_way:
        _wait_for(outcome)
    _last_kept(scene.page, name, outcome.latest)


def _wait_for(outcome: KeepOutcome) -> None:
    """Look again until a slow store has taken the run, or has not."""

    @st.fragment(run_every=POLL_S)
    def poll() -> None:
        if not outcome.under_way:
            st.rerun()

    poll()


def _command(spec: RunSpec) -> None:
    """The command, and which of its words stand for files that only the visitor has."""
    st.caption("Produces the same run without a browser.")
    if takes_bank_file(spec):
        st.caption(f"It starts from this run's memories: download “Memory bank” under Files first, {BANK_FILE}.")
    if takes_steering_file(spec):
        st.caption(f"It does what was done to this run: download “Steering” under Files first, {STEERING_FILE}.")
    st.code(command_line(spec), language="bash", wrap_lines=True)
    pictures = (spec.image, spec.image_b, spec.video)
    uploaded = {ref.ref for ref in pictures if ref is not None and not ref.ref.startswith(SAMPLE_PREFIX)}
    if uploaded:
        names = " and ".join(sorted(uploaded))
        st.caption(f"You uploaded {plain_text(names)}: put the path on your machine in its place.")


def _keep(scene: Scene, side: Side, name: str, note: str) -> None:
    """Every press keeps a run of its own, also of the same content."""
    computed = replace(side.computed, spec=replace(side.computed.spec, attempt=uuid.uuid4().hex))
    extra = {"outputs/recipe.json": json.dumps(computed.spec.to_dict(), indent=1).encode()}
    for title, figure in scene.page.figures(side.result).items():
        extra[f"outputs/{title}.html"] = figure_html(figure, title)
    with scratch("run") as folder:
        bundle = write(computed, Path(folder) / "run", name=name, note=note, extra_files=extra)
        check_room_for_run(bundle)
        if tags := owner_tags():
            bundle = relabel_bundle(bundle, bundle.name, bundle.record.note, {**bundle.record.tags, **tags})
        outcome = keep_run(bundle, patience_s=PATIENCE_S)
    if outcome.run is not None:
        link = f" [Open in MLflow]({outcome.run.url})" if outcome.run.url and owner_only() else ""
        text = f"Kept **{plain_text(name)}**. [Link to it](?run={outcome.run.run_id}){link}"
        st.toast(text, icon=":material/bookmark_added:", duration="long")
    else:
        st.toast(plain_text(outcome.sentence), icon=":material/cloud_off:", duration="long")
    scene.work.last_kept[scene.page.name] = name, outcome


def _last_kept(page: ExperimentPage, name: str, outcome: KeepOutcome) -> None:
    if outcome.run is None:
        st.warning(plain_text(outcome.sentence), icon=":material/cloud_off:")
        return
    run_id, url = outcome.run.run_id, outcome.run.url
    with st.container(horizontal=True, vertical_alignment="center"):
        link = f"[link to it]({page.entry.module_name}?run={run_id})"
        st.markdown(f":material/bookmark_added: Last kept: **{plain_text(name)}** · {link}")
        with st.popover("Copy link", icon=":material/link:"):
            st.caption("Opens this page with the run's picture, prompts and parameters.")
            st.code(_full_link(page, run_id), language=None, wrap_lines=True)
        if not owner_only():
            return
        if url:
            st.link_button("Open in MLflow", url, icon=":material/open_in_new:")
        else:
            with st.popover("Open in MLflow", icon=":material/open_in_new:"):
                st.caption("Start MLflow's own pages with this command, then open http://127.0.0.1:5000")
                st.code(RunStore().ui_command(), language="bash", wrap_lines=True)


def _full_link(page: ExperimentPage, run_id: str) -> str:
    """The page's address with the run in it, for other people; the address is the one this visitor came by."""
    shown, own = urlsplit(st.context.url or ""), page.entry.module_name
    folder = shown.path.rstrip("/").removesuffix(f"/{own}")
    return urlunsplit((shown.scheme, shown.netloc, f"{folder}/{own}", f"run={run_id}", ""))
