"""What lies beside a checkpoint and says what its weights can't: transformers' config.json, and a small JSON of the
same name. Knows no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samkit.models.files.locate import Located, read_small_json
from samkit.models.files.metadata import ModelMetadata, read_metadata

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
"""What peft writes beside an adapter."""
_KINDS = {"sam": "sam1", "sam_hq": "sam1", "sam2": "sam2", "sam2_video": "sam2"} | dict.fromkeys(
    ("sam3_video", "sam3_tracker", "sam3_tracker_video"), "sam3"
)
"""transformers' model types -> the family."""


def said_by_config(located: Located, family: str) -> ModelMetadata | None:
    """What config.json says of a model that transformers saved; None where there is none, or it is another model's.

    Raises CheckpointError where it says what can't be.
    """
    path = located.folder / CONFIG
    if not path.is_file():
        return None
    config = read_small_json(path)
    if _KINDS.get(str(config.get("model_type"))) != family:
        return None
    if family == "sam3":
        return read_metadata(_said_of_sam3(config), str(path))
    vision = _part(config, "vision_config")
    values: dict[str, Any] = {"decoder_heads": _part(config, "mask_decoder_config").get("num_attention_heads")}
    if family == "sam1":
        window = vision.get("window_size")
        values |= {
            "native_side": _side(vision.get("image_size")),
            "num_heads": vision.get("num_attention_heads"),
            "window_sizes": [window] * 4 if window is not None else None,
            "global_blocks": vision.get("global_attn_indexes"),
        }
    else:
        trunk = _part(vision, "backbone_config")
        values |= {
            "native_side": _side(trunk.get("image_size", config.get("image_size"))),
            "num_heads": trunk.get("num_attention_heads"),
            "window_sizes": trunk.get("window_size_per_stage"),
            "global_blocks": trunk.get("global_attention_blocks"),
            "memory_heads": config.get("memory_attention_num_attention_heads"),
        }
    return read_metadata(values, str(path))


def _said_of_sam3(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of a tracker, or of a whole SAM 3 that holds a tracker and a detector with the encoder of both."""
    tracker = _part(config, "tracker_config") or config
    vision = _part(_part(config, "detector_config"), "vision_config") or _part(tracker, "vision_config")
    trunk = _part(vision, "backbone_config")
    window = trunk.get("window_size")
    return {
        "native_side": _side(trunk.get("image_size")),
        "num_heads": trunk.get("num_attention_heads"),
        "window_sizes": [window] * 4 if window is not None else None,
        "global_blocks": trunk.get("global_attn_indexes"),
        "decoder_heads": _part(tracker, "mask_decoder_config").get("num_attention_heads"),
        "memory_heads": tracker.get("memory_attention_num_attention_heads"),
    }


def said_beside(located: Located) -> ModelMetadata | None:
    """What a JSON of the file's own name says: `model.json` beside `model.pt`. It may say what the metadata entry
    `samkit` may.
    """
    path = beside(located.path)
    if located.path.is_dir() or not path.is_file():
        return None
    return read_metadata(read_small_json(path), str(path))


def beside(path: Path) -> Path:
    """Where the JSON of a file lies."""
    return path.with_suffix(".json")


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    return part if isinstance(part, dict) else {}


def _side(value: object) -> object:
    """transformers writes one number or two."""
    return value[0] if isinstance(value, list) and len(value) == 2 and value[0] == value[1] else value
