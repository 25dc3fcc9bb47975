"""What a cell's worker on another machine needs beside the cell itself: the files that the cell names by their paths on
the machine where the sweep was started, and back from it what is kept of the run.
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samkit.errors import BadInput, CheckpointError
from samkit.files import remove_abandoned_parts
from samkit.models.files.catalogue import find_entry, resolve_model
from samkit.models.files.folders import assets_folder
from samkit.work.sources import FRAME_REF, SAMPLE_PREFIX
from samkit.work.spec import Ref
from samkit.work.sweep.cells import Cell

KEPT_BYTES = 2**30
"""Of files that came with earlier cells and may be asked for again."""
RUNS = "runs"


@dataclass(frozen=True)
class Parcel:
    """A file, or a folder with the files directly in it. name: its own; files: uint8 [bytes] by their names"""

    name: str
    files: dict[str, np.ndarray]
    is_folder: bool = False


def paths_of(cell: Cell) -> dict[str, Path]:
    """The files and folders that the cell names, by the text that names each, whether or not they are there. Samples
    and models that come with samkit, which every machine has, are left out; so are models of the catalogue that are
    not on this machine.
    """
    found = {}
    for text in _texts(cell.case):
        if text and not text.startswith(SAMPLE_PREFIX) and not text.lstrip().startswith("{"):
            numbered = FRAME_REF.fullmatch(text)
            whole = numbered[1] if numbered and not os.path.exists(text) else text
            found[whole] = Path(whole)
    model = _model_path(cell.model)
    return found if model is None else found | {cell.model: model}


def _texts(value: Any) -> Iterator[str]:
    """Of every reference in a case, and of the folder of a film's masks."""
    if isinstance(value, Ref):
        # A sample's frame is no file either.
        yield value.ref
    elif isinstance(value, tuple):
        for part in value:
            yield from _texts(part)
    elif is_dataclass(value):
        for each in fields(value):
            inside = getattr(value, each.name)
            if each.name == "frame_masks":
                yield inside
            else:
                yield from _texts(inside)


def _model_path(text: str) -> Path | None:
    try:
        path = resolve_model(text)
    except CheckpointError:
        try:
            find_entry(text)
        except CheckpointError:
            return Path(text)
        return None
    return None if path.is_relative_to(assets_folder()) else path


def packed(path: Path) -> Parcel:
    """Raises BadInput for what can't be read."""
    try:
        if not path.is_dir():
            if not path.is_file():
                raise FileNotFoundError(0, "there is no such file")
            return Parcel(path.name, {path.name: np.fromfile(path, np.uint8)})
        inside = sorted(file for file in path.iterdir() if file.is_file())
        return Parcel(path.name, {file.name: np.fromfile(file, np.uint8) for file in inside}, is_folder=True)
    except OSError as error:
        raise BadInput(
            f"{path} can't be read on the machine where the sweep runs ({error.strerror or error}): check the path."
        ) from error


class Unpacked:
    """The files that came with cells, on the machine of a worker. folder: theirs alone"""

    def __init__(self, folder: Path):
        self._folder = folder
        self._places: dict[str, tuple[Path, int]] = {}
        self._missing: dict[str, str] = {}

    def __contains__(self, text: str) -> bool:
        return text in self._places

    def add(self, text: str, parcel: Parcel) -> None:
        """Raises OSError where it can't be written."""
        own = self._folder / secrets.token_hex(4)
        place = own / parcel.name
        inside = place if parcel.is_folder else own
        try:
            inside.mkdir(parents=True)
            for name, content in parcel.files.items():
                content.tofile(inside / name)
        except OSError:
            shutil.rmtree(own, ignore_errors=True)
            raise
        self._places[text] = place, sum(content.nbytes for content in parcel.files.values())

    def add_missing(self, text: str, reason: str) -> None:
        """reason: why it did not come, as a sentence"""
        self._missing[text] = reason

    def keep_only(self, wanted: set[str]) -> None:
        """Remove the oldest of those that are not wanted, so that the others stay below `KEPT_BYTES`."""
        self._missing.clear()
        held = sum(size for text, (_, size) in self._places.items() if text not in wanted)
        for text in [text for text in self._places if text not in wanted]:
            if held <= KEPT_BYTES:
                break
            place, size = self._places.pop(text)
            held -= size
            shutil.rmtree(place.parent, ignore_errors=True)

    def as_named(self, text: str) -> str:
        """A text with the paths on this machine replaced by those that the cells name."""
        for named, (place, _) in self._places.items():
            text = text.replace(str(place), named)
            # As JSON writes them.
            text = text.replace(json.dumps(str(place))[1:-1], json.dumps(named)[1:-1])
        return text

    def place(self, text: str) -> str:
        """As `samkit.work.sweep.compute.Place`."""
        if text in self._missing:
            raise BadInput(self._missing[text])
        if text in self._places:
            return str(self._places[text][0])
        # What lies under the same path here is another file.
        return str(self._folder / "not-sent" / Path(text).name) if os.path.isabs(text) else text


def taken_out(folder: Path) -> dict[str, bytes]:
    """All files below the folder, by their paths in it; the folder is empty afterwards. Raises OSError."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in folder.iterdir():
        shutil.rmtree(path)
    return files


def put_back(folder: Path, files: dict[str, bytes]) -> None:
    """Write what `taken_out` gave below another folder: each mask and each run whole, or not at all. Raises OSError."""
    remove_abandoned_parts(folder)
    part = folder / f".{secrets.token_hex(4)}.part"
    whole = {Path(*Path(name).parts[:3]) if Path(name).parts[0] == RUNS else Path(name) for name in files}
    try:
        for name, content in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(content)
        for unit in whole:
            place = folder / unit
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.is_dir():
                shutil.rmtree(place)
            os.replace(part / unit, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
