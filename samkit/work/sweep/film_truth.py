"""The masks that are right on a film's frames, and how a film's masks compare with them."""

from pathlib import Path

import numpy as np

from samkit.experiments.measures.truth import boundary_f_measure
from samkit.media.film import masks_from_json
from samkit.media.films import Video
from samkit.media.given_masks import Truth
from samkit.media.mask_files import read_mask_file
from samkit.media.sample_videos import MadeVideo
from samkit.work.sweep.case import Case
from samkit.work.sweep.found_files import masks_by_frame


class FilmTruth:
    """The right masks of one object, by frame, read when they are asked for. frames: those that have one, in order; an
    object that is not on one of them has an empty mask there.
    """

    def __init__(self, case: Case, film: Video):
        self._film, self._number = film, case.number
        self._files: dict[int, Path] = {}
        if isinstance(film, MadeVideo):
            self.frames: tuple[int, ...] = tuple(range(film.length)) if case.frame_masks else ()
        elif case.frame_masks and case.film is not None:
            self._files = masks_by_frame(Path(case.frame_masks), Path(case.film.ref))
            self.frames = tuple(frame for frame in self._files if frame < film.length)
        else:
            self.frames = ()

    def on(self, frame: int) -> Truth:
        """Of one of `frames`, in the film's pixels. Raises PictureError for a file that is no mask of the film."""
        if isinstance(self._film, MadeVideo):
            return Truth(self._film.mask(frame))
        file = read_mask_file(self._files[frame])
        mask = file.numbers > 0 if self._number is None else file.numbers == self._number
        return Truth(mask, file.ignore, file.name).fitted(self._film.size)


def film_metrics(masks_file: bytes, truth: FilmTruth) -> dict[str, float]:
    """J, F and J_and_F of a film's masks, as DAVIS has them (Perazzi et al., CVPR 2016; Pont-Tuset et al., 2017): J is
    the IoU with the right mask, F how well the outlines agree (`boundary_f_measure`), J_and_F their mean. Each is the
    mean over the frames that have a right mask, but for the first and the last of them: the first one is given, and the
    last one was left out by the challenge. Two empty masks agree. Nothing where no frame is left.

    masks_file: as `masks_to_json` writes it. Frames that were not segmented don't count, so that a part of a film is
                measured by its own first and last frame
    """
    masks = masks_from_json(masks_file)
    frames = [frame for frame in truth.frames if frame in masks][1:-1]
    if not frames:
        return {}
    j, f = [], []
    for frame in frames:
        right = truth.on(frame)
        j.append(right.iou(masks[frame]))
        f.append(boundary_f_measure(masks[frame], right))
    means = float(np.mean(j)), float(np.mean(f))
    return {"J": means[0], "F": means[1], "J_and_F": (means[0] + means[1]) / 2, "judged_frames": float(len(frames))}
