"""What the Semantic similarity page draws: the compared picture, its knobs, its views, its tabs, and the figures kept
with a run.
"""

import cv2
import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.result import Inputs, Result
from samkit.experiments.semantic_similarity import COCO_FILE, color_range, level_count
from samkit.media.pictures import Picture, array_to_png
from samkit.ui.bench.workbench import Scene
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.controls.token_map import TokenMap, map_view, png_button
from samkit.ui.parts.figures import plain_colorscale, token_figure
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.parts.tables import plain_table_with_csv, table_with_csv
from samkit.ui.state.last_few import LastFew
from samkit.ui.state.picture_pair import PicturePair, picture_pair
from samkit.ui.state.workspace import Workspace, workspace

SAME, ANOTHER = "Same picture", "Another picture"
VIEWS = ("Similarity", "On the picture", "Regions", "Objects")
STRIDES = {("sam2", "projected"): (16, 8, 4), ("sam2", "raw"): (32, 16, 8, 4)}
"""Pixels of the model's input that one token covers, level by level."""
SHOWN_PX = (900, 620)
THUMB_PX = (260, 140)
BLEND = 0.6


def stores() -> dict:
    """What runs on this page keep for each other: objects' tokens, masks of found objects, and the prompt's masks."""
    return {
        name: st.session_state.setdefault(f"samkit.similarity.{name}", LastFew())
        for name in ("described", "found", "predicted")
    }


def second_picture(work: Workspace, knobs: Knobs) -> Picture | None:
    """The choice of what is compared; None for the same picture."""
    pair = picture_pair(work)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="row_compared"):
        kind = knobs.choose("Look for it in", "compare_with", [SAME, ANOTHER], SAME)
        if kind == SAME:
            return None
        with st.container(width=170):
            inline_image(fit_within(pair.b.picture.rgb, *THUMB_PX), pair.b.picture.name, "samkit-thumb")
        with st.container(width="content"):
            picture_picker(pair.b, "change_picture_b")
        st.button(
            "Swap",
            icon=":material/swap_horiz:",
            key="swap_similarity",
            help="Exchange the pictures with their prompts",
            on_click=_swap,
            args=(pair,),
        )
    return pair.b.picture


def _swap(pair: PicturePair) -> None:
    first, second = (pair.a.picture, pair.a.prompts), (pair.b.picture, pair.b.prompts)
    pair.a.show_picture(*second)
    pair.b.show_picture(*first)


def show(inputs: Inputs, params: dict) -> None:
    """Put a kept run's pictures on the page."""
    work = workspace()
    work.show_picture(inputs.image, inputs.prompts)
    if inputs.image_b is not None:
        picture_pair(work).b.show_picture(inputs.image_b)
    Knobs(work, "semantic-similarity").set({"compare_with": SAME if inputs.image_b is None else ANOTHER})


def draw_knobs(scene: Scene) -> dict:
    """The experiment's parameters by name."""
    knobs, model = scene.knobs, scene.model
    features = knobs.choose(
        "Features",
        "features",
        ["projected", "raw"],
        "projected",
        help="projected: after the neck, for the decoder; raw: the trunk's",
    )
    strides = STRIDES.get((model.info.family, features), (model.info.patch_size,))
    text = {level: f"{level} · 1/{stride} of the side" for level, stride in enumerate(strides)}
    if len(text) > 1:
        level = knobs.step(
            "Level",
            "level",
            list(range(level_count(model, features))),
            0,
            format_func=text.get,
            help="0 is the coarsest",
        )
    else:
        level = knobs.only("level", 0)
    left, right = st.columns(2, gap="small")
    with left:
        mirror = knobs.toggle(
            "Mirrored copy too",
            "mirrored",
            False,
            help="The mirrored picture's tokens, turned back, are averaged in: one more encoding",
        )
    with right:
        zoom = knobs.toggle(
            "Zoom in",
            "zoom",
            False,
            help="The object is cropped and encoded larger, and its tokens there are averaged: one more encoding",
        )
    count = knobs.slider(
        "Prototypes",
        "prototypes",
        1,
        8,
        1,
        1,
        help="That many means of groups of tokens in place of one; the nearest counts",
    )
    threshold = knobs.slider("Threshold", "threshold", -1.0, 1.0, 0.7, 0.01, help="Regions above it are counted")
    area = knobs.slider("Smallest region (% of the picture)", "min_area_percent", 0.0, 5.0, 0.1, 0.05)
    own_range = knobs.toggle(
        "Colours over the map's own range",
        "own_range",
        False,
        help="Off: the same colours for the same similarity on every map",
    )
    low, high = knobs.slider("Colours from, to", "range", -1.0, 1.0, (-1.0, 1.0), 0.05, disabled=own_range)
    objects = knobs.toggle(
        "A mask for each region",
        "find_objects",
        False,
        help="Each region's peak goes back to the model as a point prompt",
    )
    values = {
        "features": features,
        "level": level,
        "mirrored": mirror,
        "zoom": zoom,
        "prototypes": count,
        "threshold": threshold,
    }
    # A hundredth of a hundredfold is not always the same float.
    share = knobs.base.get("min_area")
    values |= {"min_area": share if share is not None and 100 * share == area else area / 100, "find_objects": objects}
    low, high = (low, high) if low < high else (min(low, 0.95), min(low, 0.95) + 0.05)
    return values | {"range_low": low, "range_high": high, "own_range": own_range, "colormap": knobs.colormap()}


def restore(params: dict) -> dict:
    """A kept run's parameters -> values of the knobs that make them."""
    names = (
        "features",
        "level",
        "mirrored",
        "zoom",
        "prototypes",
        "threshold",
        "find_objects",
        "own_range",
        "colormap",
    )
    values = {name: params[name] for name in names}
    return values | {"range": (params["range_low"], params["range_high"]), "min_area_percent": 100 * params["min_area"]}


def draw_view(result: Result, scene: Scene) -> None:
    """The view switch, the chosen view, and what was found in one line."""
    view, params = (
        scene.knobs.choose("View", "view", list(VIEWS), VIEWS[0], label_visibility="collapsed"),
        result.params,
    )
    if view == "Similarity":
        shown = TokenMap("Similarity", result.arrays["similarity"])
        map_view(
            scene.knobs,
            "similarity",
            shown,
            unit="",
            colormap=params.colormap,
            limits=color_range(shown.values, params),
        )
    elif view == "On the picture":
        _draw_picture(
            blended(compared(scene), result.images["similarity"]),
            "Similarity over the picture",
            "similarity_on_picture",
        )
    elif view == "Regions":
        _draw_picture(result.images["regions"], "The regions, outlined", "regions")
    elif "objects" in result.images:
        _draw_picture(result.images["objects"], "A mask for each region", "objects")
    else:
        st.info(
            "Switch on “A mask for each region” to hand the regions' peaks back to the model as points.",
            icon=":material/ads_click:",
        )
    st.caption(summary(result))


def _draw_picture(rgb: np.ndarray, description: str, name: str) -> None:
    """A picture, fitted to the page, and itself as a file."""
    inline_image(fit_within(rgb, *SHOWN_PX), description, "samkit-figure")
    png_button(name, lambda: array_to_png(rgb))


def compared(scene: Scene) -> Picture:
    """The picture in which the thing was looked for."""
    return scene.picture_b or scene.work.picture


def blended(picture: Picture, colors: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3]: the map's colours laid over the picture in grey."""
    small = cv2.resize(picture.rgb, colors.shape[1::-1], interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(colors, BLEND, grey, 1 - BLEND, 0)


def summary(result: Result) -> str:
    """What was found, beside the truth where it is known."""
    metrics = result.metrics
    parts = [
        f"{metrics['regions']:.0f} region{'s' if metrics['regions'] != 1 else ''} above {result.params.threshold:.2f}"
    ]
    if "known_count" in metrics:
        parts.append(f"the picture shows {metrics['known_count']:.0f} of a kind, counted by eye")
    if "objects" in metrics:
        parts.append(f"{metrics['objects']:.0f} different masks")
    parts.append(f"{100 * metrics['similar_share']:.1f} % of the picture")
    parts.append(f"similarity up to {metrics['largest_similarity']:.2f}, mean {metrics['mean_similarity']:.2f}")
    return " · ".join(
        [*parts, f"from {metrics['tokens']:.0f} tokens", f"encoded in {result.timings['encode_ms']:.0f} ms"]
    )


def figures(result: Result) -> dict[str, go.Figure]:
    return {
        "similarity": token_figure(result.arrays["similarity"], plain_colorscale(result.params.colormap), "similarity")
    }


def draw_regions(result: Result, scene: Scene) -> None:
    rows = result.tables["regions"]
    if not rows:
        st.info("No region is above the threshold. Lower it, or try another level.", icon=":material/search_off:")
        return
    st.caption("Most similar first; places are shares of the picture.")
    plain_table_with_csv(rows, "regions", height=300)


def draw_objects(result: Result, scene: Scene) -> None:
    rows = result.tables["objects"]
    if not rows:
        st.info(
            "Switch on “A mask for each region”, with at least one region above the threshold.",
            icon=":material/ads_click:",
        )
        return
    st.caption(
        "One mask for each region's peak, the one with the highest predicted IoU, with the region's number and colour. "
        "same_as: the mask was found before, from the peak of that region, and is not drawn again."
    )
    decimals = {
        name: st.column_config.NumberColumn(format="%.3f")
        for name in ("x", "y", "similarity", "predicted_iou", "area_share")
    }
    table_with_csv(rows, "objects", decimals, height=300)
    st.download_button(
        "COCO JSON",
        result.files[COCO_FILE],
        COCO_FILE,
        "application/json",
        key="coco",
        icon=":material/data_object:",
        on_click="ignore",
    )


def draw_masks(result: Result, scene: Scene) -> None:
    names = ("predicted_iou", "stability_score", "area_share")
    st.dataframe(
        result.tables["masks"],
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.3f") for name in names},
    )
