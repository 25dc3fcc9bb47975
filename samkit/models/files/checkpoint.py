"""Read a checkpoint file into a state dict: safely (nothing in the file is ever run) and cheaply (weights stay on disk
until they are used).
"""

import os
import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from samkit.errors import CheckpointError
from samkit.models.files.checkpoint_file import CheckpointFile, inspect_checkpoint_file
from samkit.models.files.hashes import file_sha256

_WRAPPER_KEYS = ("model", "state_dict")
_WEIGHT_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_KEYS_SHOWN = 3
# How torch's weights-only reader words its refusals to import, to create and to call what is not on its list.
_REFUSED_CODE = (
    r"GLOBAL (\w+(?:\.\w+)*)",
    r"reduce for unrecognized function (.+)",
    r"add_safe_globals`,? but got (.+)",
)


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one file and what the file says about them."""

    path: Path
    state_dict: dict[str, torch.Tensor]
    """Floating-point CPU tensors (a batch-norm counter may be an integer). They are views of the mapped file: writing
    to one changes a private copy of its pages and never the file. Files from before torch 1.6 are read into memory
    instead."""
    metadata: dict
    """The JSON object of the safetensors metadata entry `samkit`; {} where there is none."""
    file_bytes: int
    modified_ns: int

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, 64 hex digits. The file is read for it once per process.

        Raises CheckpointError when the file was changed or removed since it was read, because the hash would be another
        file's.
        """
        try:
            status = os.stat(self.path)
            if (status.st_size, status.st_mtime_ns) == (self.file_bytes, self.modified_ns):
                return file_sha256(self.path)
        except OSError as error:
            raise CheckpointError(
                f"{self.path} can no longer be read ({error.strerror or error}): put it back and load the model again."
            ) from error
        raise CheckpointError(f"{self.path} was changed while its model was loaded: load the model again.")


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read `.safetensors`, `.pt` or `.pth`, whichever the content is. A state dict wrapped as {"model": ...} or
    {"state_dict": ...} is unwrapped.

    Pickles are read by torch's weights-only reader and by nothing else: a file that holds more than tensors and plain
    values is refused.

    Raises CheckpointError for whatever is no whole file of float weights. Whether they are the weights of a known model
    is not decided here.
    """
    file = inspect_checkpoint_file(path)
    content = _load_safetensors(file) if file.format == "safetensors" else _load_pickle(file)
    return Checkpoint(
        path=file.path,
        state_dict=_float_weights(file.path.name, _unwrap(file.path.name, content)),
        metadata=file.metadata,
        file_bytes=file.file_bytes,
        modified_ns=file.modified_ns,
    )


def _load_safetensors(file: CheckpointFile) -> dict[str, torch.Tensor]:
    try:
        return load_file(file.path, device="cpu")
    except (SafetensorError, RuntimeError, ValueError, TypeError) as error:
        raise _damaged(file) from error


def _load_pickle(file: CheckpointFile) -> object:
    try:
        if file.format == "torch_zip" and file.path.suffix != ".safetensors":
            return torch.load(os.fspath(file.path), map_location="cpu", weights_only=True, mmap=True)
        # Given a path, torch maps zips only, and trusts a `.safetensors` suffix more than the content.
        with open(file.path, "rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything at all
        refused = _refusal(error)
        if refused is None:
            raise _damaged(file) from error
        raise CheckpointError(
            f"{file.path.name} was not opened because it {refused}: ask for a .safetensors file, or one that "
            "torch.save(model.state_dict(), ...) wrote."
        ) from error


def _refusal(error: Exception) -> str | None:
    """What the weights-only reader refused to do, as a predicate; None when the file is damaged instead."""
    if not isinstance(error, pickle.UnpicklingError):
        return None
    for pattern in _REFUSED_CODE:
        refused = re.search(pattern, str(error))
        if refused:
            return f"wants to run code on this machine ({refused.group(1)})"
    operand = re.search(r"Unsupported operand (\d+)", str(error))
    if operand is None:
        return None
    return f"uses a pickle instruction that may run code on this machine (number {operand.group(1)})"


def _damaged(file: CheckpointFile) -> CheckpointError:
    return CheckpointError(f"{file.path.name} is cut short or damaged, its weights can't be read: fetch it again.")


def _unwrap(name: str, content: object) -> dict:
    if isinstance(content, dict):
        for key in _WRAPPER_KEYS:
            if isinstance(content.get(key), dict):
                content = content[key]
                break
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{name} holds {_kind(content)}, not a state dict: save the model with torch.save(model.state_dict(), ...)."
        )
    if not content:
        raise CheckpointError(
            f"{name} holds no weights at all: save the model with torch.save(model.state_dict(), ...)."
        )
    others = [key for key, value in content.items() if not (isinstance(key, str) and isinstance(value, torch.Tensor))]
    if others:
        raise CheckpointError(
            f"{name} holds other things than weights ({_first([f'{key}: {_kind(content[key])}' for key in others])}): "
            'save the state dict alone, or as {"model": state_dict}.'
        )
    return content


def _kind(value: object) -> str:
    return "a tensor" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"


def _float_weights(name: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    unfit = [f"{key}: {_unfit(tensor)}" for key, tensor in tensors.items() if _unfit(tensor)]
    if unfit:
        raise CheckpointError(
            f"{len(unfit)} of the {len(tensors)} weights in {name} are not plain floating-point numbers "
            f"({_first(unfit)}): give the checkpoint before it was quantised or packed."
        )
    return {key: tensor.detach() for key, tensor in tensors.items()}


def _unfit(tensor: torch.Tensor) -> str:
    """Why `tensor` can't be a weight, or "". A single integer passes: batch norms count their batches in one."""
    if tensor.layout != torch.strided:
        return str(tensor.layout).removeprefix("torch.")
    if tensor.device.type != "cpu":
        return f"without values on the {tensor.device.type} device"
    if tensor.dtype in _WEIGHT_DTYPES or (tensor.ndim == 0 and not tensor.is_quantized):
        return ""
    return str(tensor.dtype).removeprefix("torch.")


def _first(items: list[str]) -> str:
    shown = ", ".join(items[:_KEYS_SHOWN])
    return shown if len(items) <= _KEYS_SHOWN else f"{shown} and {len(items) - _KEYS_SHOWN} more"
