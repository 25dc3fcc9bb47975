"""Video with image priors: frame by frame against the model's own steps; starts, directions, limits; pausing; kept and
replayed; what is refused.
"""

import gc
import json
import weakref
from dataclasses import replace

import numpy as np
import pytest

import samkit
from samkit.errors import BadInput, ParamsError, PromptError
from samkit.experiments.film.film_run import FilmRun
from samkit.experiments.film.params import Params, frame_order
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.params import build_params
from samkit.experiments.video_priors import run
from samkit.media.film import masks_from_json
from samkit.media.sample_videos import load_sample_video
from samkit.media.video import open_video
from samkit.models.memory_bank import MemoryBank
from samkit.models.memory_rules import SAM2_RULES, SAM3_RULES
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import read_bundle, write_bundle
from samkit.work.lab import Lab
from samkit.work.replay import replay
from tests.experiments.films import CLICK, OTHER, PICTURE, following_model
from tests.media.films import moving_frames, write_film_file
from tests.random_models import SMALL_SAM1, save_random_model

FRAMES = moving_frames(9)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return open_video(write_film_file(tmp_path_factory.mktemp("film") / "moving.mp4", FRAMES))


@pytest.fixture(scope="module")
def model(tmp_path_factory, film):
    return following_model(tmp_path_factory.mktemp("models"), film)


@pytest.fixture(scope="module")
def inputs(film):
    return Inputs(PICTURE, CLICK, video=film)


def by_hand(model, film, priors, indices, **limits):
    """Masks of the frames, step by step through the model alone."""
    bank = MemoryBank(**limits)
    for picture, prompts in priors:
        encoding = model.encode_image(picture.rgb)
        bank.add_prompt(model.encode_memory(encoding, model.predict_masks(encoding, prompts)), prior=True)
    masks = {}
    for index in indices:
        encoding = model.encode_image(film.frame(index), film=True)
        step = model.track(encoding, bank)
        bank.add_frame(model.encode_memory(encoding, step, step.best))
        masks[index] = step.mask(step.best)
    return masks


def masks_of(result):
    return masks_from_json(result.files["masks.json"])


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_frames_are_what_the_model_gives_step_by_step(model, film, inputs):
    result = run(model, inputs, Params(), Lab())
    assert same(masks_of(result), by_hand(model, film, [(PICTURE, CLICK)], range(9)))
    rows = result.tables["frames"]
    assert [row["frame"] for row in rows] == list(range(9)) and [row["time_s"] for row in rows] == pytest.approx(
        np.arange(9) / 10, abs=1e-3
    )
    for row in rows:
        mask = masks_of(result)[row["frame"]]
        assert row["area_px"] == mask.sum() and row["area_share"] == pytest.approx(mask.mean())
        assert (
            row["predicted_iou"]
            == row[f"predicted_iou_{row['best']}"]
            == max(row[f"predicted_iou_{i}"] for i in (1, 2, 3))
        )
    assert result.facts["frames"] == 9 and result.value("present_share") == 1.0
    assert result.value("mean_area_share") == pytest.approx(np.mean([row["area_share"] for row in rows]))
    json.dumps(result.tables)


def test_the_film_that_is_written_shows_every_frame(model, inputs, tmp_path):
    result = run(model, inputs, Params(start=2, count=5, backwards=False), Lab())
    (tmp_path / "film.mp4").write_bytes(result.files["film.mp4"])
    written = open_video(tmp_path / "film.mp4")
    assert written.length == 5 and written.size == (64, 96) and written.fps == pytest.approx(10)


def test_backwards_is_the_film_in_the_other_order(model, film, inputs):
    result = run(model, inputs, Params(start=7, count=4, backwards=True), Lab())
    assert [row["frame"] for row in result.tables["frames"]] == [7, 6, 5, 4]
    assert same(masks_of(result), by_hand(model, film, [(PICTURE, CLICK)], [7, 6, 5, 4]))


@pytest.mark.parametrize(
    "params, order",
    [
        ({}, range(9)),
        ({"start": 3}, range(3, 9)),
        ({"start": 3, "count": 99}, range(3, 9)),
        ({"start": 3, "backwards": True}, range(3, -1, -1)),
        ({"start": 3, "backwards": True, "count": 2}, range(3, 1, -1)),
    ],
)
def test_which_frames_are_segmented(params, order):
    assert frame_order(Params(**params), 9) == order


def test_several_memories_and_limits_reach_the_bank(model, film):
    priors = (Prior(PICTURE, CLICK), Prior(OTHER, Prompts(boxes=[(0.2, 0.2, 0.8, 0.8)])))
    result = run(model, Inputs(PICTURE, CLICK, video=film, priors=priors), Params(max_frames=2, max_pointers=4), Lab())
    expected = by_hand(
        model, film, [(prior.picture, prior.prompts) for prior in priors], range(9), max_frames=2, max_pointers=4
    )
    assert same(masks_of(result), expected) and set(result.masks) == {"mask_prior_0", "mask_prior_1"}
    assert not same(
        masks_of(result), masks_of(run(model, Inputs(PICTURE, CLICK, video=film, priors=priors[:1]), Params(), Lab()))
    )


def test_memory_rules_reach_the_banks_and_what_is_remembered(model, film, inputs):
    runs = {
        rules: FilmRun(model, inputs, Params(memory_rules=rules, count=3), Lab()) for rules in ("own", "sam2", "sam3")
    }
    rules = {name: each.first_banks[0].rules for name, each in runs.items()}
    assert rules == {"own": SAM2_RULES, "sam2": SAM2_RULES, "sam3": SAM3_RULES}
    assert {name: each.first_banks[0].prompts[0].memory.rules for name, each in runs.items()} == rules
    list(runs["sam3"].steps())
    assert {kept.rules for _, kept in runs["sam3"].tracks[0].bank.frames} == {SAM3_RULES}
    stored = runs["sam3"].result().arrays["memory_bank"].tobytes()
    assert b"sam3" in stored


def test_a_memory_can_be_a_mask(model, film):
    mask = np.zeros(PICTURE.size, bool)
    mask[20:50, 30:80] = True
    result = run(model, Inputs(PICTURE, video=film, priors=(Prior(PICTURE, mask=mask),)), Params(count=2), Lab())
    assert np.array_equal(result.masks["mask_prior_0"].pixels, mask) and result.facts["frames"] == 2


def test_frames_of_the_film_are_remembered_where_they_lie(model, film):
    picture = film.picture(4)
    memories = (
        FilmRun(
            model, Inputs(picture, video=film, priors=(Prior(picture, CLICK, film_frame=4),)), Params(start=2), Lab()
        )
        .first_banks[0]
        .prompts
    )
    assert [prompt.frame for prompt in memories] == [3]
    memories = (
        FilmRun(
            model,
            Inputs(picture, video=film, priors=(Prior(picture, CLICK, film_frame=4),)),
            Params(start=6, backwards=True),
            Lab(),
        )
        .first_banks[0]
        .prompts
    )
    assert [prompt.frame for prompt in memories] == [3]


def test_without_remembering_only_the_memories_count(model, film, inputs):
    result = run(model, inputs, Params(remember=False), Lab())
    assert not any(row["remembered"] for row in result.tables["frames"])
    bank = MemoryBank()
    encoding = model.encode_image(PICTURE.rgb)
    bank.add_prompt(model.encode_memory(encoding, model.predict_masks(encoding, CLICK)), prior=True)
    step = model.track(model.encode_image(film.frame(6), film=True), bank)
    assert np.array_equal(masks_of(result)[6], step.mask(step.best))


def test_a_bank_that_was_saved_gives_the_same_masks(model, film, inputs, tmp_path):
    result = run(model, inputs, Params(count=4), Lab())
    (tmp_path / "bank").write_bytes(result.arrays["memory_bank"].tobytes())
    again = run(
        model, Inputs(film.picture(0), video=film, bank=MemoryBank.load(tmp_path / "bank")), Params(count=4), Lab()
    )
    assert same(masks_of(result), masks_of(again)) and not again.masks


def test_a_run_can_stop_tell_what_it_has_and_go_on(model, inputs):
    whole, film = run(model, inputs, Params(), Lab()), FilmRun(model, inputs, Params(), Lab())
    with pytest.raises(BadInput, match="No frame"):
        film.result()
    steps = film.steps()
    for _ in range(3):
        next(steps)
    steps.close()
    part = film.result()
    assert (
        part.facts["frames"] == 3 and not film.finished and "33 % of 9 frames" in film.line and film.seconds_left() > 0
    )
    for _ in film.steps():
        pass
    assert film.finished and same(masks_of(film.result()), masks_of(whole))


def test_every_mask_lies_on_its_recorded_picture(model, film):
    priors = (Prior(PICTURE, CLICK), Prior(OTHER, CLICK), Prior(film.picture(3), CLICK, film_frame=3))
    result = run(model, Inputs(PICTURE, video=film, priors=priors), Params(count=2), Lab())
    assert [(mask.on, mask.index) for mask in result.masks.values()] == [("prior", index) for index in range(3)]
    for mask in result.masks.values():
        assert mask.pixels.shape == priors[mask.index].picture.size


def test_a_memory_is_recorded_once(model, inputs, calls):
    lab = Lab()
    FilmRun(model, inputs, Params(), lab)
    assert calls.taken() == {"encode_image": 1, "predict_masks": 1, "encode_memory": 1}
    for params in (Params(start=3), Params(backwards=True, start=4), Params(max_frames=1, reset_every=2)):
        FilmRun(model, inputs, params, lab)
    assert not calls.taken()


def test_a_run_that_goes_on_shows_its_film_again_without_the_model(model, inputs, calls):
    film = FilmRun(model, inputs, Params(count=2), Lab())
    for _ in film.steps():
        pass
    calls.clear()
    first, again = film.result(), film.result(Lab())
    assert not calls.taken() and first.metrics == again.metrics and same(masks_of(first), masks_of(again))


def test_progress_goes_from_nothing_to_all(model, inputs):
    seen = []
    run(model, inputs, Params(count=3), Lab(progress=lambda share, line: seen.append((share, line))))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] <= 1 and any("s left" in line for _, line in seen)


def test_frames_are_let_go_as_the_film_runs(model, tmp_path):
    """What keeps memory flat however long the film is."""
    frames, alive = moving_frames(20), []
    film = open_video(write_film_file(tmp_path / "film.mp4", frames))
    read = film.frame

    def watched(index: int):
        rgb = read(index)
        alive.append(weakref.ref(rgb))
        return rgb

    film.frame = watched
    counts = []
    for _ in FilmRun(model, Inputs(PICTURE, CLICK, video=film), Params(), Lab()).steps():
        gc.collect()
        counts.append(sum(reference() is not None for reference in alive))
    assert len(counts) == 20 and max(counts) <= 2


@pytest.mark.parametrize("kind", ["sample", "small file", "large file", "folder"])
def test_a_kept_run_is_replayed_with_identical_masks(model, film, tmp_path, kind, monkeypatch):
    from PIL import Image

    if kind == "large file":
        monkeypatch.setattr("samkit.tracking.bundle.film_inputs.MAX_KEPT_FILM_BYTES", 10)
    if kind == "folder":
        for index, rgb in enumerate(FRAMES):
            (tmp_path / "frames").mkdir(exist_ok=True)
            Image.fromarray(rgb).save(tmp_path / "frames" / f"{index:03d}.png")
    video = {
        "sample": lambda: load_sample_video("coin"),
        "folder": lambda: open_video(tmp_path / "frames", max_side=64),
    }.get(kind, lambda: film)()
    mask = np.zeros(OTHER.size, bool)
    mask[10:40, 10:40] = True
    priors = (
        Prior(PICTURE, CLICK, mask_index=0),
        Prior(OTHER, mask=mask),
        Prior(video.picture(1), CLICK, film_frame=1),
    )
    inputs = Inputs(PICTURE, CLICK, video=video, priors=priors)
    result = run(model, inputs, Params(count=4, skip_absent=False), Lab())
    write_bundle(tmp_path / "run", result=result, inputs=inputs, model_info=model.info, device="cpu", dtype="float32")
    bundle = read_bundle(tmp_path / "run")
    outcome = replay(bundle, model=model)
    assert outcome.identical and outcome.mask_count == 4 + 3 and not outcome.metric_differences
    assert (tmp_path / "run/inputs/video.mp4").exists() == (kind == "small file")
    assert (tmp_path / "run/outputs/film.mp4").read_bytes() == result.files["film.mp4"]


def test_a_film_that_is_gone_or_another_is_a_sentence(model, tmp_path, monkeypatch):
    monkeypatch.setattr("samkit.tracking.bundle.film_inputs.MAX_KEPT_FILM_BYTES", 10)
    path = write_film_file(tmp_path / "mine.mp4", FRAMES)
    inputs = Inputs(PICTURE, CLICK, video=open_video(path))
    write_bundle(
        tmp_path / "run",
        result=run(model, inputs, Params(count=2), Lab()),
        inputs=inputs,
        model_info=model.info,
        device="cpu",
        dtype="float32",
    )
    write_film_file(path, FRAMES[::-1])
    with pytest.raises(BadInput, match="put the same film there"):
        read_bundle(tmp_path / "run").inputs()
    path.unlink()
    with pytest.raises(BadInput, match="put the same film there"):
        read_bundle(tmp_path / "run").inputs()


def test_a_changed_mask_is_found_in_the_replay(model, inputs, tmp_path):
    result = run(model, inputs, Params(count=3), Lab())
    rows = json.loads(result.files["masks.json"])
    rows["frames"][1]["rle"] = rows["frames"][0]["rle"]
    spoilt = replace(result, files=result.files | {"masks.json": json.dumps(rows).encode()})
    write_bundle(tmp_path / "run", result=spoilt, inputs=inputs, model_info=model.info, device="cpu", dtype="float32")
    outcome = replay(read_bundle(tmp_path / "run"), model=model)
    assert not outcome.identical and outcome.mask_differences[0].startswith("The mask of frame 1 differs in")


def test_what_is_refused(model, film, inputs, tmp_path):
    with pytest.raises(BadInput, match="no film"):
        run(model, Inputs(PICTURE, CLICK), Params(), Lab())
    with pytest.raises(PromptError, match=r"Nothing is marked on a\.png"):
        run(model, Inputs(PICTURE, video=film), Params(), Lab())
    with pytest.raises(ParamsError, match="can't start at frame 9"):
        run(model, inputs, Params(start=9), Lab())
    with pytest.raises(ParamsError, match="max_frames"):
        build_params(Params, {"max_frames": 7})
    one = samkit.load_model(save_random_model(tmp_path / "one.safetensors", SMALL_SAM1), device="cpu")
    with pytest.raises(BadInput, match="choose a SAM v2"):
        run(one, inputs, Params(), Lab())
    with pytest.raises(PromptError, match="Nothing is remembered"):
        run(model, Inputs(PICTURE, video=film, bank=MemoryBank()), Params(), Lab())
