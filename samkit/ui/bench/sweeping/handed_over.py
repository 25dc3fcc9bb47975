"""Pictures that a visitor hands over for a sweep, with their true masks. Pure: no Streamlit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import splitext
from pathlib import Path

from samkit.errors import BadInput, PictureError
from samkit.media.mask_files import read_mask_file
from samkit.media.pictures import clean_name
from samkit.work.sweep.case import Case
from samkit.work.sweep.cases import find_cases
from samkit.work.sweep.found_files import MASKS
from samkit.work.sweep.spec import PictureSource

PLACE, MASK_PLACE = "pictures", "true_masks"
"""Folders in which they lie."""
MAX_NAME_BYTES = 200


@dataclass(frozen=True)
class HandedOver:
    """What lies in a folder that is there only for now.

    source: of a spec that lies in such a folder; cases: as they will be found; files: where each is, by its name there
    """

    source: PictureSource
    cases: tuple[Case, ...]
    files: Mapping[str, Path]

    @property
    def pictures(self) -> int:
        """How many there are, those without a mask too."""
        return sum(file.parent.name == PLACE for file in self.files.values())


def write_files(folder: Path, pictures: Iterable[tuple[str, bytes]], masks: Iterable[tuple[str, bytes]]) -> None:
    """Put them into a new folder, each under its own name."""
    for place, files in ((PLACE, pictures), (MASK_PLACE, masks)):
        (folder / place).mkdir()
        for name, content in files:
            (folder / place / file_name(name)).write_bytes(content)


def with_found_masks(
    pictures: Sequence[tuple[str, bytes]], masks: Sequence[tuple[str, bytes]]
) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """(pictures, masks), each (name, content): what lies among the pictures and is a mask of another one of them goes
    to the masks. It has that one's name with another ending, and few values, as a photo never has.
    """
    stems = [splitext(file_name(name))[0] for name, _ in pictures]
    shared = [stems.count(stem) > 1 for stem in stems]
    is_mask = [twice and _has_few_values(*each) for twice, each in zip(shared, pictures, strict=True)]
    of_picture = {stem for stem, mask in zip(stems, is_mask, strict=True) if not mask}
    moved = [mask and stem in of_picture for stem, mask in zip(stems, is_mask, strict=True)]
    found = [each for each, goes in zip(pictures, moved, strict=True) if goes]
    return [each for each, goes in zip(pictures, moved, strict=True) if not goes], [*found, *masks]


def _has_few_values(name: str, content: bytes) -> bool:
    if splitext(name)[1].lower() not in MASKS:
        return False
    try:
        return not read_mask_file(content, name).soft
    except PictureError:
        return False


def file_name(name: str) -> str:
    """One that every disk takes, and that is not hidden: those are not found."""
    stem, suffix = splitext(name.replace("\\", "/").rpartition("/")[2].lstrip("."))
    short = clean_name(stem).encode()[:MAX_NAME_BYTES].decode(errors="ignore") if stem else "picture"
    return short + (clean_name(suffix) if suffix else "")


def in_folder(folder: Path) -> HandedOver:
    """What `write_files` put there. Raises BadInput where no mask belongs to a picture, or none can be read."""
    files = {
        f"{place}/{file.name}": file for place in (PLACE, MASK_PLACE) for file in sorted((folder / place).iterdir())
    }
    masked = any(file.parent.name == MASK_PLACE for file in files.values())
    if masked and not _some_agree(files.values()):
        first = next(iter(files.values()))
        raise BadInput(
            "None of these masks belongs to one of the pictures: a mask has the picture's name, such as "
            f"{first.stem:.80}.png for {first.name:.80}."
        )
    source = PictureSource(files=(f"{PLACE}/*",), masks=MASK_PLACE if masked else None)
    here = PictureSource(files=(str(folder / PLACE / "*"),), masks=str(folder / MASK_PLACE) if masked else None)
    return HandedOver(source, tuple(find_cases((here,), 0)), files)


def _some_agree(files: Iterable[Path]) -> bool:
    stems = {PLACE: set[str](), MASK_PLACE: set[str]()}
    for file in files:
        stems[file.parent.name].add(file.stem)
    # photo_1.png is a further layer of photo.png, and may be the only one.
    return bool(stems[PLACE] & (stems[MASK_PLACE] | {stem.rpartition("_")[0] for stem in stems[MASK_PLACE]}))
