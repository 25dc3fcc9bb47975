"""SAM 3's tracker against that of transformers: logits within 1e-3 over 20 frames, whatever the film begins with; and
each rule tells, so that a wrong one would be seen. Decoder and tracker of full size at 1008 px are in the slow tier:
`pytest -m slow tests/parity/test_sam3_film.py`.
"""

import pytest
import torch

from samkit.models.memory_rules import SAM3_EVERY_FRAME, SAM3_RULES, TRANSFORMERS_RULES, MemoryRules
from tests.parity.sam3_film import CASES, OFFICIAL, BothSides, Pair, as_described, judged_with, make_pair, without

LIMIT, FULL_LIMIT, SEEN = 1e-3, 1e-2, 0.05
PRESENT, HIDDEN = 2.0, 0.0
"""Added to all object scores: the object is there all the time, or hidden on half the frames."""


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make_pair()


def follow(pair: Pair, case: str, rules: MemoryRules, bias: float = PRESENT) -> BothSides:
    both = BothSides(pair, rules)
    with judged_with(pair, bias), torch.inference_mode():
        CASES[case](both)
    return both


@pytest.mark.parametrize("case", CASES)
def test_with_its_rules_it_is_transformers_tracker(pair, case):
    both = follow(pair, case, TRANSFORMERS_RULES)
    assert both.apart <= LIMIT and both.scores_apart <= LIMIT
    assert case == "empty mask" or min(both.scores.values()) > 1


def test_a_hidden_object(pair):
    both = follow(pair, "mask", TRANSFORMERS_RULES, HIDDEN)
    assert both.apart <= LIMIT and both.scores_apart <= LIMIT
    assert min(both.scores.values()) < -0.1 and max(both.scores.values()) > 0.1


@pytest.mark.parametrize("case", ["click", "mask", "backwards", "seven prompted frames"])
def test_with_sam_3s_own_rules_it_is_the_tracker_as_it_is_described(pair, case):
    with as_described(pair):
        assert follow(pair, case, SAM3_RULES).apart <= LIMIT


@pytest.mark.parametrize("case", ["mask", "seven prompted frames"])
def test_frames_are_chosen_by_quality(pair, case):
    with as_described(pair):
        chosen = follow(pair, case, SAM3_RULES, HIDDEN)
        every = follow(pair, case, SAM3_EVERY_FRAME, HIDDEN)
    assert chosen.apart <= LIMIT and every.apart > SEEN
    assert min(chosen.scores.values()) < -0.1 and max(chosen.scores.values()) > 0.1


@pytest.mark.parametrize(
    "case, change",
    [
        ("click", {"mask_way": "sam2"}),
        ("click", {"mask_way": "sam3"}),
        ("mask", {"mask_way": "sam3"}),
        ("click", {"cut_prompted": False}),
        ("seven prompted frames", {"nearest_prompts": None}),
        ("seven prompted frames", {"least_quality": 0.3}),
    ],
    ids=str,
)
def test_every_rule_tells(pair, case, change):
    assert follow(pair, case, without(TRANSFORMERS_RULES, **change)).apart > SEEN


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_full_size():
    """But for the encoder, which is small: both follow on the same features, for 8 frames (docs/sam3.md says what comes
    after them). Logits are further apart than in small, where transformers has the same bfloat16 and cut masks.
    """
    both = follow(make_pair(OFFICIAL, 8), "click", TRANSFORMERS_RULES)
    assert both.apart <= FULL_LIMIT and both.scores_apart <= LIMIT, (both.apart, both.scores_apart)
