"""Runs as one zip file, to hand on: a single run is its bundle zipped, several are a zip of such zips."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from samkit.errors import BadInput, StoreError
from samkit.scratch import scratch
from samkit.tracking.bundle.bundle import (
    MAX_FILES,
    MAX_UNPACKED_BYTES,
    PLOTLY,
    Bundle,
    opened_zip,
    plotly_file,
    unzip_bundle,
    zip_bundle,
)
from samkit.tracking.bundle.checks import check_contents
from samkit.tracking.bundle.record import MAX_JSON_BYTES


def export_runs(bundles: Sequence[Bundle], target: Path) -> Path:
    """Write the runs to the zip file `target`, which must not exist."""
    if target.exists():
        raise BadInput(f"{target} is already there: choose another name, so that nothing is overwritten.")
    if not target.parent.is_dir():
        raise BadInput(f"There is no folder {target.parent} for the zip file: make it first, or choose another.")
    _check_importable(bundles)
    if len(bundles) == 1:
        return zip_bundle(bundles[0], target)
    with scratch("export") as folder:
        whole = Path(folder, "runs.zip")
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
            for bundle in bundles:
                part = zip_bundle(bundle, Path(folder, f"{bundle.run_uuid}.zip"), with_plotly=False)
                archive.write(part, part.name)
                part.unlink()
            if any(bundle.outputs(".html") for bundle in bundles):
                archive.write(plotly_file(), PLOTLY, zipfile.ZIP_DEFLATED)
        try:
            shutil.move(whole, target)
        except OSError as error:
            raise StoreError(
                f"{target} can't be written ({error.strerror or error}). Choose another folder or fix its permissions."
            ) from error
    return target


def _check_importable(bundles: Sequence[Bundle]) -> None:
    """An export that no import would take is refused before it is written."""
    sizes = [
        [
            (file.relative_to(bundle.path).as_posix(), file.stat().st_size)
            for file in bundle.path.rglob("*")
            if file.is_file()
        ]
        for bundle in bundles
    ]
    if len(bundles) > MAX_FILES or sum(size for files in sizes for _, size in files) > MAX_UNPACKED_BYTES:
        raise BadInput(
            f"These are over {MAX_FILES} runs or {MAX_UNPACKED_BYTES // 2**30} GB, more than an import takes at "
            "once: export them in parts."
        )
    for bundle, files in zip(bundles, sizes, strict=True):
        large = [name for name, size in files if size > MAX_JSON_BYTES.get(name, size)]
        if large or len(files) > MAX_FILES:
            raise BadInput(
                f"The run {bundle.name!r} can't be exported: "
                f"{f'its {large[0]} is larger' if large else 'it has more files'} than an import takes."
            )


def import_runs(source: Path, folder: Path, shown_name: str | None = None) -> list[Bundle]:
    """Unpack every run of a file that `export_runs` wrote into a folder of its own below `folder`, and check it: all of
    them, or `BadInput` and none.

    shown_name: what the user calls the file; default: its own name
    """
    name = shown_name or source.name
    try:
        with opened_zip(source, name) as archive:
            if (
                min((entry.header_offset for entry in archive.infolist()), default=0) != 0
            ):  # the end of a run inside, taken for the end of the file
                raise zipfile.BadZipFile("it is cut off")
            entries = [
                entry for entry in archive.infolist() if not entry.filename.endswith("/") and entry.filename != PLOTLY
            ]
            inner = [entry for entry in entries if entry.filename.endswith(".zip") and "/" not in entry.filename]
            if not inner:
                bundle = unzip_bundle(source, folder / "run", name)
                check_contents(bundle, name)
                return [bundle]
            if len(inner) != len(entries):
                raise BadInput(
                    f"{name} is neither a run nor a file of runs: beside runs it holds {_other(entries, inner)!r}."
                )
            if len(inner) > MAX_FILES or sum(entry.file_size for entry in inner) > MAX_UNPACKED_BYTES:
                raise BadInput(f"{name} is too large: over {MAX_FILES} runs or {MAX_UNPACKED_BYTES // 2**30} GB.")
            bundles, room = [], MAX_UNPACKED_BYTES
            folder.mkdir(parents=True, exist_ok=True)
            for number, entry in enumerate(inner):
                part = folder / f"{number}.zip"
                with archive.open(entry) as packed, part.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
                bundles.append(unzip_bundle(part, folder / f"run-{number}", f"{entry.filename} in {name}", room))
                check_contents(bundles[-1], f"{entry.filename} in {name}")
                room -= sum(file.stat().st_size for file in bundles[-1].path.rglob("*") if file.is_file())
                part.unlink()
            return bundles
    except OSError as error:
        raise StoreError(
            f"{name} can't be unpacked ({error.strerror or error}): free some space and import it again."
        ) from error


def _other(entries: list[zipfile.ZipInfo], inner: list[zipfile.ZipInfo]) -> str:
    return next(entry.filename for entry in entries if entry not in inner)[:100]
