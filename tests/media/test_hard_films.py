"""Films that readers get wrong: every frame is the right one, in order and not, or the film is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from samkit.errors import PictureError
from samkit.media.video import open_video
from tests.media.films import write_film_file
from tests.media.hard_films import FRAMES, claim, number_of, numbered, trim, write_numbered

B_FRAMES = {"preset": "veryfast", "x264-params": "bframes=3:b-adapt=0"}
OPEN_GROUPS = {"preset": "veryfast", "x264-params": "open-gop=1:bframes=3:b-pyramid=normal:b-adapt=0"}
REFRESH = {"preset": "veryfast", "x264-params": "intra-refresh=1"}
H265 = {"preset": "ultrafast", "x265-params": "log-level=none:open-gop=1:bframes=3"}
ALT_REFS = {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good", "cpu-used": "5"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
FAST = {"preset": "veryfast"}
KINDS = {
    "H.264 with B-frames in AVI": dict(container="avi", options=B_FRAMES),
    "H.264 without in AVI": dict(container="avi", options=FAST | {"bf": "0"}),
    "MPEG-4 with B-frames in AVI": dict(container="avi", codec="mpeg4"),
    "Motion JPEG in AVI": dict(container="avi", codec="mjpeg", pixels="yuvj420p"),
    "MPEG-TS": dict(container="mpegts", options=B_FRAMES),
    "FLV": dict(container="flv", options=B_FRAMES, uneven=True),
    "MPEG-1 in MPEG-PS": dict(container="mpeg", codec="mpeg1video"),
    "MPEG-2 in MPEG-PS": dict(container="mpeg", codec="mpeg2video"),
    "uneven H.265": dict(codec="libx265", options=H265, uneven=True),
    "H.265 in MPEG-TS": dict(container="mpegts", codec="libx265", options=H265),
    "uneven fragments": dict(options=B_FRAMES, uneven=True, muxing=FRAGMENTS),
    "open groups in MP4": dict(options=OPEN_GROUPS),
    "open groups in MKV": dict(container="matroska", options=OPEN_GROUPS),
    "open groups in MPEG-TS": dict(container="mpegts", options=OPEN_GROUPS),
    "slow refresh": dict(container="matroska", options=REFRESH),
    "VP8 with hidden frames": dict(container="webm", codec="libvpx", options=ALT_REFS),
    "uneven VP9": dict(container="webm", codec="libvpx-vp9", options=ALT_REFS, uneven=True),
}


def check(path: Path, first: int = 0, count: int = FRAMES, own: bool = False) -> None:
    """Number, times and pixels of the frames; those of the film begin with `first`."""
    with open_video(path, own=own) as film:
        assert film.length == count and film.warning == ""
        assert film.timestamps[0] == 0 and np.isfinite(film.timestamps).all() and (np.diff(film.timestamps) > 0).all()
        assert film.fps == pytest.approx((count - 1) / film.timestamps[-1], rel=0.02)
        in_order = list(film.frames())
        assert [number_of(frame) for frame in in_order] == list(range(first, first + count))
        for index in np.random.default_rng(0).permutation(count)[:30]:
            assert np.array_equal(film.frame(int(index)), in_order[index]), index


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_the_right_one_in_any_order(tmp_path, kind):
    check(write_numbered(tmp_path / "film", **KINDS[kind]))


@pytest.mark.parametrize("kind", ["uneven fragments", "open groups in MKV", "MPEG-4 with B-frames in AVI"])
def test_so_it_is_for_films_of_the_owner(tmp_path, kind):
    check(write_numbered(tmp_path / "film", **KINDS[kind]), own=True)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("first, count", [(20, FRAMES - 20), (0, FRAMES - 20), (22, 11)])
def test_what_a_trim_took_away_is_not_there(tmp_path, first, count, own):
    path = write_numbered(tmp_path / "film.mp4", options=B_FRAMES)
    check(trim(path, first / 25, count / 25), first, count, own)


@pytest.mark.parametrize("speed", [0, 1 << 15, 1 << 17, 0xFFFF0000])
def test_a_part_at_another_speed_is_refused(tmp_path, speed):
    path = write_numbered(tmp_path / "film.mp4", options=FAST)
    with pytest.raises(PictureError, match="faster or slower than they were recorded"):
        open_video(claim(path, b"elst", 16, speed, order="big"))


def test_times_are_those_at_which_frames_are_shown(tmp_path):
    """Whatever the container takes for its beginning."""
    steps = np.random.default_rng(1).integers(15, 120, FRAMES)
    for container in ("mp4", "matroska", "mpegts"):
        with open_video(write_numbered(tmp_path / "film", "libx264", container, True, B_FRAMES)) as film:
            np.testing.assert_allclose(film.timestamps, np.cumsum([0, *steps[:-1]]) / 1000, atol=2e-3)


def test_a_name_with_a_colon_is_a_name(tmp_path):
    path = tmp_path / "http:film#1 %d.mp4"
    write_numbered(tmp_path / "film.mp4", frames=5).rename(path)
    check(path, count=5)
    check(path, count=5, own=True)


def test_what_a_header_claims_is_not_believed(tmp_path):
    path = write_numbered(tmp_path / "film.avi", "mjpeg", "avi", pixels="yuvj420p", frames=5)
    claim(path, b"avih", 4 + 16, 2**32 - 1)
    claim(path, b"strh", 4 + 32, 2**32 - 1)
    check(path, count=5)
    check(path, count=5, own=True)


def test_a_film_that_claims_millions_of_frames_takes_no_more_memory_than_others(tmp_path):
    path = write_numbered(tmp_path / "film.mp4", options=B_FRAMES, frames=5)
    claim(path, b"stsz", 4, 1, "big")
    claim(path, b"stsz", 8, 2**32 - 1, "big")
    claim(path, b"stts", 8, 2**32 - 1, "big")
    with pytest.raises(PictureError, match=r"film\.mp4 "):
        open_video(path)


def test_a_coding_that_is_not_read_is_named(tmp_path):
    path = write_numbered(tmp_path / "film.avi", "magicyuv", "avi", pixels="yuv420p", frames=3)
    for own in (False, True):
        with pytest.raises(PictureError, match="as MagicYUV video, which is not read here.*Motion JPEG.*convert it"):
            open_video(path, own=own)


def test_what_says_too_little_is_refused_with_what_to_do(tmp_path):
    layout = write_numbered(tmp_path / "raw.mov", container="mov", codec="rawvideo", options={})
    with pytest.raises(PictureError, match="does not say rightly how their pixels lie.*Write it anew"):
        open_video(layout)
    order = write_numbered(tmp_path / "film.mpg", container="mpeg", options=FAST | {"bf": "0"})
    with pytest.raises(PictureError, match="in which order its frames are shown, or when. Convert it first: `ffmpeg"):
        open_video(order)


@pytest.mark.parametrize(
    "how",
    [
        dict(container="matroska", options=FAST),
        dict(container="webm", codec="libvpx", options={"deadline": "realtime"}),
        dict(container="avi", codec="mpeg4"),
        dict(container="mpegts", options=FAST | {"bf": "0"}),
        dict(container="mpegts", options=FAST | {"bf": "0"}, muxing={"mpegts_m2ts_mode": "1"}),
    ],
)
def test_a_film_that_was_cut_between_two_frames_says_so(tmp_path, how):
    """Its packets are whole, and only its container tells."""
    path = write_numbered(tmp_path / "film", **how)
    check(path)
    content = path.read_bytes()
    end = len(content) * 3 // 5
    path.write_bytes(content[: content.rindex(b"00dc", 0, end) if how["container"] == "avi" else end])
    with open_video(path) as film:
        assert "film is cut short or damaged: " in film.warning and 0 < film.length < FRAMES
        assert [number_of(frame) for frame in film.frames()] == list(range(film.length))


def test_a_film_that_was_recorded_live_is_not_cut_short(tmp_path):
    check(write_numbered(tmp_path / "film", container="matroska", options=FAST, muxing={"live": "1"}))


def test_metadata_that_is_no_text_does_not_matter(tmp_path):
    path = write_numbered(tmp_path / "film.mkv", container="matroska", frames=5)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"ENCODER", b"\xffNC\x80DER"))
    assert content != path.read_bytes()
    check(path, count=5)


def test_mirrored_films_are_shown_as_a_player_does(tmp_path):
    from tests.media.films import turn

    stored = numbered(5)
    matrices = {
        (-1, 0, 0, 1): stored[:, ::-1],
        (1, 0, 0, -1): stored[::-1],
        (0, 1, 1, 0): stored.swapaxes(0, 1),
        (0, -1, -1, 0): stored[::-1, ::-1].swapaxes(0, 1),
    }
    path = write_numbered(tmp_path / "film.mp4", frames=8)
    for matrix, shown in matrices.items():
        for own in (False, True):
            with open_video(turn(path, matrix), own=own) as film:
                assert film.size == shown.shape[:2]
                assert np.abs(film.frame(5).astype(int) - shown).mean() < 6


def test_a_folder_is_read_and_hashed_as_one_list(tmp_path):
    from samkit.tracking.bundle.film_inputs import _film_sha256

    for index in range(12):
        Image.fromarray(numbered(index)).save(tmp_path / f"frame_{index}.tif")
        (tmp_path / f"._frame_{index}.tif").write_bytes(b"\0\5\x16\7")
    (tmp_path / "masks.png").mkdir()
    (tmp_path / "notes.txt").write_text("none")
    film = open_video(tmp_path)
    assert [number_of(frame) for frame in film.frames()] == list(range(12))
    assert film.sha256 == _film_sha256(tmp_path)


def test_frames_that_are_links_to_nothing_are_said(tmp_path):
    for index in range(3):
        Image.fromarray(numbered(index)).save(tmp_path / f"{index}.png")
    assert open_video(tmp_path).warning == ""
    (tmp_path / "1.png").unlink()
    (tmp_path / "1.png").symlink_to(tmp_path / "gone.png")
    film = open_video(tmp_path)
    assert film.length == 2 and "1 links in it that lead to no picture (1.png is one)" in film.warning


def test_the_brightness_of_a_deep_film_does_not_change_with_its_brightest_pixel(tmp_path):
    scene = np.linspace(0, 900, 64 * 64).reshape(64, 64).astype(np.uint16)
    for index in range(6):
        frame = scene.copy()
        frame[0, 0] = 60_000 if index % 3 == 1 else 0
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    frames = [frame[1:] for frame in open_video(tmp_path).frames()]
    assert all(np.array_equal(frame, frames[0]) for frame in frames)


def test_a_film_that_changes_its_size_keeps_the_first(tmp_path):
    small = write_film_file(tmp_path / "a.ts", [numbered(index) for index in range(5)], container="mpegts")
    other = write_film_file(
        tmp_path / "b.ts",
        [np.kron(numbered(index), np.ones((2, 2, 1), np.uint8)) for index in range(5)],
        container="mpegts",
    )
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + other.read_bytes())
    try:
        with open_video(path) as film:
            assert {frame.shape for frame in film.frames()} == {(96, 128, 3)}
    except PictureError as error:
        assert "both.ts" in str(error)
