"""The masks that a visitor brought along to a picture: the hint, and the truth. Pure: no Streamlit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from samkit.errors import EncodingError
from samkit.media.given_masks import MaskHint, Truth
from samkit.media.mask_files import MaskFile
from samkit.media.pictures import Picture

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.sam import SamModel


@dataclass(frozen=True, eq=False)
class FoundMask:
    """A mask that the page shows, to be used again.

    index: which of the four; mask: bool [H, W] of the picture
    logits: float32 [h, w], as the decoder gave them, over the model's input; None where they were not kept
    share: (height, width) of that input which the picture covers, 0..1; the rest is padding
    name: what a person knows it by
    """

    index: int
    mask: np.ndarray
    logits: np.ndarray | None = None
    share: tuple[float, float] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"mask {self.index + 1}")

    def as_hint(self) -> MaskHint:
        return MaskHint(self.mask if self.logits is None else self.logits, self.name)


@dataclass
class Given:
    """Of one picture.

    share: of logits, as in `FoundMask`; None where the hint fits whatever input there is
    files: "hint" or "truth" -> the file it was taken from, which may hold more objects
    found: the mask that is chosen on the page at this moment
    edits: counts the changes, after each of which the page's file boxes are empty
    """

    hint: MaskHint | None = None
    share: tuple[float, float] | None = None
    truth: Truth | None = None
    files: dict[str, MaskFile] = field(default_factory=dict)
    found: FoundMask | None = None
    edits: int = 0

    def take_hint(
        self, hint: MaskHint | None, share: tuple[float, float] | None = None, file: MaskFile | None = None
    ) -> None:
        self.hint, self.share = hint, share
        self._changed("hint")
        if file is not None:
            self.files["hint"] = file

    def take_truth(self, truth: Truth | None) -> None:
        self.truth = truth
        self._changed("truth")

    def _changed(self, role: str) -> None:
        self.files.pop(role, None)
        self.edits += 1

    def hint_for(self, model: "SamModel", picture: Picture, encoding: Mapping[str, Any]) -> MaskHint | None:
        """The hint as that model takes it. Logits that came from an input with other padding are moved to where the
        picture lies in the model's.

        encoding: side and fit, as in `SamModel.encode_image`
        """
        if self.hint is None or self.share is None:
            return self.hint
        from samkit.models.geometry import covered_share, move_logits, plan_geometry

        info = model.info
        side = encoding.get("side") or info.native_side
        try:
            geometry = plan_geometry(picture.size, info.family, side, encoding.get("fit", "native"), info.side_step)
        except EncodingError:
            return self.hint  # the page says what is wrong where it encodes
        if covered_share(geometry) == self.share:
            return self.hint
        return MaskHint(move_logits(self.hint.values, self.share, geometry), self.hint.name)


def found_mask(prediction: "MaskPrediction", index: int, mask: np.ndarray) -> FoundMask:
    """mask: what is shown of it, bool [H, W]."""
    from samkit.models.geometry import covered_share

    logits = prediction.logits[index].float().cpu().numpy()
    return FoundMask(index, mask, logits, covered_share(prediction.geometry))
