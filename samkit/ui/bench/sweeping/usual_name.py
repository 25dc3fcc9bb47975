"""What a sweep is called where nobody gives it a name: what it varies, the model, and on what. Pure: no session."""

from collections.abc import Mapping, Sequence
from typing import Any

from samkit.ui.controls.swept_values import values_text
from samkit.work.sweep.grid import values_of

MAX_CHARACTERS, PART_CHARACTERS = 100, 48
LISTED_VALUES = 4


def usual_name(
    title: str,
    params: Mapping[str, Any],
    models: Sequence[str],
    subjects: Sequence[str],
    prompts: Sequence[str] = (),
    many: str = "pictures",
) -> str:
    """Such as "Mask stability: side 256, 512 · SAM 2.1 Tiny · 5 pictures".

    params: of the spec; models, subjects, prompts: names of models, of pictures or films, of kinds of prompts where
    these are worth a word; many: what several subjects are
    """
    swept = [
        f"{name.replace('_', ' ')} {_values(written)}"
        for name, written in params.items()
        if isinstance(written, list | dict) and len(values_of(written)) > 1
    ]
    parts = [
        ", ".join(swept),
        _one_or(models, "models"),
        _one_or(subjects, many),
        _one_or(prompts, "kinds of prompts"),
    ]
    name = f"{title}: {' · '.join(_short(part, PART_CHARACTERS) for part in parts if part)}"
    return _short(name, MAX_CHARACTERS)


def _values(written: Any) -> str:
    if isinstance(written, dict):
        return f"{values_text(written['from'])} to {values_text(written['to'])}"
    if len(written) > LISTED_VALUES:
        return f"{values_text(written[0])} … {values_text(written[-1])}"
    return ", ".join(map(values_text, written))


def _one_or(names: Sequence[str], many: str) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} {many}" if names else ""


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
