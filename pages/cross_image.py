"""Cross-image segmentation: prompt one picture, and see what the model finds in another."""

from samkit.media.samples import SAMPLE_PAIRS
from samkit.ui.bench.cross_image_page import cross_image_page
from samkit.ui.bench.header import About
from samkit.ui.router import ensure_routed
from samkit.ui.state.experiment_pages import experiment_page as page_of

ensure_routed()

ABOUT = About(
    idea="SAM v2 follows objects through films with a memory. Two pictures are as good as two frames: the mask on the "
    "prompted one becomes a memory, and the "
    "other one is segmented in its light. Each repeat looks again, with the best mask of the passes before in the "
    "memory too.",
    paper="The memory is that of [SAM 2](https://arxiv.org/abs/2408.00714), section 4; that two unrelated pictures "
    "work "
    "was found by users.",
    look_for="- The object score: below 0 the model holds the object to be absent, and the mask is empty.\n- Do "
    "repeats "
    "settle on a mask, or wander?\n"
    "- The same object by a point and by a box: users report that they differ.\n- Swap the pictures: is it found "
    "both ways?",
    try_label="Try it: the motorcycle from two sides, four passes",
)


def try_it(pair, knobs) -> None:
    pair.show_sample(SAMPLE_PAIRS[2])
    knobs.set({"repeats": 3, "threshold": 0.0, "view": "Both", "mask_index": None, "tracked_index": None})


cross_image_page(page_of("cross-image"), ABOUT, try_it)
