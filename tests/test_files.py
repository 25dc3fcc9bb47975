"""Files whose path somebody else wrote."""

import os

import pytest

from samkit.errors import BadInput
from samkit.files import file_digest, read_small


def test_a_small_file_is_read_whole(tmp_path):
    file = tmp_path / "a.json"
    file.write_bytes(b"{}")
    assert read_small(file, 2, "The file") == b"{}" and file_digest(file, 2) is not None
    with pytest.raises(BadInput, match="has 2 bytes, more than the 1 that are read"):
        read_small(file, 1, "The file")
    assert file_digest(file, 1) is None


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "nothing", "odd name"])
def test_what_is_no_file_is_a_sentence_and_nobody_waits(tmp_path, kind):
    place = {"folder": tmp_path, "pipe": tmp_path / "pipe", "device": "/dev/zero", "nothing": tmp_path / "none"}
    if kind == "pipe":
        os.mkfifo(tmp_path / "pipe")
    path = type(tmp_path)(place.get(kind, "a\0b"))
    with pytest.raises(BadInput, match="can't be read .*: check the path."):
        read_small(path, 100, "The prompts file")
    assert file_digest(path, 100) is None
