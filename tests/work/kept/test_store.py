"""Works come back as they were; the folder stays within its bound; whatever lies in it, the answer is a sentence."""

import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from samkit.errors import BadInput, SamkitError, StoreError
from samkit.experiments.inputs import Prior
from samkit.experiments.steering import Correction
from samkit.media.film import write_film
from samkit.media.given_masks import MaskHint, Truth
from samkit.media.sample_videos import load_sample_video
from samkit.media.samples import load_sample
from samkit.media.video import open_video
from samkit.models.memory_bank import Memory as BankMemory
from samkit.models.memory_bank import MemoryBank
from samkit.prompts import Prompts
from samkit.work.kept.document import MAX_STEPS, FilmStep, Step, WorkDocument
from samkit.work.kept.limits import DEFAULT_DAYS, DEFAULT_MB, Limits, read_limits
from samkit.work.kept.plain_values import from_plain, to_plain
from samkit.work.kept.saver import WorkSaver
from samkit.work.kept.store import NotKept, WorkStore, is_id, new_id
from samkit.work.kept.value import FilmWork, Memory, Side, Work
from samkit.work.kept.work_files import MAX_STEPS_BYTES
from tests.work.kept.works import PROMPTS, a_film, a_work, noise

MB = 2**20


@pytest.fixture
def store(tmp_path) -> WorkStore:
    return WorkStore(tmp_path / "works", Limits(64 * MB, 14))


def files(store: WorkStore, folder: str) -> list[str]:
    return sorted(path.name for path in (store.folder / folder).iterdir())


def document(store: WorkStore, work_id: str) -> dict:
    return json.loads((store.folder / "works" / f"{work_id}.json").read_text())


def change(store: WorkStore, work_id: str, change) -> None:
    values = document(store, work_id)
    change(values)
    (store.folder / "works" / f"{work_id}.json").write_text(json.dumps(values))


def test_a_work_comes_back_as_it_was(store):
    work_id, picture, second = new_id(), noise(1), noise(2, name="other.png")
    work = a_work(picture, second=Side(second, Prompts([(0.5, 0.5, 1)])), restored_run="0123", owner="browser")
    assert store.save(work_id, work) == ()
    opened = store.open(work_id)
    assert opened.is_as(work) and opened.first.picture.name == "upload.jpg" and opened.missing == ()
    assert isinstance(opened.params["mask-stability"]["thresholds"], tuple)


def test_a_clock_set_back_loses_no_work(store, monkeypatch):
    before, after, now = new_id(), new_id(), time.time()
    store.save(before, a_work(noise(1)))
    monkeypatch.setattr(time, "time", lambda: now - 400 * 86400)
    store.save(after, a_work(noise(2)))
    store.prune()
    assert store.open(before).first.picture == noise(1) and store.open(after).first.picture == noise(2)


def test_masks_that_came_along_come_back(store):
    mask = np.zeros((400, 600), bool)
    mask[10:90, 20:80] = True
    picture = load_sample("coffee")
    truth = Truth(mask, np.roll(mask, 100, axis=0), "right.png")
    logits = MaskHint(np.eye(12, dtype=np.float32), "mask 2")
    for hint, share in ((MaskHint(mask, "brush"), None), (logits, (0.75, 1.0))):
        name = new_id()
        store.save(name, a_work(first=Side(picture, PROMPTS, hint, share, truth)))
        first = store.open(name).first
        assert (first.hint.sha256, first.hint.name, first.share) == (hint.sha256, hint.name, share)
        assert (first.truth.sha256, first.truth.name) == (truth.sha256, "right.png")
    prior = Prior(picture, PROMPTS, mask_hint=logits)
    film = replace(a_film(), memories=(Memory(prior, picture.rgb[:8, :8]),))
    store.save(name, a_work(film=film))
    kept, missing = store.open_film(store.open(name).film)
    assert not missing and kept.memories[0].prior.mask_hint.sha256 == logits.sha256


def test_a_damaged_hint_is_a_sentence_and_the_rest_is_there(store):
    name = new_id()
    store.save(name, a_work(first=Side(load_sample("coffee"), PROMPTS, MaskHint(np.eye(12, dtype=np.float32)))))
    (file,) = store.folder.rglob("*.npy")
    file.write_bytes(b"nothing")
    work = store.open(name)
    assert work.first.prompts == PROMPTS and work.first.hint is None and "mask hint" in work.missing[0]


def test_samples_take_no_room_and_pictures_are_kept_once(store):
    store.save(new_id(), a_work())
    assert files(store, "files") == []
    for _ in range(3):
        store.save(new_id(), a_work(noise(1)))
    assert len(files(store, "files")) == 1 and len(files(store, "works")) == 4


def test_memories_bank_and_film_come_back(store, tmp_path):
    frames = [np.full((64, 96, 3), 40 * index, np.uint8) for index in range(4)]
    film = open_video(write_film(tmp_path / "own.mp4", frames, 12.0), "own film.mp4")
    bank = MemoryBank()
    bank.add_prompt(BankMemory(torch.ones(2, 2, 4, dtype=torch.bfloat16), torch.ones(4), 1.0, "0" * 64), prior=True)
    memories = a_film(noise(3), load_sample("coins")).memories
    work_id = new_id()
    marks = (Correction(3, PROMPTS, 1),)
    store.save(work_id, a_work(film=FilmWork(film, memories, bank, marks=marks, frame=2)))
    opened, missing = store.open_film(store.open(work_id).film)
    assert missing == () and opened.film.name == "own film.mp4" and opened.film.sha256 == film.sha256
    assert opened.bank.sha256 == bank.sha256 and (opened.marks, opened.frame, opened.object) == (marks, 2, 0)
    for memory, kept in zip(opened.memories, memories, strict=True):
        assert memory.prior.picture == kept.prior.picture and np.array_equal(memory.prior.mask, kept.prior.mask)
        assert np.array_equal(memory.thumbnail, kept.thumbnail)
    # A work whose film was not looked at since is kept with it.
    again = new_id()
    store.save(again, store.open(work_id))
    assert store.open(again).film == store.open(work_id).film


ONE, TWO = (Prompts([(share, 0.5, 1)]) for share in (0.123, 0.456))


def with_history() -> Work:
    """On both pictures, with a hint on the first, and on a film."""
    picture, hint = load_sample("coffee"), MaskHint(np.eye(12, dtype=np.float32))
    steps = Step(ONE, hinted=True), Step(Prompts())
    on_film = FilmStep(3, 0, ONE), FilmStep(5, 0, TWO, Correction(5, TWO, 1))
    return a_work(
        first=Side(picture, PROMPTS, hint, history=steps, undone=(Step(TWO, hinted=True),)),
        second=Side(picture, PROMPTS, undone=(Step(ONE),)),
        film=replace(a_film(), history=on_film, undone=on_film[:1]),
    )


def test_what_can_be_undone_and_done_again_comes_back(store):
    work_id, work = new_id(), with_history()
    store.save(work_id, work)
    opened = store.open(work_id)
    for side, kept in ((opened.first, work.first), (opened.second, work.second)):
        assert (side.history, side.undone) == (kept.history, kept.undone)
    film, missing = store.open_film(opened.film)
    assert (film.history, film.undone, missing) == (work.film.history, work.film.undone, ())
    # One written by a version that kept none.
    change(store, work_id, lambda values: [values[part].pop("history") for part in ("first", "film")])
    assert store.open(work_id).first.history == () and store.open(work_id).first.undone == work.first.undone


def test_a_shared_link_says_nothing_of_how_its_work_came_about(store):
    shared_id, _ = store.share(with_history())
    text = (store.folder / "shared" / f"{shared_id}.json").read_text()
    assert str(ONE.points[0][0]) not in text and str(TWO.points[0][0]) not in text
    # A work whose film was not looked at since.
    store.save(work_id := new_id(), with_history())
    shared_id, _ = store.share(store.open(work_id))
    assert store.open_shared(shared_id).film.history == ()


def test_steps_that_fit_no_more_are_cut_with_all_before_them(store):
    work = with_history()
    store.save(work_id := new_id(), work)
    for path in store.folder.rglob("*.npy"):
        path.unlink()
    first = store.open(work_id).first
    assert first.hint is None and (first.history, first.undone) == (work.first.history[1:], ())
    frames = load_sample_video("coin").length
    for misfit in (FilmStep(frames, 0), FilmStep(2, 1), FilmStep(2, 0, made=Correction(3, ONE))):
        good = work.film.history
        store.save(work_id, replace(work, film=replace(work.film, history=(*good, misfit, good[0]))))
        film, missing = store.open_film(store.open(work_id).film)
        assert film.history == good[:1] and film.film is not None and missing == ()


def test_steps_take_no_more_room_than_they_may(store):
    many = tuple(Step(Prompts([(index / 1000, 0.123456789, 1)] * 256)) for index in range(2 * MAX_STEPS))
    store.save(work_id := new_id(), a_work(first=Side(load_sample("coffee"), history=many, undone=many[:3])))
    first = store.open(work_id).first
    assert 0 < len(first.history) < MAX_STEPS and first.history == many[-len(first.history) :]
    assert first.undone == many[:3]
    assert (store.folder / "works" / f"{work_id}.json").stat().st_size < 2 * MAX_STEPS_BYTES


def test_a_shared_copy_stays_as_it_is_until_it_is_taken_back(store):
    work_id = new_id()
    shared_id, left_out = store.share(a_work(noise(1), owner="browser"))
    store.save(work_id, a_work(noise(2)))
    opened = store.open_shared(shared_id)
    assert opened.first.picture == noise(1) and opened.owner == "" and left_out == ()
    with pytest.raises(NotKept):
        store.open(shared_id)  # nobody goes on with it
    store.take_back(shared_id)
    with pytest.raises(NotKept):
        store.open_shared(shared_id)


def test_the_oldest_go_first_and_what_is_in_use_stays(tmp_path):
    in_use: list[str] = []
    store = WorkStore(tmp_path, Limits(MB, 14), lambda: in_use)
    ids = [new_id() for _ in range(12)]
    in_use.append(ids[0])
    for index, work_id in enumerate(ids):
        store.save(work_id, a_work(noise(index, side=200)))
        for path in (*(tmp_path / "files").iterdir(), *(tmp_path / "works").iterdir()):
            if path.stat().st_mtime > time.time() - 60:
                os.utime(path, (time.time() - 1000 + 10 * index,) * 2)
        assert store.used() <= MB
    there = [path.stem for path in (tmp_path / "works").iterdir()]
    assert ids[0] in there and ids[-1] in there and ids[1] not in there
    assert store.open(ids[-1]).missing == () and store.open(ids[0]).missing == ()


def test_a_work_that_nobody_used_for_too_long_is_gone(tmp_path):
    store, work_id = WorkStore(tmp_path, Limits(MB, 14)), new_id()
    store.save(work_id, a_work(noise(1)))
    for path in tmp_path.rglob("*"):
        os.utime(path, (time.time() - 15 * 24 * 3600,) * 2)
    with pytest.raises(NotKept, match="no longer kept.*14 days"):
        store.open(work_id)
    store.prune()
    assert store.used() == 0


def test_what_is_too_large_is_named_and_asked_for_again(tmp_path):
    store, work_id = WorkStore(tmp_path, Limits(MB, 14)), new_id()
    assert store.save(work_id, a_work(noise(1, side=400))) == ("the picture upload.jpg",)
    opened = store.open(work_id)
    assert opened.first is None and opened.awaited[0] == (noise(1, side=400).sha256, PROMPTS)
    assert "Choose it again" in opened.missing[0] and opened.params == a_work().params


@pytest.mark.parametrize(
    "text", ["", "..", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n", "٣" * 32]
)
def test_no_path_is_made_of_what_is_no_id(store, text):
    assert not is_id(text)
    for ask in (store.open, store.open_shared):
        with pytest.raises(NotKept):
            ask(text)
    store.take_back(text)


def break_version(values):
    values["version"] = 2


def break_path(values):
    values["first"]["picture"]["sha256"] = "../../../../etc/passwd"


def break_name(values):
    values["first"]["picture"]["name"] = "x" * 5000


def break_prompts(values):
    values["first"]["prompts"]["points"] = [[2, 2, 1]]


def break_device(values):
    values["device"] = "cuda:7; rm"


def break_params(values):
    deep = []
    for _ in range(50):
        deep = [deep]
    values["params"] = {"mask-stability": {"x": deep}}


def break_step(values):
    values["first"]["history"] = [{"prompts": {"points": [[2, 2, 1]]}}]


def break_step_kind(values):
    values["first"]["undone"] = "all of it"


def break_steps(values):
    values["first"]["history"] = [{"prompts": {"points": []}}] * (MAX_STEPS + 1)


def break_step_words(values):
    values["first"]["history"] = [{"prompts": {"points": []}, "hint": "/etc/passwd"}]


def break_more(values):
    values["more"] = 1


@pytest.mark.parametrize(
    "damage",
    [
        break_version,
        break_path,
        break_name,
        break_prompts,
        break_device,
        break_params,
        break_step,
        break_step_kind,
        break_steps,
        break_step_words,
        break_more,
    ],
)
def test_a_hostile_document_is_a_sentence(store, damage):
    work_id = new_id()
    store.save(work_id, a_work(noise(1)))
    change(store, work_id, damage)
    with pytest.raises(BadInput, match="can't be read"):
        store.open(work_id)
    store.prune()


@given(some.binary(max_size=300))
def test_any_bytes_are_a_sentence(content):
    with pytest.raises(BadInput):
        WorkDocument.from_json(content)


def test_a_sample_by_the_name_of_a_path_opens_nothing(store, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"x")
    work_id = new_id()
    store.save(work_id, a_work())
    for ref in ("sample:../secret.png", f"sample:{tmp_path}/film.mp4#3"):
        change(store, work_id, lambda values, ref=ref: values["first"]["picture"].update(ref=ref))
        assert store.open(work_id).first is None


def test_damaged_and_missing_files_are_sentences(store):
    work_id = new_id()
    store.save(work_id, a_work(noise(1), film=a_film(noise(2))))
    for path in (store.folder / "files").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    opened = store.open(work_id)
    assert opened.first is None and "could not be restored" in opened.missing[0]
    film, missing = store.open_film(opened.film)
    assert film.film is not None and film.memories == () and len(missing) == 1
    # Another picture under the name of the one that was kept.
    (path,) = [path for path in (store.folder / "files").iterdir() if path.stem == noise(1).sha256]
    other = new_id()
    store.save(other, a_work(noise(5)))
    path.write_bytes((store.folder / "files" / f"{noise(5).sha256}.png").read_bytes())
    assert "damaged" in store.open(work_id).missing[0]


def test_a_mask_of_another_size_is_left_out(store):
    work_id = new_id()
    store.save(work_id, a_work(film=a_film(noise(2))))
    opened = store.open(work_id)
    change(store, work_id, lambda values: values["film"]["memories"][0]["prior"]["mask"].update(size=[32, 128]))
    film, missing = store.open_film(store.open(work_id).film)
    assert film.memories == () and "another size" in missing[0] and opened.film is not None


def test_a_folder_that_can_not_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    store = WorkStore(tmp_path / "file", Limits(MB, 14))
    with pytest.raises(StoreError, match="can't be kept on this server at the moment"):
        store.save(new_id(), a_work())
    with pytest.raises(NotKept):
        store.open(new_id())
    store.prune()


def test_a_deleted_folder_is_made_again(store):
    import shutil

    work_id = new_id()
    store.save(work_id, a_work(noise(1)))
    shutil.rmtree(store.folder)
    with pytest.raises(NotKept):
        store.open(work_id)
    store.save(work_id, a_work(noise(1)))
    assert store.open(work_id).missing == ()


def test_the_saver_writes_the_newest_state_and_tells_what_went_wrong(tmp_path):
    saver, work_id = WorkSaver(WorkStore(tmp_path / "works", Limits(64 * MB, 14)), settle_s=0.05), new_id()
    for index in range(20):
        saver.put(work_id, a_work(shared_params={"count": index}))
    assert saver.flush(work_id) and saver.problem(work_id) == ""
    assert saver.store.open(work_id).shared_params == {"count": 19}
    saver.store.folder = tmp_path / "file"
    saver.store.folder.write_text("not a folder")
    saver.put(work_id, a_work())
    assert saver.flush() and "can't be kept" in saver.problem(work_id)


def test_unchanged_work_is_known_without_looking_at_pixels():
    film, picture = a_film(noise(1)), noise(2)
    work = a_work(picture, film=film)
    assert work.is_as(a_work(picture, film=FilmWork(film.film, film.memories)))
    assert not work.is_as(a_work(picture, film=FilmWork(film.film, film.memories[:0])))
    assert not work.is_as(a_work(picture, film=film, tool="foreground")) and not work.is_as(None)


@pytest.mark.parametrize(
    ("values", "room", "days", "complains"),
    [
        ({}, DEFAULT_MB * MB, DEFAULT_DAYS, False),
        ({"SAMKIT_WORKS_MB": "10", "SAMKIT_WORKS_DAYS": "3"}, 10 * MB, 3, False),
        ({"SAMKIT_WORKS_DAYS": "0"}, DEFAULT_MB * MB, 0, False),
        ({"SAMKIT_WORKS_MB": "-5", "SAMKIT_WORKS_DAYS": "soon"}, DEFAULT_MB * MB, DEFAULT_DAYS, True),
    ],
)
def test_the_owner_sets_room_and_days(monkeypatch, values, room, days, complains):
    for name in ("SAMKIT_WORKS_MB", "SAMKIT_WORKS_DAYS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    limits = read_limits()
    assert (limits.room, limits.days, bool(limits.complaint)) == (room, days, complains)
    assert limits.on == (days > 0)


scalars = some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False)
values = some.recursive(
    scalars | some.text(max_size=20), lambda each: some.lists(each, max_size=4) | some.tuples(each, each), max_leaves=8
)


@given(some.dictionaries(some.text(max_size=10), values, max_size=5))
def test_values_of_knobs_come_back_with_their_kinds(kept):
    plain = json.loads(json.dumps(to_plain(kept)))
    assert repr(from_plain(plain)) == repr({name: value for name, value in kept.items() if name in plain})


def test_what_json_can_not_hold_is_left_out():
    kept = to_plain({"a": float("nan"), "b": object(), "c": np.int64(3), "d": np.zeros(4), "e": 1.5})
    assert kept == {"c": 3, "e": 1.5}
    assert issubclass(BadInput, SamkitError)
