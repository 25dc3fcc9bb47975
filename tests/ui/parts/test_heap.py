"""What is set aside is not looked through again, and is still given back when nobody holds it."""

import gc
import weakref

import samkit
from samkit.ui.parts.heap import set_aside


def test_what_lives_is_passed_over_and_a_model_that_nobody_holds_goes():
    model = samkit.load_model("nano-sam1", device="cpu")
    gone = weakref.ref(model)
    try:
        set_aside()
        assert gc.get_freeze_count() > 10_000 and len(gc.get_objects()) < 10_000
        del model
        assert gone() is None
    finally:
        gc.unfreeze()
