"""What a knob shows is what it gives, when its options change under it too."""

import pytest
from streamlit.testing.v1 import AppTest


def script():
    import streamlit as st

    from samkit.ui.controls.knob_values import KnobValues
    from samkit.ui.state.workspace import Workspace

    work = st.session_state.setdefault("work", Workspace())
    knobs = KnobValues(work, "page")
    if st.session_state.get("set"):
        knobs.set(st.session_state.pop("set"))
    native, sides = st.session_state.get("model", (256, (128, 256, 384)))
    if not st.session_state.get("elsewhere"):
        knobs.step(
            "Side",
            "side",
            list(sides),
            native,
            format_func={side: f"{side}{', native' if side == native else ''}" for side in sides}.get,
        )


@pytest.fixture
def app():
    return AppTest.from_function(script).run()


def side(app) -> tuple:
    """Value of the widget, and the one that is kept."""
    (slider,) = app.select_slider
    return slider.value, app.session_state["work"].params["page"]["side"]


def switch(app, *model) -> None:
    app.session_state["model"] = model
    app.run()
    assert not app.exception


def test_what_was_left_at_the_default_is_at_the_next_models_default(app):
    assert side(app) == (256, 256)
    switch(app, 320, (128, 256, 320))
    assert side(app) == (320, 320)
    switch(app, 1024, (512, 1024))
    assert side(app) == (1024, 1024)


def test_what_was_chosen_stays_where_the_next_model_has_it(app):
    app.select_slider[0].set_value(128).run()
    switch(app, 320, (128, 256, 320))
    assert side(app) == (128, 128)
    switch(app, 1024, (512, 1024))
    assert side(app) == (1024, 1024)


def test_a_model_changed_on_another_page_counts_too(app):
    app.session_state["elsewhere"] = True
    app.run()
    app.session_state["elsewhere"] = False
    switch(app, 320, (128, 256, 320))
    assert side(app) == (320, 320)


def test_a_restored_value_is_taken_as_it_is(app):
    app.session_state["set"] = {"side": 256}
    switch(app, 320, (128, 256, 320))
    assert side(app) == (256, 256), "256 was the default before, but a run says 256"
    app.session_state["set"] = {"side": None}
    switch(app, 320, (128, 256, 320))
    assert side(app) == (320, 320), "no side is the model's own"


def test_a_value_whose_text_changes_is_told_to_the_browser_again(app):
    app.select_slider[0].set_value(128).run()
    switch(app, 128, (128, 256, 384))
    assert app.select_slider[0].proto.set_value, "by its new text, for the browser knows the old one"
    app.run()
    assert not app.select_slider[0].proto.set_value, "and once"


def test_a_knob_that_nobody_has_moved_stands_at_its_parameters_default():
    from samkit.experiments.inputs import Inputs
    from samkit.experiments.mask_stability import Params
    from samkit.ui.controls.knob_values import KnobValues
    from samkit.ui.controls.knobs import Panel
    from samkit.ui.state.workspace import Workspace

    knobs = KnobValues(Workspace(), "mask-stability")
    panel = Panel(knobs, Params, None, Inputs())
    assert {name: panel.value(name) for name in Params.model_fields} == dict(Params())
    knobs.keep("jitter_copies", 7)
    assert panel.value("jitter_copies") == 7
    with pytest.raises(KeyError):
        panel.value("no_such_parameter")


def test_a_side_that_nobody_chose_is_each_models_own():
    """SAM 3 runs multiples of 14, which the side of the model before is not."""

    def script():
        from types import SimpleNamespace

        import streamlit as st

        from samkit.ui.controls.knob_values import KnobValues
        from samkit.ui.controls.sidebar import EncodingSide
        from samkit.ui.state.workspace import Workspace

        work = st.session_state.setdefault("work", Workspace())
        native, step = st.session_state.get("model", (384, 32))
        info = SimpleNamespace(native_side=native, side_step=step)
        panel = SimpleNamespace(model=SimpleNamespace(info=info), values=KnobValues(work, "page"))
        st.text(EncodingSide().draw(panel)["side"])

    app = AppTest.from_function(script).run()
    assert app.text[0].value == "None"
    app.session_state["model"] = (336, 14)
    app.run()
    assert app.text[0].value == "None" and app.select_slider[0].value == 336
    app.select_slider[0].set_value(392).run()
    app.session_state["model"] = (384, 32)
    app.run()
    assert app.text[0].value == "None" and not app.exception
    app.select_slider[0].set_value(256).run()
    app.session_state["model"] = (336, 14)
    app.run()
    assert app.text[0].value == "252", "the nearest of one that was chosen"
