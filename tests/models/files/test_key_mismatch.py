import pytest

from samkit.models.files.key_mismatch import describe_key_mismatch

EXPECTED = {"a.weight": (4, 3), "a.bias": (4,), "b.weight": (2, 4), "b.bias": (2,), "c": ()}


def test_no_mismatch_whatever_the_order_and_the_sequence_type():
    assert describe_key_mismatch(EXPECTED, {key: list(EXPECTED[key]) for key in reversed(EXPECTED)}) is None


@pytest.mark.parametrize(
    ("actual", "sentence"),
    [
        (
            {key: EXPECTED[key] for key in ("a.weight", "a.bias", "b.weight", "b.bias")},
            "1 of 5 weights is missing (c).",
        ),
        ({"c": ()}, "4 of 5 weights are missing (a.weight, a.bias, b.weight and 1 more)."),
        (EXPECTED | {"d": (1,), "e": (1,)}, "2 are unknown (d, e)."),
        (EXPECTED | {"c": (1, 2)}, "1 has another shape (c is 1x2 in place of a single number)."),
        (
            {"a.weight": (4, 4), "b.weight": (1,), "b.bias": (2,), "c": (), "x": (3,)},
            "1 of 5 weights is missing (a.bias), 1 is unknown (x) and 2 have another shape (a.weight is 4x4 in "
            "place of 4x3, b.weight is 1 in place of 2x4).",
        ),
        ({}, "5 of 5 weights are missing (a.weight, a.bias, b.weight and 2 more)."),
    ],
)
def test_counts_and_first_names(actual, sentence):
    assert describe_key_mismatch(EXPECTED, actual) == sentence


def test_a_wrapper_prefix_is_named_as_such():
    sentence = describe_key_mismatch(EXPECTED, {f"module.{key}": shape for key, shape in EXPECTED.items()})
    assert '"module."' in sentence and "missing" not in sentence
