"""Video with image priors: memories recorded on pictures steer the segmentation of a film that may have nothing to do
with them (SAM v2, v2.1 and v3).

Any number of pictures, frames of the film among them, become prompt memories of one object or of several. Then the film
runs, forwards or backwards, and each frame's best mask goes into the object's frame memory. What was corrected and
switched while a film ran is among the inputs. `FilmRun` does it frame by frame; `run` does it in one go.
"""

from typing import TYPE_CHECKING

from samkit.experiments.film.film_run import FilmRun, segment_film
from samkit.experiments.film.outcome import NAME
from samkit.experiments.film.params import Params
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike
from samkit.experiments.result import Result

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

__all__ = ["NAME", "TAKES", "Params", "run"]

TAKES = ("image", "prompts", "video", "priors", "bank", "banks", "steering")


def run(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """Record the priors and segment the whole film. See `samkit.experiments.film.outcome.film_result` for what comes
    out; memory stays flat however long the film is.
    """
    lab.report(0.0, "Recording memories")
    film = FilmRun(model, inputs, params, lab)
    segmented = lab.recall(segment_film, model, inputs, params, lab.span(0.0, 0.9))
    film.take(segmented)
    return film.result(lab.span(0.9, 1.0))
