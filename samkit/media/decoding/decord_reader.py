"""A film by decord, for files that the owner names: its FFmpeg is of 2020."""

from typing import TYPE_CHECKING, Any

from samkit.media.decoding.pyav_reader import Refused

if TYPE_CHECKING:
    import numpy as np


class DecordReader:
    """Frames by their number, as decord counts them."""

    def __init__(self, path: str):
        import decord

        self._failures: tuple[type[Exception], ...] = (RuntimeError, IndexError, decord.DECORDError)
        try:
            self._reader: Any = decord.VideoReader(path, num_threads=1)
        except self._failures as error:
            raise Refused("damaged") from error

    def times(self) -> "np.ndarray":
        """float64 [length]: when decord thinks that each frame is shown, in seconds."""
        import numpy as np

        try:
            rows = self._reader.get_frame_timestamp(range(len(self._reader)))
        except self._failures as error:
            raise Refused("damaged") from error
        return np.asarray(rows, dtype=np.float64)[:, 0]

    def frame(self, index: int) -> "np.ndarray":
        """uint8 [H, W, 3]. For some widths decord gives the padding of rows as a fourth channel; that is refused."""
        try:
            rgb = self._reader[index].asnumpy()
        except self._failures as error:
            raise Refused("damaged") from error
        if rgb.ndim != 3 or rgb.shape[2] != 3:
            raise Refused("damaged")
        return rgb
