"""Loaded models, shared by all visitors. torch is imported here, when a page first needs a model, and not before."""

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

MAX_LOADED = 3


@st.cache_resource(max_entries=MAX_LOADED, show_spinner=False)
def _load(ref: str, states: tuple[object, ...], device: str, dtype: str) -> "SamModel":
    from samkit.models.sam import load_model

    return load_model(ref, device=device, dtype=dtype)


def shared_model(ref: str, device: str = "auto", dtype: str = "float32") -> "SamModel":
    """The loaded model; the file is read once for all visitors and again only after it changed. Raises `SamkitError`s
    with a sentence.
    """
    from samkit.models.files.depends import depends_on
    from samkit.models.files.reference import split_reference, with_choices

    files = depends_on(ref)
    choices = split_reference(ref)[1]
    return _load(with_choices(str(files.path), choices), files.states, device, dtype)


def shared_other(ref: str, sha256: str | None, like: "SamModel") -> "SamModel":
    """A second model by its hash or its name, shared as the first is. Raises CheckpointError where it isn't here."""
    from samkit.work.other_model import find_other

    return find_other(ref, sha256, like, shared_model)
