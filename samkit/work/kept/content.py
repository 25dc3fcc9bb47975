"""Pictures, films and memory banks as files named by their content, which works share."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from samkit.errors import BadInput
from samkit.media.file_film import FileVideo
from samkit.media.films import Video
from samkit.media.given_masks import MaskHint, Truth, read_hint, read_truth
from samkit.media.pictures import Picture, picture_to_png, read_picture
from samkit.media.video import open_video
from samkit.work.kept.document import Kind, file_name, hint_file_kind, is_stored
from samkit.work.sources import Sources
from samkit.work.spec import HintSpec, Ref

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank

PART = ".part"
"""The ending of a file that is still being written."""
MAX_PICTURE_BYTES = 512 * 2**20
"""Of a file written here. A picture without loss takes more bytes than the file it came in."""


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file that appears under its name when it is whole. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=PART)
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class NoRoom(Exception):
    """There is less room than `size` bytes."""

    def __init__(self, size: int):
        super().__init__(size)
        self.size = size


def _check_room(size: int, room: int) -> None:
    if size > room:
        raise NoRoom(size)


class ContentFiles:
    """The files of one folder. What is read back is checked by its content."""

    def __init__(self, folder: Path):
        self.folder = folder

    def put(self, kind: Kind, ref: Ref, value: "Picture | Video | MaskHint | Truth | MemoryBank", room: int) -> int:
        """Keep what the reference refers to, in at most `room` bytes where it is not there yet; the bytes that it
        takes. Samples take none. Raises NoRoom, OSError.
        """
        if not is_stored(ref):
            return 0
        path = self.folder / file_name(kind, ref)
        try:
            os.utime(path)
            return path.stat().st_size
        except FileNotFoundError:
            pass
        if isinstance(value, Picture | MaskHint | Truth):
            content = picture_to_png(value) if isinstance(value, Picture) else value.file()
            _check_room(len(content), room)
            write_whole(path, lambda part: part.write_bytes(content))
        elif isinstance(value, FileVideo):
            _check_room(value.path.stat().st_size, room)
            write_whole(path, lambda part: shutil.copyfile(value.path, part))
        elif isinstance(value, Video):
            raise BadInput(f"The film {value.name} is no file, so it can't be kept.")
        else:
            bank = value

            def save(part: Path) -> None:
                bank.save(part)
                _check_room(part.stat().st_size, room)

            write_whole(path, save)
        return path.stat().st_size

    def picture(self, ref: Ref) -> Picture:
        """Raises BadInput where it is not there any more, or not the one that was kept."""
        if not is_stored(ref):
            return Sources(files=False).picture(ref)
        picture = read_picture(self._file("picture", ref), ref.name, max_bytes=MAX_PICTURE_BYTES)
        if picture.sha256 != ref.sha256:
            raise BadInput(f"{picture.name} is damaged on the server.")
        return picture

    def hint(self, spec: HintSpec, picture: Picture) -> MaskHint:
        """Raises BadInput where it is not there any more, or not the one that was kept."""
        hint = read_hint(self._file(hint_file_kind(spec), spec.file), spec.file.name).fitted(picture.size)
        if hint.sha256 != spec.file.sha256:
            raise BadInput("The mask hint is damaged on the server.")
        return hint

    def truth(self, ref: Ref, picture: Picture) -> Truth:
        """Raises BadInput where it is not there any more, or not the one that was kept."""
        truth = read_truth(self._file("truth", ref), ref.name).fitted(picture.size)
        if truth.sha256 != ref.sha256:
            raise BadInput("The truth is damaged on the server.")
        return truth

    def film(self, ref: Ref) -> Video:
        """Raises BadInput where it is not there any more, or not the one that was kept."""
        if not is_stored(ref):
            return Sources(files=False).film(ref)
        path = self._file("film", ref)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != ref.sha256:
                raise BadInput(f"{ref.name} is damaged on the server.")
        return open_video(path, ref.name, max_side=ref.side)

    def bank(self, ref: Ref) -> "MemoryBank":
        """Raises BadInput where it is not there any more, or not the one that was kept."""
        from samkit.models.memory_bank import MemoryBank

        bank = MemoryBank.load(self._file("bank", ref))
        if bank.sha256 != ref.sha256:
            raise BadInput("The memory bank is damaged on the server.")
        return bank

    def _file(self, kind: Kind, ref: Ref) -> Path:
        path = self.folder / file_name(kind, ref)
        if not path.is_file():
            raise BadInput(f"{ref.name or 'A file'} is not on the server any more.")
        with suppress(OSError):
            os.utime(path)
        return path
