"""Films that visitors uploaded, on the server's disk."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest

from samkit.errors import PictureError
from samkit.media.file_film import FileVideo
from samkit.ui.state import films
from samkit.ui.state.films import FilmStore

FILM = bytes(range(256)) * 4096


def test_uploads_are_stored_once_and_the_oldest_go(tmp_path, monkeypatch):
    from samkit.ui.state import films as film_store

    store = film_store.FilmStore()
    first = store.put(b"a" * 100, "one.MP4")
    assert first.suffix == ".mp4" and first.read_bytes() == b"a" * 100 and store.put(b"a" * 100, "again.mp4") == first
    (tmp_path / "film.mkv").write_bytes(b"b" * 100)
    assert store.put(tmp_path / "film.mkv", "film.mkv").read_bytes() == b"b" * 100
    monkeypatch.setattr(film_store, "MAX_STORED_BYTES", 250)
    newest = store.put(b"c" * 200, "new.mp4")
    assert newest.exists() and not first.exists()


def files_of(store: FilmStore) -> list[Path]:
    return list(store.folder.iterdir())


def test_one_film_put_by_six_at_once_is_whole_for_each_of_them():
    for _ in range(5):
        store, together = FilmStore(), threading.Barrier(6)

        def put(number: int, store=store, together=together) -> tuple[Path, bytes]:
            together.wait()
            path = store.put(FILM, f"{number}.mp4")
            return path, path.read_bytes()

        with ThreadPoolExecutor(6) as pool:
            seen = list(pool.map(put, range(6)))
        assert {path for path, _ in seen} == set(files_of(store)) and len(files_of(store)) == 1
        assert all(content == FILM for _, content in seen)


def test_a_film_that_goes_while_it_is_put_again_is_written_anew(monkeypatch):
    store = FilmStore()
    path = store.put(FILM, "film.mp4")
    touch = os.utime

    def vanish(file, *times):
        path.unlink()
        touch(file, *times)

    monkeypatch.setattr(os, "utime", vanish)
    assert store.put(FILM, "film.mp4").read_bytes() == FILM


def test_many_different_films_at_once_stay_within_the_limit(monkeypatch):
    monkeypatch.setattr(films, "MAX_STORED_BYTES", 3000)
    store = FilmStore()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put(bytes([number]) * 1000, "film.mp4"), range(60)))
    assert 1 <= len(files_of(store)) <= 3


def test_a_file_that_goes_while_the_oldest_are_looked_for_is_no_error(monkeypatch):
    store = FilmStore()
    gone = store.put(b"a" * 100, "gone.mp4")
    stat = Path.stat

    def vanish(path, **options):
        if path == gone:
            gone.unlink(missing_ok=True)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", vanish)
    assert store.put(b"b" * 100, "new.mp4").is_file()


def test_what_is_being_written_is_left_alone(monkeypatch):
    store = FilmStore()
    monkeypatch.setattr(films, "MAX_STORED_BYTES", 50)
    part = store.folder / f"another{films.PART}"
    part.write_bytes(bytes(100))
    os.utime(part, (0, 0))
    store.put(b"a" * 100, "film.mp4")
    assert part.is_file()


def test_the_film_a_page_shows_outlives_those_that_were_put_later(monkeypatch):
    store = FilmStore()
    monkeypatch.setattr(films, "film_store", lambda: store)
    monkeypatch.setattr(films, "MAX_STORED_BYTES", 250)
    shown, other = (store.put(content * 100, "film.mp4") for content in (b"a", b"b"))
    os.utime(shown, (0, 0))
    os.utime(other, (1, 1))
    films.use_film(Mock(spec=FileVideo, path=shown))
    store.put(b"c" * 100, "film.mp4")
    assert shown.is_file() and not other.exists()


def test_a_full_disk_is_a_sentence_and_leaves_no_part(monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    store = FilmStore()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PictureError, match="No space left on device"):
        store.put(FILM, "film.mp4")
    assert files_of(store) == []


def test_a_film_that_somebody_has_is_never_evicted_and_the_newcomer_hears_why(monkeypatch):
    store, holders = FilmStore(), [FilmHolder(), FilmHolder()]
    monkeypatch.setattr(films, "MAX_STORED_BYTES", 250)
    held = [store.put(content * 100, "film.mp4", holder) for content, holder in zip((b"a", b"b"), holders, strict=True)]
    with pytest.raises(PictureError, match="no more room beside the films that visitors are using"):
        store.put(b"c" * 100, "new.mp4", FilmHolder())
    assert sorted(files_of(store)) == sorted(held)
    holders.pop()
    assert store.put(b"c" * 100, "new.mp4").is_file() and held[0].is_file() and not held[1].exists()


class FilmHolder:
    """Whoever has a film open."""


def test_a_folder_that_was_deleted_while_the_app_runs_is_made_again():
    store = FilmStore()
    shutil.rmtree(store.folder)
    assert store.put(FILM, "film.mp4").read_bytes() == FILM
