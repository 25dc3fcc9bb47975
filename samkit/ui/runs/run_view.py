"""One kept run: everything that was kept, and what can be done with it."""

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.errors import SamkitError
from samkit.experiments.registry import ENTRIES
from samkit.media.drawing import overlay
from samkit.media.pictures import read_picture
from samkit.tracking.bundle.bundle import CUT_NOTE, Bundle
from samkit.tracking.bundle.film_prompts import film_prompts
from samkit.tracking.bundle.ground import ground
from samkit.tracking.compare import MAX_COMPARED
from samkit.tracking.store.edit import (
    MAX_NAME_CHARACTERS,
    note_run,
    read_run,
    rename_run,
    restore_run,
    tag_run,
)
from samkit.tracking.store.search import neighbours
from samkit.tracking.store.store import RunStore, RunSummary
from samkit.tracking.store.tags import MAX_TAG_CHARACTERS, NOTE, shown_mask, user_tags
from samkit.ui.bench.kept_figures import kept_figure
from samkit.ui.parts import style, tables
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.metric_words import fact_text, fact_words, mask_name_words, metric_words
from samkit.ui.runs.delete_dialog import ask_to_delete
from samkit.ui.runs.replay_panel import replay_button, show_replay, start_replay
from samkit.ui.runs.state import RunsTable, present_store, run_files, runs_table, when
from samkit.ui.runs.tag_line import read_tag_line, tag_line
from samkit.ui.runs.transfer import download_zip
from samkit.ui.state.page_links import COMPARE_PAGE, RUNS_PAGE, experiment_title, page_file, page_icon
from samkit.ui.state.public import check_may_change, may_change, owner_only
from samkit.ui.state.workspace import workspace
from samkit.words import format_bytes

MAX_SHOWN_FILM_BYTES = 256 * 2**20
"""Streamlit holds a film that is shown in memory."""
SENT_WHOLE_PX = 1400
"""Streamlit sends pictures that are to be as wide as their column with no more pixels across than about this."""


def run_view(run_id: str) -> None:
    table, store = runs_table(), present_store()
    # A link to an experiment's page opens the run again, also where the same one was opened before.
    workspace().forget_link()
    run = read_run(store, run_id)
    _top(table, store, run)
    st.title(plain_text(run.name), anchor=False)
    _subtitle(run)
    if run.deleted:
        st.warning("This run was deleted. It is hidden until you restore it.", icon=":material/delete:")
    bundle = None
    try:
        with st.spinner("Fetching the run's files"):
            bundle = run_files().open(store, run)
    except SamkitError as error:
        st.error(
            f"{plain_text(str(error))} Its parameters and metrics below are those of the store.",
            icon=":material/error:",
        )
    progress_place = _actions(table, store, run, bundle)
    with progress_place:
        show_replay(table, run.run_id)
    _content(run, bundle)


def _top(table: RunsTable, store: RunStore, run: RunSummary) -> None:
    newer, older = neighbours(store, table.query, run)

    def show(other: RunSummary) -> None:
        st.query_params["id"] = other.run_id

    with st.container(horizontal=True, vertical_alignment="center", key="run_top"):
        st.page_link(RUNS_PAGE, label="All runs", icon=":material/arrow_back:")
        st.space("stretch")
        st.button(
            "Newer",
            icon=":material/chevron_left:",
            shortcut="Left",
            key="run_newer",
            disabled=newer is None,
            on_click=show,
            args=(newer,),
            help=plain_text(newer.name) if newer else "No newer run in this list",
        )
        st.button(
            "Older",
            icon=":material/chevron_right:",
            icon_position="right",
            shortcut="Right",
            key="run_older",
            disabled=older is None,
            on_click=show,
            args=(older,),
            help=plain_text(older.name) if older else "No older run in this list",
        )


def _subtitle(run: RunSummary) -> None:
    tags = run.tags
    parts = [
        experiment_title(run.experiment),
        tags.get("samkit.model"),
        tags.get("samkit.video") or tags.get("samkit.picture"),
        when(run.created_ms),
    ]
    line = " · ".join(escape(part) for part in parts if part)
    own = " ".join(
        f"<b>{escape(key)}</b>{escape('=' + value if value else '')}" for key, value in sorted(user_tags(tags).items())
    )
    note = f'<div style="white-space: pre-wrap">{escape(tags[NOTE])}</div>' if tags.get(NOTE) else ""
    st.html(f'<div class="samkit-question">{line}</div><div class="samkit-small">{own}{note}</div>')


def _actions(table: RunsTable, store: RunStore, run: RunSummary, bundle: Bundle | None) -> DeltaGenerator:
    """The row of buttons; gives the place for what comes of them."""
    with st.container(horizontal=True, vertical_alignment="center", key="run_actions", gap="small"):
        entry = next((entry for entry in ENTRIES if entry.name == run.experiment), None)
        if entry is not None:
            label = f"**Open in {entry.title}**"
            st.page_link(page_file(entry), label=label, icon=page_icon(entry), query_params={"run": run.run_id})
        pressed = replay_button(disabled=bundle is None or entry is None)
        download_zip(store, [run.run_id], "Export", "export_run")
        if may_change(run.tags):
            with st.popover("Edit", icon=":material/edit:"):
                _edit(store, run, bundle)
        if owner_only():
            _mlflow_link(store, run)
        if may_change(run.tags):
            _delete_or_restore(store, run)
        _choose(table, run)
    place = st.container()
    if pressed and bundle is not None:
        with place, sentences():
            start_replay(table, run.run_id, bundle)
    return place


def _delete_or_restore(store: RunStore, run: RunSummary) -> None:
    if run.deleted:
        st.button(
            "Restore",
            icon=":material/restore_from_trash:",
            key="restore_run",
            on_click=_change,
            args=(restore_run, store, run),
        )
    elif st.button("Delete", icon=":material/delete:", key="delete_run"):
        ask_to_delete({run.run_id: run.name})


def _change(change: Callable[[RunStore, str], None], store: RunStore, run: RunSummary) -> None:
    with sentences():
        check_may_change(run.tags)
        change(store, run.run_id)


def _choose(table: RunsTable, run: RunSummary) -> None:
    """Whether the run is among those to be compared, and the way there."""
    chosen = run.run_id in table.chosen
    if st.toggle("Choose to compare", chosen, key=f"choose_run_{table.round}_{run.run_id}") != chosen:
        table.choose(run.run_id, run.name, not chosen)
        st.rerun()
    if 2 <= len(table.chosen) <= MAX_COMPARED:
        st.page_link(
            COMPARE_PAGE,
            label=f"Compare {len(table.chosen)}",
            icon=":material/compare_arrows:",
            query_params={"runs": ",".join(table.chosen)},
        )


def _mlflow_link(store: RunStore, run: RunSummary) -> None:
    url = store.page_url(run.run_id, run.experiment_id)
    if url:
        st.link_button("Open in MLflow", url, icon=":material/open_in_new:")
        return
    with st.popover("Open in MLflow", icon=":material/open_in_new:"):
        st.caption("Start MLflow's own pages with this command, then open the run there.")
        st.code(store.ui_command(), language="bash", wrap_lines=True)
        st.code(
            f"http://127.0.0.1:5000/#/experiments/{run.experiment_id}/runs/{run.run_id}", language=None, wrap_lines=True
        )


def _edit(store: RunStore, run: RunSummary, bundle: Bundle | None) -> None:
    """Name, tags and note. Only what was changed is written, so that the rest stays as it is, whoever wrote it."""
    name_before, tags_before, note_before = run.name[:MAX_NAME_CHARACTERS], tag_line(run.tags), run.tags.get(NOTE, "")
    cut = note_before.endswith(CUT_NOTE) or len(note_before) > MAX_TAG_CHARACTERS
    with st.form("edit_run", border=False):
        name = st.text_input("Name", name_before, max_chars=MAX_NAME_CHARACTERS)
        tags = st.text_input(
            "Tags",
            tags_before,
            placeholder="keeper, figure=3",
            help='key=value, another; quotes around a comma: figure="3, left"',
        )
        if cut:
            st.text_area("Note", bundle.record.note if bundle else note_before, disabled=True)
            st.caption(
                f"This note is longer than the {MAX_TAG_CHARACTERS:,} characters a run store takes, so it stays as "
                "it was kept."
            )
            note = note_before
        else:
            note = st.text_area("Note", note_before, max_chars=MAX_TAG_CHARACTERS)
        if st.form_submit_button("Save", type="primary", icon=":material/save:"):
            with sentences():
                check_may_change(run.tags)
                if name != name_before:
                    rename_run(store, run.run_id, name)
                if note != note_before:
                    note_run(store, run.run_id, note)
                if tags != tags_before:
                    tag_run(store, run.run_id, read_tag_line(tags))
                st.rerun()


def _content(run: RunSummary, bundle: Bundle | None) -> None:
    with st.container(key="row_run"):
        left, right = st.columns([7, 4], gap="medium")
    with left:
        if bundle is not None:
            _main_picture(bundle)
    with right:
        _numbers(run, bundle)
    params: Mapping[str, Any] = bundle.params if bundle else run.params
    tabs: dict[str, Callable[[], object]] = {"Parameters": lambda: _parameters(params)}
    if bundle is not None:
        tabs |= _file_tabs(bundle)
    for tab, draw in zip(st.tabs(list(tabs)), tabs.values(), strict=True):
        with tab:
            draw()


def _file_tabs(bundle: Bundle) -> dict[str, Callable[[], object]]:
    """What the run's files show: title -> what draws it."""
    tabs: dict[str, Callable[[], object]] = {"Prompts": lambda: st.json(_prompts(bundle))}
    if bundle.outputs(".html"):
        tabs["Figures"] = lambda: _figures(bundle)
    if bundle.tables():
        tabs["Tables"] = lambda: _tables(bundle)
    return tabs | {
        "Model": lambda: _model(bundle),
        "Files": lambda: _files(bundle),
        "Timings": lambda: tables.timings_table(bundle.record.timings),
        "run.json": lambda: st.json(_short_document(bundle), expanded=1),
    }


def _prompts(bundle: Bundle) -> dict[str, Any] | list[dict[str, Any]]:
    """As JSON values; of a film those of each place where an object is marked."""
    if bundle.record.video is None:
        return bundle.record.prompts.to_dict()
    return [
        {"on": each.place} | ({"mask": "given"} if each.has_mask else each.prompts.to_dict())
        for each in film_prompts(bundle)
    ]


def _model(bundle: Bundle) -> None:
    """What the run was made with, and what was done to the model's file."""
    model = bundle.record.model
    said = {"model": model.name, "family": f"{model.family} {model.version}", "SHA-256": model.sha256}
    if model.file_sha256:
        said["SHA-256 of its file"] = model.file_sha256
    rows = [{"": name, "value": value} for name, value in said.items()]
    st.dataframe(rows, hide_index=True, key="run_model")
    for change in model.changes:
        st.markdown(f"- {plain_text(change)}")


def _numbers(run: RunSummary, bundle: Bundle | None) -> None:
    """Metrics and facts: those of the run's files, else those of the store."""
    metrics, facts = run.measured, run.facts
    if bundle is not None:
        metrics = {name: metric.value for name, metric in bundle.record.metrics.items()}
        facts = {name: str(value) for name, value in bundle.record.facts.items()}
    if metrics or not facts:
        st.markdown("**Metrics**")
        rows = [{"metric": metric_words(name), "value": f"{value:.6g}"} for name, value in metrics.items()]
        st.dataframe(rows, hide_index=True, height=tables.table_height(len(rows), 460), key="run_metrics")
    if facts:
        st.markdown("**Facts**")
        rows = [{"fact": fact_words(name), "value": fact_text(name, value)} for name, value in facts.items()]
        st.dataframe(rows, hide_index=True, height=tables.table_height(len(rows), 240), key="run_facts")


def _parameters(params: Mapping[str, Any]) -> None:
    rows = [{"parameter": name, "value": str(value)} for name, value in params.items()]
    st.dataframe(rows, hide_index=True, key="run_params")


def _title(name: str) -> str:
    return name.replace("_", " ")


def _main_picture(bundle: Bundle) -> None:
    """Any mask on its picture or alone, any picture the run made, or its film; at full size in Streamlit's own
    full-screen view.
    """
    films, first = {path.name: path for path in bundle.outputs(".mp4")}, shown_mask(bundle.record.masks)
    masks = sorted(bundle.record.masks, key=lambda name: (name != first, name))
    pictures = {path.stem: path for path in bundle.images()}
    pictures |= {path.stem: path for path in sorted((bundle.path / "inputs").glob("image*.png"))}
    options = [*films, *masks, *pictures]
    if not options:
        st.info("No picture was kept with this run.", icon=":material/hide_image:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.selectbox(
            "Show",
            options,
            format_func=lambda name: (mask_name_words if name in masks else _title)(name),
            key="run_picture",
        )
        alone = st.toggle("Mask alone", False, key="run_mask_alone", disabled=shown not in masks)
    if shown in masks:
        _full_size(mask_picture(bundle, shown, alone), "PNG" if alone else "JPEG")
    elif shown in pictures:
        _full_size(read_picture(pictures[shown]).rgb, "PNG")
    elif films[shown].stat().st_size <= MAX_SHOWN_FILM_BYTES:
        st.video(str(films[shown]))
    else:
        st.info("This film is too large to be shown here: download it under Files.", icon=":material/movie:")


def _full_size(picture: np.ndarray, kind: Literal["PNG", "JPEG"]) -> None:
    """All pixels of uint8 [H, W] or [H, W, 3] are sent; it is shown no wider than its column."""
    width = picture.shape[1]
    st.image(picture, width="stretch" if width <= SENT_WHOLE_PX else width, output_format=kind)


def mask_picture(bundle: Bundle, name: str, alone: bool) -> np.ndarray:
    """The mask over the picture it lies on, uint8 [H, W, 3]; or in white on black, uint8 [H, W], alone or where that
    picture is not there.
    """
    mask, picture = bundle.mask(name), None if alone else ground(bundle, name)
    if picture is None:
        return np.where(mask, np.uint8(255), np.uint8(0))
    return overlay(picture.rgb, mask, style.MASK_COLOR, alpha=0.5)


def _figures(bundle: Bundle) -> None:
    files = {_title(path.stem): path for path in bundle.outputs(".html")}
    title = st.selectbox("Figure", list(files), key="run_figure")
    kept_figure(files[title])


def _tables(bundle: Bundle) -> None:
    for name, rows in bundle.tables().items():
        st.markdown(f"**{plain_text(_title(name))}**")
        st.dataframe(rows, hide_index=True, height=tables.table_height(len(rows), 320))


def _files(bundle: Bundle) -> None:
    files = bundle.record.files
    rows = [{"file": name, "size": format_bytes(entry.bytes), "SHA-256": entry.sha256} for name, entry in files.items()]
    st.dataframe(rows, hide_index=True, height=tables.table_height(len(rows), 360))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.selectbox("File", list(files), key="run_file")
        path: Path = bundle.path / wanted

        def content() -> bytes:
            # Read when it is asked for; the run's folder stays as long as its bundle is held.
            return (bundle.path / wanted).read_bytes()

        st.download_button(
            "Download",
            content,
            path.name,
            key="run_file_download",
            icon=":material/download:",
            on_click="ignore",
        )


def _short_document(bundle: Bundle) -> dict[str, Any]:
    return {key: value for key, value in bundle.record.to_dict().items() if key != "files"}
