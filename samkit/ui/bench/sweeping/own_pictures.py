"""The pictures of one's own that a sweep takes, with their true masks: handed over in the browser, or on this machine's
disk.
"""

import hashlib
import shutil
import weakref
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.errors import BadInput
from samkit.media.pictures import clean_name
from samkit.scratch import scratch_folder
from samkit.ui.bench.sweeping.draft import HandedOver
from samkit.ui.state.public import check_upload
from samkit.work.sweep.case import Case
from samkit.work.sweep.cases import find_cases
from samkit.work.sweep.found_files import MASKS, PICTURES, found_pictures
from samkit.work.sweep.spec import PictureSource

UPLOAD_MB, MAX_NAME_BYTES = 64, 200
HANDED, PLACE, MASK_PLACE = "samkit.sweep_handed", "pictures", "true_masks"
MASK_HELP = (
    "A mask of the same name for each picture, such as cat.png for cat.jpg: black and white, or a number for each "
    "object. Without one, nothing is compared with what is right."
)


class _Folder:
    """With the files that were handed over, as long as anybody holds it. key: of these files"""

    def __init__(self, key: str):
        self.key, self.path = key, scratch_folder("sweep-pictures")
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def handed_over() -> HandedOver | None:
    """Draw the fields. What is in them, None without a picture. Raises BadInput for files that can't be used."""
    pictures, masks = (
        st.file_uploader(
            label,
            [suffix.removeprefix(".") for suffix in suffixes],
            accept_multiple_files=True,
            key=key,
            max_upload_size=UPLOAD_MB,
            help=told,
        )
        for label, suffixes, key, told in (
            ("Pictures", PICTURES, "sweep_pictures_handed", "As many as you like, each becomes a cell"),
            ("Their true masks", MASKS, "sweep_masks_handed", MASK_HELP),
        )
    )
    if not pictures:
        return None
    folder = _written(pictures, masks)
    names = {name: folder / name for place in (PLACE, MASK_PLACE) for name in _below(folder, place)}
    if masks and not _some_agree(names):
        first = Path(pictures[0].name)
        raise BadInput(
            f"None of these masks belongs to one of the pictures: a mask has the picture's name, such as "
            f"{first.stem:.80}.png for {first.name:.80}."
        )
    masked = MASK_PLACE if masks else None
    here = PictureSource(files=(str(folder / PLACE / "*"),), masks=str(folder / MASK_PLACE) if masks else None)
    cases, count = _found(here)
    st.caption(_told(cases, count, bool(masks)))
    return HandedOver(PictureSource(files=(f"{PLACE}/*",), masks=masked), tuple(cases), names)


def _some_agree(names: dict[str, Path]) -> bool:
    stems = {
        place: {file.stem for file in names.values() if file.parent.name == place} for place in (PLACE, MASK_PLACE)
    }
    # photo_1.png is a further layer of photo.png, and may be the only one.
    return bool(stems[PLACE] & (stems[MASK_PLACE] | {stem.rpartition("_")[0] for stem in stems[MASK_PLACE]}))


def _below(folder: Path, place: str) -> list[str]:
    return [f"{place}/{file.name}" for file in sorted((folder / place).iterdir())]


def _written(pictures: Sequence[UploadedFile], masks: Sequence[UploadedFile]) -> Path:
    """The folder with the files, written once for as long as they are the same."""
    key = hashlib.sha256(" ".join(each.file_id for each in (*pictures, *masks)).encode()).hexdigest()
    known: _Folder | None = st.session_state.get(HANDED)
    if known is not None and known.key == key:
        return known.path
    made = _Folder(key)
    for place, uploads in ((PLACE, pictures), (MASK_PLACE, masks)):
        (made.path / place).mkdir()
        for upload in uploads:
            check_upload(upload.name, upload.size)
            (made.path / place / _file_name(upload.name)).write_bytes(upload.getbuffer())
    st.session_state[HANDED] = made
    return made.path


def _file_name(name: str) -> str:
    """One that every disk takes, and that is not hidden: those are not found."""
    stem, dot, suffix = clean_name(name).lstrip(".").rpartition(".")
    short = (stem or "picture").encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return f"{short}{dot}{suffix}"


def _told(cases: Sequence[Case], pictures: int, with_masks: bool) -> str:
    """pictures: how many there are, those without a mask too"""
    if not with_masks:
        return f"{pictures:,} picture{'s' if pictures != 1 else ''} without true masks."
    used = len({case.picture.ref for case in cases if case.picture is not None})
    left_out = f" {pictures - used:,} without a mask are left out." if pictures > used else ""
    return f"{len(cases):,} object{'s' if len(cases) != 1 else ''} on {used:,} of {pictures:,} pictures.{left_out}"


def pictures_on_disk() -> tuple[PictureSource | None, tuple[Case, ...]]:
    """Draw the fields. (what was written down, its cases). Raises BadInput where it leads to nothing."""
    files = st.text_input(
        "Folder or files",
        placeholder="/data/photos",
        key="sweep_files",
        help="A folder, one picture, or a path with stars: /data/photos/**/*.jpg is all below it",
    ).strip()
    masks = st.text_input(
        "Their true masks",
        placeholder="/data/masks",
        key="sweep_masks",
        help=f"A folder. {MASK_HELP}",
    ).strip()
    if not files:
        return None, ()
    place = Path(files).expanduser()
    if not place.is_absolute():
        raise BadInput("Give the whole path of the pictures, beginning with /.")
    source = PictureSource(
        files=(str(place / "*") if place.is_dir() else str(place),),
        masks=str(Path(masks).expanduser()) if masks else None,
    )
    cases, pictures = _found(source)
    st.caption(_told(cases, pictures, source.masks is not None))
    return source, tuple(cases)


@st.cache_data(ttl=120, max_entries=8, show_spinner="Looking for pictures and masks")
def _found(source: PictureSource) -> tuple[list[Case], int]:
    """(cases, how many pictures there are, those without a mask too)"""
    return find_cases((source,), 0), sum(len(found_pictures(pattern)) for pattern in source.files)
