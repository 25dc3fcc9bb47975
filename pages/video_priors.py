"""Video with image priors: memories of pictures, and what they find in a film."""

from samkit.experiments.result import Prior
from samkit.media.sample_videos import load_sample_video
from samkit.media.samples import SAMPLES, load_sample
from samkit.ui.bench.header import About
from samkit.ui.bench.video_priors_page import video_priors_page
from samkit.ui.router import ensure_routed
from samkit.ui.state.experiment_pages import experiment_page as page_of

ensure_routed()

ABOUT = About(
    idea="SAM v2 follows an object with a memory of the frames before. Here the first memories come from pictures "
    "instead: record any number of them, then "
    "run a film that may have nothing to do with those pictures. Frames of the film can be recorded too.",
    paper="The memory is that of [SAM 2](https://arxiv.org/abs/2408.00714), section 4. Memories of pictures have no "
    "time "
    "of their own: each takes part as a "
    "prompted frame that lies one frame back, however long the film runs.",
    look_for="- The object score: does it fall below 0 while the object is hidden, and rise again?\n"
    "- Switch “Remember frames” off: what do the pictures alone find?\n"
    "- Record the same object twice, from two sides: does it help?\n- Run backwards from the end: is it the same film?",
    try_label="Try it: a coin on a picture, then a film with that coin",
)


def try_it(work, table, knobs) -> None:
    work.show_picture(load_sample("coins"), SAMPLES["coins"].prompts)
    table.show_film(load_sample_video("coin"))
    table.recorded = []
    table.record_prior(Prior(load_sample("coins"), SAMPLES["coins"].prompts))
    knobs.set(
        {
            "start": 0,
            "backwards": False,
            "some": False,
            "remember": True,
            "skip_absent": True,
            "max_frames": 6,
            "max_pointers": 16,
            "mask_index": None,
        }
    )


video_priors_page(page_of("video-priors"), ABOUT, try_it)
