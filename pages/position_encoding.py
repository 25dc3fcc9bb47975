"""ViT position encoding: what tells the encoder where a token is, on any grid."""

from contextlib import suppress

from samkit.errors import SamkitError
from samkit.experiments import position_encoding
from samkit.ui.bench.header import About
from samkit.ui.bench.inspect_page import InspectView, inspect_page
from samkit.ui.experiments.position_encoding import (
    adapt,
    draw_bfloat16,
    draw_channels,
    draw_knobs,
    draw_main,
    draw_spectrum,
    figures,
    restore,
)
from samkit.ui.router import ensure_routed
from samkit.ui.state.experiment_pages import experiment_page as page_of
from samkit.ui.state.models import shared_model

ensure_routed()

ABOUT = About(
    idea="Attention does not know where a token is, so the encoder adds a learned vector for each place to the tokens. "
    "SAM v1 has one table of its base grid; "
    "SAM v2 adds a coarse table and a small one that repeats window by window. For any other grid the tables are "
    "stretched.",
    paper="v1: [Segment Anything](https://arxiv.org/abs/2304.02643); v2: [Hiera with absolute "
    "win](https://arxiv.org/abs/2311.05613), which found that "
    "stretching needs the repeated part.",
    look_for="- Directions: colours that change smoothly tell places apart everywhere.\n- Click a place: which others "
    "does "
    "the model take for near?\n"
    "- Switch the windows off: what remains is the coarse table.\n- The spectrum: is a larger model's encoding "
    "really finer?\n"
    "- bfloat16: where does rounding hurt, and does stretching make it worse?",
    try_label="Try it: twice the base height, directions as colours",
)


def try_it(work, knobs) -> None:
    with suppress(SamkitError):  # the page itself says what is wrong with a model
        base = position_encoding.base_grid(shared_model(work.model_ref, work.device, "float32"))
        knobs.set({"height": 2 * base, "width": base})
    knobs.set({"view": "Directions", "stretch_grid": True, "window_tiling": True})


TABS = {"Spectrum": draw_spectrum, "bfloat16": draw_bfloat16, "Channels": draw_channels}
VIEW = InspectView(draw_knobs, adapt, draw_main, TABS, try_it, figures, restore)
inspect_page(page_of("position-encoding"), position_encoding, ABOUT, VIEW)
