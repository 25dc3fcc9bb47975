"""What an experiment is run on: pictures, prompts, a film, and memories recorded beforehand."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from samkit.errors import BadInput
from samkit.experiments.steering import NOT_STEERED, Steering
from samkit.media.given_masks import MaskHint, Truth, is_marked
from samkit.media.pictures import Picture
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from samkit.media.films import Video
    from samkit.models.memory_bank import MemoryBank


@dataclass(frozen=True)
class Prior:
    """A picture with an object marked on it, to be remembered.

    prompts:    what marks it, with mask_index for which of the four masks is meant (None: the best); or
    mask:       bool [H, W] in the picture's pixels
    film_frame: where in the run's film the picture comes from, or None for a picture from elsewhere
    mask_hint:  where the object is thought to be, decoded together with the prompts
    object:     the number of the object that it shows, where several are followed
    """

    picture: Picture
    prompts: Prompts = Prompts()
    mask_index: int | None = None
    mask: np.ndarray | None = None
    film_frame: int | None = None
    mask_hint: MaskHint | None = None
    object: int = 0


@dataclass(frozen=True)
class Inputs:
    """The pictures and prompts of one run; for a run on a film also the film, the pictures remembered beforehand, and a
    memory bank to start from.

    image:     None for an experiment on a model alone
    bank:      of the first object; banks: of the second one on, None for those that have none
    mask_hint: where the object is thought to be, on the picture that the prompts lie on; decoded together with them,
               or alone
    truth:     the mask that is right, on the first picture; truth_b: on the second
    steering:  which objects are followed through the film, and what was corrected and switched
    """

    image: Picture | None = None
    prompts: Prompts = Prompts()
    image_b: Picture | None = None
    video: "Video | None" = None
    priors: tuple[Prior, ...] = ()
    bank: "MemoryBank | None" = None
    banks: "tuple[MemoryBank | None, ...]" = ()
    mask_hint: MaskHint | None = None
    truth: Truth | None = None
    truth_b: Truth | None = None
    steering: Steering = NOT_STEERED

    @property
    def is_marked(self) -> bool:
        return is_marked(self.prompts, self.mask_hint)

    @property
    def picture(self) -> Picture:
        """The first picture, for experiments that take one. Raises BadInput where the run has no picture."""
        if self.image is None:
            raise BadInput("There is no picture: give one with --image, a file or sample:chelsea.")
        return self.image
