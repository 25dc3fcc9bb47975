"""Masks that came along with a picture, as the page's model takes them."""

import numpy as np
import pytest

import samkit
from samkit.media.given_masks import MaskHint
from samkit.media.pictures import Picture
from samkit.models.geometry import ImageGeometry, move_logits
from samkit.prompts import Prompts
from samkit.ui.state.given import Given, found_mask
from samkit.ui.state.picture_pair import PicturePair
from samkit.ui.state.workspace import Workspace
from tests.random_models import SMALL_SAM1, SMALL_SAM2, save_random_model

WIDE = Picture(np.random.default_rng(0).integers(0, 256, (60, 120, 3), dtype=np.uint8), "wide")
CLICK = Prompts([(0.5, 0.5, 1)])


@pytest.fixture(scope="module", params=[SMALL_SAM1, SMALL_SAM2], ids=["padded", "stretched"])
def model(request, tmp_path_factory):
    return samkit.load_model(save_random_model(tmp_path_factory.mktemp("model") / "m.safetensors", request.param))


def test_the_chosen_mask_as_a_hint_is_exactly_its_logits(model):
    prediction = model.predict_masks(model.encode_image(WIDE.rgb), CLICK)
    found = found_mask(prediction, 2, prediction.mask(2))
    given = Given()
    given.take_hint(MaskHint(found.logits), found.share)
    hint = given.hint_for(model, WIDE, {"side": None, "fit": "native"})
    assert np.array_equal(hint.values, prediction.logits[2].numpy())


def test_logits_follow_the_picture_to_another_padding(model):
    """What a padded input's logits say of a pixel of the picture, they say of it on a stretched input."""
    padded, stretched = (
        ImageGeometry((60, 120), (64, 128), (128, 128)),
        ImageGeometry((60, 120), (128, 128), (128, 128)),
    )
    columns = np.linspace(-8, 8, 32, dtype=np.float32)[None].repeat(32, axis=0)
    moved = move_logits(columns, (0.5, 1.0), stretched)
    assert moved.shape == (32, 32) and np.allclose(moved, columns, atol=1e-5)
    back = move_logits(columns, (1.0, 1.0), padded)
    assert np.allclose(back[:16], columns[:16], atol=1e-5) and (back[16:] == -10).all()


def test_another_picture_drops_what_came_along():
    work = Workspace()
    work.show_picture(WIDE, CLICK)
    work.given.take_hint(MaskHint(np.ones(WIDE.size, bool)))
    assert work.is_marked
    work.show_picture(WIDE)
    assert work.given.hint is None and not work.is_marked


def test_a_hint_alone_says_which_picture_of_a_pair_is_meant_and_goes_along_when_they_are_swapped():
    pair = PicturePair(Workspace())
    pair.show(WIDE, WIDE, Prompts())
    assert pair.prompt_on is None
    pair.b.given.take_hint(MaskHint(np.ones(WIDE.size, bool)))
    assert pair.prompt_on == "b"
    pair.exchange()
    assert pair.prompt_on == "a" and pair.b.given.hint is None
    pair.b.edit(CLICK)
    assert pair.prompt_on == "b"
