"""The part of a run's inputs that belongs to a film: the film itself, the pictures remembered beforehand, and the memory bank it began with."""

import json
import tempfile
from pathlib import Path

from samkit.errors import BadInput
from samkit.experiments.result import Inputs, Prior
from samkit.media.drawing import mask_from_png, mask_to_png
from samkit.media.films import FileVideo, FolderVideo, Video
from samkit.media.pictures import picture_to_png, read_picture
from samkit.media.sample_videos import MadeVideo, load_sample_video
from samkit.media.video import open_video
from samkit.models.prompts import Prompts

MAX_KEPT_FILM_BYTES = 64 * 2**20
"""A larger film is not copied into each run on it; the run tells which film it was and where it lay."""

PRIORS, BANK = "inputs/priors.json", "inputs/bank.safetensors"


def film_files(inputs: Inputs) -> tuple[dict[str, bytes | Path], dict]:
    """(files by their path in the bundle, what run.json tells of the film); both empty for runs without one."""
    if inputs.video is None:
        return {}, {}
    video = inputs.video
    files: dict[str, bytes | Path] = {PRIORS: json.dumps([_describe(index, prior) for index, prior in enumerate(inputs.priors)]).encode()}
    for index, prior in enumerate(inputs.priors):
        files[f"inputs/prior_{index}.png"] = picture_to_png(prior.picture)
        if prior.mask is not None:
            files[f"inputs/prior_{index}_mask.png"] = mask_to_png(prior.mask)
    if inputs.bank is not None:
        with tempfile.TemporaryDirectory(prefix="samkit-bank-") as folder:
            inputs.bank.save(Path(folder) / "bank")
            files[BANK] = (Path(folder) / "bank").read_bytes()
    told = {"name": video.name, "sha256": video.sha256, "frames": video.length, "fps": video.fps, "height": video.size[0], "width": video.size[1]}
    told["place"] = _place(video)
    if isinstance(video, FileVideo) and video.path.stat().st_size <= MAX_KEPT_FILM_BYTES:
        told["place"] = f"inputs/video{video.path.suffix.lower()}"
        files[told["place"]] = video.path
    return files, {"video": told}


def film_inputs(folder: Path, record: dict) -> dict:
    """The arguments of `Inputs` that belong to a film. Raises BadInput where the film is not there any more."""
    if "video" not in record:
        return {}
    priors = tuple(_read_prior(folder, index, told) for index, told in enumerate(json.loads((folder / PRIORS).read_text())))
    bank = None
    if (folder / BANK).is_file():
        from samkit.models.memory_bank import MemoryBank

        bank = MemoryBank.load(folder / BANK)
    return {"video": _open_film(folder, record["video"]), "priors": priors, "bank": bank}


def _place(video: Video) -> str:
    if isinstance(video, MadeVideo):
        return f"sample:{video.name}"
    if isinstance(video, FolderVideo):
        return str(video.files[0].parent.absolute())
    return str(video.path.absolute()) if isinstance(video, FileVideo) else video.name


def _open_film(folder: Path, told: dict) -> Video:
    """max_side is what the run had: frames are segmented in that size."""
    place, size = told["place"], max(told["height"], told["width"])
    if place.startswith("sample:"):
        return load_sample_video(place.removeprefix("sample:"))
    inside = place.startswith("inputs/")
    path = folder / place if inside else Path(place)
    if not path.exists():
        raise BadInput(f"The film of this run, {told['name']}, is too large to be kept with it and is no longer at {place}: put it there again.")
    video = open_video(path, told["name"], max_side=size)
    if not inside and video.sha256 != told["sha256"]:
        raise BadInput(f"The film at {place} is not the one this run was made with: put that one ({told['name']}) there again.")
    return video


def _describe(index: int, prior: Prior) -> dict:
    told = {"name": prior.picture.name, "sha256": prior.picture.sha256, "prompts": prior.prompts.to_dict(), "mask_index": prior.mask_index}
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
