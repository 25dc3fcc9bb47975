"""The experiments by name. A module is imported when it is asked for, so that listing them costs nothing."""

import difflib
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType

from samkit.errors import BadInput


class _Experiments(Mapping[str, ModuleType]):
    """name -> module with NAME, TITLE, QUESTION, TAKES, Params and run. TAKES: the fields of `Inputs` that its run
    looks at.
    """

    def __init__(self, modules: dict[str, str]):
        self._modules = modules

    def __getitem__(self, name: str) -> ModuleType:
        return import_module(f"samkit.experiments.{self._modules[name]}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


EXPERIMENTS = _Experiments(
    {
        "block-norms": "block_norms",
        "cross-image": "cross_image",
        "mask-stability": "mask_stability",
        "position-encoding": "position_encoding",
        "semantic-similarity": "semantic_similarity",
        "video-priors": "video_priors",
        "window-size": "window_size",
    }
)


def find_experiment(name: str) -> ModuleType:
    """The experiment's module; BadInput with the nearest names where there is none. `_` for `-` and capitals make no
    difference.
    """
    folded = name.strip().lower().replace("_", "-")
    if folded in tuple(EXPERIMENTS):
        return EXPERIMENTS[folded]
    near = difflib.get_close_matches(folded, list(EXPERIMENTS), n=3, cutoff=0.6)
    advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(EXPERIMENTS)}."
    raise BadInput(f'There is no experiment "{name}": {advice}')


def experiments_taking(name: str) -> list[str]:
    """The experiments that look at this field of `Inputs`, such as `image_b`."""
    return [experiment for experiment, module in EXPERIMENTS.items() if name in module.TAKES]
