"""What was done to a file's weights, in sentences for a person. Knows no torch."""

from collections.abc import Collection, Sequence

from samkit.models.files.foreign import what_extras_are
from samkit.models.files.key_layout import Layout, NamedKeys
from samkit.models.files.parts import Part

_SHOWN = 3
_LONGEST = 60
_PLAIN = ("", "model", "state_dict")


def unwrapped(part: Part, others: Sequence[str], content: object) -> tuple[str, ...]:
    """Which weights of the file were taken, and what beside them was not. content: all that the file holds."""
    beside = [*part.beside]
    if part.name and isinstance(content, dict):
        first = part.name.partition("/")[0]
        beside = [str(key) for key in content if key != first] + ([] if "/" not in part.name else beside)
    beside = [name for name in beside if name not in others]
    said = []
    if part.name not in _PLAIN or beside:
        where = f'The weights are those under "{_short(part.name)}"' if part.name else "The weights were taken"
        said.append(f"{where}; {listed(beside)} beside them {_were(beside)} left out." if beside else f"{where}.")
    if part.joined:
        said.append(f"The weights of {', '.join(part.joined)} had a dict each, and were put together.")
    if others:
        said.append(
            f"The file holds {len(others) + 1} models; {' or '.join('#' + _short(name) for name in others[:_SHOWN])} "
            "behind its name takes another one."
        )
    return tuple(said)


def renamed(named: NamedKeys, layout: Layout | None) -> tuple[str, ...]:
    """Which prefixes were taken off, whether the names are transformers', and what was left out."""
    if layout is None:
        return ()
    said = []
    prefixes = [*layout.wrappers, *([layout.prefix] if layout.prefix else [])]
    if prefixes:
        quoted = " and ".join(f'"{_short(prefix)}"' for prefix in prefixes)
        said.append(f"The {'prefix' if len(prefixes) == 1 else 'prefixes'} {quoted} {_were(prefixes)} taken off.")
    if layout.named_by == "transformers":
        said.append(f"{len(named.names)} weights were renamed from transformers' names to the official ones.")
    if named.left_out:
        what = f"{weights_text(named.left_out)} not under that prefix {_were(named.left_out)} left out"
        said.append(f"{what} ({listed(named.left_out)}).")
    if named.buffers:
        said.append(f"{listed(named.buffers)} {_were(named.buffers)} left out: samkit has these constants itself.")
    return tuple(said)


def extras_left_out(keys: Sequence[str]) -> str:
    """Weights beside a whole model that its architecture has no place for."""
    project = what_extras_are(keys)
    if project.endswith("own head"):
        return (
            f"{weights_text(keys)} of {project} {_were(keys)} left out ({listed(keys)}): masks are those of the plain "
            "model in this file."
        )
    what = f" ({project}: {listed(keys)})" if project else f" ({listed(keys)})"
    return (
        f"{weights_text(keys)} that the official architecture has no place for {_were(keys)} left out{what}: masks may "
        "differ from those of the software that made the file."
    )


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(_short(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def weights_text(keys: Collection[str]) -> str:
    return f"{len(keys)} {'weight' if len(keys) == 1 else 'weights'}"


def _were(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _short(name: str) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."
