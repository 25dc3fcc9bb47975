"""What a run's tags in the store say of it: where it comes from, its facts, the words it is found by, and how it looks,
small.

Words, key figures and thumbnail are what a list of runs needs, so that a page of it is one question to the store.
MLflow's own pages hide tags that begin with `mlflow.`.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

from samkit.media.drawing import overlay
from samkit.media.pictures import read_picture
from samkit.tracking.bundle.bundle import CUT_NOTE, Bundle
from samkit.tracking.bundle.ground import ground
from samkit.tracking.bundle.record import RunRecord
from samkit.tracking.store.description import MAX_DESCRIPTION, described, note_of
from samkit.tracking.store.differences import DIFFERS, differences_text
from samkit.tracking.store.looks import ALSO_SHOWN, LOGGED, MASK_COLOR, Look, shown_mask

WORDS, THUMBNAIL, NOTE, NAME = "mlflow.samkit.words", "mlflow.samkit.thumbnail", "mlflow.note.content", "mlflow.runName"
KEY_FIGURES = "samkit.key_figures"
"""The names of the metrics that sum a run up, with commas between."""
OWNER = "samkit.owner"
"""The tag that says whose a run is, on a server that many visit."""
FACT = "samkit.fact."
"""How the tag of a fact begins; the fact's name follows."""
SWEEP_USER = "samkit sweep"
"""Who MLflow takes for the user of the runs that sweeps have beside those of experiments."""
MAX_KEY_FIGURES = 4
MAX_TAG_CHARACTERS = 5_000
THUMBNAIL_PX = (160, 112)


def tags_of(bundle: Bundle, looks: Sequence[Look] = ()) -> dict[str, str]:
    """All tags a run is kept with, the user's own among them. looks: those that it is kept with, what stands for it
    first
    """
    record = bundle.record
    tags = {
        "samkit.schema": str(record.schema_number),
        "samkit.version": record.samkit,
        "samkit.run_uuid": record.run_uuid,
        "samkit.experiment": record.experiment,
        "samkit.created": record.created,
        "samkit.model": record.model.name,
        "samkit.model_sha256": record.model.sha256,
        "samkit.git_commit": record.git_commit or "none",
        "samkit.device": record.device,
        "samkit.dtype": record.dtype,
        KEY_FIGURES: ",".join(key_figures(record)),
        DIFFERS: differences_text(record.experiment, record.params),
    }
    tags |= {f"{FACT}{name}": str(value) for name, value in record.facts.items()}
    for key, entry in (("picture", record.first_picture), ("picture_b", record.picture_b), ("video", record.video)):
        if entry is not None:
            tags |= {f"samkit.{key}": entry.name, f"samkit.{key}_sha256": entry.sha256}
    if record.note:
        tags[NOTE] = described(note_text(record.note), "", MAX_DESCRIPTION)
    tags |= user_tags(record.tags)
    if re.fullmatch("[0-9a-f]{32}", record.tags.get(OWNER, "")):
        tags[OWNER] = record.tags[OWNER]
    tags[WORDS] = words_of(record.name, tags)
    small = _small(looks[0].rgb) if looks else thumbnail_of(bundle)
    picture = None if small is None else thumbnail_text(small)
    tags |= {LOGGED: "True"} if looks else {}
    return tags | ({THUMBNAIL: picture} if picture else {})


def key_figures(record: RunRecord) -> tuple[str, ...]:
    """The metrics that sum the run up."""
    return tuple(name for name, metric in record.metrics.items() if metric.key)[:MAX_KEY_FIGURES]


def user_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Those that a person wrote."""
    return {key: value for key, value in tags.items() if not key.startswith(("mlflow.", "samkit."))}


def words_of(name: str, tags: Mapping[str, str]) -> str:
    """Everything a plain word is looked for in: name, experiment, model, pictures, film, the user's tags, note."""
    words = [name, *(tags.get(f"samkit.{key}", "") for key in ("experiment", "model", "picture", "picture_b", "video"))]
    words += [f"{key} {value}" for key, value in user_tags(tags).items()]
    return re.sub(r"\s+", " ", " ".join([*words, note_of(tags.get(NOTE, ""))])).strip().lower()[:MAX_TAG_CHARACTERS]


def note_text(note: str) -> str:
    """MLflow caps a tag's length; a longer note is whole in run.json, and its tag says so."""
    return note if len(note) <= MAX_TAG_CHARACTERS else note[: MAX_TAG_CHARACTERS - len(CUT_NOTE)] + CUT_NOTE


def own_masks(names: Iterable[str]) -> tuple[str, ...]:
    """The masks that stand for their run where there is room for more than one: of a pair of pictures also the one that
    was found on the other picture.
    """
    names = list(names)
    first = shown_mask(names)
    return () if first is None else (first, *(name for name in ALSO_SHOWN if name in names and name != first))


def thumbnail_of(bundle: Bundle) -> np.ndarray | None:
    """uint8 [h, w, 3]: the mask that stands for the run on the picture it lies on, else the run's picture, else one of
    those it made, else None.
    """
    name = shown_mask(bundle.record.masks)
    picture = ground(bundle, name) if name else None
    if name and picture:
        small, mask = _small(picture.rgb), bundle.mask(name)
        rows, columns = (np.linspace(0, mask.shape[axis] - 1, small.shape[axis]).astype(int) for axis in (0, 1))
        return overlay(small, np.ascontiguousarray(mask[np.ix_(rows, columns)]), MASK_COLOR, alpha=0.5)
    picture = bundle.picture("image")
    if picture:
        return _small(picture.rgb)
    images = bundle.images()
    return _small(read_picture(images[0]).rgb) if images else None


def thumbnail_text(small: np.ndarray) -> str | None:
    """A small picture, uint8 [h, w, 3], as the text of a data URL that fits into a tag."""
    for quality in (70, 50, 30, 10):
        packed = cv2.imencode(".webp", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
        text = "data:image/webp;base64," + base64.b64encode(packed.tobytes()).decode()
        if len(text) <= MAX_TAG_CHARACTERS:
            return text
    return None


def _small(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    scale = min(THUMBNAIL_PX[0] / width, THUMBNAIL_PX[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
