"""Where a run's pictures, films, memory banks and models come from: references in, values out, and the other way."""

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from samkit.errors import BadInput
from samkit.media.films import Video, film_and_frame
from samkit.media.given_masks import HintKind, MaskHint, Truth, read_hint, read_truth
from samkit.media.pictures import Picture, read_picture
from samkit.media.rle import mask_to_rle, rle_to_mask
from samkit.media.sample_videos import SAMPLE_VIDEOS, MadeVideo, load_sample_video
from samkit.media.samples import SAMPLES, VARIANTS, load_sample, sample_names
from samkit.media.video import open_video
from samkit.words import nearest
from samkit.work.spec import HintSpec, Ref

if TYPE_CHECKING:
    from samkit.experiments.inputs import Inputs
    from samkit.models.memory_bank import MemoryBank
    from samkit.models.sam import SamModel

SAMPLE_PREFIX = "sample:"
BANK_FILE = "memory_bank.safetensors"
"""What a memory bank's file is called where it has no name of its own."""
FRAME_REF = re.compile(r"(.+)#([0-9]{1,9})", re.DOTALL)
"""FILM#12: a frame of a film."""
NOT_A_FRAME = re.compile(r"(.+)#([^#/\\]*)", re.DOTALL)
"""What was meant as one, where there is no file of that name."""
GivenT = TypeVar("GivenT", MaskHint, Truth)
MASK_SUFFIXES = (".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg", ".npy")
MAX_WRITTEN_MASK = 2_000
"""Characters of a mask that is written out. A shell takes more, a person does not."""
LoadModel = Callable[[str, str, str], "SamModel"]
"""(reference, device, dtype) -> a loaded model; raises CheckpointError or DeviceError with a sentence."""


def load_from_disk(ref: str, device: str, dtype: str) -> "SamModel":
    """The model, read from its file."""
    from samkit.models.sam import load_model

    return load_model(ref, device=device, dtype=dtype)


def load_by_name(ref: str, device: str, dtype: str) -> "SamModel":
    """The model of that name or alias in the catalogue; no path is opened."""
    from samkit.models.files.catalogue import find_entry

    return load_from_disk(find_entry(ref).name, device, dtype)


class Sources:
    """Opens what a spec refers to. What it was handed is found first, by its SHA-256; then samples, then files.

    pictures, films, banks, hints, truths: what is at hand already, such as a visitor's uploads
    load_model: loads a model, or hands out one that is shared
    files:      whether a reference may be opened as a path; off where it is a stranger's word
    """

    def __init__(
        self,
        pictures: Iterable[Picture] = (),
        films: Iterable[Video] = (),
        banks: Iterable["MemoryBank"] = (),
        load_model: LoadModel = load_from_disk,
        files: bool = True,
        hints: Iterable[MaskHint] = (),
        truths: Iterable[Truth] = (),
    ):
        self._hints, self._truths = tuple(hints), tuple(truths)
        self._pictures, self._films, self._banks = tuple(pictures), tuple(films), tuple(banks)
        self._load_model = load_model
        self._files = files

    def picture(self, ref: Ref) -> Picture:
        """Raises PictureError for what is not a picture, BadInput for one that is not there or not the one meant."""
        at_hand = _with_content(self._pictures, ref)
        picture = at_hand if at_hand is not None else self._open_picture(ref)
        if ref.sha256 is not None:
            _check("picture", ref, picture.sha256)
        return replace(picture, name=ref.name) if ref.name not in ("", picture.name) else picture

    def film(self, ref: Ref) -> Video:
        """Raises PictureError for what is not a film, BadInput for one that is not there or not the one meant."""
        at_hand = _with_content([film for film in self._films if film.shrunk_side == ref.side], ref)
        film = at_hand if at_hand is not None else self._open_film(ref)
        if ref.sha256 is not None:
            _check("film", ref, film.sha256)
        return film

    def bank(self, ref: Ref) -> "MemoryBank":
        """Raises BadInput for what is not a memory bank, is not there, or is not the one meant."""
        from samkit.models.memory_bank import MemoryBank

        at_hand = _with_content(self._banks, ref)
        bank = at_hand if at_hand is not None else MemoryBank.load(self._path(ref))
        if ref.sha256 is not None:
            _check("memory bank", ref, bank.sha256)
        return bank

    def hint(self, spec: HintSpec, picture: Picture) -> MaskHint:
        """The mask hint on that picture. Raises PictureError for what is no mask, or none of the picture's proportions;
        BadInput for one that is not there, not the one meant, or of another kind.
        """
        ref = spec.file
        at_hand = _with_content(self._hints, ref)
        hint = at_hand if at_hand is not None else self._given(ref, read_hint, MaskHint)
        if hint.kind != spec.kind:
            raise BadInput(f"{hint.name} holds {hint.kind}, not {spec.kind} as this run takes it: give the right file.")
        hint = hint.fitted(picture.size)
        if ref.sha256 is not None:
            _check("mask hint", ref, hint.sha256)
        return replace(hint, name=ref.name) if ref.name not in ("", hint.name) else hint

    def hint_kind(self, ref: Ref) -> HintKind:
        """What the file of a mask hint holds. Raises as `hint` does."""
        return self._given(ref, read_hint, MaskHint).kind

    def truth(self, ref: Ref, picture: Picture) -> Truth:
        """The truth on that picture. Raises as `hint` does."""
        at_hand = _with_content(self._truths, ref)
        truth = at_hand if at_hand is not None else self._given(ref, read_truth, Truth)
        truth = truth.fitted(picture.size)
        if ref.sha256 is not None:
            _check("truth", ref, truth.sha256)
        return replace(truth, name=ref.name) if ref.name not in ("", truth.name) else truth

    def _given(
        self, ref: Ref, read: Callable[[Path, str | None, int | None], GivenT], of_mask: Callable[[np.ndarray], GivenT]
    ) -> GivenT:
        """A mask that somebody brought: written out, or from a file."""
        if ref.ref.lstrip().startswith("{"):
            return of_mask(read_rle(ref.ref))
        path, number = self._path(ref), None
        numbered = FRAME_REF.fullmatch(ref.ref)
        if numbered and not path.exists():
            path, number = self._path(replace(ref, ref=numbered[1])), int(numbered[2])
        return read(path, None, number)

    def model(self, ref: Ref, device: str = "auto", dtype: str = "float32") -> "SamModel":
        """Raises CheckpointError or DeviceError where it can't be loaded, BadInput where it is not the one meant."""
        model = self._load_model(ref.ref, device, dtype)
        if ref.sha256 is not None:
            _check("model", ref, model.info.sha256)
        return model

    def _open_picture(self, ref: Ref) -> Picture:
        frame = FRAME_REF.fullmatch(ref.ref)
        if frame and not self._is_there(ref.ref):
            return self._open_frame(ref, frame[1], int(frame[2]))
        self._check_frame(ref.ref)
        if not ref.ref.startswith(SAMPLE_PREFIX):
            return read_picture(self._path(ref))
        name = ref.ref.removeprefix(SAMPLE_PREFIX)
        if name not in SAMPLES and name not in VARIANTS:
            raise BadInput(f'There is no sample picture "{name:.60}": {nearest(name, sample_names())}')
        return load_sample(name)

    def _is_there(self, text: str) -> bool:
        """Never where no path is looked at."""
        return self._files and os.path.exists(text)

    def _check_frame(self, text: str) -> None:
        """BadInput for a frame of a film that is there, by what is no frame's number."""
        named = NOT_A_FRAME.fullmatch(text)
        if named is None or self._is_there(text):
            return
        film, number = named.groups()
        if film.removeprefix(SAMPLE_PREFIX) in SAMPLE_VIDEOS or self._is_there(film):
            raise BadInput(
                f'"{number:.40}" is no frame of {film:.200}: a frame is named by its number, counted from 0, such as '
                f"{film:.200}#0."
            )

    def _open_frame(self, ref: Ref, film_name: str, index: int) -> Picture:
        for film in self._films:
            known = ref.sha256 is not None or film.shrunk_side == ref.side
            if known and film.name == film_name and index < film.length:
                picture = film.picture(index)
                if ref.sha256 in (None, picture.sha256):
                    return picture
        with self._open_film(Ref(film_name, side=ref.side)) as film:
            return film.picture(index)

    def _open_film(self, ref: Ref) -> Video:
        if not ref.ref.startswith(SAMPLE_PREFIX):
            return open_video(self._path(ref), ref.name or None, max_side=ref.side, own=True)
        film = load_sample_video(ref.ref.removeprefix(SAMPLE_PREFIX))
        if ref.side is not None and ref.side < max(film.size):
            raise BadInput(f"The sample film {film.name} can't be shrunk to {ref.side} pixels: leave its size out.")
        return film

    def _path(self, ref: Ref) -> Path:
        if not self._files:
            raise BadInput(f"{ref.name or ref.ref} is no longer available: upload it again.")
        path = Path(ref.ref)
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise BadInput(f"{ref.ref[:300]} is a device or a pipe, not a file: save what comes out of it as a file.")
        return path


class _Hashed(Protocol):
    @property
    def sha256(self) -> str: ...


HashedT = TypeVar("HashedT", bound=_Hashed)


def _with_content(values: Iterable[HashedT], ref: Ref) -> HashedT | None:
    """The value whose SHA-256 the reference names."""
    return next((value for value in values if value.sha256 == ref.sha256), None) if ref.sha256 is not None else None


def _check(kind: str, ref: Ref, sha256: str) -> None:
    """BadInput where that is not the SHA-256 which the reference names."""
    if sha256 != ref.sha256:
        raise BadInput(
            f"{ref.ref} is another {kind}: expected SHA-256 {str(ref.sha256)[:12]}..., found {sha256[:12]}.... Use the "
            "right file, or leave the SHA-256 out."
        )


def model_ref(ref: str, model: "SamModel") -> Ref:
    """ref: the catalogue name or path that the model was loaded by."""
    return Ref(ref, model.info.sha256, model.info.name)


def picture_ref(picture: Picture, film: Video | None = None) -> Ref:
    """A sample, a variant of one or a frame of a film by what opens it; any other picture by its name, for the path of
    an upload is the visitor's own.

    film: the run's, of which the picture may be a frame
    """
    film_name, index = film_and_frame(picture.name)
    text, side = picture.name, None
    if film is not None and film.name == film_name and film.size == picture.size:
        side = film.shrunk_side
    if film_name is not None and index is not None:
        is_sample = film_name in SAMPLE_VIDEOS and load_sample_video(film_name).frame_of(picture) is not None
        text = frame_text(f"{SAMPLE_PREFIX}{film_name}" if is_sample else film_name, index)
    elif (picture.name in SAMPLES or picture.name in VARIANTS) and load_sample(picture.name) == picture:
        text = f"{SAMPLE_PREFIX}{picture.name}"
    return Ref(text, picture.sha256, picture.name, side)


def frame_text(film: str, index: int) -> str:
    """What refers to a frame of the film that `film` refers to."""
    return f"{film}#{index}"


def frame_in(picture: str, film: Ref) -> int | None:
    """Which frame of the film a picture is that is given beside it; None for a picture from elsewhere."""
    frame = FRAME_REF.fullmatch(picture)
    return int(frame[2]) if frame and frame[1] == film.ref else None


def side_of(picture: str, film: Ref) -> int | None:
    """The side at which a picture is read that is given beside a film: the film's, where it is a frame of that."""
    return film.side if frame_in(picture, film) is not None else None


def read_rle(text: str) -> np.ndarray:
    """bool [H, W]: a mask that is written out as COCO RLE in JSON."""
    try:
        rle = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"This is not a mask as COCO RLE, for it is not JSON: {error}.") from error
    return rle_to_mask(rle)


def hint_spec(hint: MaskHint) -> HintSpec:
    """A hint from a file by that file's name; any other written out where it is short, else by the name of the file
    that the run holds of it.
    """
    mask = hint.values if hint.kind == "mask" else None
    return HintSpec(hint.kind, Ref(_mask_text(hint.name, mask, f"mask_hint{hint.suffix}"), hint.sha256, hint.name))


def truth_ref(truth: Truth) -> Ref:
    """As `hint_spec`."""
    mask = truth.mask if truth.ignore is None else None
    return Ref(_mask_text(truth.name, mask, "truth.png"), truth.sha256, truth.name)


def _mask_text(name: str, mask: np.ndarray | None, file: str) -> str:
    """How a mask of that name is opened. mask: None where it can't be written out."""
    if Path(name.partition("#")[0]).suffix.lower() in MASK_SUFFIXES:
        return name
    written = "" if mask is None else json.dumps(mask_to_rle(mask))
    return written if 0 < len(written) <= MAX_WRITTEN_MASK else file


def film_ref(film: Video) -> Ref:
    """A sample film by what opens it, any other by its name."""
    text = f"{SAMPLE_PREFIX}{film.name}" if isinstance(film, MadeVideo) else film.name
    return Ref(text, film.sha256, film.name, film.shrunk_side)


def bank_ref(bank: "MemoryBank", number: int = 0) -> Ref:
    """A memory bank has no name; it goes by that of the file which pages and runs offer. number: of its object."""
    return Ref(bank_file(number), bank.sha256)


def bank_file(number: int) -> str:
    """What the memory bank's file of an object is called that a run gives. number: from 0, as the file's name counts
    from 1.
    """
    return BANK_FILE.replace(".", f"_object{number + 1}.") if number else BANK_FILE


def bank_refs(inputs: "Inputs") -> tuple[Ref | None, ...]:
    """Of the banks of the second object on."""
    return tuple(
        bank_ref(bank, number) if bank is not None else None for number, bank in enumerate(inputs.banks, start=1)
    )
