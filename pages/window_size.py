"""Window size: the encoder's attention windows at other sizes, and what that does to mask, encoding and time."""

from samkit.experiments import window_size
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.header import About
from samkit.ui.bench.workbench import View, experiment_page
from samkit.ui.experiments.window_size import draw_knobs, draw_main, draw_numbers, draw_sweep, figures, restore, stores
from samkit.ui.router import ensure_routed
from samkit.ui.state.experiment_pages import experiment_page as page_of

ensure_routed()

ABOUT = About(
    idea="Most blocks of the image encoder let a token attend only to its own window. The window's size is no part of "
    "the weights, so it can be changed after "
    "training: larger ones see more and cost more, and one that divides the map needs no padding.",
    paper="v1's windows are those of [ViTDet](https://arxiv.org/abs/2203.16527); that v1 runs faster with 16 than with "
    "14, at about the same quality, was "
    "measured for [segment-anything](https://github.com/facebookresearch/segment-anything/pull/594).",
    look_for="- The mask may stay while the encoding drifts: the decoder forgives much.\n- Which stage minds most? "
    "Sweep "
    "them one by one.\n"
    "- SAM v2's first stages take even windows only, because the next stage halves them.\n- Encode times jump "
    "about: let the median of some repeats speak.",
    try_label="Try it: the cat, wider windows in stages 2 and 3",
)


def try_it(work, knobs) -> None:
    work.show_picture(load_sample("chelsea"), SAMPLES["chelsea"].prompts)
    knobs.set({"window_2": 8, "window_3": 16, "repeats": 3, "view": "Logits", "mask_index": None})


VIEW = View(draw_knobs, draw_main, {"Sweep": draw_sweep, "Numbers": draw_numbers}, try_it, figures, restore, stores)
experiment_page(page_of("window-size"), window_size, ABOUT, VIEW)
