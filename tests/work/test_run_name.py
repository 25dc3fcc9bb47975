"""The usual name of a run tells it from others."""

import pytest

from samkit.prompts import Prompts
from samkit.work.run_name import MAX_NAME_CHARACTERS, usual_name
from samkit.work.spec import Ref, RunSpec

MODEL, COFFEE, CAT = Ref("nano-sam2"), Ref("sample:coffee", name="coffee"), Ref("cat.jpg")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (RunSpec("mask-stability", MODEL, image=COFFEE), "Mask stability, coffee, nano-sam2"),
        (
            RunSpec("mask-stability", MODEL, {"upper_threshold": 6.0}, Prompts([(0.5, 0.5, 1)]), COFFEE),
            "Mask stability, coffee, nano-sam2, upper threshold 6",
        ),
        (
            RunSpec("cross-image", MODEL, {}, Prompts([(0, 0, 1), (1, 1, 0)], [(0, 0, 1, 1)]), COFFEE, CAT),
            "Cross-image segmentation, coffee and cat.jpg, nano-sam2, 2 points and 1 box",
        ),
        (
            RunSpec("video-priors", MODEL, {"count": 5}, image=COFFEE, video=Ref("sample:coin", name="coin")),
            "Video with image priors, coin, nano-sam2, 5 frames",
        ),
        (
            RunSpec("position-encoding", Ref("a/b.pt", name="b"), {"window_tiling": False}),
            "ViT position encoding, b, window tiling off",
        ),
    ],
)
def test_it_names_experiment_pictures_model_prompts_and_what_differs(spec, name):
    assert usual_name(spec) == name


def test_it_is_no_longer_than_a_name_may_be():
    assert len(usual_name(RunSpec("mask-stability", Ref("m" * 900), image=COFFEE))) == MAX_NAME_CHARACTERS
