"""What the owner of this machine said of a checkpoint: its native side and windows, remembered with the file's hash.
Knows no torch.
"""

import json
import os
import re
import tempfile
from pathlib import Path

from samkit.errors import CheckpointError
from samkit.models.files.locate import MAX_JSON, read_small_json
from samkit.models.files.metadata import ModelMetadata, read_metadata
from samkit.settings import home_folder

FILE = "models.json"
MAX_REMEMBERED = 1_000


def remembered(sha256: str) -> ModelMetadata | None:
    """What is remembered of the file with that hash; None for nothing. Raises CheckpointError for a damaged list."""
    path = remembered_path()
    if not path.is_file():
        return None
    values = read_small_json(path, MAX_JSON).get(sha256)
    return read_metadata(values, str(path)) if isinstance(values, dict) else None


def remember(sha256: str, native_side: int | None, window_sizes: tuple[int, ...] | None) -> None:
    """None for what the file itself says; both None forgets. Raises CheckpointError for values that no model has, and
    where the list can't be written.
    """
    assert re.fullmatch(r"[0-9a-f]{64}", sha256)
    said = {"native_side": native_side, "window_sizes": window_sizes and list(window_sizes)}
    values = {key: value for key, value in said.items() if value is not None}
    read_metadata(values, "The picker")
    path = remembered_path()
    known = read_small_json(path, MAX_JSON) if path.is_file() else {}
    known.pop(sha256, None)
    if values:
        known[sha256] = values
    kept = dict(list(known.items())[-MAX_REMEMBERED:])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=FILE, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(kept, stream, indent=1)
            os.replace(part, path)
        finally:
            Path(part).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be written ({error.strerror}): make room there, or set SAMKIT_HOME to another folder."
        ) from error


def remembered_path() -> Path:
    """Where the list lies, whether there is one or not."""
    return home_folder() / FILE
