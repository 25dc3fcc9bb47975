"""What a reference to a model says beside the file: `FILE#choice&choice`. Knows no torch.

part         take the weights that lie in the file under that name, such as `model.pt#ema`
base=REF     fill what the file lacks, or merge it as an adapter, from another model
side=512     the native side in pixels
windows=8,4,14,7   the window of each stage, in tokens
plain        nothing that lies beside the file, or was remembered of it, counts
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from samkit.errors import CheckpointError
from samkit.models.files.metadata import MAX_FILE_WINDOW, MAX_NATIVE_SIDE, MIN_NATIVE_SIDE

MAX_REFERENCE = 4_000
_HOW = "FILE#ema, FILE#base=sam_vit_b, FILE#side=512, FILE#windows=8,4,14,7 or several with & between them"


@dataclass(frozen=True)
class Choices:
    """part: "" for the one that samkit would take; base: "" for none; native_side in pixels; window_sizes: four."""

    part: str = ""
    base: str = ""
    native_side: int | None = None
    window_sizes: tuple[int, ...] | None = None
    plain: bool = False

    def __str__(self) -> str:
        """As they stand behind a `#`."""
        windows = self.window_sizes and ",".join(map(str, self.window_sizes))
        said = (
            self.part,
            self.base and f"base={self.base}",
            self.native_side and f"side={self.native_side}",
            windows and f"windows={windows}",
            self.plain and "plain",
        )
        return "&".join(word for word in said if word)


def split_reference(ref: str | Path) -> tuple[str, Choices]:
    """(the name or path, what is chosen of it). A `#` that is part of an existing file's name chooses nothing.

    Raises CheckpointError for choices that can't be understood.
    """
    text = str(ref)
    if isinstance(ref, Path) or "#" not in text or len(text) > MAX_REFERENCE or _is_there(text):
        return text, Choices()
    place, _, said = text.rpartition("#")
    values: dict[str, object] = {}
    for word in filter(None, said.split("&")):
        name, equals, value = word.partition("=")
        if not equals:
            name, value = ("plain", "yes") if word == "plain" else ("part", word)
        if name in values or name not in _READERS:
            raise CheckpointError(f'"{word[:60]}" in the reference of a model can\'t be understood: write {_HOW}.')
        try:
            values[name] = _READERS[name](value)
        except ValueError as error:
            raise CheckpointError(f'"{word[:60]}" in the reference of a model {error}.') from None
    return place, Choices(
        **{{"side": "native_side", "windows": "window_sizes"}.get(name, name): value for name, value in values.items()}  # type: ignore[arg-type]
    )


def with_choices(place: str, choices: Choices) -> str:
    """The reference that `split_reference` takes apart."""
    said = str(choices)
    return f"{place}#{said}" if said else place


def _is_there(text: str) -> bool:
    try:
        return Path(text).expanduser().exists()
    except (OSError, ValueError):
        return False


def _side(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not MIN_NATIVE_SIDE <= int(text[:9]) <= MAX_NATIVE_SIDE:
        raise ValueError(f"is no native side: it takes {MIN_NATIVE_SIDE} to {MAX_NATIVE_SIDE} pixels")
    return int(text)


def _windows(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if len(words) != 4 or any(not word.isascii() or not word.isdigit() or len(word) > 3 for word in words):
        raise ValueError("takes four whole numbers, such as windows=8,4,14,7")
    numbers = tuple(map(int, words))
    if not all(1 <= number <= MAX_FILE_WINDOW for number in numbers):
        raise ValueError(f"takes windows from 1 to {MAX_FILE_WINDOW} tokens")
    return numbers


_READERS: dict[str, Callable[[str], object]] = {
    "part": str,
    "base": str,
    "side": _side,
    "windows": _windows,
    "plain": bool,
}
