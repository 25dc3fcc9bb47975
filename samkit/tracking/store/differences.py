"""What was set differently in a run: its parameters that are not at their defaults, in a few words."""

from collections.abc import Mapping
from typing import Any

from samkit.errors import BadInput
from samkit.experiments.registry import find_entry

DIFFERS = "samkit.differs"
"""The tag with those words, by the defaults of when the run was kept. Runs that were kept without it have none."""
MAX_DIFFERENCES = 4
MAX_VALUE_CHARACTERS = 24
_SAID = {
    "side": "side {} px",
    "fit": "fit {}",
    "colormap": "colour scale {}",
    "jitter_copies": "{} moved copies",
    "jitter_percent": "moved by {} %",
    "jitter_px": "moved by {} px",
    "max_delta": "largest delta {}",
    "prompt_on": "prompted on {}",
    "point_and_box": "by point and by box",
    "outlier_factor": "outliers above {} times the median",
    "zoom": "zoomed in",
    "prototypes": "{} prototypes",
    "range_low": "colours from {}",
    "range_high": "colours to {}",
    "min_area": "smallest region {}",
    "find_objects": "a mask for each region",
    "object_prompts": "regions as {}",
    "both_readings": "both readings of windows",
    "window_reading": "windows read by {}",
    "height": "height {} tokens",
    "width": "width {} tokens",
    "rotary_on": "rotary positions on {}",
    "start": "from frame {}",
    "count": "{} frames",
    "max_frames": "memory of {} frames",
    "max_pointers": "{} object pointers",
    "reset_every": "memory cleared every {} frames",
    "other_model": "trained from {}",
    "other_sha256": "",
}
"""Parameter -> words for it with its value in place of {}, where its own name is not clear enough; "" leaves it out."""
_SAID_OFF = {
    "own_range": "colours over a fixed range",
    "remember": "frames not remembered",
    "skip_absent": "frames without the object remembered",
}
_COUNTED = {"mask_index": "mask", "tracked_index": "found mask"}
"""People count from 1."""


def differences_text(experiment: str, params: Mapping[str, Any]) -> str:
    """Such as "upper threshold 6, refine edges"; of many parameters the first, and how many more there are. "" where
    all are at their defaults.

    params: as kept, or as a run store gives them, all as text
    """
    texts = [text for name, value in differing(experiment, params).items() if (text := _difference(name, value))]
    more = len(texts) - MAX_DIFFERENCES
    return ", ".join(texts if more <= 0 else [*texts[:MAX_DIFFERENCES], f"{more} more"])


def differing(experiment: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are not at their defaults, in the experiment's order. Parameters that this version of the
    experiment does not have are left out, and so are all of an experiment that it does not have.

    params: as kept, or as a run store gives them, all as text
    """
    try:
        defaults = find_entry(experiment).experiment.Params().model_dump(mode="json")
    except BadInput:
        return {}
    return {
        name: params[name]
        for name, default in defaults.items()
        if name in params and params[name] != default and str(params[name]) != str(default)
    }


def shown_differences(experiment: str, params: Mapping[str, str], tags: Mapping[str, str]) -> str:
    """Of a run in a list: as it was kept, else by the present defaults. params, tags: as a run store gives them."""
    kept = tags.get(DIFFERS)
    return differences_text(experiment, params) if kept is None else kept


def _difference(name: str, value: Any) -> str:
    title, text = name.replace("_", " "), _value_text(value)
    if name in _COUNTED and text.isdecimal():
        return f"{_COUNTED[name]} {int(text) + 1}"
    if text == "False":
        return _SAID_OFF.get(name, f"{title} off")
    if text == "True":
        return _SAID.get(name, title)
    if name == "prompt_on":
        text = text.upper()
    words = _SAID.get(name, f"{title} {{}}").format(text)
    if text == "1" and words.endswith((" frames", " pointers", " prototypes")):
        return words.removesuffix("s")
    return words


def _value_text(value: Any) -> str:
    """6.0 and "6.0" as 6; a list, or the text of one, with commas alone."""
    text = str(list(value)) if isinstance(value, list | tuple) else str(value)
    if text.startswith("[") and text.endswith("]"):
        return ", ".join(_value_text(part.strip(" '\"")) for part in text[1:-1].split(","))[:MAX_VALUE_CHARACTERS]
    try:
        return f"{float(text):g}"
    except ValueError:
        return "none" if text in ("", "None") else text[:MAX_VALUE_CHARACTERS]
