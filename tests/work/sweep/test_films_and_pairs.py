"""Sweeps over films and over pairs of pictures: where they come from, what they are judged by, and that nothing is
encoded twice.
"""

import json

import numpy as np
import pytest

from samkit.errors import BadInput
from samkit.media.film import masks_to_json
from samkit.media.films import shrunk_size
from samkit.media.rle import mask_to_rle
from samkit.media.sample_videos import load_sample_video
from samkit.work.execute import compute
from samkit.work.lab import Lab
from samkit.work.sources import Sources
from samkit.work.sweep.cases import all_cases
from samkit.work.sweep.cells import case_dict, case_from, in_groups, make_cells
from samkit.work.sweep.compute import CellComputer, WorkerSettings, film_masks_file, mask_file
from samkit.work.sweep.film_truth import FilmTruth, film_metrics
from samkit.work.sweep.spec import spec_from_text, with_folder
from samkit.work.sweep.summary import summarize
from tests.work.sweep.tiny import FILM, FRAMES, PAIRS, make_films, spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_films(tmp_path_factory.mktemp("films"))


def computed(folder, text, tmp_path, keep="masks"):
    """(cells, the computer, their outcomes)"""
    made = spec(folder, text)
    cells = make_cells(made, all_cases(made))
    computer = CellComputer(WorkerSettings(str(tmp_path), keep, 1))
    return cells, computer, [computer.outcome(cell) for group in in_groups(cells) for cell in group.cells]


def test_films_are_run_as_single_runs_are_and_share_encodings(folder, tmp_path):
    cells, computer, outcomes = computed(folder, FILM, tmp_path)
    assert [cell.case.name for cell in cells[::4]] == ["bear, object 1", "bear, object 2"]
    assert [outcome.reason for outcome in outcomes] == [""] * 8
    made = [key for outcome in outcomes for key in outcome.encoded]
    # Each frame once, and the first one once more as a picture.
    assert len(made) == len(set(made)) == FRAMES + 1
    for outcome in outcomes:
        assert outcome.metrics["judged_frames"] == FRAMES - 2
        assert 0 <= outcome.metrics["J_and_F"] <= 1
        assert film_masks_file(tmp_path, outcome.cell).is_file()
    by_id = {outcome.cell: outcome for outcome in outcomes}
    masked = next(cell for cell in cells if cell.rule.truth == "mask")
    run = computer.computed(masked).run
    single = compute(run.spec, Lab())
    own = {name: metric.value for name, metric in single.result.metrics.items()}
    assert {name: by_id[masked.id].metrics[name] for name in own} == own
    assert single.spec.id == by_id[masked.id].run
    assert json.loads(single.result.files["masks.json"]) == json.loads(
        film_masks_file(tmp_path, masked.id).read_bytes()
    )
    assert by_id[cells[0].id].prompts["boxes"] == [[4 / 60, 5 / 40, 30 / 60, 35 / 40]]


def test_j_and_f_leave_out_the_first_and_the_last_frame(folder):
    (case, _) = all_cases(spec(folder, FILM))
    film = Sources().film(case.film)
    truth = FilmTruth(case, film)
    assert truth.frames == tuple(range(FRAMES))

    def file(masks):
        return masks_to_json([{"frame": at, "rle": mask_to_rle(mask)} for at, mask in masks.items()])

    right = {frame: truth.on(frame).mask for frame in truth.frames}
    assert film_metrics(file(right), truth) == {"J": 1.0, "F": 1.0, "J_and_F": 1.0, "judged_frames": 3.0}
    # What is wrong on the first and the last frame counts for nothing.
    edges = {0: ~right[0], FRAMES - 1: ~right[FRAMES - 1]}
    assert film_metrics(file(right | edges), truth)["J_and_F"] == 1.0
    empty = np.zeros((40, 60), bool)
    assert film_metrics(file(right | {2: empty}), truth)["J"] == pytest.approx(2 / 3)
    # Of a part of the film its own first and last frame are left out.
    assert film_metrics(file({frame: right[frame] for frame in (0, 1, 2)}), truth)["judged_frames"] == 1
    assert film_metrics(file({frame: right[frame] for frame in (0, 1)}), truth) == {}


def test_an_object_that_is_gone_is_right_where_nothing_is_found(folder):
    (_, second) = all_cases(spec(folder, FILM))
    truth = FilmTruth(second, Sources().film(second.film))
    assert not truth.on(4).mask.any()
    assert truth.on(4).iou(np.zeros((40, 60), bool)) == 1.0


def test_films_by_glob_with_a_mask_of_the_first_frame_or_of_all(folder):
    def found(films, prompts="{truth: box}"):
        text = FILM.replace("{davis: davis}", films).replace("[{truth: box}, {truth: mask}]", prompts)
        made = spec(folder, text)
        return all_cases(made)

    assert all_cases(spec(folder, FILM))[0].frame_masks.endswith("bear")
    every = found("{files: davis/JPEGImages/*, masks: davis/Annotations}")
    assert [(case.name, case.frame) for case in every] == [("bear, object 1", 0), ("bear, object 2", 0)]
    (folder / "first").mkdir(exist_ok=True)
    (folder / "first" / "bear.png").write_bytes((folder / "davis/Annotations/bear/00000.png").read_bytes())
    (one,) = found("{files: davis/JPEGImages/bear, masks: first, objects: together}")
    assert one.truth.ref.endswith("bear.png") and one.frame_masks == ""
    (bare,) = found("{files: davis/JPEGImages/b*}", "{points: [[0.5, 0.5, 1]]}")
    assert bare.truth is None
    with pytest.raises(BadInput, match="There is no film"):
        found("{files: nowhere/*.mp4}")
    with pytest.raises(BadInput, match="did you mean bear"):
        found("{davis: davis, sequences: beer}")
    with pytest.raises(BadInput, match="no object is marked"):
        found("{files: davis/JPEGImages/bear, masks: davis}")


def test_sample_films_bring_their_truth():
    made = spec_from_text("experiment: video-priors\nmodels: nano-sam2\nfilms: [coin, cup]\nprompts: {truth: box}\n")
    cases = all_cases(made)
    assert [case.name for case in cases] == ["coin", "cup"]
    assert all(case_from(json.loads(json.dumps(case_dict(case)))) == case for case in cases)
    film = load_sample_video("coin")
    assert FilmTruth(cases[0], film).frames == tuple(range(film.length))
    assert shrunk_size(film.size, None) == film.size


def test_pairs_are_neighbours_and_share_encodings(folder, tmp_path):
    cells, computer, outcomes = computed(folder, PAIRS, tmp_path)
    assert [cell.case.name for cell in cells[::2]] == [
        f"bear/0000{at}.png -> bear/0000{at + 1}.png" for at in range(FRAMES - 1)
    ]
    assert [outcome.reason for outcome in outcomes] == [""] * len(cells)
    made = [key for outcome in outcomes for key in outcome.encoded]
    assert len(made) == len(set(made)) == FRAMES
    by_id = {outcome.cell: outcome for outcome in outcomes}
    forth, back = cells[:2]
    assert by_id[forth.id].prompts["boxes"] == [[4 / 60, 5 / 40, 55 / 60, 35 / 40]]
    assert by_id[back.id].prompts["boxes"] == [[5 / 60, 5 / 40, 55 / 60, 35 / 40]]
    run = computer.computed(forth).run
    own = {name: metric.value for name, metric in compute(run.spec, Lab()).result.metrics.items()}
    assert {name: by_id[forth.id].metrics[name] for name in own} == own
    assert {"true_iou", "prompted_true_iou", "predicted_iou_error"} <= by_id[forth.id].metrics.keys()
    assert mask_file(tmp_path, forth.id).is_file()


def test_what_is_looked_for_elsewhere_is_judged_where_it_was_marked(folder, tmp_path):
    """The chosen mask of Semantic similarity lies on the prompted picture, also where the other one alone is masked."""
    alike = PAIRS.replace("cross-image", "semantic-similarity").replace("{prompt_on: [a, b]}", "{threshold: 0.9}")
    (cell, *_), computer, (outcome, *_) = computed(folder, alike, tmp_path)
    assert cell.judged == (cell.case.picture, cell.case.truth) and outcome.metrics["true_iou"] >= 0
    assert (
        outcome.facts["true_area_px"]
        == Sources().truth(cell.case.truth, computer.computed(cell).run.inputs.picture).mask.sum()
    )
    rows = "{rows: [{first: davis/JPEGImages/bear/00000.png, second: davis/JPEGImages/bear/00001.png, masks: MASKS}]}"
    masks = "[null, davis/Annotations/bear/00001.png]"
    alike = alike.replace("{files: davis/JPEGImages/*/*.png, masks: davis/Annotations}", rows.replace("MASKS", masks))
    _, _, (outcome,) = computed(folder, alike.replace("{truth: box}", "{boxes: [[0.1, 0.1, 0.9, 0.9]]}"), tmp_path)
    assert outcome.status == "done" and "true_iou" not in outcome.metrics and "size" not in outcome.facts


def test_pairs_by_rows_and_by_numbers(folder):
    def found(pairs):
        return all_cases(
            spec(folder, PAIRS.replace("{files: davis/JPEGImages/*/*.png, masks: davis/Annotations}", pairs))
        )

    each = found("{files: davis/JPEGImages/*/*.png, masks: davis/Annotations, objects: each}")
    assert len(each) == 4 + 2 and each[1].truth.ref.endswith("00000.png#2")
    row = "{rows: {first: 'sample:coin#0', second: 'sample:coin#9'}}"
    assert found(row)[0].truth is not None and found(row)[0].second_truth is not None
    with pytest.raises(BadInput, match="There is no picture"):
        found("{rows: [{first: a.jpg, second: b.jpg}]}")
    with pytest.raises(BadInput, match="There is no pair"):
        found("{files: davis/JPEGImages/bear/00000.png}")


def test_clicks_correct_the_frame_that_is_marked(folder, tmp_path):
    for text in (FILM.replace("[{truth: box}, {truth: mask}]", "{truth: clicks, count: 2}"),
                 PAIRS.replace("{truth: box}", "{truth: clicks, count: 2}")):  # fmt: skip
        _, _, outcomes = computed(folder, text, tmp_path)
        assert all(len(outcome.prompts["points"]) == 2 for outcome in outcomes)


def test_films_are_redrawn_whole():
    rows = [
        {"picture": film, "status": "done", "metric.J": value}
        for film, values in {"a": (0.0, 0.0), "b": (1.0, 1.0)}.items()
        for value in values
    ]
    assert summarize(rows, [], 0)[0].means["metric.J"].pictures == 2
    grouped = [row | {"group": "one folder"} for row in rows]
    assert summarize(grouped, [], 0)[0].means["metric.J"].pictures == 1


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("films: {davis: davis}", "pictures: coffee", "Line 4: video-priors runs on films"),
        ("films: {davis: davis}", "films: {davis: davis, mask: m}", "Line 4: there is no setting mask"),
        ("films: {davis: davis}", "name: x", "Line 2: video-priors needs films"),
        ("[{truth: box}, {truth: mask}]", "none", "there is nothing to follow"),
        ("video-priors", "cross-image", "Line 4: cross-image runs on pairs"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line(tmp_path, old, new, sentence):
    assert old in FILM
    with pytest.raises(BadInput, match=sentence):
        with_folder(spec_from_text(FILM.replace(old, new)), tmp_path)
