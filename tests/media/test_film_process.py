"""A film's process may die, hang or lie: its own film ends in a sentence, and nothing else does."""

import gc
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from samkit.errors import PictureError
from samkit.media import film_process, film_reader
from samkit.media.decoding.messages import BUFFER_BYTES
from samkit.media.decoding.shelf import Shelf
from samkit.media.film_process import FilmProcess, ReaderFailed
from samkit.media.video import open_video
from tests.media.films import moving_frames, write_film_file

FRAMES = moving_frames(12)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_film_file(tmp_path_factory.mktemp("films") / "moving.mp4", FRAMES)


def process_of(film) -> int:
    return film._file._process._process.pid


def test_a_process_that_died_between_two_frames_is_not_noticed(path):
    with open_video(path) as film, open_video(path) as other:
        frames = list(film.frames())
        for _ in range(3):
            os.kill(process_of(film), signal.SIGKILL)
            film._file._process._process.wait()
            assert np.array_equal(film.frame(7), frames[7])
        assert np.array_equal(other.frame(7), frames[7])


@LINUX
def test_a_process_that_hangs_is_ended_and_tried_once_more(path, monkeypatch):
    monkeypatch.setattr(film_process, "PATIENCE", 0.0)
    monkeypatch.setattr(film_process, "WATCH_S", 0.05)
    film = open_video_patiently(path, monkeypatch)
    expected = film.frame(3)
    monkeypatch.setattr(film_process, "PATIENCE", 0.0)
    for _ in range(film_reader.MAX_FAILURES):
        film._file.start()
        os.kill(process_of(film), signal.SIGSTOP)
        with pytest.raises(PictureError, match="takes more time or memory than a film may"):
            film.frame(4)
    with pytest.raises(PictureError, match="has ended the program that reads it 2 times"):
        film.frame(4)
    monkeypatch.setattr(film_process, "PATIENCE", 4.0)
    with open_video(path) as again:
        assert np.array_equal(again.frame(3), expected), "the film opened anew is another try"


def open_video_patiently(path, monkeypatch):
    monkeypatch.setattr(film_process, "PATIENCE", 4.0)
    return open_video(path)


def test_frames_that_were_read_ahead_are_the_right_ones(tmp_path):
    """Runs, skips, jumps back and stays, as a player asks for them."""
    path = write_film_file(tmp_path / "film.mp4", moving_frames(40), gop=10)
    with open_video(path) as film:
        frames = list(film.frames())
        assert len({frame.tobytes() for frame in frames}) == 40
        number, steps = 0, np.random.default_rng(0).choice([1, 1, 1, 2, 3, 5, 0, -1, -4], 120)
        for step in steps:
            number = int(np.clip(number + step, 0, 39))
            assert np.array_equal(film.frame(number), frames[number]), number


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory that two processes share")
def test_reading_ahead_takes_so_much_memory_and_spares_the_frame_in_use():
    buffer = os.memfd_create("film")
    os.ftruncate(buffer, BUFFER_BYTES)
    shelf = Shelf(buffer)
    for size, ahead in ((1000, 3), (30 * 2**20, 1), (40 * 2**20, 0)):
        pixels = memoryview(bytes(size))
        shelf.clear(size)
        in_use = shelf.lay(pixels, 10)[0]["at"]
        places = {in_use}
        for stamp in range(20):
            while shelf.has_room:
                shelf.lay_ahead(len(places) + stamp, pixels, 10)
                places |= {given["at"] for _, (given, _) in shelf._ahead}
            assert in_use not in [given["at"] for _, (given, _) in shelf._ahead]
            assert len(shelf._ahead) == ahead
            if ahead:
                in_use = shelf.taken(shelf._ahead[0][0])[0]["at"]
        assert len(places) == ahead + 1 and max(places) + size <= BUFFER_BYTES
    os.close(buffer)


KILLED = """
import sys, time
from samkit.media.video import open_video
film = open_video(sys.argv[1])
film.frame(3)
print(film._file._process._process.pid, flush=True)
time.sleep(600)
"""


@LINUX
def test_nothing_is_left_of_a_film_whose_server_was_killed(path):
    """Neither the process that decodes it nor the memory that frames go through, which has no name in the system."""
    server = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
    decoder = int(server.stdout.readline())
    ended = os.pidfd_open(decoder)
    server.kill()
    server.communicate()
    assert select.select([ended], [], [], 30)[0]
    os.close(ended)
    assert not [name for name in os.listdir("/dev/shm") if "film" in name or "samkit" in name]


ANSWERS = {
    "no JSON": b"frames!\n",
    "no object": b"[1, 2]\n",
    "nothing": b"",
    "no size": b"{}\n",
    "a negative size": b'{"bytes": -1}\n',
    "a huge size": b'{"bytes": 99999999999}\n',
    "a size in words": b'{"bytes": "7"}\n',
    "true": b'{"bytes": true}\n',
    "cut short": b'{"bytes": 10}\nabc',
    "deep": b'{"bytes": ' + b"[" * 50_000 + b"\n",
    "long": b'{"bytes": 0, "x": "' + b"x" * 200_000 + b'"}\n',
    "a pickle": b"cos\nsystem\n(S'touch /tmp/owned'\ntR.",
    "no film": b'{"bytes": 0, "format": 7, "codec": null, "unit": [1, 0], "promised": -3}\n',
    "infinite": b'{"bytes": 0, "format": "mov", "codec": "h264", "unit": [1e999, 1], "promised": 0}\n',
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_what_a_process_says_is_not_believed(tmp_path, monkeypatch, answer):
    monkeypatch.setattr(film_process, "PROGRAM", "tests.media.lying_program")
    (tmp_path / "film.mp4").write_bytes(answer or b" ")
    with pytest.raises(PictureError, match=r"film\.mp4 (ended the program|has no frames in it)"):
        open_video(tmp_path / "film.mp4")


@pytest.mark.parametrize("row, at", [(0, 0), (287, 0), (2**40, 0), (1.5, 0), (288, -1), (288, 2**27), (288, '"a"')])
def test_a_frame_of_another_size_is_none(tmp_path, monkeypatch, row, at):
    monkeypatch.setattr(film_process, "PROGRAM", "tests.media.lying_program")
    (tmp_path / "film").write_bytes(f'{{"bytes": 0, "row": {row}, "at": {at}}}\n'.encode())
    with pytest.raises(ReaderFailed):
        FilmProcess(tmp_path / "film").ask_frame("frame", 5.0, (64, 96))


@LINUX
def test_the_process_knows_no_secret_and_may_take_little(path, monkeypatch):
    monkeypatch.setenv("SAMKIT_SECRET", "hidden")
    with open_video(path) as film:
        film.frame(0)
        place = Path(f"/proc/{process_of(film)}")
        assert b"hidden" not in (place / "environ").read_bytes()
        limits = {line[:26].strip(): line[26:].split()[0] for line in (place / "limits").read_text().splitlines()}
        assert int(limits["Max address space"]) < 2**30
        assert int(limits["Max open files"]) == len(list((place / "fd").iterdir())), "there is no number for another"
        assert limits["Max core file size"] == limits["Max file size"] == "0"
        modules = (place / "maps").read_text()
        assert "torch" not in modules and "numpy" not in modules


def maps_of_films() -> int:
    """How many films' frames this process has mapped."""
    return Path("/proc/self/maps").read_text().count("memfd:film")


@LINUX
def test_processes_end_with_their_films_and_when_nobody_asks(path, monkeypatch):
    film = open_video(path)
    first = process_of(film)
    film.close()
    assert not Path(f"/proc/{first}").exists()
    with pytest.raises(PictureError, match="was closed"):
        film.frame(0)
    film = open_video(path)
    forgotten = process_of(film)
    del film
    gc.collect()
    assert not Path(f"/proc/{forgotten}").exists()
    monkeypatch.setattr(film_process, "MAX_IDLE_S", 0.0)
    monkeypatch.setattr(film_process, "WATCH_S", 0.05)
    film = open_video(path)
    assert film.frame(0).size and maps_of_films() >= 1
    idle = film._file._process
    until = time.monotonic() + 30
    while idle.alive and time.monotonic() < until:
        time.sleep(0.02)
    assert not idle.alive
    while maps_of_films() and time.monotonic() < until:
        time.sleep(0.02)
    assert not maps_of_films(), "frames go with the process, though the film is still held"
    assert film.frame(5).shape == (64, 96, 3), "and it is started anew"


def test_the_one_that_was_not_asked_for_longest_gives_way(path, monkeypatch):
    monkeypatch.setattr(film_process, "MAX_PROCESSES", 2)
    films = [open_video(path) for _ in range(3)]
    assert [film._file._process.alive for film in films][1:] == [True, True]
    assert not films[0]._file._process.alive
    assert np.array_equal(films[0].frame(2), films[2].frame(2))
    for film in films:
        film.close()


def test_a_server_whose_code_was_changed_says_so_and_not_that_films_are_damaged(path, monkeypatch):
    film = open_video(path)
    film._file._process.close()
    monkeypatch.setattr(film_process, "CODE", "another")
    for again in (lambda: film.frame(0), lambda: open_video(path)):
        with pytest.raises(PictureError, match="code has changed since it was started. Restart it"):
            again()


def test_a_refusal_that_is_not_known_is_not_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(film_process, "PROGRAM", "tests.media.lying_program")
    (tmp_path / "film.mp4").write_bytes(b'{"bytes": 0, "refused": "of tomorrow"}\n')
    with pytest.raises(PictureError, match="code has changed since it was started. Restart it"):
        open_video(tmp_path / "film.mp4")


def test_a_file_that_was_changed_after_it_was_opened_is_not_mixed_in(tmp_path):
    path = write_film_file(tmp_path / "film.mp4", FRAMES)
    film = open_video(path)
    film._file._process.close()
    write_film_file(path, FRAMES[::-1][:6])
    with pytest.raises(PictureError, match="was changed after it was opened"):
        film.frame(0)


def test_a_film_with_sound_is_read_for_a_program_that_has_no_file_open(tmp_path):
    """Whatever PyAV needs for it is there before no file can be opened."""
    import av

    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        pictures, sound = out.add_stream("mpeg4", rate=10), out.add_stream("aac", rate=44100)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        for rgb in FRAMES:
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(pictures.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 44100
        out.mux(sound.encode(silence))
        out.mux(sound.encode(None))
    code = "import sys; from samkit.media.video import open_video; print(open_video(sys.argv[1]).frame(11).shape)"
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert told.stdout == "(64, 96, 3)\n"
