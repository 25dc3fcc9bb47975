"""Where checkpoints lie: the embedded ones in the package, downloads in a cache folder, the user's own in folders of
their choice.
"""

import os
from pathlib import Path

from samkit.errors import CheckpointError

CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth")


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
    """The checkpoint files directly in `folder` (default: in every folder of `extra_models_folders()`), by name. Their
    content is not looked at.

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
        checkpoints += [
            path
            for path in inside
            if path.suffix.lower() in CHECKPOINT_SUFFIXES and not path.name.startswith(".") and path.is_file()
        ]
    return tuple(checkpoints)
