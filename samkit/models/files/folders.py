"""Where checkpoints lie: the embedded ones in the package, downloads in a cache folder, the user's own in folders of
their choice.
"""

import os
import re
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
_NO_MODELS = ("training_args.bin", "optimizer.bin", "scheduler.bin", "optimizer.pt", "scheduler.pt", "scaler.pt")
"""What trainers put beside a model."""


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


def own_checkpoints(folder: Path | str | None = None) -> tuple[Path, ...]:
    """The checkpoint files directly in `folder` (default: in every folder of `extra_models_folders()`), and the folders
    there that transformers or peft saved to, by name. Their content is not looked at.

    Raises CheckpointError when a folder is not there.
    """
    folders = extra_models_folders() if folder is None else (Path(folder).expanduser().absolute(),)
    checkpoints: list[Path] = []
    for place in folders:
        try:
            inside = sorted(place.iterdir(), key=lambda path: path.name.lower())
        except OSError as error:
            raise CheckpointError(
                f"The folder of own checkpoints {place} can't be read ({error.strerror}): create it, or set "
                "SAMKIT_EXTRA_MODELS to another folder."
            ) from error
        checkpoints += [path for path in inside if not path.name.startswith(".") and _is_checkpoint(path)]
    return tuple(checkpoints)


def _is_checkpoint(path: Path) -> bool:
    if path.is_dir():
        return any((path / name).is_file() for name in SAVED_NAMES)
    named = path.suffix.lower() in CHECKPOINT_SUFFIXES or path.name in SAVED_NAMES
    return named and path.name not in _NO_MODELS and not SHARD.match(path.name) and path.is_file()
