"""The bottom of every experiment page: keep the run, copy the command that does the same, link to it; and what was kept
last.
"""

import json
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.result import Inputs, Result
from samkit.media.films import film_and_frame
from samkit.media.pictures import Picture
from samkit.tracking.bundle.bundle import write_bundle
from samkit.tracking.store.keep import keep_run
from samkit.tracking.store.store import RunStore
from samkit.ui.bench.kept_figures import figure_html
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.experiment_pages import ExperimentPage
from samkit.ui.state.workspace import Workspace

PATIENCE_S = 8
"""A store that takes longer gets the run while the visitor goes on."""
MakeFigures = Callable[[Result], dict[str, go.Figure]]


def recipe(page: ExperimentPage, inputs: Inputs, model, params) -> dict:
    """Everything that made this picture."""
    named = {"picture": inputs.image, "picture_b": inputs.image_b}
    pictures = {key: picture for key, picture in named.items() if picture is not None}
    return {
        "experiment": page.name,
        "model": {"name": model.info.name, "sha256": model.info.sha256, "device": model.device, "dtype": model.dtype},
        **{
            key: {"name": picture.name, "width": picture.width, "height": picture.height, "sha256": picture.sha256}
            for key, picture in pictures.items()
        },
        **_film_recipe(inputs),
        "prompts": inputs.prompts.to_dict(),
        "params": params.model_dump(mode="json"),
    }


def _film_recipe(inputs: Inputs) -> dict:
    """Film and memories, for runs on a film."""
    if inputs.video is None:
        return {}
    video = inputs.video
    memories = [
        {"picture": prior.picture.name, "film_frame": prior.film_frame, "prompts": prior.prompts.to_dict()}
        for prior in inputs.priors
    ]
    return {
        "video": {"name": video.name, "frames": video.length, "fps": video.fps, "sha256": video.sha256},
        "memories": memories,
    }


def command_line(page: ExperimentPage, work: Workspace, inputs: Inputs, params) -> str:
    """The command that makes the same run without a browser. An uploaded picture is named as it was uploaded: the path
    is the visitor's own.
    """
    words = ["python", "-m", "samkit", "run", page.name, "--model", work.model_ref]
    if inputs.video is not None:
        words += ["--video", _film_argument(inputs.video), "--bank", "memory_bank.safetensors"]
        return shlex.join([*words, *_settings(work, params), "--out", "run"])
    words += ["--image", _picture_argument(inputs.image)] if inputs.image is not None else []
    words += ["--image-b", _picture_argument(inputs.image_b)] if inputs.image_b is not None else []
    for x, y, label in inputs.prompts.points:
        words += ["--point", f"{x},{y},{label}"]
    for box in inputs.prompts.boxes:
        words += ["--box", ",".join(map(str, box))]
    return shlex.join([*words, *_settings(work, params, inputs.image is not None), "--out", "run"])


def _settings(work: Workspace, params, takes_dtype: bool = True) -> list[str]:
    words, defaults = [], type(params)().model_dump(mode="json")
    for name, value in params.model_dump(mode="json").items():
        if value != defaults[name]:
            words += ["--set", f"{name}={value}"]
    words += ["--device", work.device] if work.device != "auto" else []
    return words + (["--dtype", work.dtype] if work.dtype != "float32" and takes_dtype else [])


def _film_argument(video) -> str:
    return f"sample:{video.name}" if video.reader == "made" else video.name


def _picture_argument(picture: Picture) -> str:
    from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
    from samkit.media.samples import SAMPLES, VARIANTS, load_sample

    film, index = film_and_frame(picture.name)
    if film is not None:
        made = film in SAMPLE_VIDEOS and load_sample_video(film).frame_of(picture) is not None
        return f"sample:{film}#{index}" if made else f"{film}#{index}"
    known = picture.name in SAMPLES or picture.name in VARIANTS
    return f"sample:{picture.name}" if known and load_sample(picture.name) == picture else picture.name


@dataclass(frozen=True)
class KeptSide:
    """A second result on a page, kept together with the first."""

    model: Any
    inputs: Inputs
    result: Result


def keep_bar(
    page: ExperimentPage,
    work: Workspace,
    model,
    inputs: Inputs,
    result: Result,
    figures: MakeFigures,
    others: Sequence[KeptSide] = (),
) -> None:
    """Name, note and button; then the command; then the last kept run. others: are kept as runs of their own, with a
    number after the name.
    """
    usual = f"{page.title}, {inputs.image.name if inputs.image is not None else model.info.name}"
    st.divider()
    with st.container(key=f"row_keep_{page.name}"):
        name_place, note_place, button_place, command_place = st.columns([3, 4, 2, 2], vertical_alignment="bottom")
    name = name_place.text_input("Name", placeholder=usual, key=f"keep_name_{page.name}", max_chars=200)
    note = note_place.text_input("Note", placeholder="What you saw", key=f"keep_note_{page.name}", max_chars=4000)
    label = "Keep both" if others else "Keep this run"
    pressed = button_place.button(
        label,
        icon=":material/bookmark_add:",
        type="primary",
        width="stretch",
        key=f"keep_{page.name}",
        shortcut="Ctrl+S",
    )
    with command_place.popover("Copy command", icon=":material/terminal:", width="stretch"):
        st.caption("Makes the same run without a browser.")
        st.code(command_line(page, work, inputs, result.params), language="bash", wrap_lines=True)
    if pressed:
        with st.spinner("Keeping the run"):
            for number, other in enumerate(others, start=2):
                _keep(page, work, other.model, other.inputs, other.result, figures, f"{name or usual} ({number})", note)
            _keep(page, work, model, inputs, result, figures, name or usual, note)
    last = work.last_kept.get(page.name)
    if last:
        _last_kept(page, last)


def _keep(
    page: ExperimentPage,
    work: Workspace,
    model,
    inputs: Inputs,
    result: Result,
    figures: MakeFigures,
    name: str,
    note: str,
) -> None:
    extra = {"outputs/recipe.json": json.dumps(recipe(page, inputs, model, result.params), indent=1).encode()}
    extra |= {f"outputs/{title}.html": figure_html(figure, title) for title, figure in figures(result).items()}
    with tempfile.TemporaryDirectory(prefix="samkit-run-") as folder:
        given = dict(
            result=result,
            inputs=inputs,
            model_info=model.info,
            device=model.device,
            dtype=model.dtype,
            name=name,
            note=note,
            extra_files=extra,
        )
        outcome = keep_run(write_bundle(Path(folder) / "run", **given), patience_s=PATIENCE_S)
    if outcome.kept:
        link = f" [Open in MLflow]({outcome.run.url})" if outcome.run.url else ""
        st.toast(
            f"Kept **{plain_text(name)}**. [Link to it](?run={outcome.run.run_id}){link}",
            icon=":material/bookmark_added:",
            duration="long",
        )
    else:
        st.toast(outcome.sentence, icon=":material/cloud_off:", duration="long")
    work.last_kept[page.name] = {"name": name, "outcome": outcome}


def _last_kept(page: ExperimentPage, last: dict) -> None:
    outcome = last["outcome"]
    if not outcome.kept:
        st.warning(outcome.sentence, icon=":material/cloud_off:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":material/bookmark_added: Last kept: **{plain_text(last['name'])}** · [link to "
            f"it]({page.url_path}?run={outcome.run.run_id})"
        )
        with st.popover("Copy link", icon=":material/link:"):
            st.caption("Opens this page with the run's picture, prompts and parameters.")
            st.code(_full_link(page, outcome.run.run_id), language=None, wrap_lines=True)
        if outcome.run.url:
            st.link_button("Open in MLflow", outcome.run.url, icon=":material/open_in_new:")
        else:
            with st.popover("Open in MLflow", icon=":material/open_in_new:"):
                st.caption("Start MLflow's own pages with this command, then open http://127.0.0.1:5000")
                st.code(RunStore().ui_command(), language="bash", wrap_lines=True)


def _full_link(page: ExperimentPage, run_id: str) -> str:
    """The page's address with the run in it, for other people; the address is the one this visitor came by."""
    shown = urlsplit(st.context.url or "")
    folder = shown.path.rstrip("/").removesuffix(f"/{page.url_path}")
    return urlunsplit((shown.scheme, shown.netloc, f"{folder}/{page.url_path}", f"run={run_id}", ""))
