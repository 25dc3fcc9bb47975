"""Every parameter says all that a page, a command line and a sweep need to know of it."""

import pytest

from samkit.experiments.params import build_params, knob
from samkit.experiments.registry import NAMES, find_experiment

FIELDS = [(name, field) for name in NAMES for field in find_experiment(name).Params.model_fields]


def field_of(name: str, field: str):
    return find_experiment(name).Params.model_fields[field]


def bounds(info) -> tuple[float, float]:
    """Lowest and highest value; a bound that isn't reached counts as reached."""
    low, high = float("-inf"), float("inf")
    for each in info.metadata:
        lows, highs = (
            [getattr(each, limit) for limit in limits if getattr(each, limit, None) is not None]
            for limits in (("ge", "gt"), ("le", "lt"))
        )
        low, high = max([low, *lows]), min([high, *highs])
    return low, high


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_parameter_has_a_label_and_a_sentence(name, field):
    info = field_of(name, field)
    assert info.description[0].isupper()
    assert info.description.endswith(".") and info.description.count(". ") == 0, "one sentence"
    assert info.json_schema_extra["label"]


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_the_usual_range_is_one_that_may_be(name, field):
    info = field_of(name, field)
    extra, (low, high) = info.json_schema_extra, bounds(info)
    assert set(extra) <= {"step", "usual", "unit", "label", "start"}
    if "start" in extra:
        assert low <= extra["start"] <= high
    if "usual" in extra:
        first, last = extra["usual"]
        assert low <= first < last <= high and extra["step"] <= last - first
        if field not in ("window_sizes", "sweep_sizes"):
            build_params(find_experiment(name).Params, {field: first})
            build_params(find_experiment(name).Params, {field: last})


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_number_that_is_moved_has_a_step(name, field):
    info = field_of(name, field)
    is_number = info.annotation in (int, float, int | None, float | None)
    assert not is_number or field == "side" or info.json_schema_extra["step"] > 0


@pytest.mark.parametrize(
    "field", ["side", "fit", "refine_edges", "jitter_copies", "jitter_percent", "jitter_px", "seed", "colormap"]
)
def test_the_same_word_for_the_same_thing(field):
    """Parameters that several experiments share have one default, label and range in all of them."""
    shared = [field_of(name, field) for name in NAMES if field in find_experiment(name).Params.model_fields]
    assert len(shared) > 1
    assert all(each.default == shared[0].default for each in shared)
    assert all(each.json_schema_extra == shared[0].json_schema_extra for each in shared)


def test_a_knob_says_only_what_was_said():
    assert knob(label="Side") == {"label": "Side"}
    assert knob(0.5, (0, 1), "px") == {"step": 0.5, "usual": [0, 1], "unit": "px"}


def test_jitter_and_video_limits_are_those_of_the_parameters():
    for name in ("mask-stability", "cross-image"):
        assert field_of(name, "jitter_percent").default == 1.0 and field_of(name, "jitter_px").default is None
        assert field_of(name, "jitter_percent").json_schema_extra["usual"] == [0.1, 10.0]
        assert field_of(name, "jitter_copies").json_schema_extra["usual"] == [4, 64]
    assert bounds(field_of("video-priors", "max_pointers")) == (0, 64)
    assert field_of("video-priors", "reset_every").json_schema_extra["usual"] == [2, 200]
