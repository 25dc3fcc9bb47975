"""What people call the model behind a reference."""

from samkit.ui.controls.model_names import model_name


def test_a_base_is_named_as_people_call_it_and_other_choices_stay():
    assert model_name("nano-sam2") == "Nano SAM 2.1"
    assert model_name("/models/liver.pt#ema&side=512") == "liver #ema&side=512"
    assert model_name("/models/adapter#base=nano-sam1") == "adapter on Nano SAM 1"
    assert model_name("/models/adapter#base=/runs/liver.pt&side=512") == "adapter on liver #side=512"
