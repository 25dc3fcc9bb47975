"""Metrics are named in a person's words with their units; masks are counted from 1, as the keys do."""

import pytest

from samkit.ui.parts.metric_words import fact_text, fact_words, mask_name_words, metric_words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("predicted_iou", "predicted IoU"),
        ("predicted_iou_0", "predicted IoU, mask 1"),
        ("stability_at_2_about_0.5", "stability at ±2 about 0.5"),
        ("stability_at_2_mask_3", "stability at ±2, mask 4"),
        ("prompted_area_px", "area, px, prompted picture"),
        ("encode_ms", "encode, ms"),
        ("object_0_present_share", "frames with the object, share, object 1"),
        ("object_1_mean_object_score", "mean object score, logit, object 2"),
        ("object_score", "object score, logit"),
        ("predicted_iou_error", "predicted IoU error, absolute"),
        ("mask_index", "mask index, from 0"),
        ("of_ones_own", "of ones own"),
    ],
)
def test_a_metric_is_said_in_words(name, words):
    assert metric_words(name) == words


def test_the_number_of_a_mask_is_that_of_its_key_and_its_file_is_named():
    assert (fact_words("mask_index"), fact_text("mask_index", 2)) == ("mask", "3") and fact_text("objects", 2) == "2"
    assert mask_name_words("mask_2") == "mask 3 (file mask_2)"
    assert mask_name_words("mask_prompted_0") == "prompted mask 1 (file mask_prompted_0)"
    assert mask_name_words("mask_correction_0") == "mark 1 (file mask_correction_0)"
    assert mask_name_words("mask_by_point_tracked") == "by point tracked"
