"""What the Mask stability page draws: its knobs, its main picture, its tabs, and the figures kept with a run."""

import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.result import Result
from samkit.ui.bench.workbench import Scene
from samkit.ui.controls.masks_panel import MASK_TITLES
from samkit.ui.parts.figures import band_colorscale, curves_figure, map_figure, plain_colorscale
from samkit.ui.parts.inline_image import inline_image

VIEWS = ("Logits", "Original", "Binary", "Jitter")
COLUMNS = {f"mask_{i}": title for i, title in enumerate(MASK_TITLES)}
PLOT = {"displaylogo": False}


def draw_knobs(scene: Scene) -> dict:
    """The experiment's parameters by name."""
    knobs = scene.knobs
    lower, upper = knobs.slider(
        "Thresholds (logits)",
        "thresholds",
        -20.0,
        20.0,
        (0.0, 8.0),
        0.5,
        help="Below the first is black, above the second white",
    )
    scale = knobs.slider(
        "Input scale",
        "input_scale",
        0.05,
        2.0,
        1.0,
        0.05,
        help="The picture is resized by this and back before it is encoded; 1 leaves it alone",
    )
    delta = knobs.slider("Largest delta of the curve (logits)", "max_delta", 1.0, 20.0, 8.0, 0.5)
    shaken = knobs.toggle(
        "Move the prompt (jitter)", "jitter", False, help="Predicts moved copies of the prompt; takes longer"
    )
    copies = knobs.slider("Copies", "jitter_copies", 4, 64, 16, 4, disabled=not shaken)
    spread = knobs.slider("Moved by (px, standard deviation)", "jitter_px", 0.5, 50.0, 6.0, 0.5, disabled=not shaken)
    colormap = knobs.colormap()
    values = {
        "lower_threshold": lower,
        "upper_threshold": upper,
        "input_scale": scale,
        "max_delta": delta,
        "colormap": colormap,
    }
    return values | ({"jitter_copies": copies, "jitter_px": spread} if shaken else {"jitter_copies": 0})


def restore(params: dict) -> dict:
    """A kept run's parameters -> values of the knobs that make them."""
    values = {name: params[name] for name in ("input_scale", "max_delta", "colormap", "jitter_px")}
    copies = params["jitter_copies"]
    return (
        values
        | {"thresholds": (params["lower_threshold"], params["upper_threshold"]), "jitter": copies > 0}
        | ({"jitter_copies": copies} if copies else {})
    )


def logits_figure(result: Result) -> go.Figure:
    params, logits = result.params, result.arrays["picture_logits"][int(result.metrics["mask_index"])]
    limits = params.lower_threshold, params.upper_threshold
    return map_figure(logits, result.masks["chosen"].shape, *limits, band_colorscale(params.colormap), "logit")


def stability_figure(result: Result) -> go.Figure:
    marks = {result.params.stability_offset: "score"}
    return curves_figure(
        result.tables["stability_curve"], "delta", COLUMNS, chosen_column(result), "delta (logits)", "IoU", marks
    )


def area_figure(result: Result) -> go.Figure:
    return curves_figure(
        result.tables["area_curve"],
        "threshold",
        COLUMNS,
        chosen_column(result),
        "threshold (logits)",
        "share of the picture",
        {0.0: "cut"},
    )


def chosen_column(result: Result) -> str:
    return f"mask_{int(result.metrics['mask_index'])}"


def figures(result: Result) -> dict:
    return {
        "logits": logits_figure(result),
        "stability_curve": stability_figure(result),
        "area_curve": area_figure(result),
    }


def draw_main(result: Result, scene: Scene) -> None:
    """The view switch, the chosen view, and the chosen mask in one line."""
    view = scene.knobs.choose("View", "view", list(VIEWS), "Logits", label_visibility="collapsed")
    if view == "Logits":
        st.plotly_chart(logits_figure(result), key="main_map", config=PLOT)
    elif view == "Jitter" and "jitter_map" not in result.arrays:
        st.info(
            "Switch on “Move the prompt” to see how often each pixel is chosen when the prompt moves.",
            icon=":material/vibration:",
        )
    elif view == "Jitter":
        scale = plain_colorscale(result.params.colormap)
        st.plotly_chart(
            map_figure(result.arrays["jitter_map"], result.masks["chosen"].shape, 0, 1, scale, "share"),
            key="jitter_map",
            config=PLOT,
        )
        st.caption(
            f"Mean IoU with the unmoved prompt's mask: {result.metrics['jitter_iou']:.3f}; between copies: "
            f"{result.metrics['jitter_pairwise_iou']:.3f}"
        )
    else:
        inline_image(
            result.images[view.lower()], f"{view} view of the chosen mask", "samkit-figure", lossless=view == "Binary"
        )
    st.caption(summary(result))


def summary(result: Result) -> str:
    """The chosen mask in one line."""
    params, metrics = result.params, result.metrics
    parts = [
        f"stability {metrics['stability_score']:.3f} at ±{params.stability_offset:g}",
        f"IoU of the cuts at {params.lower_threshold:g} and {params.upper_threshold:g}: {metrics['threshold_iou']:.3f}",
        f"area {100 * metrics['area_share']:.1f} % of the picture",
    ]
    if "refine_iou" in metrics:
        parts.append(f"edges refined after the model, IoU with its own mask {metrics['refine_iou']:.3f}")
    if "iou_unscaled" in metrics:
        parts.append(f"IoU with the mask of the unscaled picture: {metrics['iou_unscaled']:.3f}")
    if "object_score" in metrics:
        parts.append(f"object score {metrics['object_score']:.1f}")
    return " · ".join(parts)


def draw_curves(result: Result, scene: Scene) -> None:
    with st.container(key="row_curves"):
        left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Stability**: IoU of the masks cut at −delta and +delta")
        st.plotly_chart(stability_figure(result), key="stability_curve", config=PLOT)
    with right:
        st.markdown("**Area**: share of the picture above a threshold")
        st.plotly_chart(area_figure(result), key="area_curve", config=PLOT)


def draw_numbers(result: Result, scene: Scene) -> None:
    decimals = {
        name: st.column_config.NumberColumn(format="%.3f")
        for name in ("predicted_iou", "stability_score", "area_share", "iou_unscaled")
    }
    st.dataframe(result.tables["masks"], hide_index=True, column_config=decimals)
    if "jitter" in result.tables:
        st.dataframe(result.tables["jitter"], hide_index=True, height=240)
