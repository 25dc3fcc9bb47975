"""Which files a path stands for: one, those that an index lists, or what lies in a folder. Knows no torch."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samkit.errors import CheckpointError
from samkit.files import opened_regular
from samkit.models.files.folders import CHECKPOINT_SUFFIXES, SAVED_NAMES, SHARD

MAX_JSON = 4_000_000
"""Bytes of an index; transformers' for SAM have 60 kB."""
MAX_SMALL_JSON = 256_000
"""Bytes of a config.json or of what a person wrote beside a file."""
MAX_SHARDS = 200
INDEX_SUFFIX = ".index.json"
_HUB = re.compile(r"models--(?:[^-].*?--)?(.+)$")
"""What the Hub's cache calls the folder of a repository. Below it are versions, by their hash."""


@dataclass(frozen=True)
class Located:
    """path: as it was given; files: those with weights, by name; index: what lists them, or None."""

    path: Path
    files: tuple[Path, ...]
    index: Path | None = None

    @property
    def folder(self) -> Path:
        return self.files[0].parent


def locate(path: Path) -> Located:
    """Raises CheckpointError for a folder without a checkpoint or with several, and for an index that lists what is not
    there.
    """
    if path.is_dir():
        return _listed(path, _in_folder(path))
    shard = SHARD.match(path.name)
    if shard and (index := path.with_name(f"{shard[1]}{shard[2]}{INDEX_SUFFIX}")).is_file():
        return _listed(path, index)
    return _listed(path, path)


def plain_name(path: Path) -> str:
    """What a person calls the model at that path: the folder's name where the file's is everybody's."""
    folder = path if path.is_dir() else path.parent
    if folder is not path and (path.name not in SAVED_NAMES or not folder.name):
        return path.stem
    if folder.parent.name == "snapshots" and (repository := _HUB.match(folder.parent.parent.name)):
        return repository[1]
    return folder.name


def holds_checkpoint(folder: Path) -> bool:
    """Whether a folder is one that transformers or peft saved a model to."""
    return any((folder / name).is_file() for name in SAVED_NAMES)


def read_small_json(path: Path, limit: int = MAX_SMALL_JSON) -> dict[str, Any]:
    """The JSON object in a file. Raises CheckpointError where it is none, or larger than `limit` bytes."""
    try:
        with opened_regular(path, limit) as (stream, size):
            values = json.loads(stream.read(size))
    except OSError as error:
        if error.errno is not None:
            raise CheckpointError(f"{path} can't be read ({error.strerror}): check its permissions.") from error
        values = None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{path} is not a JSON object of at most {limit // 1000} kB, as {path.name} has to be: write it again, or "
            "remove it."
        )
    return values


def _in_folder(folder: Path) -> Path:
    known = [folder / name for name in SAVED_NAMES if (folder / name).is_file()]
    if known:
        return known[0]
    try:
        others = [
            path for path in sorted(folder.iterdir()) if path.suffix.lower() in CHECKPOINT_SUFFIXES and path.is_file()
        ]
    except OSError as error:
        raise CheckpointError(f"{folder} can't be read ({error.strerror}): check its permissions.") from error
    if len(others) != 1:
        found = "no checkpoint" if not others else f"{len(others)} checkpoints"
        raise CheckpointError(f"{folder} is a folder with {found} in it: give the path of the checkpoint file itself.")
    return others[0]


def _listed(path: Path, file: Path) -> Located:
    if not file.name.endswith(INDEX_SUFFIX):
        return Located(path, (file,))
    names = _shard_names(file)
    shards = tuple(file.with_name(name) for name in names)
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise CheckpointError(
            f"{file.name} lists {len(shards)} files, and {len(missing)} of them are not there ({missing[0][:100]}): "
            "put them beside it."
        )
    return Located(path, shards, file)


def _shard_names(index: Path) -> list[str]:
    weight_map = read_small_json(index, MAX_JSON).get("weight_map")
    names: set[object] = set()
    if isinstance(weight_map, dict) and all(isinstance(name, str) for name in weight_map.values()):
        names = set(weight_map.values())
    if not 1 <= len(names) <= MAX_SHARDS or any(not _plain_name(name) for name in names):
        raise CheckpointError(
            f"{index.name} doesn't list files that lie beside it, as the index of a checkpoint in parts does: fetch it "
            "again."
        )
    return sorted(str(name) for name in names)


def _plain_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and 0 < len(name) <= 200
        and name.isprintable()
        and not re.search(r"[/\\]", name)
        and name.lower().endswith(CHECKPOINT_SUFFIXES)
    )
