"""The Download menu of a page: the chosen mask in every form that other tools take, the page's pictures and numbers,
and the picture to the clipboard.
"""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from samkit.media.pictures import array_to_png
from samkit.ui.bench.page import Scene
from samkit.ui.bench.taken import image_title, mask_downloads, page_downloads, picture_to_copy, taken_masks
from samkit.ui.parts.copy_picture import copy_picture
from samkit.ui.parts.downloads import Download, download_button
from samkit.ui.parts.markdown_text import plain_text

COLUMNS = 2


def download_menu(scene: Scene) -> None:
    """A button that opens the menu. What is in it is drawn when it is open, so that it costs the page nothing."""
    # A fragment is as wide as what it lies in.
    with st.container(width="content"):
        _menu(scene)


@st.fragment
def _menu(scene: Scene) -> None:
    page = scene.page.name
    menu = st.popover(
        "Download",
        icon=":material/download:",
        key=f"download_{page}",
        on_change="rerun",
        help="Download masks, cut-out, outline, prompts and pictures",
    )
    if not menu.open:
        return
    with menu, st.container(key="download_menu", width=430, gap="small"):
        _masks(scene)
        if scene.page.files is not None:
            _grid("More of this page", f"more_{page}", scene.page.files(scene))
        _grid("The page's pictures and numbers", f"page_{page}", page_downloads(scene))


def _masks(scene: Scene) -> None:
    """The forms of one mask, and a choice where there are several; a picture to copy on all pages that have one."""
    page, masks = scene.page.name, taken_masks(scene)
    if not masks:
        for name, image in list(scene.result.images.items())[:1]:
            copy_picture(f"copy_picture_{page}", partial(array_to_png, image), f"Copy “{image_title(name)}”")
        return
    chosen = masks[0]
    if len(masks) > 1:
        titles = {mask.title: mask for mask in masks}
        title = st.selectbox("Mask", list(titles), key=f"download_mask_{page}", label_visibility="collapsed")
        chosen = titles[title]
    prompts = None if scene.inputs.prompts.is_empty else scene.inputs.prompts.to_json
    _grid("" if len(masks) > 1 else chosen.title, f"mask_{page}", mask_downloads(chosen, prompts))
    copy_picture(f"copy_picture_{page}", lambda: picture_to_copy(chosen))


def _grid(title: str, key: str, downloads: Sequence[Download]) -> None:
    if not downloads:
        return
    if title:
        st.markdown(f"**{plain_text(title)}**")
    for start in range(0, len(downloads), COLUMNS):
        row = downloads[start : start + COLUMNS]
        for download, column in zip(row, st.columns(COLUMNS, gap="small"), strict=False):
            with column:
                download_button(download, f"take_{key}_{download.label}", width="stretch")
