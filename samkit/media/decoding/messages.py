"""What the server and the process that decodes say to each other.

A question is a line of JSON with `do` and what belongs to it; an answer is a line of JSON, followed by as many bytes as
its `bytes` says. A film that can't be read is answered with `refused`, one of `REFUSALS`.
"""

import struct

MAX_LINE = 64 * 1024
"""Bytes of a question or an answer."""
MAX_PACKETS = 500_000
"""Of a film: as many frames are read at most."""
MAX_SIDE = 8_192
MAX_PIXELS = 36_000_000
"""Of a frame; 8K has 33 million."""
MAX_PADDING = 256
"""Bytes after each row of pixels."""
BUFFER_BYTES = 3 * MAX_PIXELS + MAX_SIDE * MAX_PADDING
"""Of the memory through which frames go: as much as the largest needs. What no frame touches takes no memory."""

PACKET = struct.Struct("<qqqB")
"""A packet of the film: when it is shown and decoded, where it lies in the file (units of the stream, bytes), flags."""
NUMBER = struct.Struct("<q")
UNKNOWN = -(2**63)
"""Stands for a time that a packet does not have."""
KEY, HIDDEN = 1, 2
"""Flags of packets: decoding can begin here; nothing of it is shown."""

REFUSALS = (
    "not a film",
    "no pictures",
    "only sound",
    "codec",
    "size",
    "too many",
    "too much",
    "damaged",
    "speed",
)

FORMATS = ("mov", "matroska", "avi", "flv", "mpegts", "mpeg", "gif")
"""Containers that are read, as FFmpeg calls them."""
CODECS = {
    "h264": "H.264",
    "hevc": "H.265 (HEVC)",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg4": "MPEG-4",
    "mpeg2video": "MPEG-2",
    "mpeg1video": "MPEG-1",
    "mjpeg": "Motion JPEG",
    "prores": "ProRes",
    "dnxhd": "DNxHD",
    "ffv1": "FFV1",
    "rawvideo": "uncompressed",
    "dvvideo": "DV",
    "h263": "H.263",
    "flv1": "Sorenson H.263",
    "qtrle": "QuickTime animation",
    "png": "PNG",
    "gif": "GIF",
}
"""Codings that are read: as FFmpeg calls them, and as people do."""
DECODERS = (*CODECS, "libdav1d", "flv")
"""FFmpeg's names of what decodes those."""
