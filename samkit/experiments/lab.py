"""What an experiment may ask of the lab it runs in. The lab itself is `samkit.work.lab.Lab`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from samkit.media.pictures import Picture

if TYPE_CHECKING:
    from samkit.media.films import Video
    from samkit.models.encoding import ImageEncoding
    from samkit.models.sam import SamModel

T = TypeVar("T")
Progress = Callable[[float, str], None]
"""Called with the share that is done (0..1) and a short line that says what is being done."""


class LazyEncoding(Protocol):
    """A picture's encoding that is made when it is first looked at, and known by its content before that."""

    @property
    def value(self) -> "ImageEncoding":
        """The encoding; the first look may take long."""
        ...


class LabLike(Protocol):
    """Encodings, remembered parts, progress and cancelling, in one place.

    An experiment writes each slow step as a function of values and asks the lab to `recall` it. What the step depends
    on is then said once, by its arguments: a knob that is not among them runs nothing again.
    """

    @property
    def figures_only(self) -> bool:
        """Whether nobody will look at the pictures, maps and curves of a result: metrics, facts, times and masks are
        all that is asked for. An experiment may leave the others out; what it gives is the same to the bit.
        """
        ...

    def encoding(
        self,
        model: "SamModel",
        picture: Picture,
        *,
        side: int | None = None,
        fit: str = "native",
        window_sizes: tuple[int, ...] | None = None,
        window_reading: str = "step",
        keep_blocks: bool = False,
    ) -> LazyEncoding:
        """The picture's encoding with these settings, as `SamModel.encode_image` takes them; made at most once."""
        ...

    def frame_encoding(
        self, model: "SamModel", video: "Video", frame: int, rgb: np.ndarray, *, side: int | None, fit: str
    ) -> "ImageEncoding":
        """The encoding of a frame of a film, uint8 [H, W, 3]. Most labs make it anew each time: a film has more frames
        than a memory holds.
        """
        ...

    def other_model(self, ref: str, sha256: str | None, like: "SamModel") -> "SamModel":
        """A second model, for an experiment that compares two: by what a parameter calls it, on the device and in the
        dtype of the first. sha256: of its file, where that is known. Raises CheckpointError where it can't be found.
        """
        ...

    def recall(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)`, or what it gave when it was last called with the same.

        Arguments are compared by content: models and files by their hash, pictures by their pixels, parameters, prompts
        and plain values by what they hold, and what the lab itself gave by what it was made from. A lab among them
        counts for nothing. The number of threads that torch computes with counts too. The function must depend on
        nothing else, and nobody may change what it gave.
        """
        ...

    def knows(self, function: Callable[..., Any], *arguments: Any) -> bool:
        """Whether `recall` of the same would run nothing at this moment."""
        ...

    def report(self, share: float, line: str) -> None:
        """Say how far the work is. share: 0..1; line: what is being done, for a person. Raises `Cancelled` where the
        person who waits has cancelled it.
        """
        ...

    def span(self, start: float, end: float) -> "LabLike":
        """The same lab for a part of the work: its shares 0..1 are `start`..`end` of the whole."""
        ...
