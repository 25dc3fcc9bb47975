"""Every kept mask lies on its declared picture, wherever it is drawn: thumbnail, run page, comparison and report."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.registry import NAMES, find_experiment
from samkit.experiments.result import Mask
from samkit.media.pictures import Picture, read_picture
from samkit.media.sample_videos import load_sample_video
from samkit.media.samples import load_sample
from samkit.media.video import open_video
from samkit.prompts import Prompts
from samkit.tracking.bundle import film_inputs
from samkit.tracking.bundle.bundle import Bundle, write_bundle
from samkit.tracking.bundle.ground import ground, ground_sha256
from samkit.tracking.compare import Comparison, Shown
from samkit.tracking.store.tags import shown_mask, thumbnail_of
from samkit.ui.runs import compare_report
from samkit.ui.runs.compare_figures import mask_tiles
from samkit.ui.runs.compare_report import report_html
from samkit.ui.runs.run_view import mask_picture
from samkit.work.lab import Lab
from tests.tracking.conftest import MODEL, made_up_result
from tests.tracking.schema_1 import FILES, old_run

SIZE = 60, 80
RED, BLUE = (200, 0, 0), (0, 0, 200)


def plain(color, name: str, size=SIZE) -> Picture:
    return Picture(np.full((*size, 3), color, np.uint8), name)


def corner(size=SIZE) -> np.ndarray:
    """A mask of the upper left quarter."""
    mask = np.zeros(size, bool)
    mask[: size[0] // 2, : size[1] // 2] = True
    return mask


def run_of(folder, masks: dict[str, Mask], experiment: str = "mask-stability", **inputs) -> Bundle:
    result = replace(made_up_result()[0], experiment=experiment, masks=masks)
    return write_bundle(folder, result=result, inputs=Inputs(**inputs), model_info=MODEL, device="cpu", dtype="float32")


def color_at_the_end(picture: np.ndarray) -> tuple[int, ...]:
    """Of the lower right pixel, which `corner` leaves free."""
    return tuple(int(value) for value in picture[-1, -1])


def outside(mask: np.ndarray) -> np.ndarray:
    """bool [H, W]: where neither the mask nor its outline is drawn."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0


def assert_drawn_on(picture: Picture, bundle: Bundle, name: str, monkeypatch) -> None:
    """The mask of that name is drawn on this very picture on the run's page, in a comparison and in its report."""
    mask = bundle.mask(name)
    free, rgb = outside(mask), picture.rgb
    np.testing.assert_array_equal(mask_picture(bundle, name, alone=False)[free], rgb[free])
    comparison, pair = Comparison([bundle, bundle]), (Shown(0, name), Shown(1, name))
    np.testing.assert_array_equal(comparison.picture(pair[0]), rgb)
    assert comparison.grounds(name) == (pair,)
    (tile, _) = mask_tiles(comparison, pair, 10_000, 10_000)
    np.testing.assert_array_equal(tile[free], rgb[free])
    sent = []
    monkeypatch.setattr(compare_report, "data_url", lambda picture, lossless: sent.append(picture) or "data:")
    monkeypatch.setattr(compare_report, "TILE_PX", (10_000, 10_000))
    monkeypatch.setattr(compare_report, "swipe_html", lambda pictures, captions: "")
    report_html(comparison, name, pair)
    assert len(sent) == 4, "two tiles, outlines and difference"
    for picture_sent in sent[:2]:
        np.testing.assert_array_equal(picture_sent[free], rgb[free])
    if shown_mask(bundle.record.masks) == name:
        small = thumbnail_of(bundle)
        way = cv2.INTER_AREA if small.shape[0] < rgb.shape[0] else cv2.INTER_NEAREST
        shrunk = cv2.resize(rgb, small.shape[1::-1], interpolation=way)
        free = cv2.resize(free.astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        free &= outside(~free)
        np.testing.assert_array_equal(small[free], shrunk[free])


def assert_every_mask_lies_on_its_picture(bundle: Bundle, declared, monkeypatch) -> None:
    """declared: name -> the picture it lies on"""
    for name in bundle.record.masks:
        lies_on = ground(bundle, name)
        assert lies_on is not None and lies_on == declared(name), name
        assert lies_on.size == bundle.mask(name).shape
        with monkeypatch.context() as patch:
            assert_drawn_on(lies_on, bundle, name, patch)


def declared_picture(inputs: Inputs, experiment: str, params: dict, name: str) -> Picture:
    """Where the mask of that name lies, as the experiments say in their own words."""
    second = inputs.image_b or inputs.image
    if experiment == "cross-image":
        prompted, tracked = (second, inputs.image) if params["prompt_on"] == "b" else (inputs.image, second)
        assert ("prompted" in name) != ("tracked" in name)
        return prompted if "prompted" in name else tracked
    if experiment == "semantic-similarity" and name in ("mask_similar", "mask_objects"):
        return second
    if experiment == "video-priors" and inputs.priors:
        return inputs.priors[int(name.removeprefix("mask_prior_"))].picture
    return inputs.image


@pytest.mark.parametrize("name", FILES)
def test_masks_of_runs_of_schema_1(name, tmp_path, monkeypatch):
    bundle = old_run(name, tmp_path)
    pictures = {field: tmp_path / name / f"inputs/{field}.png" for field in ("image", "image_b")}
    priors = [Prior(read_picture(file)) for file in sorted((tmp_path / name / "inputs").glob("prior_?.png"))]
    inputs = Inputs(
        **{field: read_picture(file) for field, file in pictures.items() if file.is_file()}, priors=tuple(priors)
    )
    assert_every_mask_lies_on_its_picture(
        bundle, lambda mask: declared_picture(inputs, bundle.experiment, bundle.params, mask), monkeypatch
    )


CUP = Prompts(points=[(0.46, 0.3, 1)])
EYE = Prompts(points=[(0.4, 0.4, 1)])
RUNS = {
    "mask-stability": ("nano-sam2", dict(jitter_copies=2, refine_edges=True, input_scale=0.5)),
    "cross-image a": ("nano-sam2", dict(point_and_box=True, jitter_copies=2, refine_edges=True)),
    "cross-image b": ("nano-sam2", dict(prompt_on="b", point_and_box=True, jitter_copies=2, refine_edges=True)),
    "block-norms": ("nano-sam1", {}),
    "semantic-similarity one": ("nano-sam2", dict(find_objects=True, threshold=0.6)),
    "semantic-similarity two": ("nano-sam1", dict(find_objects=True, threshold=0.3)),
    "window-size": ("nano-sam2", dict(window_sizes=(4, 4, 7, 7))),
    "fine-tuning": ("nano-sam2", {}),
    "position-encoding": ("nano-sam2", dict(height=12, width=20)),
    "video-priors": ("nano-sam2", dict(count=2, refine_edges=True)),
    "video-priors of its own picture": ("nano-sam2", dict(count=2)),
}
"""Experiment, and which of its cases -> (model, parameters)."""


def small(name: str, width: int) -> Picture:
    rgb = load_sample(name).rgb
    height = round(rgb.shape[0] * width / rgb.shape[1])
    return Picture(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), name)


def inputs_of(case: str) -> Inputs:
    cup, cat, box = small("coffee", 120), small("chelsea", 96), Prompts(boxes=[(0.28, 0.03, 0.72, 0.61)])
    film = load_sample_video("coin")
    return {
        "cross-image a": Inputs(cup, Prompts(CUP.points, box.boxes), cat),
        "cross-image b": Inputs(cat, Prompts(CUP.points, box.boxes), cup),
        "semantic-similarity one": Inputs(cup, box),
        "semantic-similarity two": Inputs(cup, box, cat),
        "position-encoding": Inputs(),
        "video-priors of its own picture": Inputs(cup, CUP, video=film),
        "video-priors": Inputs(
            cup, CUP, video=film, priors=(Prior(cat, EYE), Prior(cup, CUP), Prior(film.picture(2), EYE, film_frame=2))
        ),
    }.get(case, Inputs(cup, CUP))


def test_every_experiment_has_its_masks_looked_at():
    assert {case.partition(" ")[0] for case in RUNS} == set(NAMES)


@pytest.mark.parametrize("case", RUNS)
def test_masks_of_every_experiment(case, tmp_path, monkeypatch):
    import samkit

    name, (model_name, values) = case.partition(" ")[0], RUNS[case]
    experiment, model, inputs = find_experiment(name), samkit.load_model(model_name, device="cpu"), inputs_of(case)
    params = experiment.Params(**values | ({} if name == "position-encoding" else {"side": 128}))
    result = experiment.run(model, inputs, params, Lab())
    bundle = write_bundle(
        tmp_path / "run", result=result, inputs=inputs, model_info=model.info, device="cpu", dtype="float32"
    )
    assert bundle.record.masks or name in ("block-norms", "position-encoding")
    assert_every_mask_lies_on_its_picture(
        bundle, lambda mask: declared_picture(inputs, name, bundle.params, mask), monkeypatch
    )


def test_the_list_shows_the_prompted_picture_where_the_second_was_prompted(tmp_path):
    """Both pictures have one size, so that no difference of sizes tells them apart."""
    masks = {"mask_prompted": Mask(corner(), "image_b"), "mask_tracked": Mask(corner(), "image")}
    pictures = {"image": plain(RED, "a"), "image_b": plain(BLUE, "b")}
    bundle = run_of(tmp_path / "run", masks, "cross-image", **pictures)
    assert shown_mask(masks) == "mask_prompted" and color_at_the_end(thumbnail_of(bundle)) == BLUE


def test_what_was_found_in_a_second_picture_lies_on_that(tmp_path, monkeypatch):
    masks = {"mask_chosen": Mask(corner()), "mask_objects": Mask(corner(), "image_b")}
    pictures = {"image": plain(RED, "a"), "image_b": plain(BLUE, "b")}
    bundle = run_of(tmp_path / "run", masks, "semantic-similarity", **pictures)
    assert color_at_the_end(mask_picture(bundle, "mask_objects", alone=False)) == BLUE
    assert color_at_the_end(Comparison([bundle, bundle]).picture(Shown(0, "mask_objects"))) == BLUE
    assert_every_mask_lies_on_its_picture(
        bundle, lambda name: pictures["image_b" if name == "mask_objects" else "image"], monkeypatch
    )


def test_a_remembered_picture_is_the_ground_of_its_mask(tmp_path, monkeypatch):
    priors = (Prior(plain(BLUE, "first")), Prior(plain((0, 99, 0), "second")))
    masks = {f"mask_prior_{index}": Mask(corner(), "prior", index) for index in (0, 1)}
    bundle = run_of(tmp_path / "run", masks, image=plain(RED, "a"), video=load_sample_video("coin"), priors=priors)
    assert color_at_the_end(thumbnail_of(bundle)) == BLUE
    assert_every_mask_lies_on_its_picture(bundle, lambda name: priors[int(name[-1])].picture, monkeypatch)


def test_where_no_picture_was_recorded_the_runs_own_is_what_was_remembered(tmp_path, monkeypatch):
    own = plain(RED, "a")
    masks = {"mask_prior_0": Mask(corner(), "prior")}
    bundle = run_of(tmp_path / "run", masks, image=own, video=load_sample_video("coin"))
    assert_every_mask_lies_on_its_picture(bundle, lambda name: own, monkeypatch)


def test_a_frame_is_the_ground_of_its_mask_while_its_film_is_there(tmp_path, monkeypatch):
    folder = tmp_path / "film"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((*SIZE, 3), 40 * index, np.uint8))
    film = open_video(folder)
    masks = {f"mask_frame_{index}": Mask(corner(), "frame", index) for index in (0, 2)}
    bundle = run_of(tmp_path / "run", masks, image=plain(RED, "a"), video=film)
    assert_every_mask_lies_on_its_picture(bundle, lambda name: film.picture(int(name[-1])), monkeypatch)
    (folder / "0.png").unlink()
    assert ground(bundle, "mask_frame_2") is None
    assert color_at_the_end(thumbnail_of(bundle)) == RED, "the run's own picture, without the mask"
    np.testing.assert_array_equal(mask_picture(bundle, "mask_frame_2", alone=False) > 0, corner())
    comparison = Comparison([bundle, bundle])
    pair = Shown(0, "mask_frame_2"), Shown(1, "mask_frame_2")
    assert comparison.picture(pair[0]) is None and comparison.grounds("mask_frame_2") == (pair,)
    assert mask_tiles(comparison, pair, 400, 400)[0].shape == (*SIZE, 3)
    assert ground_sha256(bundle, "mask_frame_0") != ground_sha256(bundle, "mask_frame_2")


@pytest.mark.parametrize(
    "mask", [Mask(corner(), "image_b"), Mask(corner(), "frame"), Mask(corner(), "prior", 3), Mask(corner((9, 9)))]
)
def test_a_mask_without_a_picture_of_its_size_has_no_ground(tmp_path, mask):
    """As only a run from elsewhere may have: no second picture, no film, no such memory, another size."""
    bundle = run_of(tmp_path / "run", {"mask_0": mask}, image=plain(RED, "a"))
    assert ground(bundle, "mask_0") is None
    assert color_at_the_end(thumbnail_of(bundle)) == RED and mask_picture(bundle, "mask_0", alone=False).ndim == 2
    comparison = Comparison([bundle, bundle])
    assert comparison.picture(Shown(0, "mask_0")) is None
    assert report_html(comparison, "mask_0", (Shown(0, "mask_0"), Shown(1, "mask_0"))).count("<figure>") == 2, (
        "the two masks alone"
    )


def test_damaged_descriptions_of_memories_are_no_traceback(tmp_path):
    priors = (Prior(plain(BLUE, "first")),)
    bundle = run_of(
        tmp_path / "run",
        {"mask_prior_0": Mask(corner(), "prior")},
        image=plain(RED, "a"),
        video=load_sample_video("coin"),
        priors=priors,
    )
    for content in ("[]", "{}", "[1]", "{", '[{"name": "x"}]'):
        (bundle.path / film_inputs.PRIORS).write_text(content)
        assert ground(bundle, "mask_prior_0") is None and ground_sha256(bundle, "mask_prior_0") == ""


def test_masks_are_named_as_masks(tmp_path):
    with pytest.raises(ValueError, match="begins with mask_"):
        run_of(tmp_path / "run", {"chosen": Mask(corner())}, image=plain(RED, "a"))
    assert not (tmp_path / "run").exists()
