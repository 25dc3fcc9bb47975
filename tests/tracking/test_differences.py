"""What was set differently in a run, in words that are the same for kept values and for the store's texts."""

import pytest

from samkit.experiments.mask_stability import Params
from samkit.experiments.registry import find_experiment
from samkit.experiments.window_size import Params as WindowParams
from samkit.tracking.store.differences import DIFFERS, differences_text, differing, shown_differences
from samkit.tracking.store.store import RunStore
from tests.tracking.conftest import made_up_bundle

NAME = "mask-stability"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, ""),
        ({"upper_threshold": 6.0}, "upper threshold 6"),
        ({"side": 512, "refine_edges": True}, "side 512 px, refine edges"),
        ({"mask_index": 0}, "mask 1"),
        (dict(side=512, lower_threshold=-1.5, upper_threshold=4, mask_index=3, max_delta=2), None),
    ],
)
def test_words_say_what_is_not_at_its_default(changed, text):
    params = Params(**changed).model_dump(mode="json")
    said = differences_text(NAME, params)
    assert said == differences_text(NAME, {name: str(value) for name, value in params.items()})
    if text is None:
        assert len(said.split(", ")) == 5 and said.endswith("1 more")
    else:
        assert said == text


@pytest.mark.parametrize(
    ("experiment", "changed", "text"),
    [
        ("video-priors", {"start": 4, "count": 98, "backwards": True}, "from frame 4, 98 frames, backwards"),
        (
            "video-priors",
            {"count": 1, "max_frames": 0, "max_pointers": 1},
            "1 frame, memory of 0 frames, 1 object pointer",
        ),
        ("video-priors", {"remember": False, "reset_every": 5}, "frames not remembered, memory cleared every 5 frames"),
        ("cross-image", {"prompt_on": "b", "tracked_index": 0}, "prompted on B, found mask 1"),
        ("fine-tuning", {"other_model": "tiny", "other_sha256": "0" * 64}, "trained from tiny"),
        ("position-encoding", {"height": 32, "window_tiling": False}, "height 32 tokens, window tiling off"),
    ],
)
def test_words_are_a_readers(experiment, changed, text):
    params = find_experiment(experiment).Params(**changed).model_dump(mode="json")
    assert differences_text(experiment, params) == text


def test_lists_have_commas_alone():
    params = WindowParams(window_sizes=[7, 7, 14, 7]).model_dump(mode="json")
    for kept in (params, {name: str(value) for name, value in params.items()}):
        assert differences_text("window-size", kept) == "window sizes 7, 7, 14, 7"


def test_what_this_version_does_not_have_is_left_out():
    assert differing(NAME, {"of_old": 3, "upper_threshold": 2.0}) == {} and differences_text("no-such", {"x": 1}) == ""


def test_a_kept_run_says_it_by_a_tag_and_an_older_one_by_its_parameters(tmp_path):
    store = RunStore()
    kept = store.keep(made_up_bundle(tmp_path / "run"))
    (run,) = store.runs()
    assert run.run_id == kept.run_id and run.tags[DIFFERS] == "4 moved copies"
    older = {key: value for key, value in run.tags.items() if key != DIFFERS}
    assert shown_differences(run.experiment, run.params, older) == run.tags[DIFFERS]
    assert shown_differences(run.experiment, run.params, run.tags | {DIFFERS: "as kept"}) == "as kept"
