"""Semantic similarity: mark one thing, and see what else the model takes for the same."""

from samkit.experiments import semantic_similarity
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.ui.bench.header import About
from samkit.ui.bench.workbench import View, experiment_page
from samkit.ui.experiments.semantic_similarity import (
    draw_knobs,
    draw_masks,
    draw_objects,
    draw_regions,
    draw_view,
    figures,
    restore,
    second_picture,
    show,
    stores,
)
from samkit.ui.router import ensure_routed
from samkit.ui.state.experiment_pages import experiment_page as page_of

ensure_routed()

ABOUT = About(
    idea="The image encoder gives each token a vector. The vectors under a mask are averaged, and every other token is "
    "compared with that mean by the cosine "
    "of the angle between them. SAM was never taught what things are, yet like things often end up near each "
    "other: mark one pigeon and find the others.",
    paper="The features are those of [SAM](https://arxiv.org/abs/2304.02643) and [SAM "
    "2](https://arxiv.org/abs/2408.00714); that they can be used so was found "
    "by users.",
    look_for="- Which level tells your thing from its ground? Coarse ones know more, fine ones place better.\n"
    "- Prototypes: a thing with unlike parts is not well described by one mean.\n- The mirrored copy makes the "
    "mean depend less on which way things face.\n"
    "- Count: does the number of regions come near the true one, and at which threshold?",
    try_label="Try it: one coin boxed, the other coins counted",
)


def try_it(work, knobs) -> None:
    work.show_picture(load_sample("coins"), Prompts(boxes=[(0.815, 0.08, 0.935, 0.215)]))
    values = {
        "compare_with": "Same picture",
        "features": "projected",
        "level": 0,
        "side": 512,
        "threshold": 0.7,
        "min_area_percent": 0.1,
    }
    knobs.set(
        values
        | {
            "view": "Objects",
            "find_objects": True,
            "mirrored": False,
            "zoom": False,
            "prototypes": 1,
            "mask_index": None,
        }
    )


VIEW = View(
    draw_knobs,
    draw_view,
    {"Regions": draw_regions, "Objects": draw_objects, "Numbers": draw_masks},
    try_it,
    figures,
    restore,
    stores,
    second_picture,
    show,
    no_prompt="Mark one thing in the picture with a point or a box: others like it are then looked for.",
)
experiment_page(page_of("semantic-similarity"), semantic_similarity, ABOUT, VIEW)
