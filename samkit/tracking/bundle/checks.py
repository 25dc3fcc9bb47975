"""A run from elsewhere, looked through before it is kept: every file that a page or a replay will open is opened
once.
"""

import zipfile

import numpy as np

from samkit.errors import BadInput, SamkitError
from samkit.media.pictures import read_picture
from samkit.media.video import open_video
from samkit.tracking.bundle.bundle import ARRAYS, PICTURES, Bundle
from samkit.tracking.bundle.film_inputs import memories
from samkit.tracking.bundle.record import KEPT_FILM

MAX_ARRAY_BYTES = 2 * 2**30


def check_contents(bundle: Bundle, name: str) -> None:
    """Raises BadInput where a file is not what its name says. name: what the user calls the run's file."""
    try:
        _look_through(bundle)
    except (
        SamkitError,
        OSError,
        ValueError,
        TypeError,
        KeyError,
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
    ) as error:
        raise BadInput(
            f"{name} can't be imported: {error} Nothing of it was kept; export it again where it was made."
        ) from None


def _look_through(bundle: Bundle) -> None:
    record, folder = bundle.record, bundle.path
    _ = bundle.prompts
    for field in PICTURES:
        if f"inputs/{field}.png" in record.files:
            read_picture(folder / "inputs" / f"{field}.png")
    for mask in record.masks:
        bundle.mask(mask)
    for picture in bundle.images():
        read_picture(picture)
    for name, rows in bundle.tables().items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BadInput(f"its table {name[:60]!r} is not a list of rows.")
    _check_arrays(bundle)
    if record.video is not None:
        memories(folder)
        if KEPT_FILM.fullmatch(record.video.place):
            open_video(folder / record.video.place, record.video.name)


def _check_arrays(bundle: Bundle) -> None:
    path = bundle.path / ARRAYS
    if ARRAYS not in bundle.record.files:
        return
    with zipfile.ZipFile(path) as packed:
        if sum(entry.file_size for entry in packed.infolist()) > MAX_ARRAY_BYTES:
            raise BadInput(f"its arrays unpack to more than {MAX_ARRAY_BYTES // 2**30} GB.")
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            _ = arrays[name]
