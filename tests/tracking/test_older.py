"""Kept runs are read in today's words: what is called the same is the same."""

import pytest

from samkit.experiments.measures.stability import mask_stability_name, stability_label, stability_name
from samkit.tracking.bundle.older import (
    facts_of_today,
    in_words_of_today,
    later_facts,
    later_metrics,
    metric_names,
    params_of_today,
)

WIDE = {"prompted_stability_score": 0.7, "stability_score": 0.8, "predicted_iou": 0.9}


def test_only_the_official_score_has_the_plain_name():
    assert stability_name(1) == stability_name(1.0, 0.0) == "stability_score"
    assert (stability_name(2), stability_name(1, 0.5)) == ("stability_at_2", "stability_at_1_about_0.5")
    assert (mask_stability_name(1, 3), mask_stability_name(0.5, 3)) == ("stability_score_3", "stability_at_0.5_mask_3")
    assert stability_label(2, -1) == "stability at ±2 about -1"


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"stability_offset": 2.0, "threshold": 0.0}, "stability_at_2"),
        ({"stability_offset": "2.0", "threshold": "-0.25"}, "stability_at_2_about_-0.25"),
        ({}, "stability_at_2"),
        ({"stability_offset": 1.0, "threshold": 0.5}, "stability_at_1_about_0.5"),
    ],
)
def test_a_cross_image_runs_wide_scores_are_called_so(params, name):
    names = metric_names("cross-image", params, WIDE)
    assert names == {"stability_score": name, "prompted_stability_score": f"prompted_{name}"}


def test_scores_that_say_what_they_are_keep_their_names():
    official = {"stability_offset": 1.0, "threshold": 0.0}
    assert metric_names("cross-image", official, WIDE) == {} == metric_names("mask-stability", {}, WIDE)
    assert metric_names("cross-image", {"stability_offset": 2.0}, WIDE | {"stability_at_2": 0.5}) == {}
    assert metric_names("window-size", {"stability_offset": 2.0}, WIDE) == {}


def test_every_masks_score_is_renamed():
    kept = {"stability_score": 0.5, "stability_score_0": 0.1, "stability_score_3": 0.5}
    names = metric_names("mask-stability", {"stability_offset": 3}, kept)
    assert names["stability_score"] == "stability_at_3" and names["stability_score_3"] == "stability_at_3_mask_3"
    assert len(names) == 3


def test_a_run_is_not_asked_for_what_came_later():
    assert later_metrics("cross-image", {"stability_at_2"}) == {"stability_score", "prompted_stability_score"}
    assert not later_metrics("cross-image", WIDE) and not later_metrics("block-norms", ())


def test_marks_that_were_counted_as_corrections_are_marks():
    old, new = {"frames": 9, "corrections": 3}, {"frames": 9, "marks": 3, "corrections": 1}
    assert facts_of_today("video-priors", old) == {"frames": 9, "marks": 3}
    assert facts_of_today("video-priors", new) == new and facts_of_today("cross-image", old) == old
    assert later_facts("video-priors", {"marks"}) == {"corrections"}
    assert not later_facts("video-priors", new) and not later_facts("video-priors", {"frames"})
    document = {"experiment": "video-priors", "params": {}, "metrics": {}, "facts": old}
    assert in_words_of_today(document)["facts"] == {"frames": 9, "marks": 3}


def test_parameters_that_came_later_say_what_was_done():
    assert params_of_today("cross-image", {"jitter_px": 6.0, "jitter_copies": 4})["jitter_px"] == 6.0
    assert "jitter_px" not in params_of_today("cross-image", {"jitter_px": 4.0, "jitter_copies": 0})
    assert params_of_today("semantic-similarity", {"find_objects": True})["object_prompts"] == "peaks"
    assert params_of_today("semantic-similarity", {"find_objects": False}) == {"find_objects": False}
    assert params_of_today("semantic-similarity", {"find_objects": "True"})["object_prompts"] == "peaks"
    assert "jitter_px" not in params_of_today("cross-image", {"jitter_px": "4.0", "jitter_copies": "0"})
    assert "sweep_repeats" not in params_of_today("window-size", {"sweep_sizes": "[]", "repeats": "1"})
    swept = {"sweep_sizes": [4, 8], "repeats": 1}
    assert params_of_today("window-size", swept) == swept | {"sweep_repeats": 1}
    today = {"jitter_px": None, "jitter_percent": 2.0, "jitter_copies": 0}
    assert params_of_today("mask-stability", today) == today


def test_neither_is_better_of_cuts_that_a_person_chose():
    kept = {"value": 0.1, "better": "higher", "key": True}
    document = {"experiment": "mask-stability", "params": {}, "metrics": {"threshold_iou": kept}}
    assert in_words_of_today(document)["metrics"]["threshold_iou"] == kept | {"better": None}


@pytest.mark.parametrize("damaged", [{}, {"experiment": 3, "params": {}, "metrics": {}}, {"params": [], "metrics": 1}])
def test_what_is_damaged_is_left_to_the_check_behind(damaged):
    assert in_words_of_today(damaged) == damaged
