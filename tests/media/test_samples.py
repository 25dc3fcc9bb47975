"""The sample pictures are on disk, read like any other picture, and each has a prompt to begin with."""

import subprocess
import sys

import numpy as np
import pytest

from samkit.errors import PictureError
from samkit.media import samples
from samkit.media.samples import SAMPLE_PAIRS, SAMPLES, VARIANTS, load_sample, mirrored, sample_names


def test_the_promised_samples_are_there():
    assert {"chelsea", "coffee", "astronaut", "coins", "rocket", "hubble_deep_field"} <= set(sample_names())
    assert sample_names()[0] == "coffee"


@pytest.mark.parametrize("name", SAMPLES)
def test_sample(name):
    picture, sample = load_sample(name), SAMPLES[name]
    assert picture.name == name == sample.name
    assert min(picture.size) > 150
    assert sample.title and not sample.prompts.is_empty
    assert load_sample(name) is picture


@pytest.mark.parametrize("pair", SAMPLE_PAIRS, ids=lambda pair: pair.first)
def test_pairs_are_two_pictures_and_a_prompt(pair):
    first, second = load_sample(pair.first), load_sample(pair.second)
    assert first != second and second.name == pair.second and not pair.prompts.is_empty and min(second.size) > 150


def test_a_variant_is_cut_mirrored_and_lit_as_it_says():
    variant, base = VARIANTS["coffee-mirrored"], load_sample("coffee")
    height, width = base.size
    expected = base.rgb[: round(0.9 * height), round(0.1 * width) :][:, ::-1] * variant.light
    assert np.abs(load_sample("coffee-mirrored").rgb - expected).max() <= 0.5
    assert (load_sample("coins-lower").rgb == load_sample("coins").rgb[round(0.45 * 303) :]).all()
    assert (mirrored(base).rgb == base.rgb[:, ::-1]).all()


def test_unknown_name():
    with pytest.raises(PictureError, match="no sample picture 'cat'.*chelsea"):
        load_sample("cat")


def test_without_the_files(monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "_data_folder", lambda: tmp_path)
    monkeypatch.setattr(samples, "_used", {})
    assert sample_names() == ()
    with pytest.raises(PictureError, match="is not in the installed scikit-image"):
        load_sample("coffee")


def test_nothing_heavy_is_imported():
    script = (
        "import sys; from samkit.media.samples import load_sample; load_sample('coffee'); assert not {'skimage', "
        "'scipy', 'torch', 'pooch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


LET_GO = """
import gc, weakref
from samkit.media.samples import load_sample, sample_names
names = sample_names()
used = load_sample(names[0])
left = weakref.ref(load_sample(names[1]))
for name in names[2:8]:
    load_sample(name)
gc.collect()
assert left() is None
assert load_sample(names[0]) is used, "who asks for a picture that is in use is given the same one"
"""


def test_samples_that_nobody_uses_are_let_go_but_for_a_few():
    """In a process of its own: in this one a page of another test may use them."""
    subprocess.run([sys.executable, "-c", LET_GO], check=True)
