"""Runs that samkit wrote in schema 1: one of each experiment and of each kind of input, as zip files."""

from pathlib import Path

from samkit.tracking.bundle.bundle import Bundle, unzip_bundle

FOLDER = Path(__file__).parents[1] / "data" / "schema_1"
FILES = {file.stem: file for file in sorted(FOLDER.glob("*.zip"))}


def old_run(name: str, folder: Path) -> Bundle:
    """The run of that name, unzipped into a new folder below `folder`."""
    return unzip_bundle(FILES[name], folder / name)
