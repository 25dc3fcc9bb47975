"""A sweep that is being thought of: what it asks for, what goes along, what it will take."""

import io
import zipfile

import numpy as np
import pytest

from samkit.errors import BadInput
from samkit.experiments.param_info import param_info
from samkit.experiments.params import build_params
from samkit.experiments.registry import ENTRIES, find_experiment
from samkit.media.given_masks import Truth
from samkit.media.mask_files import mask_png
from samkit.media.pictures import Picture, array_to_png
from samkit.media.samples import SAMPLES, load_sample
from samkit.prompts import Prompts
from samkit.ui.bench.sweeping.draft import AS_GIVEN, NO_PROMPTS, ON_ALL, AtHand, Choices, Pace, make_draft, price
from samkit.ui.bench.sweeping.handed_over import file_name, in_folder, with_found_masks, write_files
from samkit.ui.bench.sweeping.usual_name import MAX_CHARACTERS, usual_name
from samkit.ui.controls.swept_values import examples, how_to_write, is_listed, swept_params, understood, written_values
from samkit.ui.sweeps.sweeps_list import what_to_choose
from samkit.work.sources import Sources
from samkit.work.sweep.cases import find_cases
from samkit.work.sweep.cells import make_cells
from samkit.work.sweep.grid import values_of
from samkit.work.sweep.spec import PictureSource, spec_from_text

PROMPTS = Prompts([(0.5, 0.5, 1)])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))


def picture() -> Picture:
    return Picture(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8), "my photo.jpg")


def choices(**more) -> Choices:
    usual = {"experiment": "mask-stability", "models": ("nano-sam2",), "params": {"side": [256, 512]}, "name": "n"}
    return Choices(**(usual | more))


def test_a_picture_of_ones_own_goes_along_with_prompts_and_truth():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:15] = True
    at_hand = AtHand(picture(), PROMPTS, Truth(mask))
    draft = make_draft(choices(at_hand=at_hand, prompts=(AS_GIVEN, "true box")))
    assert set(draft.files) == {"my-photo.png", "masks/my-photo.png"} and price(draft, None, 1).cells == 4
    archive = zipfile.ZipFile(io.BytesIO(draft.zipped()))
    assert {"sweep.yaml", "my-photo.png"} <= set(archive.namelist())
    spec, cases = draft.placed()
    (case,) = cases
    opened = Sources().picture(case.picture)
    assert opened.sha256 == picture().sha256, "pixel for pixel"
    assert case.name == opened.name == "my photo.jpg", "as it is called on the page, whatever its file"
    assert np.array_equal(Sources().truth(case.truth, opened).mask, mask)
    given = next(cell for cell in make_cells(spec, cases) if cell.prompts is not None)
    assert given.prompts == PROMPTS


def test_a_sample_with_its_own_prompts_needs_no_file():
    at_hand = AtHand(load_sample("coffee"), SAMPLES["coffee"].prompts)
    draft = make_draft(choices(at_hand=at_hand, samples=("chelsea",)))
    assert not draft.files and spec_from_text(draft.text) == draft.spec
    assert [cell.prompts for cell in make_cells(*draft.placed())][::2] == [
        SAMPLES[name].prompts for name in ("coffee", "chelsea")
    ]


def test_prompts_of_the_page_are_not_put_on_other_pictures():
    draft = make_draft(choices(at_hand=AtHand(load_sample("coffee"), PROMPTS), samples=("chelsea",)))
    spec, cases = draft.placed()
    found = {cell.case.name: cell.prompts for cell in make_cells(spec, cases)}
    assert found == {"coffee": PROMPTS, "chelsea": SAMPLES["chelsea"].prompts}


def test_all_coins_are_objects_where_prompts_follow_from_the_truth():
    assert price(make_draft(choices(samples=("coins",), prompts=("true box",))), None, 1).cells == 24 * 2
    with pytest.raises(BadInput, match="coffee has no true mask"):
        make_draft(choices(samples=("coffee",), prompts=("true box",)))
    with pytest.raises(BadInput, match="coin#4 brings no prompts along"):
        make_draft(choices(samples=("coin#4",)))


def test_the_price_counts_each_encoding_once():
    wanted = choices(samples=("coffee",), params={"side": [256, 512], "mask_index": [0, 1, 2]})
    found = price(make_draft(wanted), Pace(encode_ms=1000, other_ms=100, side=512), workers=1)
    assert (found.cells, found.encodings) == (6, 2) and found.seconds == pytest.approx(1.25 + 0.6)
    windows = choices(experiment="window-size", samples=("coffee",), params={"window_sizes": [[8] * 4, [14] * 4]})
    assert price(make_draft(windows), None, 1).encodings == 3, "and the model's own"


@pytest.mark.parametrize(
    ("text", "name", "length", "values"),
    [
        ("256, 512", "side", None, [256, 512]),
        ("own 512", "side", None, [None, 512]),
        ("256 to 1024 step 256", "side", None, {"from": 256, "to": 1024, "step": 256}),
        ("-2..2 by 0.5", "lower_threshold", None, {"from": -2.0, "to": 2.0, "step": 0.5}),
        ("8, 14; 8 4 8 4", "mask_index", 4, [[8] * 4, [14] * 4, [8, 4, 8, 4]]),
    ],
)
def test_values_are_written_as_people_write_them(text, name, length, values):
    params = find_experiment("mask-stability").Params
    assert written_values(text, param_info(params, name), length) == values


@pytest.mark.parametrize("text", ["", "wide", "1.5"])
def test_what_is_no_value_is_refused_with_an_example(text):
    with pytest.raises(BadInput, match="such as|at least one"):
        written_values(text, param_info(find_experiment("mask-stability").Params, "side"))


def test_pictures_without_a_truth_are_swept_with_the_pages_prompts_or_none(tmp_path):
    """Of one's own, on the disk: what is marked on the page stands for all of them."""
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(array_to_png(picture().rgb))
    source = PictureSource(files=(str(tmp_path / "*.png"),))
    found = find_cases((source,), 0)
    own = {"source": source, "page_prompts": PROMPTS}
    for prompts, advice in (
        ((AS_GIVEN,), f"Choose “{ON_ALL}” under Prompts"),
        (("true box",), "give it a true mask.*cat.png for cat.jpg"),
    ):
        with pytest.raises(BadInput, match=advice):
            make_draft(choices(**own, prompts=prompts), found)
    with pytest.raises(BadInput, match=f"Mark something on the page, then choose .* under Prompts, or “{NO_PROMPTS}”"):
        make_draft(choices(source=source), found)
    draft = make_draft(choices(**own, prompts=(ON_ALL, NO_PROMPTS)), found)
    spec, cases = draft.placed()
    assert spec_from_text(draft.text) == draft.spec
    assert [cell.prompts for cell in make_cells(spec, cases)][::2] == [PROMPTS, Prompts()] * 2
    assert [rule.label for rule in spec.prompts] == ["1 point", "none"]


def test_pictures_that_are_handed_over_go_along_with_their_masks(tmp_path):
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 5:15], mask[16:, :] = 1, 2
    content = array_to_png(picture().rgb)
    masks = [("cat.png", mask_png(mask)), ("elsewhere.png", mask_png(mask))]
    write_files(tmp_path, [("cat.PNG", content), ("../.dog.png", content)], masks)
    handed = in_folder(tmp_path)
    assert handed.pictures == 2 and {case.where for case in handed.cases} == {"cat.PNG"}, "the dog has no mask"
    draft = make_draft(choices(handed=handed, prompts=("true box",)))
    spec, cases = draft.placed()
    assert len(make_cells(spec, cases)) == price(draft, None, 1).cells == 2 * 2, "two objects, two sides"
    assert spec_from_text(draft.text) == draft.spec
    assert {"pictures/cat.PNG", "pictures/dog.png", "true_masks/cat.png"} <= set(
        zipfile.ZipFile(io.BytesIO(draft.zipped())).namelist()
    )


def test_a_mask_among_the_pictures_is_the_truth_of_the_one_of_its_name():
    photo, mask = array_to_png(picture().rgb), mask_png(np.eye(20, 30, dtype=np.uint8))
    pictures = [("cat.jpg", photo), ("cat.png", mask), ("dog.png", mask), ("cow.jpg", photo), ("cow.png", photo)]
    kept, masks = with_found_masks(pictures, [("cow.png", mask)])
    assert [name for name, _ in kept] == ["cat.jpg", "dog.png", "cow.jpg", "cow.png"], "one dog, two photos"
    assert masks == [("cat.png", mask), ("cow.png", mask)]
    assert with_found_masks([("a.png", mask), ("a.bmp", mask)], []) == ([("a.png", mask), ("a.bmp", mask)], [])


@pytest.mark.parametrize(
    ("params", "models", "subjects", "prompts", "name"),
    [
        ({"side": [256, 512]}, ["Tiny"], ["coffee"], [], "T: side 256, 512 · Tiny · coffee"),
        (
            {"input_scale": {"from": 0.5, "to": 1.0, "step": 0.1}, "fit": ["native"]},
            ["Tiny", "Base"],
            ["a", "b", "c"],
            ["true box"],
            "T: input scale 0.5 to 1 · 2 models · 3 pictures · true box",
        ),
        ({"mask_index": [0, 1, 2, 3, None]}, ["Tiny"], [], [], "T: mask index 0 … auto · Tiny"),
        ({}, ["m" * 90], ["p" * 90], [], f"T: {'m' * 47}… · {'p' * 45}…"),
    ],
)
def test_a_sweep_is_called_by_what_tells_it_from_others(params, models, subjects, prompts, name):
    found = usual_name("T", params, models, subjects, prompts)
    assert found == name and len(found) <= MAX_CHARACTERS


def test_masks_of_other_names_are_refused_with_the_right_one(tmp_path):
    write_files(tmp_path, [("cat.jpg", b"")], [("dog.png", b"")])
    with pytest.raises(BadInput, match="such as cat.png for cat.jpg"):
        in_folder(tmp_path)
    assert file_name("a" * 300 + ".png").endswith("aaa.png") and file_name("..") == "picture"
    assert len(file_name("é" * 100 + ".png").encode()) < 255


@pytest.mark.parametrize("experiment", [entry.name for entry in ENTRIES])
def test_what_a_field_says_how_to_write_can_be_written(experiment):
    params = find_experiment(experiment).Params
    for name in swept_params(params):
        info = param_info(params, name)
        if info.options or isinstance(info.default, bool):
            continue
        listed = 4 if is_listed(params, name) else None
        for example in examples(info, listed):
            assert f"`{example}`" in how_to_write(info, listed)
            for value in values_of(written_values(example, info, listed)):
                build_params(params, {name: value})
        if info.default is None:
            assert "`auto` means " in how_to_write(info, listed) and None in written_values("auto", info, listed)


def test_what_was_understood_is_told():
    assert understood([256, None]) == "2 values: 256, auto"
    assert understood([[8] * 4, [8, 4, 8, 4]]) == "2 values: 8 in all stages, 8 4 8 4"
    assert understood(list(range(20))) == "20 values: 0, 1, 2, 3, 4, 5, …, 19"


def test_the_list_says_what_is_missing_before_two_sweeps_can_be_compared():
    stability, windows = "mask-stability", "window-size"
    assert what_to_choose([]) == "To compare two sweeps, tick both"
    assert "another one of Mask stability" in what_to_choose([stability])
    assert "only two of one experiment" in what_to_choose([stability, windows])
    assert "leave two" in what_to_choose([stability] * 3) and not what_to_choose([stability] * 2)


def test_a_pair_of_pictures_goes_along_and_both_are_encoded():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:15] = True
    pair = {"at_hand": AtHand(picture(), PROMPTS, Truth(mask)), "second": AtHand(picture(), Prompts(), Truth(mask))}
    draft = make_draft(choices(experiment="cross-image", **pair, prompts=(AS_GIVEN, "true box")))
    assert len(draft.files) == 4 and (price(draft, None, 1).cells, price(draft, None, 1).encodings) == (4, 4)
    _, (case,) = draft.placed()
    assert spec_from_text(draft.text) == draft.spec and case.second_truth is not None
    assert Sources().picture(case.second).sha256 == picture().sha256
    assert case.name == "my photo.jpg -> my photo.jpg" == case.where
    one = make_draft(choices(experiment="semantic-similarity", **pair | {"second": AtHand(picture(), Prompts())}))
    _, (case,) = one.placed()
    assert spec_from_text(one.text) == one.spec and case.truth is not None and case.second_truth is None
    samples = {"at_hand": AtHand(load_sample("coffee"), PROMPTS), "second": AtHand(load_sample("chelsea"), Prompts())}
    draft = make_draft(choices(experiment="cross-image", **samples))
    assert not draft.files and len(make_cells(*draft.placed())) == 2
