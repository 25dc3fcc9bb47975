"""Films of a sweep: each object that is marked on a film's first annotated frame."""

import json
from pathlib import Path

from samkit.errors import BadInput
from samkit.media.mask_files import read_mask_file
from samkit.media.rle import mask_to_rle
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.words import nearest
from samkit.work.sources import SAMPLE_PREFIX, frame_text
from samkit.work.spec import Ref
from samkit.work.sweep.case import Case
from samkit.work.sweep.found_files import MASKS, davis_sequences, fixed_part, found_films, limited, masks_by_frame
from samkit.work.sweep.spec import FilmSource


def film_cases(sources: tuple[FilmSource, ...], seed: int) -> list[Case]:
    """All cases, in the order of the sources and of the names in each. Raises BadInput for a source that leads to no
    film or to no object, and for a film whose masks can't be read.
    """
    cases: list[Case] = []
    for source in sources:
        found = [case for film in limited(_films(source), source.limit, seed) for case in film.cases(source)]
        if not found:
            said = ", ".join((*source.samples, *source.files, *filter(None, (source.davis,))))
            raise BadInput(f"There are films in {said:.200}, but no object is marked on any of them.")
        cases += found
    return cases


class _Film:
    """A film that was found. masks: of its first frame, or a folder with masks of its frames; None where the source
    knows of none
    """

    def __init__(self, path: Path, name: str, masks: Path | None):
        self.path, self.name, self.masks = path, name, masks

    def cases(self, source: FilmSource) -> list[Case]:
        each = source.objects == "each"
        film = Ref(str(self.path), name=self.name, side=source.side)
        if self.masks is None:
            return [] if source.masks else [self._case(self.name, film, source.frame)]
        if not self.masks.is_dir():
            return self._marked(film, 0, self.masks, "", each)
        for frame, file in masks_by_frame(self.masks, self.path).items():
            # What comes in later is not followed: it is not marked where the film begins.
            if cases := self._marked(film, frame, file, str(self.masks), each):
                return cases
        return []

    def _marked(self, film: Ref, frame: int, file: Path, frame_masks: str, each: bool) -> list[Case]:
        """The objects that are on that frame."""
        objects = read_mask_file(file).objects
        if not each:
            truth = Ref(str(file))
            return [self._case(self.name, film, frame, truth, frame_masks)] if objects else []
        return [
            self._case(
                self.name if len(objects) == 1 else f"{self.name}, object {number}",
                film, frame, Ref(f"{file}#{number}"), frame_masks, number,
            )
            for number in objects
        ]  # fmt: skip

    def _case(
        self, name: str, film: Ref, frame: int, truth: Ref | None = None, masks: str = "", number: int | None = None
    ) -> Case:
        picture = Ref(frame_text(film.ref, frame), name=f"{self.name}, frame {frame}", side=film.side)
        return Case(name, picture, truth, film=film, frame=frame, frame_masks=masks, number=number)


class _Sample(_Film):
    """A sample film, whose masks are known."""

    def __init__(self, name: str):
        if name not in SAMPLE_VIDEOS:
            raise BadInput(f"There is no sample film {name:.60}: {nearest(name, SAMPLE_VIDEOS)}")
        super().__init__(Path(name), name, None)

    def cases(self, source: FilmSource) -> list[Case]:
        if source.side is not None:
            raise BadInput("Sample films are small and can't be shrunk: leave side: out.")
        ref = f"{SAMPLE_PREFIX}{self.name}"
        film = load_sample_video(self.name)
        if source.frame >= film.length:
            raise BadInput(
                f"The sample film {self.name} has the frames 0 to {film.length - 1}: frame {source.frame} is not there."
            )
        truth = Ref(json.dumps(mask_to_rle(film.mask(source.frame))), name=f"truth of {self.name}")
        return [self._case(self.name, Ref(ref, name=self.name), source.frame, truth, ref)]


def _films(source: FilmSource) -> list[_Film]:
    if source.samples:
        return [_Sample(name) for name in source.samples]
    if source.davis:
        pictures, masks, names = davis_sequences(Path(source.davis), source.sequences)
        return [_Film(pictures / name, name, masks / name) for name in names if (pictures / name).is_dir()]
    films: list[_Film] = []
    for pattern in source.files:
        root = fixed_part(pattern)
        for path in found_films(pattern):
            found = _masks_of(path, root, Path(source.masks)) if source.masks else None
            films.append(_Film(path, str(path.relative_to(root)), found))
    return films


def _masks_of(film: Path, root: Path, folder: Path) -> Path | None:
    """A folder of the film's name, or a mask of that name."""
    place = folder / film.relative_to(root).parent
    names = [place / film.stem, place / film.name] if film.is_file() else [place / film.name]
    folder_of_film = next((name for name in names if name.is_dir() and name != film), None)
    return folder_of_film or next((file for end in MASKS if (file := place / f"{film.stem}{end}").is_file()), None)
