"""Pairs of pictures of a sweep: the object is marked on the first one and looked for on the second."""

import json
from pathlib import Path

from samkit.errors import BadInput
from samkit.media.mask_files import read_mask_file
from samkit.media.rle import mask_to_rle
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.words import listed
from samkit.work.sources import FRAME_REF, SAMPLE_PREFIX
from samkit.work.spec import Ref
from samkit.work.sweep.case import Case
from samkit.work.sweep.found_files import fixed_part, found_pictures, limited, masks_of
from samkit.work.sweep.spec import PairSource
from samkit.work.sweep.spec_sources import PairRow


def pair_cases(sources: tuple[PairSource, ...], seed: int) -> list[Case]:
    """All cases, in the order of the sources and of the names in each. Raises BadInput for a source that leads to no
    pair.
    """
    cases: list[Case] = []
    for source in sources:
        pairs = [_of_row(row) for row in source.rows] if source.rows else _neighbours(source)
        found = [case for pair in limited(pairs, source.limit, seed) for case in pair.cases(source)]
        if not found:
            said = ", ".join(source.files)[:200] or "the rows"
            raise BadInput(
                f"There is no pair in {said}: it takes two pictures in one folder, with masks of the same names where "
                "masks: names their folder."
            )
        cases += found
    return cases


class _Picture:
    """One side of a pair. mask: what opens it; None where there is none"""

    def __init__(self, ref: Ref, mask: Ref | None):
        self.ref, self.mask = ref, mask

    @property
    def objects(self) -> tuple[int, ...]:
        """The numbers of the objects in its mask's file."""
        if self.mask is None or self.mask.ref.startswith("{") or FRAME_REF.fullmatch(self.mask.ref):
            return ()
        return read_mask_file(Path(self.mask.ref)).objects


class _Pair:
    def __init__(self, first: _Picture, second: _Picture, group: str = ""):
        self.first, self.second, self.group = first, second, group

    def cases(self, source: PairSource) -> list[Case]:
        name = f"{self.first.ref.name} -> {self.second.ref.name}"
        if source.objects == "together" or not self.first.objects:
            return [self._case(name, self.first.mask, self.second.mask)]
        numbers = sorted({*self.first.objects} & {*self.second.objects})
        return [
            self._case(
                f"{name}, object {number}", *(_numbered(each.mask, number) for each in (self.first, self.second))
            )
            for number in numbers
        ]

    def _case(self, name: str, truth: Ref | None, second_truth: Ref | None) -> Case:
        return Case(
            name, self.first.ref, truth, second=self.second.ref, second_truth=second_truth, group=self.group
        )  # fmt: skip


def _numbered(mask: Ref | None, number: int) -> Ref | None:
    return mask and Ref(f"{mask.ref}#{number}")


def _of_row(row: PairRow) -> _Pair:
    texts, masks, names = (row.first, row.second), row.masks or (None, None), row.called or ("", "")
    first, second = map(_side, texts, masks, names)
    return _Pair(first, second)


def _side(text: str, mask: str | None, called: str) -> _Picture:
    """A picture of a row; called: "" for the usual name. A frame of a sample film brings its own mask along."""
    if not text.startswith(SAMPLE_PREFIX):
        path = Path(text)
        if not path.is_file():
            raise BadInput(f"There is no picture {text:.300}: check the path, which goes from the spec's own folder.")
        name = called or f"{path.parent.name}/{path.name}"
        return _Picture(Ref(text, name=name), Ref(mask) if mask else None)
    name = text.removeprefix(SAMPLE_PREFIX)
    frame = FRAME_REF.fullmatch(name)
    if mask is None and frame and frame[1] in SAMPLE_VIDEOS:
        film, index = load_sample_video(frame[1]), int(frame[2])
        if index < film.length:
            rle = json.dumps(mask_to_rle(film.mask(index)))
            return _Picture(Ref(text, name=called or name), Ref(rle, name=f"truth of {name}"))
    return _Picture(Ref(text, name=called or name), Ref(mask) if mask else None)


def _neighbours(source: PairSource) -> list[_Pair]:
    """Each picture with the next one of its folder; of those without a mask none, where masks are wanted."""
    pairs = []
    for pattern in source.files:
        root = fixed_part(pattern)
        before: tuple[Path, _Picture] | None = None
        for path in sorted(found_pictures(pattern), key=lambda path: (path.parent, path.name)):
            mask = None
            if source.masks:
                files = masks_of(path, root, Path(source.masks))
                if len(files) > 1:
                    raise BadInput(
                        f"{path.name} has the masks {listed([file.name for file in files[:3]])}: for pairs put all "
                        "objects into one file, by numbers."
                    )
                if not files:
                    continue
                mask = Ref(str(files[0]))
            picture = _Picture(Ref(str(path), name=str(path.relative_to(root))), mask)
            if before is not None and before[0].parent == path.parent:
                pairs.append(_Pair(before[1], picture, str(path.parent)))
            before = path, picture
    return pairs
