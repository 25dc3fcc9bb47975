"""Corrections of a film's run against the official video predictor, random weights: low-resolution logits of every
frame within 1e-3.

The official side runs as it was trained, with `add_all_frames_to_correct_as_cond`: a corrected frame counts as marked.
Its frames have the input's size, so that nobody resizes them.
"""

import pytest

import samkit
from samkit.experiments.film.film_run import FilmRun
from samkit.experiments.film.params import Params
from samkit.experiments.inputs import Inputs
from samkit.experiments.steering import Correction, Steering
from samkit.media.folder_film import FolderVideo
from samkit.media.pictures import Picture
from samkit.work.lab import Lab
from tests.parity.video_cases import BOX, CLICK, BothSides, load_video_pair, make_film

FRAMES, MIDDLE = 7, 4
BACKGROUND = samkit.Prompts(points=[(0.3, 0.4, 0)])
MORE = BACKGROUND.with_point(0.7, 0.6, 1)
FROM_CLICK = Correction(0, CLICK)
FIRST = Correction(MIDDLE, BACKGROUND, refines=True)
CASES = {
    "a background point": [FIRST],
    "two corrections on one frame": [Correction(MIDDLE, MORE, 0, refines=True, earlier=(FIRST,))],
    "a box": [Correction(MIDDLE, BOX, 0, refines=True)],
    "a frame that is not tracked before": [Correction(MIDDLE, MORE, 0)],
    "two frames": [FIRST, Correction(MIDDLE + 1, BOX, 0, refines=True)],
}
"""What is corrected after the film was followed from a click on its first frame."""


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_film(tmp_path_factory.mktemp("films") / "square", FRAMES, 256, 256)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    pair = load_video_pair("shrunken 2.1", tmp_path_factory.mktemp("video"))
    pair.official.add_all_frames_to_correct_as_cond = True
    return pair


def official_logits(pair, film, corrections):
    """[h, w] of each frame."""
    both = BothSides(pair, film)
    both._prompt_official(0, CLICK)
    follow = pair.official.propagate_in_video
    tracked = MIDDLE if not corrections[0].refines else FRAMES
    for _ in follow(both.state, 0, tracked - 1):
        pass
    for correction in corrections:
        for each in correction.line:
            both._prompt_official(each.frame, each.prompts)
        for _ in follow(both.state, correction.frame):
            pass
    outputs = both.state["output_dict_per_obj"][0]
    every = outputs["non_cond_frame_outputs"] | outputs["cond_frame_outputs"]
    return [every[frame]["pred_masks"][0, 0] for frame in range(FRAMES)]


def own_logits(pair, film, corrections, monkeypatch):
    """Of what is remembered, frame by frame."""
    seen, remember = [], pair.model.encode_memory

    def spy(encoding, prediction, index, rules):
        seen.append(prediction.logits[index])
        return remember(encoding, prediction, index, rules)

    monkeypatch.setattr(pair.model, "encode_memory", spy)
    steering = Steering(corrections=(FROM_CLICK, *corrections))
    video = FolderVideo(film.folder, "square")
    inputs = Inputs(Picture.from_array(film.frames[0], "first"), video=video, steering=steering)
    params = Params(skip_absent=False, max_pointers=FRAMES)
    assert list(FilmRun(pair.model, inputs, params, Lab()).steps()) == list(range(FRAMES))
    assert len(seen) == FRAMES
    return seen


@pytest.mark.parametrize("case", CASES)
def test_corrections_are_the_official_ones(pair, film, case, monkeypatch):
    theirs = official_logits(pair, film, CASES[case])
    ours = own_logits(pair, film, CASES[case], monkeypatch)
    assert max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True)) <= 1e-3


def test_what_is_begun_from_matters(pair, film, monkeypatch):
    """The limit is tight enough to tell."""
    (correction,) = CASES["two corrections on one frame"]
    theirs = official_logits(pair, film, [correction])
    for wrong in (Correction(MIDDLE, MORE, 0, refines=True), Correction(MIDDLE, MORE, 0)):
        ours = own_logits(pair, film, [wrong], monkeypatch)
        assert max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True)) > 1e-2
        monkeypatch.undo()
