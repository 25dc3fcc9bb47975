"""Where a sweep's pictures, films and pairs come from, as a spec says it."""

from collections.abc import Mapping
from glob import has_magic
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MAX_NAME = 200
"""Characters of what a picture may be called."""


def as_tuple(value: Any) -> Any:
    """What may be written as one or as a list."""
    return (value,) if isinstance(value, str | Mapping) else tuple(value) if isinstance(value, list) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]


class Part(BaseModel):
    """Of a spec: what is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_kind(source: Part, kinds: tuple[str, ...], belongs: Mapping[str, str]) -> None:
    given = [name for name in kinds if getattr(source, name)]
    if len(given) != 1:
        said = " or ".join([", ".join(kinds[:-1]), kinds[-1]])
        raise ValueError(f"give one of {said}" + (", not several" if given else ""))
    for name, kind in belongs.items():
        if getattr(source, name) and kind not in given:
            raise ValueError(f"{name} goes with {kind}, not with {given[0]}")


class PictureSource(Part):
    """Pictures with or without masks; one of samples, files, coco and davis.

    samples:   names of sample pictures
    files:     paths or globs, from the spec's folder
    masks:     with files: a folder with a mask of the same name for each picture, in the same folders as below the
               glob's first star
    called:    with one file: the picture's name, where the file has another
    coco:      an annotation file of COCO; images: the folder of its pictures
    davis:     a folder with JPEGImages/NAME/ and Annotations/NAME/; every annotated frame is a picture
    sequences: of davis; empty: all
    objects:   whether each object of a mask is a case of its own, or all together are one
    limit:     so many pictures at most, chosen by the sweep's seed
    """

    samples: Texts = ()
    files: Texts = ()
    masks: str | None = None
    called: str | None = Field(default=None, max_length=MAX_NAME)
    coco: str | None = None
    images: str | None = None
    davis: str | None = None
    sequences: Texts = ()
    objects: Literal["each", "together"] = "each"
    limit: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_kind(self) -> "PictureSource":
        belongs = {"masks": "files", "called": "files", "images": "coco", "sequences": "davis"}
        _check_kind(self, ("samples", "files", "coco", "davis"), belongs)
        if self.called and (len(self.files) > 1 or has_magic(self.files[0])):
            raise ValueError("called names one picture: give files one path without a star")
        return self


class FilmSource(Part):
    """Films with or without masks; one of samples, files and davis.

    samples:   names of sample films
    files:     paths or globs of films, and of folders with a picture for each frame
    masks:     with files: a folder with, for each film, a mask of its first frame under the film's name, or a folder of
               that name with masks of its frames
    davis:     a folder with JPEGImages/NAME/ and Annotations/NAME/; each NAME is a film
    sequences: of davis; empty: all
    objects:   whether each object on the first frame is a case of its own, or all together are one
    frame:     the number of the frame on which the object is marked, from 0, where no mask's name says it
    side:      the longest side that frames are shrunk to while they are read, in pixels; empty: as they are
    limit:     so many films at most, chosen by the sweep's seed
    """

    samples: Texts = ()
    files: Texts = ()
    masks: str | None = None
    davis: str | None = None
    sequences: Texts = ()
    objects: Literal["each", "together"] = "each"
    frame: int = Field(default=0, ge=0)
    side: int | None = Field(default=None, ge=32, le=16384)
    limit: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_kind(self) -> "FilmSource":
        _check_kind(self, ("samples", "files", "davis"), {"masks": "files", "sequences": "davis"})
        if self.frame and (self.masks or self.davis):
            raise ValueError("the masks say which frame is marked: leave frame out")
        return self


class PairRow(Part):
    """Two pictures, files or sample:NAME, and their masks, None for one without. called: names of both, where the files
    have others.
    """

    first: str
    second: str
    masks: tuple[str | None, str | None] | None = None
    called: tuple[str, str] | None = None


class PairSource(Part):
    """Pairs of pictures; one of rows and files.

    rows:    each pair as it is
    files:   paths or globs: each picture and the next one in its folder, in the order of their names
    masks:   with files: a folder with a mask of the same name for each picture, as for pictures
    objects: all objects of a mask together, or each by its number, where both pictures have it
    limit:   so many pairs at most, chosen by the sweep's seed
    """

    rows: Annotated[tuple[PairRow, ...], BeforeValidator(as_tuple)] = ()
    files: Texts = ()
    masks: str | None = None
    objects: Literal["each", "together"] = "together"
    limit: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_kind(self) -> "PairSource":
        _check_kind(self, ("rows", "files"), {"masks": "files"})
        return self
