"""Where checkpoints lie: the embedded ones in the package, downloads in a cache folder, the user's own in folders of
their choice.
"""

import os
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from samkit.errors import CheckpointError

CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
SAVED_NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
)
"""What transformers and peft call their files, in the order in which they look for them."""
SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}(\.safetensors|\.bin)$")
"""One of the files that a large checkpoint is saved in."""
_NO_MODEL = re.compile(r"training_args\.bin$|(optimizer|scheduler|scaler)(_\d+)?\.(bin|pt)$|rng_state(_\d+)?\.pth$")
"""What trainers put beside a model."""
MAX_BELOW = 4
"""Folders below the one that is named."""
MAX_LOOKED_AT = 5_000
"""Files and folders in one of them. A list on the screen looks every few seconds."""


def assets_folder() -> Path:
    """The folder of the package that holds the embedded checkpoints and their model cards."""
    return Path(__file__).resolve().parents[2] / "assets"


def models_folder() -> Path:
    """Where catalogue downloads are kept: `SAMKIT_MODELS_DIR`, else `~/.cache/samkit/models`. It need not exist yet."""
    chosen = os.environ.get("SAMKIT_MODELS_DIR", "").strip()
    return Path(chosen or "~/.cache/samkit/models").expanduser().absolute()


def extra_models_folders() -> tuple[Path, ...]:
    """The folders of the user's own checkpoints: `SAMKIT_EXTRA_MODELS`, one or several, separated as in PATH. Empty
    where nothing is configured.
    """
    chosen = os.environ.get("SAMKIT_EXTRA_MODELS", "")
    return tuple(Path(part.strip()).expanduser().absolute() for part in chosen.split(os.pathsep) if part.strip())


@dataclass(frozen=True)
class OwnCheckpoints:
    """paths: of files, and of folders that transformers or peft saved to, place by place; whole: False where there was
    too much to look at all of it; unread: a sentence for each folder that can't be read.
    """

    paths: tuple[Path, ...]
    whole: bool
    unread: tuple[str, ...] = ()


def own_checkpoints(folder: Path | str | None = None) -> tuple[Path, ...]:
    """The paths of `look_for_own`."""
    return look_for_own(folder).paths


def look_for_own(folder: Path | str | None = None) -> OwnCheckpoints:
    """The checkpoints in `folder` (default: in every folder of `extra_models_folders()`) and in the folders below it,
    as far as `MAX_BELOW`, what is nearer first. Hidden ones are left out. The content of no file is looked at.

    A folder that can't be read hides none of the others; raises CheckpointError where none of them can be.
    """
    folders = extra_models_folders() if folder is None else (Path(folder).expanduser().absolute(),)
    checkpoints: dict[Path, None] = {}
    whole, unread = True, []
    for place in folders:
        try:
            found, all_of_it = _below(place)
        except CheckpointError as error:
            unread.append(str(error))
            continue
        checkpoints |= dict.fromkeys(found)
        whole = whole and all_of_it
    if unread and len(unread) == len(folders):
        raise CheckpointError(" ".join(unread))
    return OwnCheckpoints(tuple(checkpoints), whole, tuple(unread))


def _below(top: Path) -> tuple[list[Path], bool]:
    found: list[Path] = []
    waiting, seen, left = [(top, 0)], {os.path.realpath(top)}, MAX_LOOKED_AT
    for place, depth in waiting:
        try:
            with os.scandir(place) as entries:
                inside = list(islice((each for each in entries if not each.name.startswith(".")), left + 1))
        except OSError as error:
            if depth:
                continue
            raise CheckpointError(
                f"The folder of own checkpoints {place} can't be read ({error.strerror}): create it, or set "
                "SAMKIT_EXTRA_MODELS to another folder."
            ) from error
        whole = len(inside) <= left
        inside = sorted(inside[:left], key=lambda each: each.name.lower())
        left -= len(inside)
        names = {each.name for each in inside}
        if depth and names.intersection(SAVED_NAMES):
            found.append(place)
        for each in inside:
            if each.is_dir():
                # A link may lead back to where it lies.
                if depth < MAX_BELOW and (real := os.path.realpath(each.path)) not in seen:
                    seen.add(real)
                    waiting.append((Path(each.path), depth + 1))
            elif _is_checkpoint(each, listed_by_folder=depth > 0):
                found.append(Path(each.path))
        if not whole:
            return found, False
    return found, True


def _is_checkpoint(file: os.DirEntry[str], listed_by_folder: bool) -> bool:
    """listed_by_folder: whether what transformers and peft save is listed as the folder that it is in."""
    if file.name in SAVED_NAMES:
        return not listed_by_folder and file.is_file()
    named = Path(file.name).suffix.lower() in CHECKPOINT_SUFFIXES
    return named and not _NO_MODEL.match(file.name) and not SHARD.match(file.name) and file.is_file()
