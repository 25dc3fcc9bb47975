"""One kept run: everything that was kept, and what can be done with it."""

from html import escape
from pathlib import Path

import numpy as np
import streamlit as st

from samkit.errors import SamkitError
from samkit.media.drawing import overlay
from samkit.media.pictures import read_picture
from samkit.tracking.bundle.bundle import CUT_NOTE, Bundle
from samkit.tracking.compare import MAX_COMPARED, ground_file
from samkit.tracking.store.edit import (
    MAX_NAME_CHARACTERS,
    delete_run,
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
from samkit.ui.parts import style
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.runs.replay_panel import replay_button, replay_outcome
from samkit.ui.runs.state import (
    COMPARE_PAGE,
    RUNS_PAGE,
    RunsTable,
    experiment_title,
    present_store,
    run_files,
    runs_table,
    when,
)
from samkit.ui.runs.tag_line import read_tag_line, tag_line
from samkit.ui.runs.transfer import download_zip
from samkit.ui.state.page_links import EXPERIMENT_PAGES
from samkit.ui.state.workspace import workspace
from samkit.words import format_bytes

SENT_WHOLE_PX = 1400
"""Streamlit sends pictures that are to be as wide as their column with no more pixels across than about this."""


def run_view(run_id: str) -> None:
    table, store = runs_table(), present_store()
    # A link to an experiment's page opens the run again, also where the same one was opened before.
    workspace().restored_run = None
    run = read_run(store, run_id)
    _top(table, store, run)
    st.title(plain_text(run.name), anchor=False)
    _subtitle(run)
    if run.deleted:
        st.warning("This run was deleted: it is in no list until it is restored.", icon=":material/delete:")
    bundle = None
    try:
        with st.spinner("Fetching the run's files"):
            bundle = run_files().open(store, run)
    except SamkitError as error:
        st.error(f"{error} Its parameters and metrics below are those of the store.", icon=":material/error:")
    progress_place = _actions(table, store, run, bundle)
    with progress_place:
        replay_outcome(table.replays.get(run.run_id))
    _content(run, bundle)


def _top(table: RunsTable, store: RunStore, run: RunSummary) -> None:
    newer, older = neighbours(store, table.query, run)

    def show(other: RunSummary) -> None:
        st.query_params["id"] = other.run_id

    with st.container(horizontal=True, vertical_alignment="center", key="run_top"):
        st.page_link(RUNS_PAGE, label="All runs", icon=":material/arrow_back:")
        st.space("stretch")
        for label, other, icon, key in (
            ("Newer", newer, "chevron_left", "Left"),
            ("Older", older, "chevron_right", "Right"),
        ):
            more = dict(
                icon=f":material/{icon}:",
                icon_position="left" if label == "Newer" else "right",
                shortcut=key,
                key=f"run_{label.lower()}",
            )
            st.button(
                label,
                disabled=other is None,
                on_click=show,
                args=(other,),
                help=other.name if other else f"No {label.lower()} run in this list",
                **more,
            )


def _subtitle(run: RunSummary) -> None:
    tags = run.tags
    said = [
        experiment_title(run.experiment),
        tags.get("samkit.model"),
        tags.get("samkit.video") or tags.get("samkit.picture"),
        when(run.created_ms),
    ]
    line = " · ".join(escape(part) for part in said if part)
    own = " ".join(
        f"<b>{escape(key)}</b>{escape('=' + value if value else '')}" for key, value in sorted(user_tags(tags).items())
    )
    note = f'<div style="white-space: pre-wrap">{escape(tags[NOTE])}</div>' if tags.get(NOTE) else ""
    st.html(f'<div class="samkit-question">{line}</div><div class="samkit-small">{own}{note}</div>')


def _actions(table: RunsTable, store: RunStore, run: RunSummary, bundle: Bundle | None):
    """The row of buttons; gives the place for what comes of them."""
    with st.container(horizontal=True, vertical_alignment="center", key="run_actions", gap="small"):
        page = next((page for page in EXPERIMENT_PAGES if page.name == run.experiment), None)
        if page is not None:
            st.page_link(page.file, label=f"**Open in {page.title}**", icon=page.icon, query_params={"run": run.run_id})
        pressed = replay_button(disabled=bundle is None or page is None)
        download_zip(store, [run.run_id], "Export", "export_run")
        with st.popover("Edit", icon=":material/edit:"):
            _edit(store, run, bundle)
        _mlflow_link(store, run)
        if run.deleted:
            st.button(
                "Restore",
                icon=":material/restore_from_trash:",
                key="restore_run",
                on_click=_change,
                args=(restore_run, store, run),
            )
        else:
            st.button(
                "Delete", icon=":material/delete:", key="delete_run", on_click=_change, args=(delete_run, store, run)
            )
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
    place = st.container()
    if pressed and bundle is not None:
        with place, sentences():
            table.replays[run.run_id] = pressed(bundle)
    return place


def _change(change, store: RunStore, run: RunSummary) -> None:
    with sentences():
        change(store, run.run_id)


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
            st.text_area("Note", bundle.record["note"] if bundle else note_before, disabled=True)
            st.caption(
                f"This note is longer than the {MAX_TAG_CHARACTERS:,} characters a run store takes, so it stays as "
                "it was kept."
            )
            note = note_before
        else:
            note = st.text_area("Note", note_before, max_chars=MAX_TAG_CHARACTERS)
        if st.form_submit_button("Save", type="primary", icon=":material/save:"):
            with sentences():
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
        numbers = (
            bundle.record["metrics"]
            if bundle
            else {key: value for key, value in run.metrics.items() if not key.endswith("_ms")}
        )
        st.markdown("**Metrics**")
        rows = [{"metric": key.replace("_", " "), "value": f"{value:.6g}"} for key, value in numbers.items()]
        st.dataframe(rows, hide_index=True, height=min(460, 36 * len(rows) + 40), key="run_metrics")
    params = bundle.params if bundle else run.params
    tabs = {
        "Parameters": lambda: st.dataframe(
            [{"parameter": key, "value": str(value)} for key, value in params.items()],
            hide_index=True,
            key="run_params",
        )
    }
    if bundle is not None:
        tabs |= {"Prompts": lambda: st.json(bundle.record["prompts"])}
        tabs |= {"Figures": lambda: _figures(bundle)} if bundle.outputs(".html") else {}
        tabs |= {"Tables": lambda: _tables(bundle)} if bundle.tables() else {}
        tabs |= {
            "Files": lambda: _files(bundle),
            "Timings": lambda: _timings(bundle),
            "run.json": lambda: st.json(_short_record(bundle), expanded=1),
        }
    for tab, draw in zip(st.tabs(list(tabs)), tabs.values(), strict=True):
        with tab:
            draw()


def _main_picture(bundle: Bundle) -> None:
    """Any mask on its picture or alone, any picture the run made, or its film; at full size in Streamlit's own
    full-screen view.
    """
    films, masks = bundle.outputs(".mp4"), list(bundle.record["masks"])
    first = shown_mask(masks)
    masks.sort(key=lambda name: (name != first, name))
    images = {path.stem: path for path in bundle.images()}
    inputs = {path.stem: path for path in sorted((bundle.path / "inputs").glob("image*.png"))}
    options = [*(path.name for path in films), *masks, *images, *inputs]
    if not options:
        st.info("This run kept no picture.", icon=":material/hide_image:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.selectbox("Show", options, format_func=lambda name: name.replace("_", " "), key="run_picture")
        alone = st.toggle("Mask alone", False, key="run_mask_alone", disabled=wanted not in masks)
    if wanted in masks:
        _full_size(_mask_picture(bundle, wanted, alone), "PNG" if alone else "JPEG")
    elif wanted in images | inputs:
        _full_size(read_picture((images | inputs)[wanted]).rgb, "PNG")
    else:
        st.video(str(next(path for path in films if path.name == wanted)))


def _full_size(picture: np.ndarray, kind: str) -> None:
    """All pixels of uint8 [H, W] or [H, W, 3] are sent; it is shown no wider than its column."""
    width = picture.shape[1]
    st.image(picture, width="stretch" if width <= SENT_WHOLE_PX else width, output_format=kind)


def _mask_picture(bundle: Bundle, name: str, alone: bool) -> np.ndarray:
    mask = bundle.mask(name)
    ground = ground_file(bundle, name)
    rgb = None if alone or not ground.is_file() else read_picture(ground).rgb
    if rgb is None or rgb.shape[:2] != mask.shape:
        return np.where(mask, np.uint8(255), np.uint8(0))
    return overlay(rgb, mask, style.MASK_COLOR, alpha=0.5)


def _figures(bundle: Bundle) -> None:
    files = {path.stem.replace("_", " "): path for path in bundle.outputs(".html")}
    wanted = st.selectbox("Figure", list(files), key="run_figure")
    kept_figure(files[wanted])


def _tables(bundle: Bundle) -> None:
    for name, rows in bundle.tables().items():
        st.markdown(f"**{name.replace('_', ' ')}**")
        st.dataframe(rows, hide_index=True, height=min(320, 36 * len(rows) + 40))


def _files(bundle: Bundle) -> None:
    files = bundle.record["files"]
    rows = [
        {"file": name, "size": format_bytes(told.get("bytes", 0)), "SHA-256": told["sha256"]}
        for name, told in files.items()
    ]
    st.dataframe(rows, hide_index=True, height=min(360, 36 * len(rows) + 40))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.selectbox("File", list(files), key="run_file")
        path: Path = bundle.path / wanted
        st.download_button(
            "Download",
            path.read_bytes,
            path.name,
            key="run_file_download",
            icon=":material/download:",
            on_click="ignore",
        )


def _timings(bundle: Bundle) -> None:
    rows = [
        {"step": name.removesuffix("_ms").replace("_", " "), "ms": round(value, 1)}
        for name, value in bundle.record["timings"].items()
    ]
    st.dataframe(rows, hide_index=True, width="content")


def _short_record(bundle: Bundle) -> dict:
    return {key: value for key, value in bundle.record.items() if key != "files"}
