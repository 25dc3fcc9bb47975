"""Where cases come from, and prompts that follow from their truth."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from samkit.errors import BadInput, PictureError
from samkit.media.coco_masks import annotation_rle
from samkit.media.given_masks import Truth
from samkit.media.rle import mask_to_rle, rle_to_mask
from samkit.prompts import BACKGROUND, FOREGROUND
from samkit.work.sources import Sources
from samkit.work.spec import Ref
from samkit.work.sweep.case import Case, told_apart
from samkit.work.sweep.cases import all_cases, find_cases
from samkit.work.sweep.cells import case_dict, case_from, in_groups, make_cells, sharing
from samkit.work.sweep.marks import correcting_click, draw, prompts_from_truth
from samkit.work.sweep.spec import PictureSource, PromptRule, read_spec
from tests.work.sweep.tiny import CELLS, make_files, spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("sweep"))


def found(**source):
    return find_cases((PictureSource(**source),), 0)


def test_a_folder_of_masks_gives_a_case_for_each_object(folder):
    cases = found(files=str(folder / "photos" / "*.png"), masks=str(folder / "masks"))
    assert [case.name for case in cases] == ["0.png", "1.png, object 1", "1.png, object 2"]
    picture = Sources().picture(cases[2].picture)
    assert Sources().truth(cases[2].truth, picture).mask.sum() == 20 * 20
    together = found(files=str(folder / "photos" / "*.png"), masks=str(folder / "masks"), objects="together")
    assert len(together) == 2


def test_pictures_of_two_sources_with_one_name_are_told_apart(tmp_path):
    """A chart over pictures takes one mean for a name."""
    places = [tmp_path / part for part in ("page", "own", "more")]
    for at, place in enumerate(places):
        place.mkdir()
        Image.fromarray(np.full((8, 8, 3), at, np.uint8)).save(place / "cat.png")
        Image.fromarray(np.full((8, 8), 255, np.uint8)).save(place / "mask.png")
    sources = [PictureSource(files=(str(place / "cat.png"),)) for place in places[:2]]
    sources.append(PictureSource(files=(str(places[2] / "cat.png"),), called="cat.png"))
    cases = find_cases((*sources, sources[1]), 0)
    assert [case.name for case in cases] == ["cat.png", "cat.png (2)", "cat.png (3)", "cat.png (2)"]
    assert [case.where for case in cases] == [case.name for case in cases]
    assert [case.picture.ref for case in cases[:3]] == [str(place / "cat.png") for place in places]


def test_a_renamed_case_still_says_which_object_it_is():
    film = Case("walk, object 2", Ref("b/walk.mp4#3"), film=Ref("b/walk.mp4", name="walk"), frame=3)
    pair = Case("cat -> dog, object 1", Ref("b/cat", name="cat"), second=Ref("b/dog", name="dog"))
    for case, first in (
        (film, replace(film, film=Ref("a/walk.mp4", name="walk"))),
        (pair, replace(pair, picture=Ref("a/cat", name="cat"))),
    ):
        again = told_apart([first, case])[1]
        assert again.where == f"{case.where} (2)" and again.name == case.name.replace(case.where, again.where)
        assert again.picture.ref == case.picture.ref


def test_a_limit_chooses_the_same_pictures_for_a_seed(folder):
    source = PictureSource(files=(str(folder / "photos" / "*.png"),), masks=str(folder / "masks"), limit=1)
    assert find_cases((source,), 3) == find_cases((source,), 3)


def test_coco_polygons_and_run_lengths(folder, tmp_path):
    mask = np.zeros((40, 60), bool)
    mask[10:20, 5:25] = True
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(int)))
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    segmentations = [[[5, 10, 25, 10, 25, 20, 5, 20]], mask_to_rle(mask), {"size": [40, 60], "counts": runs}]
    document = {
        "images": [{"id": 7, "file_name": "0.png", "height": 40, "width": 60}],
        "annotations": [
            {"id": at, "image_id": 7, "segmentation": segmentation} for at, segmentation in enumerate(segmentations)
        ],
    }
    document["annotations"].append({"id": 9, "image_id": 7, "iscrowd": 1, "segmentation": segmentations[2]})
    (tmp_path / "all.json").write_text(json.dumps(document))
    cases = found(coco=str(tmp_path / "all.json"), images=str(folder / "photos"))
    assert len(cases) == 3
    for case in cases:
        assert np.array_equal(rle_to_mask(json.loads(case.truth.ref)), mask)
    document["images"][0]["file_name"] = "../secret.png"
    (tmp_path / "all.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match="lies outside"):
        found(coco=str(tmp_path / "all.json"), images=str(folder / "photos"))


@pytest.mark.parametrize("wrong", [[], [[1, 2]], [[1, 2, 3, 4, 5, "x"]], {"size": [1, 1], "counts": [1]}, None])
def test_what_is_no_coco_mask_is_refused(wrong):
    with pytest.raises(PictureError):
        annotation_rle(wrong, (40, 60))


def test_a_polygon_far_outside_is_cut_off_at_the_picture():
    rle = annotation_rle([[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9]], (40, 60))
    assert coco.area(rle) == 40 * 60


def test_davis_folders_give_annotated_frames(folder, tmp_path):
    for kind, source in (("JPEGImages", "photos"), ("Annotations", "masks")):
        (tmp_path / kind / "bear").mkdir(parents=True)
        (tmp_path / kind / "bear" / "00000.png").write_bytes((folder / source / "1.png").read_bytes())
    assert len(found(davis=str(tmp_path))) == 2
    with pytest.raises(BadInput, match="did you mean bear"):
        found(davis=str(tmp_path), sequences="beer")


def test_samples_bring_their_truth_and_prompts():
    assert len(found(samples="coins")) == 24
    assert found(samples="coin#3")[0].truth is not None
    assert not found(samples="coffee")[0].given.is_empty
    assert all(case_from(json.loads(json.dumps(case_dict(case)))) == case for case in found(samples="coins"))


def test_cells_of_one_picture_and_encoding_stay_together(folder):
    made = spec(folder)
    cells = make_cells(made, all_cases(made))
    assert len({cell.id for cell in cells}) == len(cells) == CELLS
    groups = list(in_groups(cells))
    assert len(groups) == 2
    assert all(len({sharing(cell) for cell in group.cells}) == 1 for group in groups)


def test_prompts_from_the_truth():
    mask = np.zeros((40, 60), bool)
    mask[10:21, 20:31] = True
    truth, never = Truth(mask), None

    def prompts(**rule):
        return prompts_from_truth(PromptRule(**rule), truth, draw(0, "a"), never)

    assert prompts(truth="box").boxes == ((20 / 60, 10 / 40, 31 / 60, 21 / 40),)
    assert prompts(truth="inside").points == ((25.5 / 60, 15.5 / 40, FOREGROUND),)
    points = prompts(truth="points", count=5).points
    assert len(set(points)) == 5 and all(mask[int(y * 40), int(x * 60)] for x, y, _ in points)
    assert points == prompts(truth="points", count=5).points
    assert prompts(truth="box", jitter=10).boxes != prompts(truth="box").boxes


def test_a_click_goes_where_the_mask_is_most_wrong():
    mask = np.zeros((40, 60), bool)
    mask[10:21, 20:31] = True
    truth = Truth(mask)
    assert correcting_click(mask, truth) is None
    assert correcting_click(np.zeros_like(mask), truth) == (25, 15, FOREGROUND)
    more = mask.copy()
    more[0:9, 40:49] = True
    assert correcting_click(more, truth) == (44, 4, BACKGROUND)


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parents[3] / "sweeps").glob("*.yaml")), ids=lambda file: file.stem
)
def test_the_specs_that_come_along_have_cells(file):
    made = read_spec(file)
    cells = make_cells(made, all_cases(made))
    assert len(cells) > 10 and all(cell.case.truth is not None for cell in cells)
