"""Encodes the frames that come on stdin as H.264 in an MP4 file, until stdin ends: the program of `FilmWriter`.

Arguments: the file; frames a second, as a fraction; the frames' size in pixels, such as 640x480, both even. Frames are
rows of RGB bytes. Ends with 1 and the reason on stderr where the file can't be written.
"""

import sys
from fractions import Fraction

import av
import numpy as np

QUALITY = "20"
"""x264's constant rate factor: 18 is nearly without loss, 23 its default."""


def main(path: str, rate: str, size: str) -> None:
    width, height = map(int, size.split("x"))
    with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options={"crf": QUALITY, "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        frame_bytes = width * height * 3
        while len(content := sys.stdin.buffer.read(frame_bytes)) == frame_bytes:
            rgb = np.frombuffer(content, np.uint8).reshape(height, width, 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, av.FFmpegError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
