"""Block norms: how long each token is after every transformer block, and which tokens stick out."""

from samkit.experiments import block_norms
from samkit.media.samples import load_sample
from samkit.ui.bench.header import About
from samkit.ui.bench.inspect_page import InspectView, inspect_page
from samkit.ui.experiments.block_norms import (
    adapt,
    draw_change,
    draw_curve,
    draw_knobs,
    draw_main,
    draw_numbers,
    draw_outliers,
    figures,
    restore,
)
from samkit.ui.router import ensure_routed
from samkit.ui.state.experiment_pages import experiment_page as page_of

ensure_routed()

ABOUT = About(
    idea="Every transformer block gives each token a vector. Its length, the L2 norm over the channels, is drawn here "
    "as a map, block by block. Large plain "
    "transformers are known to make a few tokens, often in dull places, many times longer than the others, and to "
    "keep notes in them.",
    paper="[Vision Transformers Need Registers](https://arxiv.org/abs/2309.16588) found those tokens. Blocks are "
    "compared by linear CKA "
    "([Kornblith et al.](https://arxiv.org/abs/1905.00414)).",
    look_for="- Single bright tokens that have nothing to do with the picture.\n- Does the largest norm leave the "
    "median "
    "behind, and from which block on?\n"
    "- Window blocks: do the maps show the window's edges?\n- Two pictures: do the same tokens stick out in both?",
    try_label="Try it: the cat, outliers above twice the median",
)


def try_it(work, knobs) -> None:
    work.show_picture(load_sample("chelsea"))
    knobs.set({"view": "Outliers", "outlier_factor": 2.0, "block": None, "one_channel": False})


TABS = {"Norms": draw_curve, "Change": draw_change, "Outliers": draw_outliers, "Numbers": draw_numbers}
inspect_page(
    page_of("block-norms"),
    block_norms,
    ABOUT,
    InspectView(draw_knobs, adapt, draw_main, TABS, try_it, figures, restore),
)
