"""Films that decord reads: the quick way, where it has wheels and likes the file."""

from functools import cached_property
from pathlib import Path

import numpy as np

from samkit.errors import PictureError
from samkit.media.films import FileVideo, shrunk_size
from samkit.media.pyav_video import Probe


class DecordVideo(FileVideo):
    """decord turns frames as the file says by itself."""

    reader = "decord"

    def __init__(self, path: Path, name: str, probed: Probe, max_side: int | None):
        """Raises PictureError for a file that decord refuses; PyAV may still read it."""
        super().__init__(path, name)
        import decord

        self._failures = (RuntimeError, IndexError, decord.DECORDError)
        self.rotation, self.original_size = probed.rotation, probed.size
        self.size = shrunk_size(probed.size, max_side)
        scaled = {} if self.size == probed.size else {"height": self.size[0], "width": self.size[1]}
        try:
            self._reader = decord.VideoReader(str(path), num_threads=1, **scaled)
            self.length, self.fps = len(self._reader), float(self._reader.get_avg_fps())
            shape = self._reader[0].shape if self.length else None
        except self._failures as error:
            raise PictureError(f"{name} can't be read by decord ({str(error).splitlines()[0][:120]}).") from error
        # For some widths decord hands out the padding at the ends of rows as a fourth channel.
        if shape is None or self.fps <= 0 or shape != (*self.size, 3):
            raise PictureError(f"{name} can't be read by decord: its frames are not what its header says.")

    @cached_property
    def timestamps(self) -> np.ndarray:
        with self._lock:
            return np.asarray(self._reader.get_frame_timestamp(range(self.length)), dtype=np.float64)[:, 0]

    def _read(self, index: int) -> np.ndarray:
        try:
            return self._reader[index].asnumpy()
        except self._failures as error:
            raise PictureError(
                f"Frame {index} of {self.name} can't be decoded: the file is damaged there. Copy or download it again."
            ) from error

    def close(self) -> None:
        with self._lock:
            self._reader = None
