"""Buttons that hand a run's files to the visitor."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import streamlit as st


class Download(NamedTuple):
    """icon: its name among Material symbols. content: the bytes or text, or what makes them when they are asked for."""

    label: str
    icon: str
    file_name: str
    mime: str
    content: bytes | Callable[[], bytes | str]


def download_row(page: str, downloads: Sequence[Download]) -> None:
    """page: its name, which keeps the buttons' keys apart from those of other pages."""
    with st.container(horizontal=True, gap="small"):
        for download in downloads:
            download_button(download, f"file_{page}_{download.label}")


def download_button(download: Download, key: str, width: Literal["content", "stretch"] = "content") -> None:
    """A file to take away, without a rerun of the page."""
    st.download_button(
        download.label,
        download.content,
        download.file_name,
        download.mime,
        icon=f":material/{download.icon}:",
        key=key,
        on_click="ignore",
        width=width,
    )
