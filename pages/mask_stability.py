"""Mask stability: the logits behind a mask, and how much of it stays when the cut, the picture or the prompt moves a
little.
"""

from samkit.experiments import mask_stability
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.header import About
from samkit.ui.bench.workbench import View, experiment_page
from samkit.ui.experiments.mask_stability import draw_curves, draw_knobs, draw_main, draw_numbers, figures, restore
from samkit.ui.router import ensure_routed
from samkit.ui.state.experiment_pages import experiment_page as page_of

ensure_routed()

ABOUT = About(
    idea="A mask is a map of logits cut at 0. Where the logits rise steeply the edge is sure; where they climb slowly, "
    "a small change of anything moves it. "
    "This page shows the logits between two thresholds in colour, what is below them black and what is above them "
    "white.",
    paper="The stability score is the one of SAM's automatic mask generator ([Segment "
    "Anything](https://arxiv.org/abs/2304.02643), section B): the IoU of the "
    "masks cut at +1 and at −1.",
    look_for="- A thin coloured rim is a stable mask; a wide one is a guess.\n- Lower the input scale: which parts "
    "lose "
    "their certainty first?\n"
    "- Move the prompt by jitter: does the mask hang on the exact click?\n- Compare predicted IoU with stability: "
    "the model may be sure of an unstable mask.",
    try_label="Try it: the cat, one click, at a quarter of its detail",
)


def try_it(work, knobs) -> None:
    work.show_picture(load_sample("chelsea"), SAMPLES["chelsea"].prompts)
    knobs.set({"thresholds": (-4.0, 8.0), "input_scale": 0.25, "view": "Logits", "mask_index": None})


VIEW = View(draw_knobs, draw_main, {"Curves": draw_curves, "Numbers": draw_numbers}, try_it, figures, restore)
experiment_page(page_of("mask-stability"), mask_stability, ABOUT, VIEW)
