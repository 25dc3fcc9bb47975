"""Films that visitors uploaded, on the server's disk."""


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
