"""Small words for people: sizes, lists, near names."""

import difflib
import math
from collections.abc import Iterable, Sequence


def format_bytes(count: int) -> str:
    """`count` bytes with a decimal unit, as file managers and the download pages of the official models show it:
    375042383 -> "375 MB".
    """
    if count < 1000:
        return f"{count} bytes"
    size = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.5 or unit == "TB":
            break
    return f"{size:.1f} {unit}" if size < 9.95 else f"{size:.0f} {unit}"


def share_text(share: float) -> str:
    """A share 0..1 in per cent with enough digits to be told from none: "5.1 %", "0.24 %", "0.015 %"."""
    percent = 100 * share
    if percent == 0:
        return "0 %"
    if percent < 0.001:
        return "under 0.001 %"
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.{1 - math.floor(math.log10(percent))}f} %"


def time_text(seconds: float) -> str:
    """A while, about as exactly as a person says it: "45 s", "20 min", "1 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def listed(words: Sequence[str], last: str = "and") -> str:
    """One or more words as a person lists them: "a", "a and b", "a, b and c". last: the word before the last one."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of a sentence about a name that there is not: "did you mean coffee?", or which names there are.

    cutoff: how like another name must be, 0..1
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=cutoff)
    return f"did you mean {listed(near, 'or')}?" if near else f"there are {', '.join(names)}."


def number_text(value: float, digits: int = 5) -> str:
    """At least so many digits, and never a power of ten where the number can be read."""
    return f"{value:,.0f}" if 10 ** (digits - 1) <= abs(value) < 1e12 else f"{value:.{digits}g}"
