"""What the Cross-image segmentation page draws: its knobs, its main picture, its tabs, and the figures kept with a
run.
"""

import json

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.cross_image import BANK_FILE, MAX_REPEATS
from samkit.experiments.result import Inputs, Result
from samkit.media.drawing import cut_out, mask_to_png, overlay
from samkit.media.pictures import Picture, array_to_png
from samkit.ui.controls.knobs import Knobs
from samkit.ui.parts import style
from samkit.ui.parts.figures import curves_figure, map_figure, plain_colorscale
from samkit.ui.parts.inline_image import fit_within, inline_image

VIEWS = ("Both", "Found", "Cut-out", "Point and box", "Jitter")
SHOWN_PX = 1000
PLOT = {"displaylogo": False}


def draw_knobs(knobs: Knobs) -> dict:
    """The experiment's parameters by name."""
    repeats = knobs.slider(
        "Repeats",
        "repeats",
        0,
        MAX_REPEATS,
        0,
        1,
        help="Track the other picture again, with what was found before in the memory",
    )
    threshold = knobs.slider(
        "Threshold (logits)",
        "threshold",
        -10.0,
        10.0,
        0.0,
        0.25,
        help="Logits above it are mask; what is remembered is not cut",
    )
    both = knobs.toggle(
        "By point and by box",
        "point_and_box",
        False,
        help="Follow the same object once by a point and once by a box; takes longer",
    )
    shaken = knobs.toggle(
        "Move the prompt (jitter)",
        "jitter",
        False,
        help="Follow moved copies of the prompt, one pass each; takes longer",
    )
    copies = knobs.slider("Copies", "jitter_copies", 4, 64, 16, 4, disabled=not shaken)
    spread = knobs.slider("Moved by (px, standard deviation)", "jitter_px", 0.5, 50.0, 6.0, 0.5, disabled=not shaken)
    colormap = knobs.colormap(disabled=not shaken)
    values = {
        "repeats": repeats,
        "threshold": threshold,
        "point_and_box": both,
        "tracked_index": knobs.get("tracked_index"),
        "colormap": colormap,
    }
    return values | ({"jitter_copies": copies, "jitter_px": spread} if shaken else {"jitter_copies": 0})


def restore(params: dict) -> dict:
    """A kept run's parameters -> values of the knobs that make them."""
    names = ("repeats", "threshold", "point_and_box", "tracked_index", "colormap", "jitter_px")
    copies = params["jitter_copies"]
    return (
        {name: params[name] for name in names} | {"jitter": copies > 0} | ({"jitter_copies": copies} if copies else {})
    )


def prompted_and_other(inputs: Inputs, result: Result) -> tuple[Picture, Picture]:
    """The picture with the prompts, and the one that was segmented."""
    return (inputs.image, inputs.image_b) if result.params.prompt_on == "a" else (inputs.image_b, inputs.image)


def draw_main(inputs: Inputs, result: Result, knobs: Knobs) -> None:
    """The view switch, the chosen view, and what was found in one line."""
    view = knobs.choose("View", "view", list(VIEWS), "Both", label_visibility="collapsed")
    pictures = prompted_and_other(inputs, result)
    if result.metrics["object_score"] <= 0:
        st.warning(
            "The model holds the object to be absent from the other picture (object score "
            f"{result.metrics['object_score']:.1f}), so its mask is empty.",
            icon=":material/visibility_off:",
        )
    if view == "Both":
        shown = [(_covered(pictures[0].rgb, result.masks["prompted"]), f"Remembered, on {_letter(result, 'prompted')}")]
        shown.append((_covered(pictures[1].rgb, result.masks["tracked"]), f"Found, on {_letter(result, 'tracked')}"))
        _side_by_side("both", *(shown if result.params.prompt_on == "a" else reversed(shown)))
    elif view == "Found":
        inline_image(
            _covered(pictures[1].rgb, result.masks["tracked"]),
            "The picture that was segmented, with the mask found",
            "samkit-figure",
        )
    elif view == "Cut-out":
        inline_image(
            on_checks(cut_out(pictures[1].rgb, result.masks["tracked"])),
            "What was found, cut out",
            "samkit-figure",
            lossless=True,
        )
    elif view == "Point and box":
        _draw_point_and_box(pictures, result)
    else:
        _draw_jitter(pictures, result)
    st.caption(summary(result))


def _draw_point_and_box(pictures: tuple[Picture, Picture], result: Result) -> None:
    if "point_and_box" not in result.tables:
        st.info(
            "Switch on “By point and by box” to see whether the kind of prompt changes what is found.",
            icon=":material/compare:",
        )
        return
    for name, picture in (("tracked", pictures[1]), ("prompted", pictures[0])):
        title = "found" if name == "tracked" else "remembered"
        rows = zip(("point", "box"), result.tables["point_and_box"], strict=True)
        texts = [
            f"By a {kind}, {title}: predicted IoU {row[f'{name}_predicted_iou']:.2f}, "
            f"{100 * row[f'{name}_area_share']:.1f} %"
            for kind, row in rows
        ]
        _side_by_side(
            name,
            *(
                (_covered(picture.rgb, result.masks[f"by_{kind}_{name}"]), text)
                for kind, text in zip(("point", "box"), texts, strict=True)
            ),
        )
    metrics = result.metrics
    st.caption(
        f"IoU of the two masks: {metrics['point_box_iou']:.3f} where found, "
        f"{metrics['prompted_point_box_iou']:.3f} where remembered"
    )


def _draw_jitter(pictures: tuple[Picture, Picture], result: Result) -> None:
    if "jitter" not in result.tables:
        st.info(
            "Switch on “Move the prompt” to see how often each pixel is chosen when the prompt moves.",
            icon=":material/vibration:",
        )
        return
    with st.container(key="row_jitter"):
        columns = st.columns(2, gap="small")
    for name, picture, column in zip(("prompted", "tracked"), pictures, columns, strict=True):
        with column:
            # One colour bar serves both.
            figure = jitter_figure(result, name, picture.size).update_traces(showscale=name == "tracked")
            st.plotly_chart(figure, key=f"jitter_{name}", config=PLOT)
            st.caption("Remembered" if name == "prompted" else "Found")
    metrics = result.metrics
    st.caption(
        f"Mean IoU with the unmoved prompt's mask: {metrics['prompted_jitter_iou']:.3f} where remembered, "
        f"{metrics['jitter_iou']:.3f} where found; "
        f"found by {100 * metrics['jitter_found']:.0f} % of the copies"
    )


def _side_by_side(key: str, *shown: tuple[np.ndarray, str]) -> None:
    with st.container(key=f"row_side_{key}"):
        columns = st.columns(len(shown), gap="small")
    for (rgb, text), column in zip(shown, columns, strict=True):
        with column:
            inline_image(rgb, text, "samkit-figure")
            st.caption(text)


def _covered(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture, no larger than it is shown, with the mask laid over it."""
    small = fit_within(rgb, SHOWN_PX, SHOWN_PX)
    if small.shape[:2] != mask.shape:
        steps = (np.linspace(0, mask.shape[axis] - 1, small.shape[axis]).astype(int) for axis in (0, 1))
        mask = np.ascontiguousarray(mask[np.ix_(*steps)])
    return overlay(small, mask, style.MASK_COLOR, alpha=0.45)


def on_checks(rgba: np.ndarray, size: int = 12) -> np.ndarray:
    """uint8 [H, W, 3] of [H, W, 4]: over grey checks where it is transparent."""
    rows, columns = np.ogrid[: rgba.shape[0], : rgba.shape[1]]
    checks = np.where((rows // size + columns // size) % 2 == 0, np.uint8(150), np.uint8(180))[..., None]
    return fit_within(np.where(rgba[..., 3:] > 0, rgba[..., :3], checks), SHOWN_PX, SHOWN_PX)


def _letter(result: Result, name: str) -> str:
    return "A" if (result.params.prompt_on == "a") == (name == "prompted") else "B"


def summary(result: Result) -> str:
    """What was found in one line."""
    metrics = result.metrics
    parts = [
        f"object score {metrics['object_score']:.1f}",
        f"predicted IoU {metrics['predicted_iou']:.2f}",
        f"stability at ±{result.params.stability_offset:g}: {metrics['prompted_stability_score']:.3f} remembered, "
        f"{metrics['stability_score']:.3f} found",
        f"area {100 * metrics['area_share']:.1f} % of the picture",
    ]
    if "refine_iou" in metrics:
        parts.append(f"edges refined after the model, IoU with its own mask {metrics['refine_iou']:.3f}")
    if result.params.repeats:
        parts.append(f"IoU of the last pass with the first {metrics['repeat_iou']:.3f}")
    return " · ".join(parts)


def jitter_figure(result: Result, name: str, picture_size: tuple[int, int]) -> go.Figure:
    return map_figure(
        result.arrays[f"jitter_map_{name}"], picture_size, 0, 1, plain_colorscale(result.params.colormap), "share"
    )


def score_figure(result: Result) -> go.Figure:
    return _over_passes(result, {"object_score": "Object score"}, "object score", level=0.0)


def passes_figure(result: Result) -> go.Figure:
    return _over_passes(
        result,
        {
            "predicted_iou": "Predicted IoU",
            "change": "Change since the pass before",
            "iou_with_first": "IoU with the first pass",
        },
        "share",
    )


def _over_passes(result: Result, names: dict[str, str], y_title: str, level: float | None = None) -> go.Figure:
    """Passes are few and whole: each is a point. The first of the names is drawn thicker."""
    figure = curves_figure(
        result.tables["passes"],
        "pass",
        names,
        next(iter(names)),
        "pass",
        y_title,
        {},
        mode="lines+markers",
        level=level,
    )
    figure.layout.xaxis.dtick = 1
    return figure


def figures(result: Result) -> dict:
    made = {"object_score": score_figure(result), "passes": passes_figure(result)}
    if "jitter" in result.tables:
        made |= {
            f"jitter_{name}": jitter_figure(result, name, result.masks[name].shape) for name in ("prompted", "tracked")
        }
    return made


def draw_passes(result: Result) -> None:
    if not result.params.repeats:
        st.info(
            "Move “Repeats” up to see what looking again changes: each pass remembers the best mask of those before.",
            icon=":material/repeat:",
        )
        return
    with st.container(key="row_passes"):
        left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Object score**: above 0 the model holds the object to be there")
        st.plotly_chart(score_figure(result), key="passes_score", config=PLOT)
    with right:
        st.markdown("**Masks**: what the model thinks of them, and how they change")
        st.plotly_chart(passes_figure(result), key="passes_masks", config=PLOT)


def draw_numbers(result: Result) -> None:
    decimals = {
        name: st.column_config.NumberColumn(format="%.3f")
        for name in ("predicted_iou", "stability_score", "area_share", "object_score", "change")
    }
    for title, table in (
        ("Remembered masks", "prompted_masks"),
        ("Found masks", "tracked_masks"),
        ("Passes", "passes"),
    ):
        st.markdown(f"**{title}**")
        st.dataframe(result.tables[table], hide_index=True, column_config=decimals)
    for title, table in (("By point and by box", "point_and_box"), ("Moved prompts", "jitter")):
        if table in result.tables:
            st.markdown(f"**{title}**")
            st.dataframe(result.tables[table], hide_index=True, height="auto" if len(result.tables[table]) < 8 else 240)


def draw_files(inputs: Inputs, result: Result, page: str) -> None:
    """What was found, to take away; a file is made when it is asked for."""
    other = prompted_and_other(inputs, result)[1]
    stem = other.name.rpartition(".")[0] or other.name
    files = (
        ("Mask", ":material/contrast:", f"{stem}_mask.png", "image/png", lambda: mask_to_png(result.masks["tracked"])),
        (
            "Contours",
            ":material/polyline:",
            f"{stem}_contours.json",
            "application/json",
            lambda: json.dumps(result.tables["contours"]),
        ),
        (
            "Cut-out",
            ":material/content_cut:",
            f"{stem}_cut_out.png",
            "image/png",
            lambda: array_to_png(result.images["cut_out"]),
        ),
        ("Prompts", ":material/ads_click:", "prompts.json", "application/json", inputs.prompts.to_json),
        ("Memory bank", ":material/memory:", BANK_FILE, "application/octet-stream", result.files[BANK_FILE]),
    )
    st.caption(
        "Of the picture that was segmented; all of it is also kept with a run. The memory bank can start a film: "
        "`--bank` on the command line."
    )
    with st.container(horizontal=True, gap="small"):
        for label, icon, name, mime, make in files:
            st.download_button(label, make, name, mime, icon=icon, key=f"file_{page}_{label}", on_click="ignore")
