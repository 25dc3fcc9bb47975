"""What a file is, judged by its first bytes and its table of contents, before anything in it is loaded. Knows no torch.

A checkpoint is one of three formats: safetensors, the zip archive that `torch.save` writes, or the bare pickle it wrote
before torch 1.6.

Whatever else people hand over (a saved web page, a git-lfs pointer, half a download) gets a sentence of its own here,
so that no loader has to guess from its own exceptions.
"""

import json
import os
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from samkit.errors import CheckpointError
from samkit.files import opened_regular
from samkit.models.files.tables import CutShort, TableDamaged, read_safetensors_header, zip_members

FileFormat = Literal["safetensors", "torch_zip", "torch_legacy"]

_HEAD_BYTES = 1024
_ZIP_MAGIC = b"PK\x03\x04"
# The integer 0x1950a86a20f9469cfc6c, pickled: the first thing in each file that torch.save wrote before it wrote zips.
_TORCH_LEGACY_MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_SAFETENSORS_MAX_HEADER = 100_000_000
"""By which the format is known; what is read of it has a bound of its own."""
_FETCH_AGAIN = "fetch it again"


@dataclass(frozen=True)
class CheckpointFile:
    """A file known to be a whole checkpoint of one of the three formats."""

    path: Path
    format: FileFormat
    file_bytes: int
    metadata: dict
    """The JSON object of the safetensors metadata entry `samkit`; {} where there is none, and for the other formats."""


def inspect_checkpoint_file(path: Path | str) -> CheckpointFile:
    """Find out what `path` is without loading it. The suffix plays no part.

    Raises CheckpointError: missing, a folder, unreadable, empty, text or HTML, cut short, damaged, a plain pickle, or a
    format that is not a checkpoint.
    """
    path = Path(path).expanduser()
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise CheckpointError(f"{path} is a folder: give the path of the checkpoint file in it.")
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path} is not an ordinary file: give the path of a checkpoint file.")
        with opened_regular(path) as (stream, size):
            return inspect_checkpoint_stream(path, stream, size)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"There is no file {path}: check the path.") from error
    except ValueError as error:  # a name with a zero byte in it
        raise CheckpointError(f"There is no file {str(path)!r}: check the path.") from error
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be read ({error.strerror or error}): check its permissions and the disk."
        ) from error


def inspect_checkpoint_stream(path: Path, stream: BinaryIO, size: int) -> CheckpointFile:
    """The same of its bytes. stream: of all `size` of them; path: by which it is named in errors."""
    head = stream.read(_HEAD_BYTES)
    file_format = _recognise(path, head, size)
    metadata: dict = {}
    try:
        if file_format == "safetensors":
            metadata = _samkit_metadata(path, read_safetensors_header(stream, size)[0])
        elif file_format == "torch_zip":
            _check_torch_zip(path, zip_members(stream))
    except (CutShort, TableDamaged) as error:
        raise table_error(path, error) from error
    return CheckpointFile(path=path, format=file_format, file_bytes=size, metadata=metadata)


def table_error(path: Path, error: CutShort | TableDamaged) -> CheckpointError:
    """The error for a person, where a table of contents can't be read."""
    if isinstance(error, CutShort):
        return _cut_short(path, str(error))
    return CheckpointError(f"{path.name} is damaged, its table of contents can't be read: {_FETCH_AGAIN}.")


def _recognise(path: Path, head: bytes, size: int) -> FileFormat:
    if size == 0:
        raise CheckpointError(f"{path.name} is empty (0 bytes): {_FETCH_AGAIN}.")
    if head.startswith(_ZIP_MAGIC):
        return "torch_zip"
    if _TORCH_LEGACY_MAGIC in head[:64]:
        return "torch_legacy"
    if len(head) > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= _SAFETENSORS_MAX_HEADER:
        return "safetensors"
    text = _as_text(head)
    if text is not None and not _ZIP_MAGIC.startswith(head):
        raise CheckpointError(_text_sentence(path, text))
    if size < 32:
        raise _cut_short(path, f"after {size} bytes")
    if head[0] == 0x80 and head[1] <= 5:
        raise CheckpointError(
            f"{path.name} is a plain pickle, which can run code on this machine when it is opened, so it was not "
            "opened: ask for a .safetensors file, or one that torch.save(model.state_dict(), ...) wrote."
        )
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")):
        raise CheckpointError(f"{path.name} is a compressed archive: unpack it and give the checkpoint file in it.")
    raise CheckpointError(
        f"{path.name} is not a checkpoint: samkit reads .safetensors, and .pt or .pth files that torch.save wrote."
    )


def _as_text(head: bytes) -> str | None:
    """`head` as text, or None where it holds control characters or bytes that are not UTF-8 (a character cut in two at
    the end is allowed).
    """
    for cut in range(min(4, len(head))):
        try:
            text = head[: len(head) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
        return text if all(character.isprintable() or character in "\t\r\n\f" for character in text) else None
    return None


def _text_sentence(path: Path, text: str) -> str:
    start = text.lstrip()
    if start.startswith("version https://git-lfs"):
        return (
            f"{path.name} is a git-lfs pointer, not the checkpoint itself: run `git lfs pull` in its repository, or "
            "download the file it stands for."
        )
    lowered = start[:512].lower()
    if lowered.startswith(("<!doctype html", "<html", "<head", "<?xml")) or "<html" in lowered:
        return (
            f"{path.name} is a web page, not a checkpoint: the download saved the page in place of the file. Fetch the "
            "file behind the page's download link."
        )
    opening = start.splitlines()[0][:40] if start else ""
    return (
        f'{path.name} is a text file (it begins "{opening}"), not a checkpoint: give a .safetensors, .pt or .pth file.'
    )


def _cut_short(path: Path, where: str) -> CheckpointError:
    return CheckpointError(
        f"{path.name} is cut short, it ends {where}: the download or copy did not finish, {_FETCH_AGAIN}."
    )


def _samkit_metadata(path: Path, header: dict) -> dict:
    entries = header.get("__metadata__") or {}
    text = entries.get("samkit") if isinstance(entries, dict) else None
    if text is None:
        return {}
    try:
        metadata = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise CheckpointError(
            f"The metadata entry `samkit` of {path.name} is not a JSON object: write it again, or leave it out."
        )
    return metadata


def _check_torch_zip(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    names = {entry.filename.partition("/")[2] for entry in entries}
    if "constants.pkl" in names:
        raise CheckpointError(
            f"{path.name} is a TorchScript program, which is code and not weights, so it was not opened: ask for "
            "the checkpoint it comes from."
        )
    if "data.pkl" not in names:
        raise CheckpointError(
            f"{path.name} is a zip archive but not one that torch.save wrote: unpack it and give the checkpoint "
            "file in it."
        )
    # Members are mapped into memory where they lie; a compressed one would be read as garbage.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError(
            f"{path.name} was compressed after torch.save wrote it: zip it again without compression (zip -0), or "
            "fetch the original."
        )
