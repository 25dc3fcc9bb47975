"""The Semantic similarity page: mark one thing, and see what else the model takes for the same."""

from typing import Any

import cv2
import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.result import Result
from samkit.experiments.semantic_similarity import COCO_FILE, color_range, level_count, level_strides
from samkit.media.pictures import Picture, array_to_png
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.ui.bench.page import About, ExperimentPage, Scene
from samkit.ui.bench.tables.one_picture import SAME, OnePicture
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import (
    Choice,
    ColourScale,
    Panel,
    Quiet,
    Range,
    Slider,
    Steps,
    Toggle,
    columns,
)
from samkit.ui.controls.token_map import TokenMap, map_view, png_button, token_ground
from samkit.ui.parts.figures import plain_colorscale, token_figure
from samkit.ui.parts.inline_image import fit_within
from samkit.ui.parts.picture_view import picture_view, view_name
from samkit.ui.parts.tables import masks_table, plain_table_with_csv, table_with_csv, three_decimals
from samkit.ui.state.workspace import Workspace
from samkit.words import share_text

SHOWN_PX = (900, 620)
BLEND = 0.6

ABOUT = About(
    idea="The image encoder gives each token a vector. The vectors under a mask are averaged, and every other token "
    "is compared with that mean by the cosine of the angle between them. SAM was never taught what things are, "
    "yet similar things often end up near each other: mark one pigeon and find the others.",
    paper="The features are those of [SAM](https://arxiv.org/abs/2304.02643) and [SAM "
    "2](https://arxiv.org/abs/2408.00714); that they can be used this way was found by users.",
    look_for="- Which level separates the object from its background? Coarse ones know more, fine ones locate better.\n"
    "- Prototypes: one mean describes an object with dissimilar parts poorly.\n"
    "- The mirrored copy makes the mean depend less on which way things face.\n"
    "- Count: does the number of regions come close to the true number, and at which threshold?",
    try_label="Try it: one coin boxed, the other coins counted",
)


def _levels(panel: Panel) -> range:
    return range(level_count(panel.model, panel.value("features")))


def _level_text(panel: Panel) -> Any:
    strides = level_strides(panel.model, panel.value("features"))
    return lambda level: f"{level} · 1/{strides[level]:g} of the side"


KNOBS = (
    Choice("features"),
    Steps("level", options=_levels, text=_level_text),
    columns(Toggle("mirrored"), Toggle("zoom")),
    Slider("prototypes"),
    Slider("threshold"),
    Slider("min_area", label="Smallest region (% of the picture)", scale=100),
    Toggle("own_range"),
    Range("range_low", "range_high", "range", "Colours from, to", apart=0.05, disabled_by="own_range"),
    Toggle("find_objects"),
    Choice("object_prompts"),
    ColourScale(),
    Quiet("mask_index"),
)


def try_it(work: Workspace, knobs: KnobValues) -> None:
    work.open_picture(load_sample("coins"), Prompts(boxes=((0.815, 0.08, 0.935, 0.215),)))
    values = {"compare_with": SAME, "features": "projected", "level": 0, "side": 512, "threshold": 0.7, "min_area": 0.1}
    values |= {
        "view": "Objects",
        "find_objects": True,
        "object_prompts": "boxes",
        "mirrored": False,
        "zoom": False,
        "prototypes": 1,
    }
    knobs.set(values | {"mask_index": None})


def draw_similarity(scene: Scene) -> None:
    result = scene.result
    values, params = result.arrays["similarity"], result.params
    ground = token_ground(compared(scene), scene.model.info, params.side, params.fit, values.shape)
    shown = TokenMap("Similarity", values, ground=ground)
    limits = color_range(shown.values, result.params)
    colormap = result.params.colormap
    map_view(scene.knobs, "similarity", shown, unit="", colormap=colormap, limits=limits, follow="range")


def draw_on_picture(scene: Scene) -> None:
    rgb = blended(compared(scene), scene.result.images["similarity"])
    _draw_picture(scene, rgb, "Similarity over the picture", "similarity_on_picture")


def draw_regions_view(scene: Scene) -> None:
    _draw_picture(scene, scene.result.images["regions"], "The regions, outlined", "regions")


def draw_objects_view(scene: Scene) -> None:
    if "objects" in scene.result.images:
        _draw_picture(scene, scene.result.images["objects"], "A mask for each region", "objects")
    else:
        st.info(
            "Switch on “A mask for each region” to hand the regions back to the model as prompts.",
            icon=":material/ads_click:",
        )


def _draw_picture(scene: Scene, rgb: np.ndarray, description: str, name: str) -> None:
    """A picture, fitted to the page, and itself as a file."""
    picture_view(fit_within(rgb, *SHOWN_PX), description, view_name(compared(scene)))
    png_button(name, lambda: array_to_png(rgb))


def compared(scene: Scene) -> Picture:
    """The picture in which the thing was looked for."""
    return scene.inputs.image_b or scene.inputs.picture


def blended(picture: Picture, colors: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3]: the map's colours laid over the picture in grey."""
    small = cv2.resize(picture.rgb, colors.shape[1::-1], interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(colors, BLEND, grey, 1 - BLEND, 0)


def summary(result: Result[Any]) -> str:
    """What matched, beside the truth where it is known."""
    regions, measured = f"{result.value('regions'):.0f}", result.metrics
    parts = [f"{regions} region{'s' if regions != '1' else ''} above {result.params.threshold:.2f}"]
    if "true_with_region" in measured:
        true = f"{result.index('known_count')} objects in the picture"
        parts[0] += f", on {result.value('true_with_region'):.0f} of the {true}"
    if "objects" in measured:
        parts.append(objects_sentence(result))
    parts.append(f"similar: {share_text(result.value('similar_share'))} of the picture")
    similarity = result.value("largest_similarity"), result.value("mean_similarity")
    parts.append(f"similarity up to {similarity[0]:.2f}, mean {similarity[1]:.2f}")
    parts.append(f"from {result.index('tokens')} tokens")
    return " · ".join([*parts, f"encoded in {result.timings['encode_ms']:.0f} ms"])


def objects_sentence(result: Result[Any]) -> str:
    """How many masks there are of how many regions, what became of the others, and what they hit where that is
    known.
    """
    count = f"{result.value('objects'):.0f}"
    text = f"{count} mask{'s' if count != '1' else ''}"
    gone = [
        f"{result.value(f'objects_{what}'):.0f} {what}"
        for what in ("merged", "dropped")
        if result.value(f"objects_{what}")
    ]
    text += f" ({', '.join(gone)})" if gone else ""
    if "true_with_mask" in result.metrics:
        text += f", hitting {result.value('true_with_mask'):.0f} of the {result.index('known_count')}"
    return text


def figures(result: Result[Any]) -> dict[str, go.Figure]:
    scale = plain_colorscale(result.params.colormap)
    return {"similarity": token_figure(result.arrays["similarity"], scale, "similarity")}


def draw_regions(scene: Scene) -> None:
    rows = scene.result.tables["regions"]
    if not rows:
        st.info("No region is above the threshold. Lower it, or try another level.", icon=":material/search_off:")
        return
    st.caption("Most similar first; places are shares of the picture.")
    plain_table_with_csv(rows, "regions", height=300)


def draw_objects(scene: Scene) -> None:
    rows = scene.result.tables["objects"]
    if not rows:
        st.info(
            "Switch on “A mask for each region”, with at least one region above the threshold.",
            icon=":material/ads_click:",
        )
        return
    st.caption(
        "One mask for each region, the one with the highest predicted IoU, with the region's number and colour. "
        "same_as: mostly the same as that region's mask, so merged into it; dropped: why it is no object's. Neither is "
        "drawn or counted."
    )
    decimals = three_decimals("x", "y", "similarity", "predicted_iou", "stability_score", "area_share")
    table_with_csv(rows, "objects", decimals, height=300)
    st.download_button(
        "COCO JSON",
        scene.result.files[COCO_FILE],
        COCO_FILE,
        "application/json",
        key="coco",
        icon=":material/data_object:",
        on_click="ignore",
    )


def draw_masks(scene: Scene) -> None:
    masks_table(scene.result.tables["masks"], "predicted_iou", "stability_score", "area_share")


PAGE = ExperimentPage(
    name="semantic-similarity",
    about=ABOUT,
    table=OnePicture(compared=True),
    knobs=KNOBS,
    views={
        "Similarity": draw_similarity,
        "On the picture": draw_on_picture,
        "Regions": draw_regions_view,
        "Objects": draw_objects_view,
    },
    tabs={"Regions": draw_regions, "Objects": draw_objects, "Numbers": draw_masks},
    figures=figures,
    try_it=try_it,
    arrows=("threshold", "level"),
    summary=summary,
    no_prompt="Mark one thing in the picture with a point or a box: the model then looks for others like it.",
)
