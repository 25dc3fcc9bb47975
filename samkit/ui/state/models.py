"""Loaded models, shared by all visitors. torch is imported here, when a page first needs a model, and not before."""

from typing import TYPE_CHECKING

import streamlit as st

from samkit.errors import CheckpointError

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

MAX_LOADED = 3


@st.cache_resource(max_entries=MAX_LOADED, show_spinner=False)
def _load(path: str, state: tuple[str | int, ...], device: str, dtype: str) -> "SamModel":
    from samkit.models.sam import load_model

    return load_model(path, device=device, dtype=dtype)


def shared_model(ref: str, device: str = "auto", dtype: str = "float32") -> "SamModel":
    """The loaded model; the file is read once for all visitors and again only after it changed. Raises `SamkitError`s
    with a sentence.
    """
    from samkit.models.files.catalogue import resolve_model
    from samkit.models.files.hashes import file_state

    path = resolve_model(ref)
    try:
        state = file_state(path)
    except OSError as error:
        raise CheckpointError(f"{path} can no longer be read ({error.strerror or error}): check the path.") from error
    return _load(str(path), tuple(state), device, dtype)


def shared_other(ref: str, sha256: str | None, like: "SamModel") -> "SamModel":
    """A second model by its hash or its name, shared as the first is. Raises CheckpointError where it isn't here."""
    from samkit.work.other_model import find_other

    return find_other(ref, sha256, like, shared_model)
