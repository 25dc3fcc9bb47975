"""What people call the model behind a reference, and what is said of it in a line."""

from dataclasses import replace
from pathlib import Path

from samkit.models.files.catalogue import catalogue
from samkit.models.files.locate import plain_name
from samkit.models.files.reference import split_reference


def model_name(ref: str) -> str:
    """What people call the model behind a reference."""
    place, choices = split_reference(ref)
    name = next((entry.title for entry in catalogue() if entry.name == place), None) or plain_name(Path(place))
    if choices.base:
        name, choices = f"{name} on {model_name(choices.base)}", replace(choices, base="")
    return f"{name} #{choices}" if str(choices) and len(str(choices)) < 60 else name


def model_line(ref: str) -> str:
    """What stands under the model's name: its family, its size on disk, and what an embedded one is for."""
    place, _ = split_reference(ref)
    entry = next((entry for entry in catalogue() if entry.name == place), None)
    if entry is None:
        return "your own checkpoint"
    known = (f"SAM {entry.version}", entry.size_text, "small, for trying out" if entry.embedded else "")
    return " · ".join(filter(None, known))
