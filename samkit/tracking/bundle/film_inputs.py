"""The part of a run's inputs that belongs to a film: the film itself, the pictures remembered beforehand, and the
memory bank it began with.
"""

import hashlib
import json
import tempfile
from pathlib import Path

from samkit.errors import BadInput
from samkit.experiments.result import Inputs, Prior
from samkit.media.drawing import mask_from_png, mask_to_png
from samkit.media.films import FRAME_SUFFIXES, FileVideo, FolderVideo, Video
from samkit.media.pictures import picture_to_png, read_picture
from samkit.media.sample_videos import MadeVideo, load_sample_video
from samkit.media.video import MAX_BYTES, open_video
from samkit.prompts import Prompts
from samkit.tracking.bundle.record import KEPT_FILM, read_small_json

MAX_KEPT_FILM_BYTES = 64 * 2**20
"""A larger film is not copied into each run on it; the run tells which film it was and where it lay."""

PRIORS, BANK = "inputs/priors.json", "inputs/bank.safetensors"


def film_files(inputs: Inputs) -> tuple[dict[str, bytes | Path], dict]:
    """(files by their path in the bundle, what run.json tells of the film); both empty for runs without one."""
    if inputs.video is None:
        return {}, {}
    video = inputs.video
    files: dict[str, bytes | Path] = {
        PRIORS: json.dumps([_describe(index, prior) for index, prior in enumerate(inputs.priors)]).encode()
    }
    for index, prior in enumerate(inputs.priors):
        files[f"inputs/prior_{index}.png"] = picture_to_png(prior.picture)
        if prior.mask is not None:
            files[f"inputs/prior_{index}_mask.png"] = mask_to_png(prior.mask)
    if inputs.bank is not None:
        with tempfile.TemporaryDirectory(prefix="samkit-bank-") as folder:
            inputs.bank.save(Path(folder) / "bank")
            files[BANK] = (Path(folder) / "bank").read_bytes()
    told = {
        "name": video.name,
        "sha256": video.sha256,
        "frames": video.length,
        "fps": video.fps,
        "height": video.size[0],
        "width": video.size[1],
    }
    told["place"] = _place(video)
    if isinstance(video, FileVideo) and video.path.stat().st_size <= MAX_KEPT_FILM_BYTES:
        told["place"] = f"inputs/video{video.path.suffix.lower()}"
        files[told["place"]] = video.path
    return files, {"video": told}


def film_inputs(folder: Path, record: dict) -> dict:
    """The arguments of `Inputs` that belong to a film. Raises BadInput where the film is not there any more."""
    if "video" not in record:
        return {}
    return {"video": _open_film(folder, record["video"]), **memories(folder)}


def memories(folder: Path) -> dict:
    """The arguments of `Inputs` for what is remembered before a film: the marked pictures and the bank. Raises BadInput
    for what is none.
    """
    told = read_small_json(folder / PRIORS, PRIORS)
    try:
        priors = tuple(_read_prior(folder, index, each) for index, each in enumerate(told))
    except (KeyError, TypeError) as error:
        raise BadInput(f"The run's {PRIORS} can't be read ({error}): export the run again where it was made.") from None
    bank = None
    if (folder / BANK).is_file():
        from samkit.models.memory_bank import MemoryBank

        bank = MemoryBank.load(folder / BANK)
    return {"priors": priors, "bank": bank}


def _place(video: Video) -> str:
    if isinstance(video, MadeVideo):
        return f"sample:{video.name}"
    if isinstance(video, FolderVideo):
        return str(video.files[0].parent.absolute())
    return str(video.path.absolute()) if isinstance(video, FileVideo) else video.name


def _open_film(folder: Path, told: dict) -> Video:
    """The film that `told` tells of. Its place may be anybody's word, so nothing is opened before its SHA-256 is that
    of the film the run was made with, and a place where there is nothing and one where something else lies are answered
    alike.

    A sample film is made here and has no place. max_side is what the run had: frames are segmented in that size.
    """
    name, place, size = told["name"], told["place"], max(told["height"], told["width"])
    if place.startswith("sample:"):
        return load_sample_video(place.removeprefix("sample:"))
    inside = KEPT_FILM.fullmatch(place) is not None
    path = folder / place if inside else Path(place)
    if (inside or path.is_absolute()) and _film_sha256(path) == told["sha256"]:
        return open_video(path, name, max_side=size)
    if inside:
        raise BadInput(
            f"The film that was kept with this run, {name}, is missing or damaged: export the run again where it "
            "was made."
        )
    raise BadInput(
        f"The film of this run, {name}, is too large to be kept with it and does not lie at {place} as it did: put "
        "that same film there."
    )


def _film_sha256(path: Path) -> str | None:
    """The SHA-256 that a film at `path` would tell, without decoding anything; None for what can be no film."""
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in FRAME_SUFFIXES)
            digests = [_file_sha256(file) for file in files]
            return (
                None
                if None in digests or not digests
                else hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
            )
        return _file_sha256(path)
    except (OSError, ValueError):
        return None


def _file_sha256(path: Path) -> str | None:
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(index: int, prior: Prior) -> dict:
    told = {
        "name": prior.picture.name,
        "sha256": prior.picture.sha256,
        "prompts": prior.prompts.to_dict(),
        "mask_index": prior.mask_index,
    }
    return told | {"film_frame": prior.film_frame, "has_mask": prior.mask is not None}


def _read_prior(folder: Path, index: int, told: dict) -> Prior:
    path = folder / "inputs" / f"prior_{index}.png"
    return Prior(
        picture=read_picture(path, told["name"]),
        prompts=Prompts.from_dict(told["prompts"]),
        mask_index=told["mask_index"],
        mask=mask_from_png(folder / "inputs" / f"prior_{index}_mask.png") if told["has_mask"] else None,
        film_frame=told["film_frame"],
    )
