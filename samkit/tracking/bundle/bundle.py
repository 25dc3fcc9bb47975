"""A run as a folder: the one format for keeping, spooling, exporting, importing and replaying.

run.json                what ran, on what, with which parameters, and the SHA-256 of every other file
inputs/                 prompts.json; image.png and image_b.png, where pictures were taken; mask_hint.png or .npy,
                        truth.png and truth_b.png, where masks came with them; for a run on a film also
                        priors.json, prior_*.png, bank.safetensors, steering.json where several objects were followed
                        or a hand was on the run, and the film if it is small
outputs/                mask_*.png, other pictures, arrays.npz, tables.json, files such as film.mp4 and masks.json
"""

import errno
import hashlib
import importlib.resources
import json
import os
import platform
import shutil
import sys
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from samkit.errors import BadInput, StoreError
from samkit.experiments.inputs import Inputs
from samkit.experiments.result import Result
from samkit.files import file_digest, opened_regular, remove_abandoned_parts
from samkit.media.drawing import mask_from_png, mask_to_png
from samkit.media.given_masks import MaskHint, Truth, read_hint, read_truth
from samkit.media.pictures import Picture, array_to_png, picture_to_png, read_picture
from samkit.prompts import Prompts
from samkit.settings import git_commit
from samkit.tracking.bundle.arrays import read_arrays
from samkit.tracking.bundle.document import (
    PICTURES,
    head_entries,
    input_entries,
    pictures_of,
    result_entries,
    with_refs,
)
from samkit.tracking.bundle.film_inputs import film_files, film_inputs
from samkit.tracking.bundle.record import (
    HINT_FILES,
    MAX_JSON_BYTES,
    PICTURE_FILES,
    RUN_JSON,
    PictureEntry,
    RunRecord,
    leads_elsewhere,
    parse_record,
    read_record,
    read_small_json,
)

if TYPE_CHECKING:
    from samkit.models.sam import ModelInfo

MAX_FILES = 2_000
MAX_UNPACKED_BYTES = 4 * 2**30
MAX_RATIO, LOOSE_BYTES = 200, 16 * 2**20
"""What is larger than this is packed at most so tightly in any run."""
UNREADABLE_ZIP = (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error)
PLOTLY = "plotly.min.js"
"""The one file of a zip that is not the run's own: what its interactive figures are drawn with where there is no
network.
"""
CUT_NOTE = "\n\n(The whole note is in run.json.)"
"""What a note that is too long for the store ends with there."""
PROMPTS, TABLES, ARRAYS = "inputs/prompts.json", "outputs/tables.json", "outputs/arrays.npz"
MASK = "mask_"
"""How the name of every mask begins."""


@dataclass(frozen=True)
class Bundle:
    """A run on disk. record: what run.json says; missing: files that it names and that are not there, or not as they
    were kept.
    """

    path: Path
    record: RunRecord
    missing: tuple[str, ...] = ()

    @property
    def run_uuid(self) -> str:
        return self.record.run_uuid

    @property
    def experiment(self) -> str:
        return self.record.experiment

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def params(self) -> dict[str, Any]:
        """As the experiment's `Params` takes them."""
        return self.record.params

    @property
    def prompts(self) -> Prompts:
        return Prompts.from_dict(read_small_json(self.path / PROMPTS, PROMPTS))

    def inputs(self) -> Inputs:
        """Pictures and prompts, as the experiment took them; a picture that is missing is None. Raises BadInput where
        the run's film is not there any more.
        """
        return Inputs(
            image=self.picture("image"),
            prompts=self.prompts,
            image_b=self.picture("image_b"),
            mask_hint=self.mask_hint(),
            truth=self.truth("truth"),
            truth_b=self.truth("truth_b"),
            **film_inputs(self.path, self.record.video),
        )

    def picture(self, field: Literal["image", "image_b"]) -> Picture | None:
        """The first or the second picture; None where the run took none, or it is missing."""
        entry: PictureEntry | None = getattr(self.record, PICTURES[field])
        file = f"inputs/{field}.png"
        if entry is None or file in self.missing:
            return None
        return read_picture(self.path / file, name=entry.name)

    def mask_hint(self) -> MaskHint | None:
        """None where the run took none, or it is missing."""
        entry = self.record.mask_hint
        return None if entry is None or entry.file in self.missing else read_hint(self.path / entry.file, entry.name)

    def truth(self, field: Literal["truth", "truth_b"]) -> Truth | None:
        """Of the first or of the second picture; None where the run took none, or it is missing."""
        entry: PictureEntry | None = getattr(self.record, field)
        file = PICTURE_FILES[field]
        return None if entry is None or file in self.missing else read_truth(self.path / file, entry.name)

    def mask_file(self, name: str) -> Path:
        return self.path / "outputs" / f"{name}.png"

    def mask(self, name: str) -> np.ndarray:
        """bool [H, W], in the pixels of the picture it lies on."""
        return mask_from_png(self.mask_file(name))

    def masks(self) -> dict[str, np.ndarray]:
        """name -> bool [H, W]."""
        return {name: self.mask(name) for name in self.record.masks}

    def outputs(self, *suffixes: str) -> list[Path]:
        """The files in outputs/ that end so, by name."""
        return sorted(
            self.path / relative
            for relative in self.record.files
            if relative.startswith("outputs/") and relative.endswith(suffixes)
        )

    def images(self) -> list[Path]:
        """The pictures the run made, masks not among them."""
        return [path for path in self.outputs(".png") if path.stem not in self.record.masks]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """name -> rows."""
        path = self.path / TABLES
        return read_small_json(path, TABLES) if path.is_file() else {}

    def arrays(self) -> dict[str, np.ndarray]:
        """name -> array."""
        path = self.path / ARRAYS
        if not path.is_file():
            return {}
        return read_arrays(path)


def write_bundle(
    folder: Path | str,
    *,
    result: Result[Any],
    inputs: Inputs,
    model_info: "ModelInfo",
    device: str,
    dtype: str,
    name: str = "",
    note: str = "",
    extra_files: Mapping[str, bytes] | None = None,
    run_uuid: str | None = None,
    refs: Mapping[str, str] | None = None,
) -> Bundle:
    """Write a run into `folder`, which must not exist or be empty. The folder appears whole or not at all.

    extra_files: relative path -> content, such as interactive figures
    run_uuid:    32 hex digits by which the run is kept once; None: random ones
    refs:        what the inputs were opened by, kept in the record: "model", "picture", "picture_b" or "video" ->
                 catalogue name, path, or `sample:NAME`

    Raises `StoreError` where the disk is full or the folder can't be written, BadInput for what no record can hold.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is already there and not empty: choose another folder for the run.")
    remove_abandoned_parts(folder.parent)
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        films, film = film_files(inputs)
        files = {**_input_files(inputs), **films, **_output_files(result), **(extra_files or {})}
        document = {
            **head_entries(result, inputs, model_info, name, note, run_uuid or uuid.uuid4().hex),
            **with_refs(input_entries(inputs, model_info) | film, refs or {}),
            **result_entries(result),
            "device": device,
            "dtype": dtype,
        }
        record = _fill(partial, files, result.arrays, document)
        if folder.exists():
            folder.rmdir()
        os.replace(partial, folder)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise _disk_error(folder, error) from error
        raise
    return Bundle(folder, record)


def _fill(
    folder: Path, files: Mapping[str, bytes | Path], arrays: Mapping[str, np.ndarray], document: Mapping[str, Any]
) -> RunRecord:
    """Write files, arrays and run.json into a new folder. document: run.json without the git commit, the environment
    and the files' checksums, which are added here.
    """
    _write_files(folder, files)
    if arrays:
        np.savez_compressed(folder / ARRAYS, **arrays)  # type: ignore[arg-type]  # its stub has one keyword
    content = _json({**document, "git_commit": git_commit(), **environment(), "files": _digests(folder)})
    record = parse_record(json.loads(content))
    (folder / RUN_JSON).write_bytes(content)
    return record


def read_bundle(path: Path | str, partial: bool = False) -> Bundle:
    """Read a run's folder and check every file against run.json. Raises `BadInput` that names what is missing or
    damaged.

    partial: files that are missing or damaged are named in the bundle's `missing` instead, as long as run.json and the
             prompts are whole
    """
    path = Path(path)
    record = read_record(path)
    missing = []
    for relative, entry in record.files.items():
        problem = _file_problem(path / relative, entry.sha256)
        if problem and not (partial and relative != PROMPTS):
            raise BadInput(f"The run in {path} {problem.format(relative)}.")
        if problem:
            missing.append(relative)
    return Bundle(path, record, tuple(missing))


def _file_problem(file: Path, sha256: str) -> str | None:
    """What is wrong with a kept file, `{}` standing for its name."""
    if not file.is_file():
        return "is incomplete: {} is missing"
    try:
        with opened_regular(file):
            pass
    except OSError as error:
        return f"can't be read: {{}} ({error.strerror or error})"
    return None if file_digest(file, sys.maxsize) == sha256 else "is damaged: {} is not the file that was kept"


def relabel_bundle(bundle: Bundle, name: str, note: str, tags: Mapping[str, str]) -> Bundle:
    """The run with another name, note and tags, in its run.json too. A note that was cut for the store stays as it
    is.
    """
    whole_note = bundle.record.note if note.endswith(CUT_NOTE) else note
    record = bundle.record.relabelled(name or bundle.name, whole_note, tags)
    if record != bundle.record:
        (bundle.path / RUN_JSON).write_bytes(_json(record.to_dict()))
    return replace(bundle, record=record)


def plotly_file() -> Path:
    """plotly.js, as the installed plotly brings it."""
    return Path(str(importlib.resources.files("plotly"))) / "package_data" / PLOTLY


def zip_bundle(bundle: Bundle, target: Path | str, with_plotly: bool = True) -> Path:
    """The run as one zip file. with_plotly: together with plotly.js, once, where the run has interactive figures, so
    that they open without a network.
    """
    target = Path(target)
    partial = target.with_name(f".{target.name}.part")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(bundle.path.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(bundle.path).as_posix())
            if with_plotly and bundle.outputs(".html"):
                archive.write(plotly_file(), PLOTLY)
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _disk_error(target, error) from error
    return target


@contextmanager
def opened_zip(source: Path, name: str) -> Iterator[zipfile.ZipFile]:
    """Raises BadInput where it can't be opened or is no zip file, and for what inside the block turns out to be none.

    name: what the user calls it
    """
    with ExitStack() as stack:
        try:
            file, _ = stack.enter_context(opened_regular(source, sys.maxsize))
        except FileNotFoundError:
            raise BadInput(f"There is no file {str(source)[:300]}.") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInput(f"{name[:300]} can't be opened ({reason}): check the path.") from error
        try:
            yield stack.enter_context(zipfile.ZipFile(file))
        except UNREADABLE_ZIP as error:
            raise BadInput(f"{name} is not a readable zip file ({error}): export it again.") from None


def unzip_bundle(
    source: Path | str, folder: Path | str, shown_name: str | None = None, room: int = MAX_UNPACKED_BYTES
) -> Bundle:
    """Unpack a run's zip file into `folder` and read it. What leads elsewhere, is more than `room` bytes unpacked, or
    is not the run's own is refused whole.

    shown_name: what the user calls the file; default: its own name
    """
    source, folder = Path(source), Path(folder)
    name = shown_name or source.name
    try:
        with opened_zip(source, name) as archive:
            entries = [
                entry for entry in archive.infolist() if not entry.filename.endswith("/") and entry.filename != PLOTLY
            ]
            _check_entries(entries, name, room)
            for entry in entries:
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed, target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
    except OSError as error:
        raise _disk_error(folder, error) from error
    bundle = read_bundle(folder)
    more = {entry.filename for entry in entries} - {RUN_JSON, *bundle.record.files}
    if more:
        raise BadInput(f"{name} is not a run's archive: it holds {min(more)[:100]!r}, which the run does not know.")
    return bundle


def _check_entries(entries: list[zipfile.ZipInfo], name: str, room: int) -> None:
    if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > room:
        raise BadInput(f"{name} is too large for a run: over {MAX_FILES} files or {MAX_UNPACKED_BYTES // 2**30} GB.")
    for entry in entries:
        if leads_elsewhere(entry.filename):
            raise BadInput(f"{name} is not a run's archive: it holds the path {entry.filename!r}.")
        if entry.file_size > MAX_JSON_BYTES.get(entry.filename, room):
            raise BadInput(
                f"{name} is too large for a run: {entry.filename} has more than "
                f"{MAX_JSON_BYTES[entry.filename] // 2**20} MB."
            )
        if entry.file_size > max(LOOSE_BYTES, MAX_RATIO * entry.compress_size):
            raise BadInput(
                f"{name} is not a run's archive: {entry.filename!r} would unpack to more than "
                f"{MAX_RATIO} times its size."
            )
        if entry.external_attr >> 16 & 0o170000 == 0o120000:
            raise BadInput(f"{name} is not a run's archive: {entry.filename!r} is a link.")
    # Some systems take names for the same that differ in capitals, or in how an accent is written.
    if len({unicodedata.normalize("NFC", entry.filename).casefold() for entry in entries}) < len(entries):
        raise BadInput(f"{name} is not a run's archive: it holds two files of one name.")


def _input_files(inputs: Inputs) -> dict[str, bytes]:
    """Path in the bundle -> content, but for what belongs to a film."""
    files = {PROMPTS: inputs.prompts.to_json().encode()} | {
        f"inputs/{field}.png": picture_to_png(picture) for field, picture in pictures_of(inputs).items()
    }
    if inputs.mask_hint is not None:
        files[HINT_FILES[inputs.mask_hint.kind]] = inputs.mask_hint.file()
    truths = {"truth": inputs.truth, "truth_b": inputs.truth_b}
    return files | {PICTURE_FILES[key]: truth.file() for key, truth in truths.items() if truth is not None}


def _output_files(result: Result[Any]) -> dict[str, bytes]:
    """Path in the bundle -> content, but for the arrays."""
    nameless = [name for name in result.masks if not name.startswith(MASK)]
    if nameless:
        raise ValueError(f"a mask's name begins with {MASK}, and {nameless[0]!r} does not")
    files = {f"outputs/{name}.png": mask_to_png(mask.pixels) for name, mask in result.masks.items()}
    files |= {f"outputs/{name}.png": array_to_png(np.ascontiguousarray(rgb)) for name, rgb in result.images.items()}
    if result.tables:
        files[TABLES] = _json(dict(result.tables))
    return files | {f"outputs/{file}": content for file, content in result.files.items()}


def _write_files(folder: Path, files: Mapping[str, bytes | Path]) -> None:
    """Below `folder`, contents as they are and files as copies."""
    for relative, content in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, path)
        else:
            path.write_bytes(content)


def environment() -> dict[str, str]:
    """What this machine brings to a run's numbers: the processor's kind, Python, and the packages that compute."""
    packages = {"torch": "torch", "numpy": "numpy", "opencv": "opencv-python-headless", "scikit_image": "scikit-image"}
    return {"platform": f"{platform.system()} {platform.machine()}", "python": platform.python_version()} | {
        key: version(name) for key, name in packages.items()
    }


def _digests(folder: Path) -> dict[str, dict]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {
        file.relative_to(folder).as_posix(): {"sha256": _sha256(file), "bytes": file.stat().st_size} for file in files
    }


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _json(content: dict) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _disk_error(place: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"The disk is full, so nothing was written to {place}. Free some space and try again.")
    if error.errno == errno.EFBIG:
        return StoreError(
            f"A file in {place} would be larger than this user or disk may have (`ulimit -f` shows it), so nothing was "
            "written. Raise that limit and try again."
        )
    return StoreError(
        f"{place} can't be written ({error.strerror or error}). Choose another folder or fix its permissions."
    )
