"""The Video with image priors page without a browser: recording, running in the background, other films, keeping,
opening again, models without a memory.
"""

import json
import re
import shlex
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from samkit.cli import app as command_line
from samkit.experiments.film.film_run import FilmRun, Unmark
from samkit.experiments.film.params import Params
from samkit.experiments.inputs import Prior
from samkit.media.film import masks_from_json
from samkit.media.samples import load_sample
from samkit.media.video import open_video
from samkit.models.threads import own_threads
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import read_bundle
from samkit.tracking.store.store import RunStore
from samkit.ui.state.film_frames import rows_of, see
from samkit.work.lab import Lab
from samkit.work.replay import replay
from tests.media.films import moving_frames, write_film_file
from tests.pages.app import new_app, page_path
from tests.random_models import SMALL_SAM1, SMALL_SAM2, SMALL_SAM3, save_random_model

PAGE = page_path("video_priors")
FILM_MAX_SIDE = 1280
KNOB = "knob_video-priors_"
ON_FRAME = Prompts(points=[(0.3, 0.5, 1)])
OTHER_ON_FRAME = Prompts(points=[(0.7, 0.5, 1)])
"""Mark something on a frame of the sample film."""


@pytest.fixture
def app(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))
    return new_app(90)


@pytest.fixture
def page(app):
    app.run().switch_page(PAGE).run()
    assert not app.exception and not app.error, [error.value for error in app.error]
    yield app
    table(app).drop_run()


def table(app):
    return app.session_state["samkit.film_table"]


def press(app, key: str):
    return app.button(key=key).click().run()


def wait_for(condition) -> None:
    """However slow the machine is, within reason."""
    end = time.monotonic() + 240
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


def wait_until_done(app, state: str = "done"):
    wait_for(lambda: table(app).job.state in (state, "failed"))
    assert table(app).job.state == state, table(app).job.error
    return app.run()


def knob(app, name: str, kind: str = "slider"):
    """A knob that was set by something else than its widget has a number after its key."""
    pattern = re.compile(rf"{KNOB}{name}(_\d+)?")
    (widget,) = [each for each in app.get(kind) if pattern.fullmatch(each.key or "")]
    return widget


def short(app, frames: int = 3):
    knob(app, "some", "toggle").set_value(True).run()
    return knob(app, "count").set_value(frames).run()


def sight(page):
    """What the canvas shows."""
    from samkit.ui.state.models import shared_model

    work, inputs = page.session_state["samkit.workspace"], table(page).inputs(load_sample("coins"))
    model, lab = shared_model(work.model_ref), Lab()
    return see(table(page), model, inputs, Params(), table(page).frame, True, lambda step: lab.recall(*step(lab)))


def test_a_first_visit_shows_the_first_frame_and_runs_nothing_unasked(page):
    assert page.title[0].value == "Video with image priors" and len(table(page).recorded) == 1
    assert table(page).job is None and table(page).frame == 0
    assert sight(page).origin == "prompts" and sight(page).found[0].pixels.any()
    press(page, "run_film")
    wait_until_done(page)
    assert [tab.label for tab in page.tabs] == ["Masks of a frame", "Numbers", "Files", "Recipe", "Timings"]
    result = table(page).job.result
    assert result.facts["frames"] == table(page).video.length == 36 and result.files["film.mp4"]
    assert table(page).frame == 35 and sight(page).origin == "run"


def test_memories_are_recorded_and_forgotten(page):
    page.session_state["samkit.workspace"].show_picture(load_sample("chelsea"), Prompts(points=[(0.4, 0.4, 1)]))
    table(page).on_film = False
    page.run()
    press(page, "mask_button_video-priors_0")
    press(page, "record")
    assert [each.prior.picture.name for each in table(page).recorded] == ["coins", "chelsea"] and table(page).recorded[
        1
    ].prior.mask_index == 0
    press(page, "forget_0")
    assert [each.prior.picture.name for each in table(page).recorded] == ["chelsea"]
    press(page, "forget_0")
    assert page.button(key="run_film").disabled and any("“Record this memory”" in info.value for info in page.info)


def test_knobs_reach_the_run(page):
    page.slider(key=f"{KNOB}start").set_value(20).run()
    page.toggle(key=f"{KNOB}backwards").set_value(True).run()
    short(page, 4)
    page.slider(key=f"{KNOB}max_frames").set_value(2).run()
    page.slider(key=f"{KNOB}max_pointers").set_value(5).run()
    page.toggle(key=f"{KNOB}skip_absent").set_value(False).run()
    page.toggle(key=f"{KNOB}refine_edges").set_value(True).run()
    table(page).drop_run()
    page.run()
    press(page, "run_film")
    wait_until_done(page)
    params = table(page).job.result.params
    assert (params.start, params.backwards, params.count, params.max_frames, params.max_pointers) == (20, True, 4, 2, 5)
    assert not params.skip_absent and params.refine_edges
    assert [row["frame"] for row in table(page).job.result.tables["frames"]] == [20, 19, 18, 17]


def test_memory_rules_are_asked_where_the_model_has_others_than_sam_2s(page, monkeypatch):
    from samkit.models.memory_rules import SAM3_RULES
    from samkit.models.sam import SamModel

    assert not [each for each in page.selectbox if each.label == "Memory rules"]
    monkeypatch.setattr(SamModel, "memory_rules", SAM3_RULES)
    page.run()
    (rules,) = [each for each in page.selectbox if each.label == "Memory rules"]
    assert rules.value == "own" and "SAM 3's" not in rules.options and "SAM 2.1's" in rules.options
    rules.set_value("sam2").run()
    press(page, "run_film")
    assert table(page).job.spec.params["memory_rules"] == "sam2"


def test_a_frame_of_the_film_becomes_a_memory_with_its_place(page):
    on_frame(page, 7)
    press(page, "record")
    assert table(page).recorded[-1].prior.film_frame == 7


def test_a_frame_chosen_as_picture_has_its_place_in_the_same_film_alone(page):
    from samkit.media.sample_videos import load_sample_video

    work = page.session_state["samkit.workspace"]
    table(page).on_film = False
    for film in ("coin", "cup"):
        work.show_picture(load_sample_video(film).picture(7), Prompts(points=[(0.3, 0.5, 1)]))
        page.run()
        press(page, "record")
    assert [each.prior.film_frame for each in table(page).recorded] == [None, 7, None]


def test_any_frame_shows_what_the_memories_find(page):
    table(page).go_to(20)
    page.run()
    assert sight(page).origin == "prompts" and sight(page).found and table(page).job is None
    run_some(page)
    table(page).go_to(table(page).run.next_frame)
    assert sight(page).origin == "next"
    table(page).go_to(0)
    assert sight(page).origin == "run"
    table(page).drop_run()
    page.run()
    press(page, "forget_0")
    assert sight(page).origin == "none" and not sight(page).found


def run_some(page) -> None:
    """A run that pauses on its way."""
    press(page, "run_film")
    wait_for(lambda: table(page).run is not None and table(page).run.done)
    table(page).job.pause()
    wait_until_done(page, "paused")
    page.run()


def on_frame(page, frame: int, prompts: Prompts = ON_FRAME):
    table(page).go_to(frame)
    page.run()
    table(page).frame_work.edit(prompts)
    return page.run()


def test_a_correction_is_made_on_any_frame_and_the_run_goes_on_from_there(page):
    run_short(page, 6)
    before = masks_from_json(table(page).job.result.files["masks.json"])
    on_frame(page, 3)
    assert main_button(page) == "Segment from frame 3"
    press(page, "run_film")
    wait_until_done(page)
    after = masks_from_json(table(page).job.result.files["masks.json"])
    assert [np.array_equal(before[i], after[i]) for i in range(4)] == [True, True, True, False]
    assert not is_noted(page) and recipe(page)["steering"]["corrections"][0]["frame"] == 3
    assert any("--steering steering.json" in code.value for code in page.code)
    table(page).go_to(0)
    page.run()
    press(page, "chip_correction_3_0")
    assert table(page).frame == 3 and table(page).frame_work.prompts == ON_FRAME
    (first,) = table(page).corrections
    assert first.refines and not first.earlier, "the run had found the object there"
    assert page.button(key="run_film").disabled, "what is marked is what was made"
    table(page).frame_work.edit(ON_FRAME.with_point(0.6, 0.6, 0))
    page.run()
    seen = table(page).frame_work.given.found.mask
    press(page, "run_film")
    wait_until_done(page)
    assert [each.earlier for each in table(page).corrections] == [(first,)]
    assert np.array_equal(masks_from_json(table(page).job.result.files["masks.json"])[3], seen)
    press(page, "chip_uncorrect_3_0")
    assert not table(page).corrections and is_noted(page) and main_button(page) == "Segment from frame 3"
    press(page, "undo_video-priors")
    assert len(table(page).corrections) == 1 and not is_noted(page)
    press(page, "undo_video-priors")
    press(page, "undo_video-priors")
    assert not table(page).corrections and main_button(page) == "Segment from frame 3"
    press(page, "run_film")
    wait_until_done(page)
    plain = masks_from_json(table(page).job.result.files["masks.json"])
    assert all(np.array_equal(before[i], plain[i]) for i in before) and not is_noted(page)


@pytest.fixture
def held_up(monkeypatch):
    """Runs wait before frame 5 until this is set."""
    go_on, segment = threading.Event(), FilmRun._segment

    def waits(run, frame, *rest):
        assert frame != 5 or go_on.wait(240)
        return segment(run, frame, *rest)

    monkeypatch.setattr(FilmRun, "_segment", waits)
    yield go_on
    go_on.set()


def test_undo_while_the_run_goes_on_takes_the_mark_back_from_it(page, held_up):
    held_up.set()
    run_short(page, 6)
    before = masks_from_json(table(page).job.result.files["masks.json"])
    on_frame(page, 3)
    held_up.clear()
    press(page, "run_film")
    wait_for(lambda: table(page).run.next_frame == 5)
    table(page).rest_at(3)
    page.run()
    assert sight(page).origin == "run" and sight(page).found
    press(page, "undo_video-priors")
    assert not table(page).corrections and table(page).frame_work.prompts.is_empty
    assert not table(page).run.marks, "nobody had to ask for it"
    assert not sight(page).found, "a mask of prompts that are not there any more is not shown"
    assert main_button(page) == "Segmenting…"
    held_up.set()
    wait_until_done(page)
    after = masks_from_json(table(page).job.result.files["masks.json"])
    assert all(np.array_equal(before[i], after[i]) for i in before) and not is_noted(page)
    assert table(page).frame == 3, "where undo has gone, to see what comes of it"


def test_what_undo_leaves_and_redo_brings_back_reaches_the_run_while_it_goes_on(page, held_up):
    held_up.set()
    run_short(page, 6)
    on_frame(page, 3)
    table(page).frame_work.edit(ON_FRAME.with_point(0.6, 0.6, 0))
    page.run()
    held_up.clear()
    press(page, "run_film")
    press(page, "undo_video-priors")
    assert [each.prompts for each in table(page).run.marks.values()] == [ON_FRAME]
    press(page, "undo_video-priors")
    press(page, "redo_video-priors")
    assert [each.prompts for each in table(page).run.marks.values()] == [ON_FRAME]
    # What is marked on the way is asked for as always.
    table(page).frame_work.edit(OTHER_ON_FRAME)
    page.run()
    assert [each.prompts for each in table(page).run.marks.values()] == [ON_FRAME]
    assert main_button(page) == "Segment from frame 3" and not page.button(key="run_film").disabled


def main_button(page) -> str:
    """What the page's button to go on says."""
    return page.button(key="run_film").label


def test_what_is_marked_on_a_frame_is_there_again(page):
    on_frame(page, 5)
    table(page).rest_at(6)
    page.run()
    assert table(page).frame_work.prompts.is_empty
    table(page).rest_at(5)
    assert table(page).frame_work.prompts == ON_FRAME


def test_several_objects_have_names_memories_and_files_of_their_own(page, tmp_path):
    press(page, "add_object")
    assert table(page).object == 1
    page.text_input(key="object_name_1").set_value("shadow").run()
    page.color_picker(key="object_color_1").set_value("#112233").run()
    on_frame(page, 1)
    run_short(page, 3)
    result = table(page).job.result
    assert list(masks_from_json(result.files["masks_1.json"])) == [1, 2]
    assert result.tables["objects"][1] == {"object": 1, "name": "shadow", "color": "#112233"}
    labels = [button.label for button in page.get("download_button")]
    assert {"Masks, COCO RLE of shadow", "Steering"} <= set(labels)
    press(page, "keep_video-priors")
    (run,) = RunStore().runs()
    RunStore().load(run.run_id, tmp_path / "bundle")
    assert replay(read_bundle(tmp_path / "bundle")).identical
    again = new_app(90)
    again.run()
    again.query_params["run"] = run.run_id
    again.switch_page(PAGE).run()
    assert not again.error and [each.name for each in table(again).objects] == ["", "shadow"]
    assert table(again).steering == table(page).steering
    press(page, "remove_object_0")
    assert [each.name for each in table(page).objects] == ["shadow"] and table(page).job is None
    assert not table(page).recorded and table(page).corrections[0].object == 0


def test_switches_reach_the_run(page):
    run_some(page)
    frame = table(page).run.next_frame
    page.toggle(key="film_store").set_value(False).run()
    press(page, "film_reset")
    assert not table(page).run.storing
    press(page, "run_film")
    wait_until_done(page)
    made = [(each.frame, each.action) for each in table(page).run.steering.switches]
    assert made == [(frame, "store_off"), (frame, "reset")]
    assert not is_noted(page) and len(recipe(page)["steering"]["switches"]) == 2


def test_a_run_goes_on_at_another_frame(page):
    run_some(page)
    done = table(page).run.done
    table(page).go_to(30)
    page.run()
    press(page, "segment_from")
    wait_until_done(page)
    assert [row["frame"] for row in table(page).job.result.tables["frames"]] == [*range(done), *range(30, 36)]
    # A correction may begin with what the run has found there.
    table(page).go_to(31)
    page.run()
    press(page, "hint_found_video-priors")
    work = table(page).frame_work
    assert (work.given.hint.values == table(page).run.on(31)[0].pixels).all() and work.is_marked


def test_a_run_pauses_goes_on_after_the_page_was_left_and_finishes_early(page):
    press(page, "run_film")
    # Before its turn has come there is nothing to go on with.
    wait_for(lambda: table(page).job.run is not None and table(page).job.run.done)
    table(page).job.pause()
    wait_until_done(page, "paused")
    done = table(page).job.run.done
    page.switch_page(page_path("home")).run()
    page.switch_page(PAGE).run()
    assert table(page).job.run.done == done
    press(page, "run_film")
    wait_for(lambda: table(page).job.run.done > done)
    table(page).job.pause()
    wait_until_done(page, "paused")
    assert table(page).job.run.done > done
    press(page, "finish_film")
    wait_until_done(page)
    assert table(page).job.result.facts["frames"] == table(page).job.run.done < 36 and not page.error


def test_a_run_that_pauses_while_the_page_is_drawn_is_followed_to_its_last_frame(page, monkeypatch):
    from samkit.ui.bench.tables import film

    draw_steps = film.draw_steps

    def pauses(*args):
        table(page).job.pause()
        wait_for(lambda: not table(page).job.active)
        return draw_steps(*args)

    press(page, "run_film")
    wait_for(lambda: table(page).run is not None and table(page).run.done > 2)
    monkeypatch.setattr(film, "draw_steps", pauses)
    page.run()
    assert table(page).frame == table(page).run.latest[0] > 1


def test_a_run_that_goes_on_by_itself_takes_nobody_along(page):
    run_short(page, 4)
    stood, run = table(page), table(page).run
    stood.rest_at(1)
    stood.followed = False
    run.ask(Unmark(2, 0))  # As it was about to end.
    page.run()
    wait_until_done(page)
    assert not run.has_wishes and stood.frame == 1 and not stood.followed


def test_what_is_cancelled_or_discarded_can_be_brought_back(page):
    from samkit.media.sample_videos import load_sample_video

    run_some(page)
    job, done = table(page).job, table(page).run.done
    press(page, "cancel_film")
    assert table(page).job is None and main_button(page) == "Segment"
    assert f"Cancelled after {done} of 36 frames." in [each.value for each in page.caption]
    press(page, "film_undiscard")
    assert table(page).job is job and main_button(page) == "Go on" and table(page).discarded is None
    press(page, "finish_film")
    wait_until_done(page)
    page.run()
    press(page, "cancel_film")
    assert f"Discarded: the run of {done} frames." in [each.value for each in page.caption]
    run_some(page)
    other = table(page).job
    press(page, "film_undiscard")
    assert (table(page).job, table(page).discarded) == (job, other), "the one that was here can be brought back too"
    table(page).show_film(load_sample_video("cup"))
    page.run()
    assert table(page).discarded is None


def bring(page, film) -> None:
    """Another film, with the coin as a memory of the visitor's own."""
    table(page).recorded = [replace(each, example=False) for each in table(page).recorded]
    table(page).show_film(film)


def test_another_film_keeps_the_visitors_memories_but_not_the_sample_films_own(page):
    from samkit.media.sample_videos import load_sample_video

    table(page).record_prior(Prior(load_sample("chelsea"), Prompts(points=[(0.4, 0.4, 1)])))
    table(page).show_film(load_sample_video("cup"))
    page.run()
    assert table(page).job is None and knob(page, "start").max == 47
    assert [each.prior.picture.name for each in table(page).recorded] == ["chelsea"]


def test_what_is_marked_on_a_frame_is_followed_when_the_film_is_segmented(page):
    from samkit.media.sample_videos import load_sample_video

    table(page).show_film(load_sample_video("cup"))
    page.run()
    assert page.button(key="run_film").disabled
    short(page)
    on_frame(page, 1)
    press(page, "run_film")
    wait_until_done(page)
    assert [(each.frame, each.prompts) for each in table(page).corrections] == [(1, ON_FRAME)]
    assert [row["frame"] for row in table(page).job.result.tables["frames"]] == [1, 2] and not is_noted(page)
    table(page).go_to(1)
    page.run()
    assert page.button(key="run_film").disabled and main_button(page) == "Segment anew"


def test_marks_of_all_objects_and_frames_are_followed(page):
    """Also of those that are not on the canvas, each with the mask that was chosen there."""
    press(page, "forget_0")
    on_frame(page, 0)
    press(page, "mask_button_video-priors_0")
    press(page, "add_object")
    assert page.session_state["samkit.workspace"].params["video-priors"]["mask_index"] is None
    on_frame(page, 1, OTHER_ON_FRAME)
    table(page).go_to(2)
    page.run()
    assert not page.button(key="run_film").disabled, "what was marked before is followed"
    run_short(page, 3)
    found = [(each.frame, each.object, each.prompts, each.mask_index) for each in table(page).corrections]
    assert found == [(0, 0, ON_FRAME, 0), (1, 1, OTHER_ON_FRAME, None)]
    assert {(row["frame"], row["object"]) for row in table(page).job.result.tables["frames"]} == {
        (0, 0), (1, 0), (2, 0), (1, 1), (2, 1)
    }  # fmt: skip


def test_a_kept_run_opens_again_and_replays(page, tmp_path):
    table(page).drop_run()
    short(page)
    press(page, "run_film")
    wait_until_done(page)
    masks = masks_from_json(table(page).job.result.files["masks.json"])
    press(page, "keep_video-priors")
    (run,) = RunStore().runs()
    RunStore().load(run.run_id, tmp_path / "bundle")
    bundle = read_bundle(tmp_path / "bundle")
    kept = masks_from_json((bundle.path / "outputs/masks.json").read_bytes())
    assert kept.keys() == masks.keys() and all(np.array_equal(kept[frame], masks[frame]) for frame in masks)
    assert (bundle.path / "outputs/film.mp4").stat().st_size > 1000 and replay(bundle).identical
    again = new_app(90)
    again.run()
    again.query_params["run"] = run.run_id
    again.switch_page(PAGE).run()
    assert not again.error and [each.prior.picture.name for each in table(again).recorded] == ["coins"]
    assert knob(again, "count").value == 3 and table(again).video.name == "coin"
    # What the run found is there at once, without the model.
    assert any("kept with the run" in info.value for info in again.info) and table(again).job is None
    assert main_button(again) == "Segment anew" and sight(again).origin == "kept"
    assert all(np.array_equal(table(again).found_on(frame)[0].pixels, kept[frame]) for frame in kept)
    (track,) = rows_of(table(again))["tracks"]
    assert track["frame"] == [0, 1, 2] and track["object_score"] == rows_of(table(page))["tracks"][0]["object_score"]
    press(again, "run_film")
    assert table(again).kept is None and not any("kept with the run" in info.value for info in again.info)
    table(again).drop_run()


def is_noted(page) -> bool:
    """Whether the page says that its run was made with something else."""
    return any("have changed since this run" in caption.value for caption in page.caption)


def run_short(page, frames: int = 2) -> None:
    table(page).drop_run()
    page.run()
    short(page, frames)
    press(page, "run_film")
    wait_until_done(page)
    assert not page.error and not page.exception


def recipe(page) -> dict:
    return json.loads(page.json[0].value)


def test_a_finished_run_is_shown_and_kept_with_the_settings_it_was_made_with(page, tmp_path):
    work = page.session_state["samkit.workspace"]
    run_short(page)
    before, model = recipe(page), table(page).job.run.model.info
    assert not is_noted(page) and before["threads"] == table(page).job.result.threads and "dtype" not in before
    work.take_dtype("bfloat16")
    page.run()
    assert is_noted(page) and recipe(page) == before
    work.take_dtype("float32")
    page.run()
    assert not is_noted(page)
    work.model_ref = str(save_random_model(tmp_path / "other.safetensors", SMALL_SAM2))
    page.run()
    assert is_noted(page) and recipe(page) == before
    press(page, "keep_video-priors")
    (run,) = RunStore().runs()
    record = RunStore().load(run.run_id, tmp_path / "bundle").record
    assert (record.model.sha256, record.model.ref) == (model.sha256, "nano-sam2") and record.dtype == "float32"


def test_a_run_is_noted_when_its_memories_or_its_bank_are_others(page):
    run_short(page)
    first = table(page).recorded[0]
    table(page).recorded.append(first)
    page.run()
    assert is_noted(page)
    table(page).remove(1)
    page.run()
    assert not is_noted(page)
    table(page).bank = table(page).job.run.first_banks[0]
    page.run()
    assert is_noted(page)


def test_a_picture_beside_a_bank_alone_has_no_part_in_the_run(page):
    run_short(page)
    bank = table(page).job.run.first_banks[0]
    table(page).recorded.clear()
    table(page).bank = bank
    run_short(page)
    page.session_state["samkit.workspace"].show_picture(load_sample("chelsea"))
    page.run()
    assert not is_noted(page)


@pytest.mark.parametrize("marked_by", ["prompts", "mask"])
def test_the_same_memory_can_be_recorded_twice(page, marked_by):
    coins, mask = load_sample("coins"), np.zeros(load_sample("coins").size, bool)
    mask[20:60, 300:350] = True
    prior = Prior(coins, mask=mask) if marked_by == "mask" else Prior(coins, Prompts(points=[(0.4, 0.4, 1)]))
    table(page).recorded.clear()
    for _ in range(2):
        table(page).record(replace(prior, mask=prior.mask if prior.mask is None else prior.mask.copy()), mask)
    run_short(page)
    assert table(page).job.result.tables["memory_bank"][0]["memories"] == 2 and not is_noted(page)


def copied(page) -> str:
    (command,) = [code.value for code in page.code if code.value.startswith("python -m samkit run ")]
    return command


def names_a_file(page) -> bool:
    """Whether the page says where the file comes from that the command reads."""
    return any("download “Memory bank” under Files first" in caption.value for caption in page.caption)


@pytest.mark.parametrize("mask_index", [None, 1])
def test_the_copied_command_of_a_first_visits_film_makes_the_same_run(page, tmp_path, mask_index):
    first = table(page).recorded[0]
    table(page).recorded[0] = replace(first, prior=replace(first.prior, mask_index=mask_index))
    run_short(page)
    result, words = table(page).job.result, shlex.split(copied(page))
    assert "--image" in words and "--bank" not in words and words[-2:] == ["--out", "run"] and not names_a_file(page)
    with own_threads(result.threads):
        done = CliRunner().invoke(command_line, [*words[3:-1], str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    made = read_bundle(tmp_path / "run")
    assert made.record.metrics == dict(result.metrics) and made.record.facts == dict(result.facts)
    assert made.masks().keys() == result.masks.keys()
    assert all(np.array_equal(mask, result.masks[name].pixels) for name, mask in made.masks().items())
    assert (made.path / "outputs/masks.json").read_bytes() == result.files["masks.json"]
    assert made.tables()["priors"] == result.tables["priors"]
    assert made.tables()["memory_bank"] == result.tables["memory_bank"]


def test_a_command_that_reads_the_runs_bank_says_where_that_comes_from(page, tmp_path, monkeypatch):
    table(page).recorded.append(table(page).recorded[0])
    run_short(page)
    result, words = table(page).job.result, shlex.split(copied(page))
    assert words[words.index("--bank") + 1] == "memory_bank.safetensors" and names_a_file(page)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "memory_bank.safetensors").write_bytes(result.arrays["memory_bank"].tobytes())
    with own_threads(result.threads):
        assert CliRunner().invoke(command_line, words[3:]).exit_code == 0
    assert (tmp_path / "run/outputs/masks.json").read_bytes() == result.files["masks.json"]


def test_a_shrunk_film_is_named_with_its_size(page, tmp_path):
    film = write_film_file(tmp_path / "wide.mp4", moving_frames(3, 64, 1600))
    bring(page, open_video(film, max_side=FILM_MAX_SIDE))
    run_short(page)
    assert f"--video wide.mp4 --video-side {FILM_MAX_SIDE} --image sample:coins" in copied(page)
    assert recipe(page)["video"]["side"] == FILM_MAX_SIDE


def test_a_memory_bank_takes_the_place_of_recording(page, tmp_path):
    from samkit.errors import BadInput
    from samkit.ui.controls.memories import read_bank
    from samkit.ui.state.models import shared_model

    press(page, "run_film")
    wait_until_done(page)
    result, model = table(page).job.result, shared_model("nano-sam2")
    bank = read_bank(result.arrays["memory_bank"].tobytes(), model)
    assert bank.sha256 == result.tables["memory_bank"][0]["sha256"]
    table(page).drop_run()
    table(page).recorded.clear()
    table(page).bank = bank
    page.run()
    short(page)
    press(page, "run_film")
    wait_until_done(page)
    again, masks = (masks_from_json(each.files["masks.json"]) for each in (table(page).job.result, result))
    assert len(again) == 3 and all(np.array_equal(again[frame], masks[frame]) for frame in again)
    press(page, "forget_bank")
    assert table(page).bank is None and page.button(key="run_film").disabled
    with pytest.raises(BadInput, match="can't be read as a memory bank"):
        read_bank(b"nothing", model)


def test_a_model_without_a_memory_says_so(app, tmp_path):
    app.run()
    app.session_state["samkit.workspace"].model_ref = str(save_random_model(tmp_path / "one.safetensors", SMALL_SAM1))
    app.switch_page(PAGE).run()
    assert any("has no memory" in info.value for info in app.info) and not app.error
    press(app, "offer_nano-sam2")
    assert app.session_state["samkit.workspace"].model_ref == "nano-sam2" and not app.error
    table(app).drop_run()


def test_files_that_follow_objects_are_offered_where_one_can_not(app, tmp_path, monkeypatch):
    app.run()
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(own))
    follows = save_random_model(own / "whole.safetensors", SMALL_SAM3)
    pictures = save_random_model(own / "pictures.safetensors", replace(SMALL_SAM3, memory=None))
    app.session_state["samkit.workspace"].model_ref = str(pictures)
    app.switch_page(PAGE).run()
    offered = [button.key for button in app.button if (button.key or "").startswith("offer_")]
    assert f"offer_{follows}" in offered and f"offer_{pictures}" not in offered and "offer_nano-sam2" in offered
    press(app, f"offer_{follows}")
    assert app.session_state["samkit.workspace"].model_ref == str(follows) and not app.error
    table(app).drop_run()


def test_masks_that_are_not_refined_are_not_said_to_be(page):
    table(page).on_film = False
    page.toggle(key=f"{KNOB}refine_edges").set_value(True).run()
    assert not any("Edges refined" in caption.value for caption in page.caption), (
        "the run's masks are, not the picture's"
    )
    html = " ".join(element.proto.body for element in page.get("html"))
    assert "as the model gave it" in html and "edges refined" not in html


def test_another_film_has_its_own_range_start_and_frame(page):
    from samkit.media.sample_videos import load_sample_video

    table(page).show_film(load_sample_video("cup"))
    page.run()
    knob(page, "start").set_value(40).run()
    table(page).go_to(45)
    short(page, 5)
    table(page).show_film(load_sample_video("coin"))
    page.run()
    start = knob(page, "start")
    assert (start.max, start.value) == (35, 0) and table(page).frame == 0 and not page.error
    assert not knob(page, "some", "toggle").value


def test_a_kept_run_of_an_uploaded_film_is_opened_again(page, tmp_path):
    film = write_film_file(tmp_path / "mine.mp4", moving_frames(4, 96, 128))
    bring(page, open_video(film, max_side=FILM_MAX_SIDE))
    run_short(page)
    press(page, "keep_video-priors")
    masks = masks_from_json(table(page).job.result.files["masks.json"])
    (kept,) = RunStore().runs()
    film.unlink()

    visitor = new_app(90)
    visitor.run()
    visitor.query_params["run"] = kept.run_id
    visitor.switch_page(PAGE).run()
    assert not visitor.exception and not visitor.error, [error.value for error in visitor.error]
    assert (table(visitor).video.name, table(visitor).video.length) == ("mine.mp4", 4)
    press(visitor, "run_film")
    wait_until_done(visitor)
    again = masks_from_json(table(visitor).job.result.files["masks.json"])
    assert again.keys() == masks.keys() and all(np.array_equal(again[frame], masks[frame]) for frame in masks)
    table(visitor).drop_run()
