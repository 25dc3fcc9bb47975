"""A film steered: several objects, corrections, switches; live and in one go the same; kept, replayed, and refused."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from samkit.errors import BadInput
from samkit.experiments.film.film_run import FilmRun, Follow, GoTo, Unmark
from samkit.experiments.film.look import frame_to_refine, look_at
from samkit.experiments.film.params import Params
from samkit.experiments.film.snapshots import LIMIT, Snapshots
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.steering import Correction, FilmObject, Steering, Switch
from samkit.experiments.video_priors import run
from samkit.media.film import masks_from_json
from samkit.media.rle import mask_to_rle
from samkit.media.video import open_video
from samkit.models.memory_bank import MemoryBank
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import read_bundle, write_bundle
from samkit.tracking.compare import Comparison
from samkit.tracking.store.tags import tags_of
from samkit.work.lab import Lab
from samkit.work.replay import replay
from tests.experiments.films import CLICK, OTHER, PICTURE, following_model
from tests.media.films import moving_frames, write_film_file

BOX = Prompts(boxes=[(0.2, 0.2, 0.7, 0.8)])
TWO = (FilmObject("left", "#112233"), FilmObject())
FRAMES = 24


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return open_video(write_film_file(tmp_path_factory.mktemp("film") / "moving.mp4", moving_frames(FRAMES)))


@pytest.fixture(scope="module")
def model(tmp_path_factory, film):
    return following_model(tmp_path_factory.mktemp("models"), film)


def one_object(film, **steering) -> Inputs:
    return Inputs(PICTURE, CLICK, video=film, steering=Steering(**steering))


def two_objects(film, **steering) -> Inputs:
    priors = (Prior(PICTURE, CLICK), Prior(OTHER, BOX, object=1))
    return Inputs(PICTURE, CLICK, video=film, priors=priors, steering=Steering(TWO, **steering))


def masks_of(result, number: int = 0):
    return masks_from_json(result.files[f"masks_{number}.json" if number else "masks.json"])


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def all_of(film_run: FilmRun):
    for _ in film_run.steps():
        pass
    return film_run.result()


def some_of(film_run: FilmRun, frames: int) -> None:
    for _ in itertools.islice(film_run.steps(), frames):
        pass


def test_each_object_is_found_as_it_would_be_alone(model, film):
    params = Params(count=6)
    both = run(model, two_objects(film), params, Lab())
    for number, prior in enumerate(two_objects(film).priors):
        alone = run(model, Inputs(PICTURE, video=film, priors=(replace(prior, object=0),)), params, Lab())
        assert same(masks_of(both, number), masks_of(alone))
    assert both.facts["objects"] == 2 and [each["name"] for each in both.tables["objects"]] == ["left", "Object 2"]
    assert [(row["frame"], row["object"]) for row in both.tables["frames"][:3]] == [(0, 0), (0, 1), (1, 0)]
    assert {"present_share", "object_0_present_share", "object_1_present_share"} <= both.metrics.keys()
    assert {"memory_bank", "memory_bank_1"} <= both.arrays.keys()


def test_a_frame_is_encoded_once_for_all_objects(model, film, calls):
    all_of(FilmRun(model, two_objects(film), Params(count=4), Lab()))
    taken = calls.taken()
    assert taken["encode_image"] == 2 + 4 and taken["track"] == 2 * 4


def test_one_object_looks_as_it_always_did(model, film):
    result = run(model, one_object(film), Params(count=2), Lab())
    assert set(result.files) == {"film.mp4", "masks.json"} and set(result.facts) == {"frames"}
    assert set(result.tables) == {"frames", "priors", "memory_bank"} and set(result.arrays) == {"memory_bank"}
    assert not {"object", "corrected"} & result.tables["frames"][0].keys()


def test_a_correction_counts_from_its_frame_on(model, film):
    correction = Correction(5, BOX, 1)
    plain = masks_of(run(model, one_object(film), Params(), Lab()))
    result = run(model, one_object(film, corrections=(correction,)), Params(), Lab())
    masks = masks_of(result)
    assert same({i: plain[i] for i in range(5)}, {i: masks[i] for i in range(5)})
    assert any(not np.array_equal(plain[i], masks[i]) for i in range(6, FRAMES))
    encoding = model.encode_image(film.frame(5))
    assert np.array_equal(masks[5], model.predict_masks(encoding, BOX).mask(1))
    assert [row["frame"] for row in result.tables["frames"] if row["corrected"]] == [5]
    assert np.array_equal(result.masks["mask_correction_0"].pixels, masks[5])
    assert (result.masks["mask_correction_0"].on, result.masks["mask_correction_0"].index) == ("frame", 5)


def test_a_mask_corrects_too_and_nothing_predicts_how_good_it_is(model, film):
    mask = np.zeros(film.size, bool)
    mask[10:30, 20:50] = True
    result = run(model, one_object(film, corrections=(Correction(3, mask=mask_to_rle(mask)),)), Params(count=6), Lab())
    assert np.array_equal(masks_of(result)[3], mask)
    row = result.tables["frames"][3]
    assert row["predicted_iou"] is None and row["corrected"] and np.isfinite(result.value("mean_predicted_iou"))


def test_a_film_can_begin_with_corrections_alone(model, film):
    inputs = Inputs(PICTURE, video=film, steering=Steering(corrections=(Correction(4, CLICK),)))
    result = run(model, inputs, Params(count=8), Lab())
    assert list(masks_of(result)) == [4, 5, 6, 7]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("place", [4, 8, 13, 22])
def test_correcting_while_it_runs_is_the_same_as_being_told_before(model, film, backwards, place):
    params = Params(start=FRAMES - 1 if backwards else 0, backwards=backwards, reset_every=9)
    live = FilmRun(model, one_object(film), params, Lab())
    some_of(live, 22)
    correction = Correction(live.order[place], BOX, refines=place < 10)
    live.ask(correction)
    assert not live.finished
    result = all_of(live)
    told = run(model, one_object(film, corrections=(correction,)), params, Lab())
    assert same(masks_of(result), masks_of(told)) and result.metrics == told.metrics
    assert live.finished and live.inputs.steering.corrections == (correction,)


def test_a_second_correction_on_a_frame_takes_the_firsts_place(model, film):
    live = FilmRun(model, one_object(film), Params(), Lab())
    some_of(live, 6)
    live.ask(Correction(3, BOX))
    live.ask(Correction(3, CLICK))
    all_of(live)
    assert live.inputs.steering.corrections == (Correction(3, CLICK),)


def test_a_correction_that_is_taken_back_leaves_nothing_behind(model, film):
    live = FilmRun(
        model, one_object(film, corrections=(Correction(2, BOX), Correction(5, BOX))), Params(count=10), Lab()
    )
    some_of(live, 8)
    live.ask(Unmark(5, 0))
    assert set(live.marks) == {(2, 0)}
    # Before the run has come to it: what it found from there on is not shown as its own any more.
    assert live.on(4) and not live.on(5) and not live.on(7)
    result = all_of(live)
    told = run(model, one_object(film, corrections=(Correction(2, BOX),)), Params(count=10), Lab())
    assert same(masks_of(result), masks_of(told)) and live.steering.corrections == (Correction(2, BOX),)


def test_what_refines_begins_from_the_mask_that_the_run_found(model, film):
    live = FilmRun(model, one_object(film), Params(count=12), Lab())
    some_of(live, 12)
    first = Correction(9, CLICK, 1, refines=True)
    bank = live.bank_before(9, 0, Lab())
    assert bank.frame == 9 and live.done == 12, "on the clock of the frame before, and the run stays where it is"
    encoding = model.encode_image(film.frame(9), film=True)
    expected = model.predict_masks(model.to_correct(encoding, bank), CLICK).mask(1)
    alone = model.predict_masks(encoding, CLICK).mask(1)
    live.ask(first)
    assert np.array_equal(masks_of(all_of(live))[9], expected) and not np.array_equal(expected, alone)
    again = Correction(9, BOX, 0, refines=True, earlier=(first,))
    ready = frame_to_refine(live, model, live.inputs, live.params, 9, 0, again.earlier, Lab())
    live.ask(again)
    assert np.array_equal(masks_of(all_of(live))[9], model.predict_masks(ready, BOX).mask(0))
    assert live.inputs.steering.corrections == (again,)
    assert Steering.from_json(live.inputs.steering.to_json()) == live.inputs.steering


def test_a_new_object_is_refined_from_what_was_marked_first(model, film):
    """Nothing is remembered of it before that frame: prompts begin from the earlier mask alone."""
    again = Correction(3, BOX, 1, object=1, refines=True, earlier=(Correction(3, CLICK, 2, object=1),))
    result = run(model, replace(two_objects(film, corrections=(again,)), priors=()), Params(count=5), Lab())
    encoding = model.encode_image(film.frame(3))
    start = model.predict_masks(encoding, CLICK).logits[2].clamp(-32, 32)
    expected = model.predict_masks(model.encode_image(film.frame(3), film=True), BOX, start)
    assert np.array_equal(masks_of(result, 1)[3], expected.mask(1))


def test_corrections_of_before_are_written_as_they_were():
    written = Steering(corrections=(Correction(3, BOX, 1),)).to_dict()["corrections"][0]
    assert set(written) == {"frame", "prompts", "mask_index", "mask", "object"}


def test_switches_are_written_down_at_their_frame_and_come_out_the_same(model, film):
    live = FilmRun(model, two_objects(film), Params(), Lab())
    some_of(live, 5)
    live.ask("store_off")
    assert not live.storing
    some_of(live, 3)
    live.ask("store_off")
    live.ask("reset")
    live.ask("store_on")
    some_of(live, 2)
    live.ask(GoTo(15))
    result = all_of(live)
    actions = [(5, "store_off"), (8, "reset"), (8, "store_on"), (10, "segment_off"), (15, "segment_on")]
    assert [(each.frame, each.action) for each in live.inputs.steering.switches] == actions
    assert sorted(masks_of(result)) == [*range(10), *range(15, FRAMES)] and result.facts["frames"] == FRAMES - 5
    rows = [row for row in result.tables["frames"] if row["object"] == 0]
    assert [row["frame"] for row in rows if not row["remembered"] and row["object_score"] > 0] == [5, 6, 7]
    told = run(model, live.inputs, Params(), Lab())
    for number in range(2):
        assert same(masks_of(result, number), masks_of(told, number))


def test_going_back_drops_what_was_switched_later(model, film):
    live = FilmRun(model, one_object(film), Params(), Lab())
    some_of(live, 12)
    live.ask("store_off")
    some_of(live, 4)
    live.ask(GoTo(6))
    result = all_of(live)
    assert live.inputs.steering.switches == () and same(
        masks_of(result), masks_of(run(model, one_object(film), Params(), Lab()))
    )


def test_a_correction_on_a_frame_that_was_passed_is_followed_from_there(model, film):
    live = FilmRun(model, one_object(film), Params(), Lab())
    some_of(live, 4)
    live.ask(GoTo(12))
    some_of(live, 4)
    live.ask(Correction(8, BOX))
    result = all_of(live)
    assert sorted(masks_of(result)) == [*range(4), *range(8, FRAMES)]
    assert same(masks_of(result), masks_of(run(model, live.inputs, Params(), Lab())))


def test_an_object_that_is_added_while_it_runs_is_followed_from_where_it_is_marked(model, film):
    live = FilmRun(model, one_object(film), Params(), Lab())
    some_of(live, 10)
    live.ask(Follow(TWO))
    live.ask(Correction(6, BOX, object=1))
    result = all_of(live)
    assert list(masks_of(result, 1)) == [*range(6, FRAMES)] and len(masks_of(result)) == FRAMES
    told = run(model, live.inputs, Params(), Lab())
    for number in range(2):
        assert same(masks_of(result, number), masks_of(told, number))
    with pytest.raises(BadInput, match="can't let go"):
        live.ask(Follow(TWO[:1]))


def test_a_run_that_was_ended_early_says_how_far_it_went(model, film):
    live = FilmRun(model, one_object(film), Params(), Lab())
    some_of(live, 5)
    result = live.result()
    assert result.params.count == 5
    assert same(masks_of(result), masks_of(run(model, live.inputs, result.params, Lab())))


def test_snapshots_stay_few_however_long_the_film():
    snapshots = Snapshots(1)
    for place in range(1000):
        snapshots.offer(place, [MemoryBank()])
    assert len(snapshots) <= LIMIT
    nearest, _ = snapshots.back_to(700)
    assert 500 < nearest <= 700 and snapshots.back_to(3)[0] == 0


def test_a_look_is_what_a_run_that_starts_there_finds(model, film):
    first = run(model, one_object(film), Params(start=9, count=1), Lab())
    assert np.array_equal(look_at(model, one_object(film), Params(), 9, Lab())[0].pixels, masks_of(first)[9])
    corrected = one_object(film, corrections=(Correction(9, BOX, 2),))
    masks = masks_of(run(model, corrected, Params(), Lab()))
    assert np.array_equal(look_at(model, corrected, Params(), 9, Lab())[0].pixels, masks[9])


def test_a_steered_run_is_kept_and_replayed_with_identical_masks(model, film, tmp_path):
    mask = np.zeros(film.size, bool)
    mask[10:30, 20:50] = True
    bank = FilmRun(model, one_object(film), Params(), Lab()).first_banks[0]
    inputs = two_objects(
        film,
        corrections=(
            Correction(2, BOX, 1, refines=True, earlier=(Correction(2, CLICK),)),
            Correction(4, mask=mask_to_rle(mask), object=1),
        ),
        switches=(Switch(3, "store_off"), Switch(5, "reset")),
    )
    inputs = replace(inputs, banks=(bank,))
    result = run(model, inputs, Params(count=8), Lab())
    write_bundle(tmp_path / "run", result=result, inputs=inputs, model_info=model.info, device="cpu", dtype="float32")
    bundle = read_bundle(tmp_path / "run")
    assert bundle.inputs().steering == inputs.steering and bundle.inputs().priors[1].object == 1
    outcome = replay(bundle, model=model)
    assert outcome.identical and outcome.mask_count == 2 * 8 + 2 + 2


def test_what_first_marks_an_object_is_no_correction_also_of_runs_that_counted_it(model, film, tmp_path):
    marks = Correction(0, CLICK), Correction(0, BOX, object=1)
    live = FilmRun(model, Inputs(video=film, steering=Steering(TWO, marks)), Params(count=6), Lab())
    some_of(live, 4)
    live.ask(Correction(2, BOX, refines=True))
    result = all_of(live)
    assert result.facts == {"frames": 6, "objects": 2, "marks": 3, "corrections": 1}
    bundle = write_bundle(
        tmp_path / "run", result=result, inputs=live.inputs, model_info=model.info, device="cpu", dtype="float32"
    )
    assert tags_of(bundle)["samkit.fact.corrections"] == "1"
    document = bundle.record.to_dict() | {"facts": {"frames": 6, "objects": 2, "corrections": 3}}
    (bundle.path / "run.json").write_text(json.dumps(document))
    old = read_bundle(bundle.path)
    assert old.record.facts == {"frames": 6, "objects": 2, "marks": 3}
    assert {row.name: row.values for row in Comparison([bundle, old]).facts}["marks"] == (3, 3)
    assert replay(old, model=model).identical


@pytest.mark.parametrize(
    "steering, sentence",
    [
        (Steering(corrections=(Correction(99, CLICK),)), "frames 0 to 23; the steering names frame 99"),
        (Steering(corrections=(Correction(1, CLICK, object=1),)), "names object number 1"),
        (Steering(corrections=(Correction(1),)), "marks nothing"),
        (Steering(corrections=(Correction(1, CLICK, earlier=(Correction(1),)),)), "marks nothing"),
        (Steering(corrections=(Correction(1, CLICK, earlier=(Correction(1, CLICK),) * 51),)), "At most 50 earlier"),
        (Steering((FilmObject(),) * 17), "At most 16 objects"),
    ],
)
def test_steering_that_does_not_fit_is_a_sentence(model, film, steering, sentence):
    with pytest.raises(BadInput, match=sentence):
        run(model, Inputs(PICTURE, CLICK, video=film, steering=steering), Params(), Lab())


def test_a_frame_that_the_run_does_not_come_to_is_a_sentence(model, film):
    live = FilmRun(model, one_object(film), Params(start=4, count=6), Lab())
    with pytest.raises(BadInput, match="frames 4 to 9, not to frame 2"):
        live.ask(Correction(2, CLICK))


def test_steering_comes_back_from_its_file():
    steering = Steering(TWO, (Correction(2, BOX, 1, object=1),), (Switch(3, "store_off"),))
    assert Steering.from_json(steering.to_json()) == steering
    for content in (
        b"[]",
        b"nothing",
        b'{"switches": [{"frame": 1, "action": "stop"}]}',
        b'{"objects": [{"color": "red"}]}',
    ):
        with pytest.raises(BadInput, match="does not say how a film is steered"):
            Steering.from_json(content)
