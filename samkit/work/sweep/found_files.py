"""Files that a spec's globs lead to, and the masks that belong to them."""

import glob
import itertools
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar

from samkit.errors import BadInput
from samkit.media.folder_film import FRAME_SUFFIXES, frame_files
from samkit.words import nearest

T = TypeVar("T")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MASKS = (".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".npy")
FILMS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".ogv", ".wmv",
    ".3gp", ".gif",
)  # fmt: skip
MAX_FOUND = 200_000
"""Paths that a glob may lead to."""
MAX_LOOKED_AT, LOOKING_S = 2_000_000, 60.0
"""Files and folders that are looked at for one glob, and for how long: a whole disk is no folder of pictures."""


def found_pictures(pattern: str) -> list[Path]:
    """The pictures of a path or a glob, in the order of their names. Raises BadInput where there is none."""
    paths = _found(pattern, lambda path: path.suffix.lower() in PICTURES and path.is_file())
    if not paths or not paths[0].is_file():
        raise BadInput(f"There is no picture {pattern:.200}: check the path, which goes from the spec's own folder.")
    return paths


def found_films(pattern: str) -> list[Path]:
    """The films of a path or a glob: files, and folders with a picture for each frame. Raises BadInput where there is
    none.
    """
    paths = _found(pattern, lambda path: path.suffix.lower() in FILMS if path.is_file() else _has_frames(path))
    if not paths or not paths[0].exists():
        raise BadInput(f"There is no film {pattern:.200}: check the path, which goes from the spec's own folder.")
    return paths


def _has_frames(folder: Path) -> bool:
    try:
        return any(file.suffix.lower() in FRAME_SUFFIXES and file.name[0] != "." for file in folder.iterdir())
    except OSError:
        return False


def _found(pattern: str, fits: Callable[[Path], bool]) -> list[Path]:
    if not glob.has_magic(pattern):
        return [Path(pattern)]
    if Path(pattern).parts.count("**") > 1:
        raise BadInput(f"{pattern:.200} has ** more than once, which looks everywhere many times: leave one of them.")
    root = fixed_part(pattern)
    try:
        walk = _Walk(pattern)
        fitting = (path for path in walk.matches(root, Path(pattern).relative_to(root).parts) if fits(path))
        paths = sorted(itertools.islice(fitting, MAX_FOUND + 1))
    except (ValueError, NotImplementedError, RecursionError) as error:
        raise BadInput(f"{pattern:.200} is no glob that can be read: {str(error)[:100]}.") from error
    except OSError as error:
        raise BadInput(f"{pattern:.200} can't be looked for ({error.strerror or error}).") from error
    if len(paths) > MAX_FOUND:
        raise BadInput(f"{pattern:.200} leads to more than {MAX_FOUND:,} files: name a folder further in.")
    return paths


class _Walk:
    """Through the folders that a glob names. Neither hidden files nor hidden folders are found, and no link is gone
    through in **: one to a folder above it would never end.
    """

    def __init__(self, pattern: str):
        self._pattern = pattern
        self._left, self._ends = MAX_LOOKED_AT, time.monotonic() + LOOKING_S

    def matches(self, folder: Path, parts: Sequence[str]) -> Iterator[Path]:
        """Raises BadInput where there is too much to look at, and ValueError for a part that is no glob."""
        if not parts:
            yield folder
            return
        first, rest = parts[0], parts[1:]
        if first == "**":
            for below in self._folders(folder):
                yield from self.matches(below, rest)
        elif "**" in first:
            raise ValueError("** can only be an entire part of a path")
        elif not glob.has_magic(first):
            if first == ".." or (first[0] != "." and os.path.lexists(folder / first)):
                yield from self.matches(folder / first, rest)
        else:
            for entry in self._inside(folder):
                if fnmatch(entry.name, first) and (not rest or entry.is_dir()):
                    yield from self.matches(folder / entry.name, rest)

    def _folders(self, top: Path) -> Iterator[Path]:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting += (folder / each.name for each in self._inside(folder) if each.is_dir(follow_symlinks=False))

    def _inside(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                inside = list(itertools.islice(entries, self._left + 1))
        except OSError:
            return []  # A folder that may not be looked into, or none.
        self._left -= len(inside)
        if self._left < 0 or time.monotonic() > self._ends:
            raise BadInput(
                f"{self._pattern:.200} leads through more files and folders than are looked at "
                f"({MAX_LOOKED_AT:,}, or {LOOKING_S:.0f} s): name a folder further in."
            )
        return [entry for entry in inside if not entry.name.startswith(".")]


def fixed_part(pattern: str) -> Path:
    """The folder of a glob before its first star; of a plain path its own folder."""
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def masks_of(picture: Path, root: Path, folder: Path) -> list[Path]:
    """The mask of the picture's name, and further layers of it: photo.png, photo_1.png, photo_2.png ...; in the same
    folders below `folder` as the picture's below `root`.
    """
    place = folder / picture.relative_to(root).parent
    found = []
    for stem in (picture.stem, *(f"{picture.stem}_{layer}" for layer in range(1, 1000))):
        of_another = stem != picture.stem and picture.with_name(f"{stem}{picture.suffix}").is_file()
        files = [place / f"{stem}{suffix}" for suffix in MASKS]
        file = next((file for file in files if file != picture and file.is_file()), None)
        if file is None or of_another:
            break
        found.append(file)
    return found


def davis_sequences(root: Path, wanted: Sequence[str]) -> tuple[Path, Path, Sequence[str]]:
    """(the folder of pictures, of masks, the sequences in both) of a DAVIS-like folder. wanted: names; empty: all.
    Raises BadInput for what is none, and for a sequence that is not there.
    """
    pictures, masks = root / "JPEGImages", root / "Annotations"
    if (pictures / "480p").is_dir():
        pictures, masks = pictures / "480p", masks / "480p"
    names = sorted(folder.name for folder in masks.iterdir() if folder.is_dir()) if masks.is_dir() else []
    if not names:
        raise BadInput(f"{root} has no folder Annotations with a folder for each film, as DAVIS has.")
    for name in wanted:
        if name not in names:
            raise BadInput(f"There is no sequence {name:.60} in {root}: {nearest(name, names)}")
    return pictures, masks, wanted or names


def limited(values: list[T], most: int | None, seed: int) -> list[T]:
    """At most so many of the values, chosen by the seed, in their order."""
    if most is None or most >= len(values):
        return values
    return [values[index] for index in sorted(random.Random(seed).sample(range(len(values)), most))]


def masks_by_frame(folder: Path, film: Path) -> dict[int, Path]:
    """number of a frame -> its mask, in order. A folder of frames and one of masks go together by names, or by the last
    numbers in these; a mask of a film in one file has the frame's number in its name, counted from 0.
    """
    try:
        masks = [file for file in folder.iterdir() if file.suffix.lower() in MASKS and file.name[0] != "."]
        frames = frame_files(film) if film.is_dir() else []
    except OSError as error:
        raise BadInput(f"The masks {folder} can't be read ({error.strerror or error}).") from error
    found: dict[int, Path] = {}
    if not frames:
        for mask in sorted(masks):
            if (number := _number(mask)) is not None:
                found.setdefault(number, mask)
    else:
        by_name = {frame.stem: index for index, frame in enumerate(frames)}
        if not any(mask.stem in by_name for mask in masks):
            by_number = {_number(frame): index for index, frame in enumerate(frames)}
            by_name = {mask.stem: by_number[_number(mask)] for mask in masks if _number(mask) in by_number}
        for mask in sorted(masks):
            if mask.stem in by_name:
                found.setdefault(by_name[mask.stem], mask)
    return dict(sorted(found.items()))


def _number(file: Path) -> int | None:
    """The last number in the file's name."""
    groups = ["".join(group) for is_digit, group in itertools.groupby(file.stem, _is_digit) if is_digit]
    return int(groups[-1][-9:]) if groups else None


def _is_digit(character: str) -> bool:
    return character in "0123456789"
