"""Cross-image segmentation in a real browser: a box on the second picture clears the first, passes are added, the run
is kept and read back.
"""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from samkit.media.samples import load_sample

pytestmark = pytest.mark.browser


def test_prompt_the_second_picture_keep_and_read_back(visitor, page, home, tmp_path):
    visitor.open("cross-image")
    assert [len(visitor.chips(where)) for where in ("cross-image", "cross-image-b")] == [2, 0]

    visitor.pick_tool("cross-image-b", "Box")
    visitor.drag("cross-image-b", 0.25, 0.1, 0.75, 0.7)
    assert [len(visitor.chips(where)) for where in ("cross-image", "cross-image-b")] == [0, 1]
    page.get_by_text("Prompted, B").wait_for()

    page.locator(".st-key-knob_cross-image_repeats input[type=range]").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.get_by_text(re.compile("IoU of the last pass with the first")).wait_for()
    visitor.rest()
    run_id = visitor.keep("cross-image", "two pictures")

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    run = client.get_run(run_id)
    assert (
        run.info.run_name == "two pictures"
        and run.data.params["prompt_on"] == "b"
        and run.data.params["repeats"] == "2"
    )
    prompts = json.loads(
        Path(client.download_artifacts(run.info.run_id, "inputs/prompts.json", str(tmp_path))).read_text()
    )
    np.testing.assert_allclose(prompts["boxes"], [[0.25, 0.1, 0.75, 0.7]], atol=0.012)
    kept = cv2.imread(
        client.download_artifacts(run.info.run_id, "outputs/mask_tracked.png", str(tmp_path)), cv2.IMREAD_UNCHANGED
    )
    np.testing.assert_array_equal(kept > 127, found_again(prompts, 3))


def found_again(prompts: dict, passes: int) -> np.ndarray:
    """The same mask from the library alone: bool [H, W]."""
    import samkit

    model = samkit.load_model("nano-sam2", device="cpu")
    source, target = (model.encode_image(load_sample(name).rgb) for name in ("coffee-mirrored", "coffee"))
    bank = samkit.MemoryBank()
    bank.add_prompt(model.encode_memory(source, model.predict_masks(source, samkit.Prompts.from_dict(prompts))))
    for _ in range(passes):
        step = model.track(target, bank)
        bank.add_frame(model.encode_memory(target, step, step.best))
    return step.mask(step.best)
