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
from samkit.scratch import scratch_folder
from samkit.ui.bench.sweeping.handed_over import HandedOver, in_folder, with_found_masks, write_files
from samkit.ui.state.public import check_upload
from samkit.work.sweep.case import Case
from samkit.work.sweep.cases import find_cases
from samkit.work.sweep.found_files import MASKS, PICTURES, found_pictures
from samkit.work.sweep.spec import PictureSource

UPLOAD_MB = 64
HANDED = "samkit.sweep_handed"
MASK_HELP = (
    "A mask of the same name for each picture, such as cat.png for cat.jpg: black and white, or a number for each "
    "object. Without one, nothing is compared with what is right."
)
PICTURES_MISSING = (
    "The pictures are missing: true masks are used with pictures of the same names, so give these too. For the picture "
    "on the page, give its mask under Truth on the page."
)


class _Folder:
    """With the files that were handed over, as long as anybody holds it.

    key: of these files; found_masks: how many masks lay among the pictures
    """

    def __init__(self, key: str, pictures: Sequence[UploadedFile], masks: Sequence[UploadedFile]):
        self.key, self._place = key, scratch_folder("sweep-pictures")
        weakref.finalize(self, shutil.rmtree, self._place, ignore_errors=True)
        for upload in (*pictures, *masks):
            check_upload(upload.name, upload.size)
        given = [[(each.name, each.getvalue()) for each in files] for files in (pictures, masks)]
        kept, all_masks = with_found_masks(*given)
        self.found_masks = len(given[0]) - len(kept)
        write_files(self._place, kept, all_masks)
        self.holds = in_folder(self._place)


def pictures_by_hand() -> HandedOver | None:
    """Draw the fields. What is in them, None without a picture. Raises BadInput for files that can't be used."""
    pictures = _uploader("Pictures", PICTURES, "sweep_pictures_handed", "As many as you like")
    masks = _uploader("Their true masks", MASKS, "sweep_masks_handed", MASK_HELP)
    if not pictures:
        if masks:
            st.warning(PICTURES_MISSING, icon=":material/broken_image:")
        return None
    key = hashlib.sha256(" ".join(each.file_id for each in (*pictures, *masks)).encode()).hexdigest()
    known: _Folder | None = st.session_state.get(HANDED)
    if known is None or known.key != key:
        known = st.session_state[HANDED] = _Folder(key, pictures, masks)
    st.caption(_told(known.holds.cases, known.holds.pictures, known.holds.source.masks is not None))
    if known.found_masks:
        are = "1 of the files is a mask and is" if known.found_masks == 1 else f"{known.found_masks} are masks and are"
        st.caption(f"{are} taken as the truth of the picture of the same name.")
    return known.holds


def _uploader(label: str, suffixes: Sequence[str], key: str, told: str) -> list[UploadedFile]:
    types = [suffix.removeprefix(".") for suffix in suffixes]
    return st.file_uploader(label, types, accept_multiple_files=True, key=key, max_upload_size=UPLOAD_MB, help=told)


def pictures_on_disk() -> tuple[PictureSource | None, tuple[Case, ...]]:
    """Draw the fields. (what was written down, its cases). Raises BadInput where it leads to nothing."""
    files = st.text_input(
        "Folder or files",
        placeholder="/data/photos",
        key="sweep_files",
        help="A folder, one picture, or a path with stars: /data/photos/**/*.jpg is all below it",
    ).strip()
    masks = st.text_input(
        "Their true masks", placeholder="/data/masks", key="sweep_masks", help=f"A folder. {MASK_HELP}"
    ).strip()
    if not files:
        if masks:
            st.warning(PICTURES_MISSING, icon=":material/broken_image:")
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


def _told(cases: Sequence[Case], pictures: int, with_masks: bool) -> str:
    """pictures: how many there are, those without a mask too"""
    if not with_masks:
        return f"{pictures:,} picture{'s' if pictures != 1 else ''} without true masks."
    used = len({case.picture.ref for case in cases if case.picture is not None})
    lacking = pictures - used
    left_out = f" {lacking:,} without a mask {'is' if lacking == 1 else 'are'} left out." if lacking > 0 else ""
    objects = f"{len(cases):,} object{'s' if len(cases) != 1 else ''}"
    return f"{objects} on {used:,} of {pictures:,} picture{'s' if pictures != 1 else ''}.{left_out}"
