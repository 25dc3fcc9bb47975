"""What a job in the background came to: the settings it was started with, and what the run says of itself."""

from types import SimpleNamespace

from streamlit.testing.v1 import AppTest

from samkit.experiments.inputs import Inputs
from samkit.experiments.result import Result
from samkit.experiments.window_size import Params
from samkit.ui.bench.queued_work import finished
from samkit.work.execute import Computed
from samkit.work.spec import Ref, RunSpec

SPEC = RunSpec("window-size", Ref("nano-sam2"), {"sweep_sizes": [2, 4, 8]}, device="cpu", dtype="bfloat16")
RESULT = Result("window-size", Params(sweep_sizes=(2, 4)), threads=3)
RUN = SimpleNamespace(model="model", inputs=Inputs())


def job(**state):
    return SimpleNamespace(**({"spec": SPEC, "run": RUN, "result": RESULT, "active": False} | state))


def test_a_finished_job_has_the_spec_it_was_started_with():
    params = RESULT.params.model_dump(mode="json")
    spec = RunSpec("window-size", Ref("nano-sam2"), params, device="cpu", dtype="bfloat16", threads=3)
    assert finished(job()) == Computed(spec, "model", Inputs(), RESULT)


def test_a_job_that_is_not_done_has_come_to_nothing_yet():
    assert finished(job(run=None, result=None)) is finished(job(result=None)) is finished(job(active=True)) is None


def test_a_second_press_on_pause_never_ends_the_run():
    """What goes on takes the place of Pause in the row, and Finish one that could not be pressed."""

    def row(state: str):
        from types import SimpleNamespace

        import streamlit as st

        from samkit.ui.bench.queued_work import draw_steps

        job = SimpleNamespace(
            state=state, active=state == "running", stopping=False, run=SimpleNamespace(done=3), result=None
        )
        job.pause = job.finish_here = lambda: None
        go_on = "Go on" if state == "paused" else "Segmenting…"
        draw_steps("film", SimpleNamespace(job=job, discard=None), lambda: st.button(go_on))

    def labels(state: str) -> list[str]:
        return [button.label for button in AppTest.from_function(row, args=(state,)).run().button]

    running, paused, done = labels("running"), labels("paused"), labels("done")
    assert running == ["Segmenting…", "Pause", "Cancel"]
    assert paused.index("Go on") == running.index("Pause") and paused.index("Finish here") == 0
    assert done.index("Pause") == running.index("Pause"), "and no button that forgets it, where it has ended meanwhile"
