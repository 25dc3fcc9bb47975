"""References to values and values to references: samples, files, films' frames, and what a visitor handed over."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from samkit.errors import BadInput, CheckpointError, PictureError
from samkit.media.film import write_film
from samkit.media.pictures import Picture, array_to_png, read_picture
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.media.samples import VARIANTS, load_sample, sample_names
from samkit.media.video import open_video
from samkit.models.memory_bank import Memory, MemoryBank
from samkit.work.content_key import content_key
from samkit.work.sources import Sources, bank_ref, film_ref, model_ref, picture_ref
from samkit.work.spec import Ref

OTHER_HASH = "00" * 32


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (54, 96, 3), dtype=np.uint8)


@pytest.fixture
def bank(tmp_path):
    bank = MemoryBank()
    bank.add_prompt(Memory(torch.ones(2, 4, 4), torch.ones(8), 3.0, "ab" * 32))
    bank.save(tmp_path / "bank.safetensors")
    return bank


@pytest.fixture
def picture(tmp_path):
    (tmp_path / "noise.png").write_bytes(array_to_png(noise()))
    return read_picture(tmp_path / "noise.png")


@pytest.fixture
def film(tmp_path):
    with open_video(write_film(tmp_path / "roll.mp4", [noise(seed) for seed in range(3)], 12)) as film:
        yield film


@pytest.mark.parametrize("name", [*sample_names(), *VARIANTS])
def test_a_sample_picture_is_opened_by_its_reference(name):
    sample = load_sample(name)
    ref = picture_ref(sample)
    assert ref == Ref(f"sample:{name}", sample.sha256, name)
    assert Sources(files=False).picture(ref) == sample and Sources().picture(Ref(ref.ref)).name == name


@pytest.mark.parametrize("name", SAMPLE_VIDEOS)
def test_a_sample_film_and_its_frames_are_opened_by_their_references(name):
    film = load_sample_video(name)
    assert film_ref(film) == Ref(f"sample:{name}", film.sha256, name)
    assert Sources(files=False).film(film_ref(film)).sha256 == film.sha256
    frame = film.picture(7)
    assert picture_ref(frame) == Ref(f"sample:{name}#7", frame.sha256, f"{name}, frame 7")
    opened = Sources(files=False).picture(picture_ref(frame))
    assert opened == frame and opened.name == frame.name


def test_pictures_that_only_bear_a_samples_name_are_no_samples(picture):
    assert picture_ref(Picture(noise(), "coffee")).ref == "coffee"
    assert picture_ref(Picture(noise(), "coin, frame 7")).ref == "coin#7"
    assert picture_ref(picture) == Ref("noise.png", picture.sha256, "noise.png")


def test_files_are_opened_by_their_paths(tmp_path, picture, film, bank):
    sources = Sources()
    assert sources.picture(Ref(str(tmp_path / "noise.png"))) == picture
    assert sources.film(Ref(str(tmp_path / "roll.mp4"))).sha256 == film.sha256
    assert sources.bank(Ref(str(tmp_path / "bank.safetensors"))).sha256 == bank.sha256
    frame = sources.picture(Ref(f"{tmp_path / 'roll.mp4'}#2"))
    assert frame == film.picture(2) and frame.name == "roll.mp4, frame 2"


def test_a_film_and_its_frames_are_opened_at_the_size_that_is_meant(tmp_path, film):
    path = str(tmp_path / "roll.mp4")
    with open_video(path, max_side=48) as small:
        ref, frame = film_ref(small), small.picture(1)
        assert (ref.side, film_ref(film).side) == (48, None) and ref.sha256 == film.sha256
        assert content_key(small) != content_key(film)
        for sources in (Sources(films=[film, small], files=False), Sources(films=[small, film], files=False)):
            assert sources.film(ref) is small and sources.film(film_ref(film)) is film
            assert sources.picture(Ref("roll.mp4#1", side=48)) == frame
            assert sources.picture(Ref("roll.mp4#1")) == film.picture(1)
        assert picture_ref(frame, small) == Ref("roll.mp4#1", frame.sha256, frame.name, 48)
        assert picture_ref(frame).side is picture_ref(film.picture(1), film).side is None
        with pytest.raises(BadInput, match="is no longer available"):
            Sources(films=[film], files=False).film(ref)
        with Sources().film(Ref(path, side=48)) as opened:
            assert opened.size == small.size == (28, 48) and content_key(opened) == content_key(small)
        assert Sources().picture(Ref(f"{path}#1", side=48)) == frame
    with pytest.raises(BadInput, match="The sample film coin can't be shrunk to 240 pixels"):
        Sources().film(Ref("sample:coin", side=240))


def test_a_folder_of_frames_is_a_film(tmp_path, picture):
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "0.png").write_bytes(array_to_png(noise(1)))
    (folder / "1.png").write_bytes(array_to_png(picture.rgb))
    assert Sources().film(Ref(str(folder))).length == 2
    assert Sources().picture(Ref(f"{folder}#1")) == picture


def test_a_file_whose_name_reads_like_a_frame_is_that_file(tmp_path, picture):
    (tmp_path / "noise#12").write_bytes((tmp_path / "noise.png").read_bytes())
    assert Sources().picture(Ref(str(tmp_path / "noise#12"))) == picture


def test_what_was_handed_over_is_found_by_its_content(tmp_path, picture, film, bank):
    upload = Picture(picture.rgb, "upload.png")
    sources = Sources(pictures=[load_sample("cell"), upload], films=[film], banks=[bank], files=False)
    opened = sources.picture(Ref("gone.png", picture.sha256))
    assert opened.rgb is upload.rgb and opened.name == "upload.png"
    assert sources.picture(Ref("gone.png", picture.sha256, "a name")).name == "a name"
    assert sources.film(Ref("gone.mp4", film.sha256)) is film
    assert sources.bank(bank_ref(bank)) is bank
    frame = film.picture(1)
    assert sources.picture(picture_ref(frame)) == frame


def test_where_no_files_are_opened_no_path_is_looked_at(tmp_path, picture, film, bank):
    sources = Sources(films=[film], files=False)
    for path in (tmp_path / "noise.png", tmp_path / "missing.png", f"{tmp_path / 'roll.mp4'}#1"):
        with pytest.raises(BadInput, match="is no longer available: upload it again"):
            sources.picture(Ref(str(path)))
    with pytest.raises(BadInput, match="is no longer available"):
        sources.film(Ref(str(tmp_path / "roll.mp4")))
    with pytest.raises(BadInput, match="is no longer available"):
        sources.bank(Ref(str(tmp_path / "bank.safetensors")))


def test_content_that_is_not_the_one_meant_is_refused(tmp_path, picture, film, bank):
    sources = Sources(pictures=[picture], films=[film], banks=[bank], load_model=lambda *_: loaded("12" * 32))
    refused = [
        (sources.picture, "noise.png", "picture"),
        (sources.picture, "roll.mp4#1", "picture"),
        (sources.film, "roll.mp4", "film"),
        (sources.bank, "bank.safetensors", "memory bank"),
    ]
    for opens, file, kind in refused:
        with pytest.raises(BadInput, match=f"{file} is another {kind}: expected SHA-256"):
            opens(Ref(str(tmp_path / file), OTHER_HASH))
    for opens, text in ((sources.picture, "sample:coffee"), (sources.film, "sample:coin")):
        with pytest.raises(BadInput, match=f"{text} is another"):
            opens(Ref(text, OTHER_HASH))
    with pytest.raises(BadInput, match="nano is another model: expected SHA-256"):
        sources.model(Ref("nano", OTHER_HASH))


def loaded(sha256):
    """What stands for a loaded model."""
    return type("Model", (), {"info": type("Info", (), {"sha256": sha256, "name": "nano"})})


def test_models_come_from_whoever_lends_them(monkeypatch):
    asked, model = [], loaded("12" * 32)
    sources = Sources(load_model=lambda *which: asked.append(which) or model)
    assert sources.model(model_ref("nano-sam2", model), "cpu", "bfloat16") is model
    assert asked == [("nano-sam2", "cpu", "bfloat16")]
    with pytest.raises(CheckpointError, match="did you mean nano-sam2"):
        Sources().model(Ref("nano-sam9"))


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("sample:chelsee", BadInput, "did you mean chelsea?"),
        ("sample:zzz", BadInput, "there are coffee, "),
        ("missing.png", PictureError, "There is no file 'missing.png'"),
        ("missing.mp4#3", PictureError, "There is no file 'missing.mp4'"),
        ("sample:coin#36", PictureError, "coin has the frames 0 to 35; there is no frame 36"),
        ("sample:con#1", PictureError, "There is no sample film 'con'"),
        ("sample:coin#999999999", PictureError, "coin has the frames 0 to 35; there is no frame 999999999"),
        *[
            (
                f"sample:coin#{number}",
                BadInput,
                f'"{number}" is no frame of sample:coin: a frame is named by its number',
            )
            for number in ("-1", "1.5", "9999999999", "0x3", "", "x")
        ],
    ],
)
def test_a_picture_that_is_not_there_is_a_sentence(text, kind, sentence):
    with pytest.raises(kind, match=sentence):
        Sources().picture(Ref(text))


def test_references_say_nothing_of_a_visitors_folders(tmp_path, picture, film, bank):
    refs = (picture_ref(picture), picture_ref(film.picture(0)), film_ref(film), bank_ref(bank))
    assert str(tmp_path) not in json.dumps([ref.ref for ref in refs])
    assert [Path(ref.ref).name == ref.ref for ref in refs] == [True] * 4
