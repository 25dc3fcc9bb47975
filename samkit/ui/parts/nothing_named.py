"""A page that needs something named in its address, and has nothing."""

import streamlit as st

from samkit.ui.parts.markdown_text import plain_text


def nothing_named(title: str, advice: str, page: str, label: str, icon: str) -> None:
    """The title, what to do, and the way to the list. page: file of the list's page; label: of the link to it"""
    st.title(plain_text(title), anchor=False)
    st.info(plain_text(advice), icon=icon)
    st.page_link(page, label=plain_text(label), icon=":material/arrow_back:")
