"""The pictures on this machine's disk that a sweep takes, with their true masks."""

from pathlib import Path

import streamlit as st

from samkit.errors import BadInput
from samkit.work.sweep.case import Case
from samkit.work.sweep.cases import find_cases
from samkit.work.sweep.found_files import found_pictures
from samkit.work.sweep.spec import PictureSource


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
        help="A folder with a mask of the same name for each picture, such as cat.png for cat.jpg: black and white, or "
        "a number for each object. Without one, nothing is compared with what is right.",
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
    with_objects = len({case.picture.ref for case in cases if case.picture is not None})
    if source.masks is None:
        st.caption(f"{pictures:,} pictures, no true masks.")
    else:
        left_out = f" {pictures - with_objects:,} without a mask are left out." if pictures > with_objects else ""
        st.caption(f"{len(cases):,} objects on {with_objects:,} pictures.{left_out}")
    return source, tuple(cases)


@st.cache_data(ttl=120, max_entries=8, show_spinner="Looking for pictures and masks")
def _found(source: PictureSource) -> tuple[list[Case], int]:
    """(cases, how many pictures there are, those without a mask too)"""
    return find_cases((source,), 0), sum(len(found_pictures(pattern)) for pattern in source.files)
