"""Films of every kind, real files: what can be read is read the same by both readers, what can't ends in a sentence."""

import io
import threading
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from samkit.errors import PictureError
from samkit.media import film as film_files
from samkit.media import video
from samkit.media.film import (
    LEAST_FPS,
    MOST_FPS,
    FilmWriter,
    mask_row,
    masks_from_json,
    masks_to_json,
    write_film,
    zip_masks,
)
from samkit.media.films import film_and_frame
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.media.video import open_video
from tests.media.films import cut, moving_frames, turn, write_film_file, write_sound

FRAMES = moving_frames(30)
OWN = [False, True] if video.has_decord() else [False]
"""Whether the film is the owner's, so that decord reads it where it is small."""


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film_file(tmp_path_factory.mktemp("films") / "moving.mp4", FRAMES)


def far_from(a, b) -> float:
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.parametrize("own", OWN)
def test_length_rate_size_times_and_pixels(film, own):
    with open_video(film, own=own) as opened:
        assert (opened.reader, opened.length, opened.fps, opened.size, opened.rotation) == (
            "decord" if own else "pyav",
            30,
            10.0,
            (64, 96),
            0,
        )
        np.testing.assert_allclose(opened.timestamps, np.arange(30) / 10, atol=1e-3)
        assert opened.seconds == pytest.approx(3.0, abs=1e-2)
        for index in (0, 13, 29):
            assert (
                far_from(opened.frame(index), FRAMES[index])
                < 4
                < far_from(opened.frame(index), FRAMES[(index + 9) % 30])
            )


@pytest.mark.skipif(len(OWN) < 2, reason="decord has no wheel here")
def test_both_readers_give_the_same_pixels(film):
    a, b = (open_video(film, own=own) for own in OWN)
    assert all(np.array_equal(a.frame(index), b.frame(index)) for index in range(30)) and a.sha256 == b.sha256


@pytest.mark.parametrize("own", OWN)
def test_any_order_gives_the_same_frames(film, own):
    opened = open_video(film, own=own)
    expected = [opened.frame(index) for index in range(30)]
    for index in np.random.default_rng(0).permutation(30):
        assert np.array_equal(opened.frame(int(index)), expected[index])
    for span, indices in (
        ((0, None, 1), range(30)),
        ((5, 20, 4), range(5, 20, 4)),
        ((29, None, -1), range(29, -1, -1)),
        ((27, 3, -2), range(27, 3, -2)),
    ):
        assert all(np.array_equal(a, expected[b]) for a, b in zip(opened.frames(*span), indices, strict=True))


@pytest.mark.parametrize("container", ["mpegts", "flv", "matroska"])
def test_any_order_gives_the_same_frames_where_the_container_finds_places_late(tmp_path, container):
    path = write_film_file(tmp_path / "film", moving_frames(60), gop=25, container=container)
    expected = list(open_video(path).frames())
    opened = open_video(path)
    assert opened.length == len(expected) == 60
    for index in [59, 3, 58, *np.random.default_rng(0).permutation(60)]:
        assert np.array_equal(opened.frame(int(index)), expected[index]), index


@pytest.mark.skipif(len(OWN) < 2, reason="decord has no wheel here")
def test_decord_reads_small_frames_of_the_owner_alone_for_it_holds_nearly_two_hundred_of_them(tmp_path):
    small, large = (
        write_film_file(tmp_path / f"{height}.mp4", moving_frames(3, height, width))
        for height, width in ((240, 320), (720, 1280))
    )
    assert open_video(small, own=True).reader == "decord"
    assert open_video(small).reader == "pyav", "a stranger's film may be made for its FFmpeg of 2020"
    assert open_video(large, own=True).reader == "pyav"
    assert open_video(large, own=True, max_side=320).reader == "pyav", "decord shrinks in another way"


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_turned_films_are_upright(tmp_path, own, clockwise):
    path = turn(write_film_file(tmp_path / "turned.mp4", FRAMES[:5]), clockwise)
    upright = np.rot90(FRAMES[3], -clockwise // 90)
    opened = open_video(path, own=own)
    assert opened.size == upright.shape[:2] and far_from(opened.frame(3), upright) < 4
    small = open_video(path, own=own, max_side=64)
    assert small.frame(3).shape == (*small.size, 3) and max(small.size) == 64
    assert (
        far_from(
            small.frame(3), np.asarray(Image.fromarray(upright).resize(small.size[::-1], Image.Resampling.BICUBIC))
        )
        < 6
    )


@pytest.mark.parametrize("own", OWN)
def test_uneven_rates_keep_their_times(tmp_path, own):
    times = [0, 40, 100, 110, 400, 450, 900, 1000]
    opened = open_video(write_film_file(tmp_path / "uneven.mp4", FRAMES[:8], times=times), own=own)
    np.testing.assert_allclose(opened.timestamps, np.array(times) / 1000, atol=2e-3)
    assert opened.length == 8 and far_from(opened.frame(4), FRAMES[4]) < 4


@pytest.mark.parametrize("own", OWN)
def test_frames_are_shrunk_while_decoding(film, own):
    opened = open_video(film, own=own, max_side=64)
    assert opened.size == (42, 64) and opened.original_size == (64, 96) and opened.frame(7).shape == (42, 64, 3)
    assert (
        far_from(opened.frame(7), np.asarray(Image.fromarray(FRAMES[7]).resize((64, 42), Image.Resampling.BICUBIC))) < 6
    )


@pytest.mark.parametrize("side", range(40, 96, 8))
def test_every_width_gives_three_channels(film, side):
    """decord alone hands out a fourth one for some."""
    opened = open_video(film, max_side=side)
    height, width = opened.size
    assert (
        far_from(
            opened.frame(5), np.asarray(Image.fromarray(FRAMES[5]).resize((width, height), Image.Resampling.BICUBIC))
        )
        < 6
    )


@pytest.mark.parametrize("own", OWN)
def test_threads_share_a_film(film, own):
    opened, wrong = open_video(film, own=own), []
    expected = [opened.frame(index) for index in range(30)]

    def read(seed):
        for index in np.random.default_rng(seed).integers(0, 30, 40):
            if not np.array_equal(opened.frame(int(index)), expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_film_cut_short_gives_the_frames_that_are_there(tmp_path):
    path = cut(write_film_file(tmp_path / "cut.mkv", FRAMES, container="matroska"), 0.6)
    opened = open_video(path)
    assert 3 < opened.length < 30
    assert all(far_from(frame, FRAMES[index]) < 4 for index, frame in enumerate(opened.frames()))
    assert open_video(path).length <= opened.length


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: cut(write_film_file(path, FRAMES), 0.5), "cut short or damaged"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"no film at all" * 50), "not a film"),
        (lambda path: write_sound(path), "only sound"),
        (lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)), "not a film|damaged"),
        (lambda path: Image.new("RGB", (20, 20)).save(path, "PNG"), "is a picture, not a film that is read here"),
        (lambda path: path.write_bytes(b"#EXTM3U\nhttp://127.0.0.1/a.ts\n"), "a list of addresses, not a film"),
    ],
    ids=["no index", "empty", "text", "sound", "noise", "picture", "list"],
)
def test_what_is_no_film_is_a_sentence(tmp_path, make, words):
    path = tmp_path / "film.mp4"
    make(path)
    with pytest.raises(PictureError, match=words) as caught:
        open_video(path)
    assert "film.mp4" in str(caught.value)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("own", OWN)
def test_a_film_whose_later_frames_are_noise_ends_in_a_sentence(tmp_path, own, seed):
    """And never hangs. What says where the frames lie is whole."""
    path = write_film_file(tmp_path / "noise.mp4", FRAMES)
    content = bytearray(path.read_bytes())
    box = content.index(b"mdat") - 4
    size = int.from_bytes(content[box : box + 4], "big")
    noisy = slice(box + size // 2, box + size)
    content[noisy] = np.random.default_rng(seed).bytes(noisy.stop - noisy.start)
    path.write_bytes(content)
    with pytest.raises(PictureError, match=r"noise\.mp4 can't be (decoded|read)"):
        list(open_video(path, own=own).frames())


def test_missing_files_and_frames_are_sentences(film, tmp_path):
    with pytest.raises(PictureError, match="There is no file"):
        open_video(tmp_path / "none.mp4")
    with pytest.raises(PictureError, match="frames 0 to 29; there is no frame 30"):
        open_video(film).frame(30)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="no pictures in it"):
        open_video(tmp_path / "empty")


def test_a_folder_of_pictures_is_a_film(tmp_path):
    for index in range(4):
        Image.fromarray(FRAMES[index]).save(tmp_path / f"{index:05d}.png")
    opened = open_video(tmp_path)
    assert opened.length == 4 and all(
        np.array_equal(frame, FRAMES[index]) for index, frame in enumerate(opened.frames())
    )
    Image.fromarray(FRAMES[0][:30]).save(tmp_path / "00009.png")
    with pytest.raises(PictureError, match="must have one size"):
        open_video(tmp_path).frame(4)


def test_the_frames_of_a_folder_are_in_the_order_of_their_numbers(tmp_path):
    """And what macOS leaves beside them is no frame."""
    for index in range(12):
        Image.fromarray(FRAMES[index]).save(tmp_path / f"frame {index}.png")
        (tmp_path / f"._frame {index}.png").write_bytes(b"\0\5\x16\7")
    opened = open_video(tmp_path)
    assert opened.length == 12
    assert all(np.array_equal(frame, FRAMES[index]) for index, frame in enumerate(opened.frames()))


def test_a_frame_is_a_picture(film):
    picture = open_video(film).picture(7)
    assert picture.name == "moving.mp4, frame 7" and picture.size == (64, 96)
    assert film_and_frame(picture.name) == ("moving.mp4", 7)


@pytest.mark.parametrize(
    "name",
    ["coffee", "moving.mp4", "moving.mp4, frame", "moving.mp4, frame -1", ", frame 7", "moving.mp4, frame 7.png", ""],
)
def test_other_pictures_are_named_otherwise(name):
    assert film_and_frame(name) == (None, None)


def test_a_film_knows_its_frames(film):
    opened, frame = open_video(film), open_video(film).picture(7)
    assert opened.frame_of(frame) == 7
    for other in (
        replace(frame, name="moving"),
        replace(frame, name="moving.mp4, frame 8"),
        replace(frame, name="moving.mp4, frame 30"),
    ):
        assert opened.frame_of(other) is None
    assert open_video(film, max_side=48).frame_of(frame) is None


@pytest.mark.parametrize("size", [(64, 96), (63, 95)])
def test_written_films_come_back(tmp_path, size):
    frames = moving_frames(12, *size)
    path = write_film(tmp_path / "out.mp4", frames, 29.97)
    opened = open_video(path)
    assert opened.length == 12 and opened.fps == pytest.approx(29.97, abs=0.01) and opened.size == (64, 96)
    assert all(far_from(opened.frame(index)[: size[0], : size[1]], frames[index]) < 6 for index in range(12))
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "a browser must find the index first"
    assert b"avc1" in content


@pytest.mark.parametrize("fps", [1e-9, 3e8])
def test_a_film_of_a_rate_that_nobody_plays_is_written_at_one_that_is(tmp_path, fps):
    with open_video(write_film(tmp_path / "out.mp4", FRAMES[:3], fps)) as film:
        assert film.length == 3 and LEAST_FPS <= film.fps <= MOST_FPS


@pytest.mark.parametrize("frames", [FRAMES[:1], FRAMES * 3])
def test_an_encoder_that_breaks_off_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, frames):
    monkeypatch.setattr(film_files, "PROGRAM", "samkit.no_such_program")
    with pytest.raises(PictureError, match="can't be written"):
        write_film(tmp_path / "out.mp4", frames, 10)
    assert not list(tmp_path.iterdir())


def test_a_film_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), FilmWriter(tmp_path / "out.mp4", 10) as writer:
        writer.add(FRAMES[0])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PictureError, match="can't be written"):
        write_film(tmp_path / "no" / "out.mp4", FRAMES[:2], 10)


def test_masks_of_frames_come_back(tmp_path):
    from samkit.media.drawing import mask_from_png

    masks = {index: FRAMES[index][..., 0] > 200 for index in (0, 3, 7)}
    rows = [mask_row(index, mask, object_score=1.5) for index, mask in masks.items()]
    back = masks_from_json(masks_to_json(rows))
    assert back.keys() == masks.keys() and all(np.array_equal(back[index], mask) for index, mask in masks.items())
    with zipfile.ZipFile(io.BytesIO(zip_masks(masks_to_json(rows)))) as archive:
        assert np.array_equal(mask_from_png(archive.read("000003.png")), masks[3])
    with pytest.raises(PictureError, match="not a file of masks"):
        masks_from_json(b"{}")


@pytest.mark.parametrize("name", SAMPLE_VIDEOS)
def test_sample_films_show_an_object_that_is_hidden_for_a_while(name):
    sample = load_sample_video(name)
    areas = [sample.mask(index).sum() for index in range(sample.length)]
    first, last = sample.sample.hidden
    assert all((area == 0) == (first <= index <= last) for index, area in enumerate(areas))
    assert np.array_equal(sample.frame(3), load_sample_video(name).frame(3)) and not np.array_equal(
        sample.frame(3), sample.frame(4)
    )
    inside, outside = sample.frame(5)[sample.mask(5)].mean(), sample.frame(5)[~sample.mask(5)].mean()
    assert abs(inside - outside) > 3
    with pytest.raises(PictureError, match="There are: coin, cup, cat"):
        load_sample_video("dog")


@pytest.mark.parametrize("own", OWN)
def test_a_cut_film_whose_index_is_whole_says_how_many_frames_are_there(tmp_path, own):
    noise = [np.random.default_rng(index).integers(0, 256, (64, 96, 3), dtype=np.uint8) for index in range(30)]
    path = cut(write_film(tmp_path / "cut.mp4", noise, 10), 0.6)
    opened = open_video(path, own=own)
    frames = list(opened.frames())
    assert 5 < len(frames) == opened.length < 30 and f"{opened.length} of its 30 frames can be read" in opened.warning
