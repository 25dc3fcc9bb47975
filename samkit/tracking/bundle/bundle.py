"""A run as a folder: the one format for keeping, spooling, exporting, importing and replaying.

run.json                what ran, on what, with which parameters, and the SHA-256 of every other file
inputs/                 prompts.json; image.png and image_b.png, where pictures were taken; for a run on a film also
                        priors.json, prior_*.png, bank.safetensors, and the film if it is small
outputs/                mask_*.png, other pictures, arrays.npz, tables.json, files such as film.mp4 and masks.json
"""

import errno
import hashlib
import importlib.resources
import json
import os
import platform
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from samkit import __version__
from samkit.errors import BadInput, StoreError
from samkit.experiments.result import Inputs, Result
from samkit.media.drawing import mask_from_png, mask_to_png
from samkit.media.pictures import array_to_png, picture_to_png, read_picture
from samkit.prompts import Prompts
from samkit.settings import git_commit
from samkit.tracking.bundle.film_inputs import film_files, film_inputs
from samkit.tracking.bundle.record import (
    MAX_JSON_BYTES,
    SCHEMA,
    check_record,
    leads_elsewhere,
    read_json,
    read_small_json,
)

MAX_FILES = 2_000
MAX_UNPACKED_BYTES = 4 * 2**30
UNREADABLE_ZIP = (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error)
PLOTLY = "plotly.min.js"
"""The one file of a zip that is not the run's own: what its interactive figures are drawn with where there is no
network.
"""
CUT_NOTE = "\n\n(The whole note is in run.json.)"
"""What a note that is too long for the store ends with there."""
PICTURES = {"image": "picture", "image_b": "picture_b"}
"""Fields of `Inputs`, which are files in inputs/ too -> entries of run.json."""


@dataclass(frozen=True)
class Bundle:
    """A run on disk. record: the content of run.json; missing: files that it names and that are not there, or not as
    they were kept.
    """

    path: Path
    record: dict
    missing: tuple[str, ...] = ()

    @property
    def run_uuid(self) -> str:
        return self.record["run_uuid"]

    @property
    def experiment(self) -> str:
        return self.record["experiment"]

    @property
    def name(self) -> str:
        return self.record["name"]

    @property
    def params(self) -> dict:
        """As the experiment's `Params` takes them."""
        return self.record["params"]

    @property
    def prompts(self) -> Prompts:
        return Prompts.from_dict(read_small_json(self.path / "inputs" / "prompts.json", "inputs/prompts.json"))

    def inputs(self) -> Inputs:
        """Pictures and prompts, as the experiment took them; a picture that is missing is None."""
        told = self.record
        files = {field: f"inputs/{field}.png" for field in PICTURES}
        there = {
            field: self.path / file
            for field, file in files.items()
            if file in told["files"] and file not in self.missing
        }
        read = {field: read_picture(file, name=told[PICTURES[field]]["name"]) for field, file in there.items()}
        return Inputs(prompts=self.prompts, **read, **film_inputs(self.path, told))

    def mask(self, name: str) -> np.ndarray:
        """bool [H, W]."""
        return mask_from_png(self.path / "outputs" / f"{name}.png")

    def masks(self) -> dict[str, np.ndarray]:
        """name -> bool [H, W]."""
        return {name: self.mask(name) for name in self.record["masks"]}

    def outputs(self, *suffixes: str) -> list[Path]:
        """The files in outputs/ that end so, by name."""
        return sorted(
            self.path / relative
            for relative in self.record["files"]
            if relative.startswith("outputs/") and relative.endswith(suffixes)
        )

    def images(self) -> list[Path]:
        """The pictures the run made, masks not among them."""
        return [path for path in self.outputs(".png") if path.stem not in self.record["masks"]]

    def tables(self) -> dict[str, list[dict]]:
        """name -> rows."""
        path = self.path / "outputs" / "tables.json"
        return read_small_json(path, "outputs/tables.json") if path.is_file() else {}

    def arrays(self) -> dict[str, np.ndarray]:
        """name -> array."""
        path = self.path / "outputs" / "arrays.npz"
        if not path.is_file():
            return {}
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)


def write_bundle(
    folder: Path | str,
    *,
    result: Result,
    inputs: Inputs,
    model_info,
    device: str,
    dtype: str,
    name: str = "",
    note: str = "",
    extra_files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Write a run into `folder`, which must not exist or be empty. The folder appears whole or not at all.

    extra_files: relative path -> content, such as interactive figures. Raises `StoreError` where the disk is full or
                 the folder can't be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is already there and not empty: choose another folder for the run.")
    masks = {(mask if mask.startswith("mask_") else f"mask_{mask}"): values for mask, values in result.masks.items()}
    files = {"inputs/prompts.json": inputs.prompts.to_json().encode()}
    files |= {f"inputs/{field}.png": picture_to_png(picture) for field, picture in _pictures(inputs).items()}
    films, told_film = film_files(inputs)
    files |= films
    files |= {f"outputs/{mask}.png": mask_to_png(values) for mask, values in masks.items()}
    files |= {
        f"outputs/{image}.png": array_to_png(np.ascontiguousarray(pixels)) for image, pixels in result.images.items()
    }
    if result.tables:
        files["outputs/tables.json"] = _json(dict(result.tables))
    files |= {f"outputs/{file}": content for file, content in result.files.items()}
    files |= dict(extra_files or {})
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        for relative, content in files.items():
            path = partial / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, path)
            else:
                path.write_bytes(content)
        if result.arrays:
            np.savez_compressed(partial / "outputs" / "arrays.npz", **result.arrays)
        record = (
            _record(result, inputs, model_info, device, dtype, name, note)
            | told_film
            | {"masks": sorted(masks), "files": _digests(partial)}
        )
        (partial / "run.json").write_bytes(_json(record))
        if folder.exists():
            folder.rmdir()
        os.replace(partial, folder)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise _disk_error(folder, error) from error
        raise
    return Bundle(folder, record)


def read_bundle(path: Path | str, partial: bool = False) -> Bundle:
    """Read a run's folder and check every file against run.json. Raises `BadInput` that names what is missing or
    damaged.

    partial: files that are missing or damaged are named in the bundle's `missing` instead, as long as run.json and the
             prompts are whole
    """
    path = Path(path)
    try:
        record = read_json(path / "run.json", MAX_JSON_BYTES["run.json"])
        schema, files = record["schema"], record["files"]
    except FileNotFoundError:
        raise BadInput(f"{path} is not a kept run: it has no run.json.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is not a kept run: its run.json can't be read ({error}).") from None
    if schema != SCHEMA or isinstance(schema, bool):
        raise BadInput(
            f"{path} was written by another version of samkit (schema {str(schema)[:20]}, this one reads {SCHEMA})."
        )
    wrong = check_record(record)
    if wrong:
        raise BadInput(f"The run in {path} is damaged: {wrong}.")
    missing = []
    for relative, told in files.items():
        problem = _file_problem(path / relative, told["sha256"])
        if problem and not (partial and relative != "inputs/prompts.json"):
            raise BadInput(f"The run in {path} {problem.format(relative)}.")
        if problem:
            missing.append(relative)
    return Bundle(path, record, tuple(missing))


def _file_problem(file: Path, sha256: str) -> str | None:
    """What is wrong with a kept file, `{}` standing for its name."""
    if not file.is_file():
        return "is incomplete: {} is missing"
    try:
        return None if _sha256(file) == sha256 else "is damaged: {} is not the file that was kept"
    except OSError as error:
        return f"can't be read: {{}} ({error.strerror or error})"


def relabel_bundle(bundle: Bundle, name: str, note: str, tags: Mapping[str, str]) -> Bundle:
    """The run with another name, note and tags, in its run.json too. A note that was cut for the store stays as it
    is.
    """
    record = (
        bundle.record
        | {"name": name or bundle.name}
        | ({"tags": dict(tags)} if tags or "tags" in bundle.record else {})
    )
    if not note.endswith(CUT_NOTE):
        record["note"] = note
    if record != bundle.record:
        (bundle.path / "run.json").write_bytes(_json(record))
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
        with zipfile.ZipFile(source) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and entry.filename != PLOTLY]
            _check_entries(entries, name, room)
            for entry in entries:
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed, target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
    except FileNotFoundError:
        raise BadInput(f"There is no file {source}.") from None
    except UNREADABLE_ZIP as error:
        raise BadInput(f"{name} is not a readable zip file ({error}): export the run again.") from None
    except OSError as error:
        raise _disk_error(folder, error) from error
    bundle = read_bundle(folder)
    more = {entry.filename for entry in entries} - {"run.json", *bundle.record["files"]}
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
        if entry.external_attr >> 16 & 0o170000 == 0o120000:
            raise BadInput(f"{name} is not a run's archive: {entry.filename!r} is a link.")
    if len({entry.filename for entry in entries}) < len(entries):
        raise BadInput(f"{name} is not a run's archive: it holds two files of one name.")


def _pictures(inputs: Inputs) -> dict:
    """Field of `Inputs` -> Picture, for those that are there."""
    return {field: getattr(inputs, field) for field in PICTURES if getattr(inputs, field) is not None}


def _record(result: Result, inputs: Inputs, model_info, device: str, dtype: str, name: str, note: str) -> dict:
    pictures = {PICTURES[field]: picture for field, picture in _pictures(inputs).items()}
    return {
        "schema": SCHEMA,
        "run_uuid": uuid.uuid4().hex,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "samkit": __version__,
        "experiment": result.experiment,
        "name": name or f"{result.experiment} {inputs.image.name if inputs.image else model_info.name}",
        "note": note,
        "model": {
            "name": model_info.name,
            "family": model_info.family,
            "version": model_info.version,
            "sha256": model_info.sha256,
        },
        "device": device,
        "dtype": dtype,
        "threads": result.threads,
        **{
            key: {"name": picture.name, "sha256": picture.sha256, "width": picture.width, "height": picture.height}
            for key, picture in pictures.items()
        },
        "prompts": inputs.prompts.to_dict(),
        "params": result.params.model_dump(mode="json"),
        "metrics": dict(result.metrics),
        "timings": dict(result.timings),
        "git_commit": git_commit(),
        **environment(),
    }


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
    return StoreError(
        f"{place} can't be written ({error.strerror or error}). Choose another folder or mend its permissions."
    )
