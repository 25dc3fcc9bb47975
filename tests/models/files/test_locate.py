"""An index opens files that lie beside it, and nothing else."""

import json
import os

import pytest

from samkit.errors import CheckpointError
from samkit.models.files.hashes import file_sha256
from samkit.models.files.locate import locate, read_small_json
from samkit.models.files.own_bytes import read_own_bytes


@pytest.mark.parametrize(
    ("weight_map", "words"),
    [
        ({"a": "../secret.safetensors"}, "lie beside it"),
        ({"a": "/etc/passwd"}, "lie beside it"),
        ({"a": 3}, "lie beside it"),
        ({}, "lie beside it"),
        ("none", "lie beside it"),
        ({f"{number}": f"{number}.safetensors" for number in range(300)}, "lie beside it"),
        ({"a": "absent.safetensors"}, "are not there"),
    ],
)
def test_an_index_that_lists_other_things_is_refused(tmp_path, weight_map, words):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    for path in (index, tmp_path, tmp_path / "model-00001-of-00002.safetensors"):
        with pytest.raises(CheckpointError, match=words):
            locate(path)


def test_a_folder_with_one_checkpoint_is_that_and_with_two_is_none(tmp_path):
    (tmp_path / "one.pt").touch()
    assert locate(tmp_path).files == (tmp_path / "one.pt",)
    (tmp_path / "two.pt").touch()
    with pytest.raises(CheckpointError, match="2 checkpoints"):
        locate(tmp_path)


def test_nothing_waits_for_a_pipe_that_nobody_writes_to(tmp_path):
    pipe = tmp_path / "model.safetensors.index.json"
    os.mkfifo(pipe)
    with pytest.raises(CheckpointError, match="not a JSON object"):
        read_small_json(pipe)
    with pytest.raises(CheckpointError, match="not a JSON object"):
        locate(pipe)
    for read in (read_own_bytes, file_sha256):
        with pytest.raises(OSError, match="a pipe"):
            read(pipe)
