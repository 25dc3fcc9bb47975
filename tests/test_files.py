"""Files whose path somebody else wrote."""

import os
import time

import pytest

from samkit.errors import BadInput
from samkit.files import ABANDONED_S, file_digest, read_small, remove_abandoned_parts


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


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    long_ago = time.time() - 2 * ABANDONED_S
    left = [tmp_path / name for name in (".run.0123abcd.part", ".deadbeef.part")]
    stays = [tmp_path / name for name in (".run.part", "run.0123abcd.part", ".run.0123abcd.partly", ".x.89abcdef.part")]
    for folder in (*left, *stays):
        (folder / "inputs").mkdir(parents=True)
    (tmp_path / ".link.01234567.part").symlink_to(stays[0])
    (tmp_path / ".file.01234567.part").touch()
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)
    (stays[-1] / "inputs" / "picture.png").touch()  # It is being written.
    remove_abandoned_parts(tmp_path)
    assert [folder.exists() for folder in left] == [False, False]
    assert all((folder / "inputs").is_dir() for folder in stays)
    assert (tmp_path / ".link.01234567.part").is_symlink() and (tmp_path / ".file.01234567.part").is_file()
    remove_abandoned_parts(tmp_path / "absent")
