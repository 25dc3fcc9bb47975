"""LoRA adapters as peft saves them, merged into the weights of their base: W + alpha / r * B A."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from samkit.errors import CheckpointError
from samkit.models.files.beside import ADAPTER_CONFIG as CONFIG
from samkit.models.files.locate import Located, read_small_json
from samkit.models.files.transformers_keys import names_in

MAX_RANK = 1024
_PREFIX = "base_model.model."
_PAIR = re.compile(r"(.+)\.lora_(A|B)(?:\.[\w-]{1,40})?\.weight$")
_KNOWN_BASES = {
    "facebook/sam-vit-base": "sam_vit_b_01ec64",
    "facebook/sam-vit-large": "sam_vit_l_0b3195",
    "facebook/sam-vit-huge": "sam_vit_h_4b8939",
    **{
        f"facebook/sam{version}-hiera-{size.replace('_', '-')}": f"sam{version}_hiera_{size}"
        for version in ("2", "2.1")
        for size in ("tiny", "small", "base_plus", "large")
    },
}
"""What an adapter's configuration calls its base -> the same in samkit's catalogue."""
_ODD_KINDS = {
    "use_dora": "DoRA",
    "use_qalora": "QALoRA",
    "use_bdlora": "BD-LoRA",
    "alora_invocation_tokens": "aLoRA",
    "arrow_config": "Arrow",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
    "layer_replication": "one with repeated layers",
}
"""What makes an adapter more than plain LoRA, by its entry in the configuration."""
_PLAIN_BEGINNINGS = ("gaussian", "eva", "orthogonal")
"""Values before training that leave the base as it is. Others move a part of it into the two matrices."""


@dataclass(frozen=True)
class Adapter:
    """pairs: weight's key in the base -> (A [r, in], B [out, r], factor); replaced: weights that were saved whole."""

    pairs: Mapping[str, tuple[Tensor, Tensor, float]]
    replaced: Mapping[str, Tensor]


@dataclass(frozen=True)
class _Config:
    alpha: float
    rank: int
    rank_stabilised: bool
    transposed: bool
    alphas: Mapping[str, float]

    def factor(self, module: str, rank: int) -> float:
        alpha = next((value for name, value in self.alphas.items() if _ends_with(module, name)), self.alpha)
        return alpha / (math.sqrt(rank) if self.rank_stabilised else rank)


def is_adapter(keys: Mapping[str, object]) -> bool:
    """Whether the file's weights change others."""
    return any(_PAIR.match(key) for key in keys)


def named_base(located: Located) -> str | None:
    """The catalogue's name of the base that the adapter was trained on, where its configuration names one of them."""
    path = located.folder / CONFIG
    said = read_small_json(path).get("base_model_name_or_path") if path.is_file() else None
    return _KNOWN_BASES.get(said) if isinstance(said, str) else None


def read_adapter(located: Located, weights: Mapping[str, Tensor], base: Mapping[str, Tensor], family: str) -> Adapter:
    """Under the names of the base, whether the adapter was trained on a model with those or on transformers'.

    base: its weights, under the official names; family: of it. Raises CheckpointError for kinds of adapters that are
    more than two thin matrices.
    """
    name = located.path.name
    config = _read_config(located.folder / CONFIG, name)
    odd = [key for key in weights if "lora_" in key and not _PAIR.match(key)]
    if odd:
        raise CheckpointError(
            f"{name} is an adapter with more than the two matrices of plain LoRA ({odd[0][:100]}): merge it into its "
            "model with peft (merge_and_unload), save that, and give the saved file."
        )
    found: dict[str, dict[str, Tensor]] = {}
    replaced: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        pair = _PAIR.match(key)
        if pair:
            found.setdefault(f"{_module(pair[1])}.weight", {})[pair[2]] = tensor
        else:
            replaced[_module(key)] = tensor
    for key, pair_of in found.items():
        _check_pair(name, key, pair_of, config)
    names = _names_in_base({*found, *replaced}, base, family)
    pairs = {
        names[key]: (pair_of["A"], pair_of["B"], config.factor(key.removesuffix(".weight"), pair_of["A"].shape[0]))
        for key, pair_of in found.items()
    }
    return Adapter(pairs, {names[key]: tensor for key, tensor in replaced.items()})


def merge(name: str, base_name: str, base: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Tensor]:
    """The base's weights, changed ones in float32. Raises CheckpointError where the adapter is another base's."""
    unknown = [key for key in (*adapter.pairs, *adapter.replaced) if key not in base]
    if unknown:
        raise CheckpointError(
            f"{name} is an adapter of another model than {base_name}: that has no weight {unknown[0][:100]}. Name the "
            f"model that it was trained on, as {name}#base=NAME."
        )
    merged = dict(base)
    for key, tensor in adapter.replaced.items():
        _check_shape(name, base_name, key, tuple(tensor.shape), base[key])
        merged[key] = tensor
    for key, (down, up, factor) in adapter.pairs.items():
        weight = merged[key]
        _check_shape(name, base_name, key, _product_shape(down, up), weight)
        change = (up.float().flatten(1) @ down.float().flatten(1)).view(weight.shape)
        merged[key] = weight.float() + factor * change
    return merged


def _check_pair(name: str, key: str, pair: Mapping[str, Tensor], config: _Config) -> None:
    if len(pair) != 2:
        raise CheckpointError(f"{name} is damaged: {key[:100]} has only one of LoRA's two matrices. Save it again.")
    down, up = pair["A"], pair["B"]
    plain = down.ndim == up.ndim == 2
    # A convolution's: A is one with the kernel, B one by one.
    folded = down.ndim == up.ndim == 4 and up.shape[2:] == (1, 1)
    if not (plain or folded) or down.shape[0] != up.shape[1] or not 1 <= down.shape[0] <= MAX_RANK:
        raise CheckpointError(
            f"{name} is damaged: the two matrices of {key[:100]} don't fit each other. Save it again."
        )
    if config.transposed:
        raise CheckpointError(
            f"{name} is an adapter of transposed weights (fan_in_fan_out), which no Segment Anything model has: check "
            f"its {CONFIG}."
        )


def _product_shape(down: Tensor, up: Tensor) -> tuple[int, ...]:
    return (up.shape[0], *down.shape[1:])


def _check_shape(name: str, base_name: str, key: str, shape: tuple[int, ...], weight: Tensor) -> None:
    if shape != tuple(weight.shape):
        raise CheckpointError(
            f"{name} is an adapter of another model than {base_name}: {key} is "
            f"{'x'.join(map(str, weight.shape))} there, and the adapter changes "
            f"{'x'.join(map(str, shape))}. Name the model that it was trained on."
        )


def _module(key: str) -> str:
    key = key[key.rfind(_PREFIX) + len(_PREFIX) :] if _PREFIX in key else key
    return re.sub(r"\.(base_layer|modules_to_save(\.[\w-]{1,40})?)(?=\.)", "", key)


def _names_in_base(keys: set[str], base: Collection[str], family: str) -> dict[str, str]:
    """The adapter's keys -> the base's. What stands in front of all of them is left out as far as it has to be; keys
    that the base has not at all stay.
    """
    first = min(keys, default="")
    ends = [0, *(dot.end() for dot in re.finditer(r"\.", first))]
    for cut in (end for end in ends if all(key.startswith(first[:end]) for key in keys)):
        short = {key: key[cut:] for key in keys}
        for names in ({key: key for key in short.values()}, names_in(short.values(), base, family)):
            if all(name in base for name in names.values()):
                return {key: names[rest] for key, rest in short.items()}
    return {key: key for key in keys}


def _read_config(path: Path, name: str) -> _Config:
    if not path.is_file():
        raise CheckpointError(
            f"{name} is a LoRA adapter, and the {CONFIG} that peft wrote beside it is missing: put it into the same "
            "folder."
        )
    values = read_small_json(path)
    patterns = values.get("alpha_pattern") or {}
    if not isinstance(patterns, dict) or len(patterns) > 1000 or any(not _plain(key) for key in patterns):
        raise CheckpointError(f"{path} says alpha_pattern in a way that samkit doesn't read: merge it with peft.")
    if kind := _odd_kind(values):
        raise CheckpointError(
            f"{name} is an adapter of the kind {kind}, and samkit merges plain LoRA alone: merge it into its model "
            "with peft (merge_and_unload), save that, and give the saved file."
        )
    return _Config(
        alpha=_number(path, "lora_alpha", values.get("lora_alpha")),
        rank=int(_number(path, "r", values.get("r"))),
        rank_stabilised=bool(values.get("use_rslora")),
        transposed=bool(values.get("fan_in_fan_out")),
        alphas={key: _number(path, "alpha_pattern", value) for key, value in patterns.items()},
    )


def _odd_kind(values: Mapping[str, Any]) -> str:
    """What an adapter is besides plain LoRA on the weights of its base, or ""."""
    if values.get("peft_type", "LORA") != "LORA":
        return str(values.get("peft_type"))[:40]
    begun = values.get("init_lora_weights", True)
    if isinstance(begun, str) and begun.lower() not in _PLAIN_BEGINNINGS:
        return f"{begun[:40]}, which changes its base before it is trained"
    return next((kind for key, kind in _ODD_KINDS.items() if values.get(key)), "")


def _number(path: Path, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e6:
        raise CheckpointError(f"{path} says {key} {str(value)[:40]!r}, and it takes a number above 0: save it again.")
    return float(value)


def _plain(key: object) -> bool:
    """Whether a pattern is a name. As a pattern it would be a stranger's to run."""
    return isinstance(key, str) and len(key) <= 200 and re.fullmatch(r"[\w.\-]+", key) is not None


def _ends_with(module: str, name: str) -> bool:
    return module == name or module.endswith(f".{name}")
