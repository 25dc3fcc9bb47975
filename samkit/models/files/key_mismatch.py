"""Say in words how the weights of a file differ from the weights a model needs."""

from collections.abc import Mapping, Sequence

_KEYS_SHOWN = 3
_LONGEST = 160


def describe_key_mismatch(expected: Mapping[str, Sequence[int]], actual: Mapping[str, Sequence[int]]) -> str | None:
    """One sentence that counts and names the missing, unknown and wrongly shaped weights; None when keys and shapes
    agree.

    Both mappings go from the weight's key to its shape (`tensor.shape` serves). Where all keys fit but for one prefix
    that a training wrapper put in front ("module.", "model."), the sentence says that instead.
    """
    missing = [key for key in expected if key not in actual]
    unknown = [key for key in actual if key not in expected]
    reshaped = [key for key in expected if key in actual and tuple(expected[key]) != tuple(actual[key])]
    if not (missing or unknown or reshaped):
        return None
    prefix = _wrapper_prefix(expected, actual)
    if prefix:
        return (
            f'Every key begins with "{prefix[:_LONGEST]}", which a training wrapper put there: save the wrapped '
            "model's own state_dict()."
        )
    parts = []
    if missing:
        parts.append(f"{len(missing)} of {len(expected)} weights {_is_are(missing)} missing ({_first(missing)})")
    if unknown:
        parts.append(f"{len(unknown)} {_is_are(unknown)} unknown ({_first(unknown)})")
    if reshaped:
        shapes = [f"{key} is {_shape(actual[key])} in place of {_shape(expected[key])}" for key in reshaped]
        parts.append(f"{len(reshaped)} {'has' if len(reshaped) == 1 else 'have'} another shape ({_first(shapes)})")
    sentence = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return sentence + "."


def _wrapper_prefix(expected: Mapping[str, Sequence[int]], actual: Mapping[str, Sequence[int]]) -> str | None:
    first = next(iter(actual), "")
    prefix = first.partition(".")[0] + "."
    if "." not in first or not expected:
        return None
    stripped = {key.removeprefix(prefix) for key in actual if key.startswith(prefix)}
    return prefix if len(stripped) == len(actual) and stripped == set(expected) else None


def _first(items: Sequence[str]) -> str:
    shown = ", ".join(item if len(item) <= _LONGEST else f"{item[:_LONGEST]}..." for item in items[:_KEYS_SHOWN])
    return shown if len(items) <= _KEYS_SHOWN else f"{shown} and {len(items) - _KEYS_SHOWN} more"


def _is_are(items: Sequence[str]) -> str:
    return "is" if len(items) == 1 else "are"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(str(side) for side in shape) or "a single number"
