"""The part of a run's inputs that belongs to a film: the film itself, the pictures remembered beforehand, and the
memory bank it began with.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samkit.errors import BadInput
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.measures.bank_file import bank_bytes
from samkit.experiments.steering import NOT_STEERED, STEERING_FILE, Steering
from samkit.files import file_digest
from samkit.limits import is_public
from samkit.media.drawing import mask_from_png, mask_to_png
from samkit.media.file_film import FileVideo
from samkit.media.films import Video
from samkit.media.folder_film import MAX_FRAMES, FolderVideo, frame_files, frames_digest
from samkit.media.given_masks import HintKind, MaskHint, read_hint
from samkit.media.pictures import picture_to_png, read_picture
from samkit.media.sample_videos import MadeVideo, load_sample_video
from samkit.media.video import MAX_BYTES, open_video
from samkit.prompts import Prompts
from samkit.settings import film_folders, note_film
from samkit.tracking.bundle.record import KEPT_FILM, FilmEntry, read_small_json

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank

MAX_KEPT_FILM_BYTES = 64 * 2**20
"""A larger film is not copied into each run on it; the run says which film it was and where it lay."""

MAX_PRIORS, MAX_PRIOR_PIXELS = 256, 500_000_000
PRIORS, STEERING = "inputs/priors.json", f"inputs/{STEERING_FILE}"


def film_files(inputs: Inputs) -> tuple[dict[str, bytes | Path], dict[str, Any]]:
    """(files by their path in the bundle, the film's entry of run.json by its name); both empty for runs without a
    film.
    """
    if inputs.video is None:
        return {}, {}
    video = inputs.video
    files = _memory_files(inputs)
    place = _place(video)
    if isinstance(video, FileVideo) and video.path.stat().st_size <= MAX_KEPT_FILM_BYTES:
        place = f"inputs/video{video.path.suffix.lower()}"
        files[place] = video.path
    elif Path(place).is_absolute():
        note_film(place)
    entry = {
        "name": video.name,
        "sha256": video.sha256,
        "frames": video.length,
        "fps": video.fps,
        "height": video.size[0],
        "width": video.size[1],
        "place": place,
    }
    return files, {"video": entry}


def _memory_files(inputs: Inputs) -> dict[str, bytes | Path]:
    """The marked pictures and the bank that a run on a film began with, by their path in the bundle."""
    descriptions = [_describe(prior) for prior in inputs.priors]
    files: dict[str, bytes | Path] = {PRIORS: json.dumps(descriptions).encode()}
    for index, prior in enumerate(inputs.priors):
        files[prior_file(index)] = picture_to_png(prior.picture)
        if prior.mask is not None:
            files[_prior_mask_file(index)] = mask_to_png(prior.mask)
        if prior.mask_hint is not None:
            files[_prior_hint_file(index, prior.mask_hint.kind)] = prior.mask_hint.file()
    for number, bank in enumerate((inputs.bank, *inputs.banks)):
        if bank is not None:
            files[_bank_file(number)] = bank_bytes(bank)
    if inputs.steering != NOT_STEERED:
        files[STEERING] = inputs.steering.to_json()
    return files


def prior_file(index: int) -> str:
    """Where in a bundle the picture of that number lies that was remembered beforehand."""
    return f"inputs/prior_{index}.png"


def _prior_mask_file(index: int) -> str:
    return f"inputs/prior_{index}_mask.png"


def _prior_hint_file(index: int, kind: HintKind) -> str:
    return f"inputs/prior_{index}_hint.{'png' if kind == 'mask' else 'npy'}"


def _bank_file(number: int) -> str:
    """Where in a bundle the memory bank lies that the object of that number began with."""
    return f"inputs/bank_{number}.safetensors" if number else "inputs/bank.safetensors"


def film_inputs(folder: Path, film: FilmEntry | None) -> dict[str, Any]:
    """The arguments of `Inputs` that belong to a film, as run.json names it; none without one. Raises BadInput where
    the film is not there any more.
    """
    return {} if film is None else {"video": open_film(folder, film), **memories(folder)}


def memories(folder: Path) -> dict[str, Any]:
    """The arguments of `Inputs` for what is remembered before a film (the marked pictures and the banks), and for what
    is done while it runs. Raises BadInput where they can't be read.
    """
    descriptions = read_small_json(folder / PRIORS, PRIORS)
    if not isinstance(descriptions, list) or len(descriptions) > MAX_PRIORS:
        raise BadInput(f"The run's {PRIORS} can't be read: it is no list of at most {MAX_PRIORS} memories.")
    priors, room = [], MAX_PRIOR_PIXELS
    try:
        for index, each in enumerate(descriptions):
            priors.append(_read_prior(folder, index, each))
            room -= priors[-1].picture.width * priors[-1].picture.height
            if room < 0:
                raise BadInput(
                    f"The run's memories have more than {MAX_PRIOR_PIXELS // 10**6} million pixels together, the most "
                    "that are read."
                )
    except (KeyError, TypeError) as error:
        raise BadInput(f"The run's {PRIORS} can't be read ({error}): export the run again where it was made.") from None
    steering = steering_of(folder)
    bank, *banks = [_read_bank(folder, number) for number in range(steering.count)]
    return {"priors": tuple(priors), "bank": bank, "banks": tuple(banks) if any(banks) else (), "steering": steering}


def steering_of(folder: Path) -> Steering:
    """How the run was steered. Raises BadInput or PromptError where that can't be read."""
    if not (folder / STEERING).is_file():
        return NOT_STEERED
    return Steering.from_json(json.dumps(read_small_json(folder / STEERING, STEERING)), f"The run's {STEERING}")


def memory_marks(folder: Path) -> list[tuple[str, int, Prompts]]:
    """(the picture's name, the object's number, what marks it) of each picture that was remembered beforehand. Raises
    BadInput or PromptError where that can't be read.
    """
    descriptions = read_small_json(folder / PRIORS, PRIORS)
    try:
        return [
            (str(each["name"]), int(each.get("object", 0)), Prompts.from_dict(each["prompts"]))
            for each in descriptions[:MAX_PRIORS]
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        raise BadInput(f"The run's {PRIORS} can't be read: export the run again where it was made.") from None


def _read_bank(folder: Path, number: int) -> "MemoryBank | None":
    from samkit.models.memory_bank import MemoryBank

    path = folder / _bank_file(number)
    return MemoryBank.load(path) if path.is_file() else None


def remembered(folder: Path) -> list[dict[str, str]]:
    """Name and sha256 of each picture that was remembered beforehand; none where that can't be read."""
    try:
        descriptions = read_small_json(folder / PRIORS, PRIORS)
        return [{name: str(each[name]) for name in ("name", "sha256")} for each in descriptions]
    except (BadInput, LookupError, TypeError):
        return []


def _place(video: Video) -> str:
    if isinstance(video, MadeVideo):
        return f"sample:{video.name}"
    if isinstance(video, FolderVideo):
        return str(video.files[0].parent.absolute())
    return str(video.path.absolute()) if isinstance(video, FileVideo) else video.name


def open_film(folder: Path, film: FilmEntry) -> Video:
    """The film of a run in `folder`. Its place is untrusted, so it is opened only where the run keeps it, or below a
    folder that the owner of this machine named (`samkit.settings.film_folders`), and not before its SHA-256 is that of
    the film the run was made with. A place where there is nothing and one where something else lies are answered alike.

    A sample film is made here and has no place. Frames are as large as the run had them. Raises BadInput where the film
    is not there.
    """
    place, size = film.place, max(film.height, film.width)
    if place.startswith("sample:"):
        return load_sample_video(place.removeprefix("sample:"))
    inside = KEPT_FILM.fullmatch(place) is not None
    path = folder / place if inside else named_place(place)
    if path is not None and _film_sha256(path) == film.sha256:
        return open_video(path, film.name, max_side=size)
    if inside:
        raise BadInput(
            f"The film that was kept with this run, {film.name}, is missing or damaged: export the run again where it "
            "was made."
        )
    raise BadInput(
        f"The film of this run, '{film.name}', lies outside of it, at '{place}', and can't be taken from there: it is "
        "gone or changed, or may not be read. If it is yours, put the same film there, in a folder that SAMKIT_FILMS "
        "names."
    )


def named_place(place: str) -> Path | None:
    """Where a film lies that a run names by its path, links followed; None where that is below no folder that the
    owner named. A folder that is named itself counts.
    """
    if is_public():
        return None
    try:
        path = Path(place)
        if not path.is_absolute():
            return None
        path = path.resolve()
        named = [folder.resolve() for folder in film_folders()]
    except (OSError, ValueError, RuntimeError):
        return None
    return path if any(path.is_relative_to(folder) for folder in named) else None


def _film_sha256(path: Path) -> str | None:
    """The SHA-256 that a film at `path` would have, without decoding anything; None for what is not a film."""
    try:
        if not path.is_dir():
            return file_digest(path, MAX_BYTES)
        with os.scandir(path) as entries:
            if sum(1 for _ in zip(entries, range(MAX_FRAMES + 1), strict=False)) > MAX_FRAMES:
                return None
        frames = frame_files(path)
        return frames_digest(frames, MAX_BYTES) if frames else None
    except (OSError, ValueError):
        return None


def _describe(prior: Prior) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": prior.picture.name,
        "sha256": prior.picture.sha256,
        "prompts": prior.prompts.to_dict(),
        "mask_index": prior.mask_index,
        "film_frame": prior.film_frame,
        "has_mask": prior.mask is not None,
    }
    if prior.mask_hint is not None:
        described |= {"hint_kind": prior.mask_hint.kind, "hint_name": prior.mask_hint.name}
    return described | ({"object": prior.object} if prior.object else {})


def _read_prior(folder: Path, index: int, description: dict[str, Any]) -> Prior:
    return Prior(
        picture=read_picture(folder / prior_file(index), description["name"]),
        prompts=Prompts.from_dict(description["prompts"]),
        mask_index=description["mask_index"],
        mask=mask_from_png(folder / _prior_mask_file(index)) if description["has_mask"] else None,
        film_frame=description["film_frame"],
        mask_hint=_read_prior_hint(folder, index, description),
        object=description.get("object", 0),
    )


def _read_prior_hint(folder: Path, index: int, description: dict[str, Any]) -> MaskHint | None:
    kind = description.get("hint_kind")
    if kind is None:
        return None
    return read_hint(folder / _prior_hint_file(index, kind), str(description["hint_name"])[:100])
