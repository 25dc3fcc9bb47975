"""samkit: Segment Anything models, open to look inside.

`load_model`, then `encode_image` once and `predict_masks` often. Names are imported on first use, so that `import
samkit` stays quick.
"""

import os
from importlib import import_module
from typing import Any

# Before anything of MLflow is imported, which would tell its makers of every run that is kept.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.1.0"

_HOME = {
    "load_model": "samkit.models.sam",
    "SamModel": "samkit.models.sam",
    "ModelInfo": "samkit.models.sam",
    "ImageEncoding": "samkit.models.encoding",
    "MaskPrediction": "samkit.models.encoding",
    "TrackedFrame": "samkit.models.encoding",
    "Memory": "samkit.models.memory_bank",
    "MemoryBank": "samkit.models.memory_bank",
    "Prompts": "samkit.prompts",
    "Picture": "samkit.media.pictures",
    "read_picture": "samkit.media.pictures",
    "SamkitError": "samkit.errors",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'samkit' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
