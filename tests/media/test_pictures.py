"""Pictures are read as a person sees them, and every bad file ends in a sentence."""

import io
import os
import resource
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from samkit.errors import BadInput, PictureError
from samkit.media.pictures import Picture, picture_to_png, read_picture

WHITE = (255, 255, 255)

# Pillow remarks on the damaged files that are made here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.fixture(scope="module")
def rgb():
    """24 x 36 pixels without symmetry: smooth, so that lossy formats stay close, with a bright corner."""
    y, x = np.mgrid[0:24, 0:36]
    pixels = np.stack([x * 7, y * 10, 255 - x * 3 - y * 2], axis=2).astype(np.uint8)
    pixels[:4, :6] = 250
    return pixels


def file_bytes(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png_with_size(width, height):
    """A PNG whose header claims a size, with hardly any data behind it."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\x00" * 64))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 5),
        ("JPEG", {"quality": 95}, 5),
        ("JPEG", {"quality": 95, "progressive": True}, 5),
    ],
)
def test_formats_from_path_bytes_and_file(rgb, tmp_path, format, options, tolerance):
    data = file_bytes(Image.fromarray(rgb), format, **options)
    path = tmp_path / f"cat.{format.lower()}"
    path.write_bytes(data)
    with path.open("rb") as file:
        file.read(10)
        pictures = [
            read_picture(path),
            read_picture(str(path)),
            read_picture(data, "cat"),
            read_picture(memoryview(data)),
            read_picture(file),
        ]
    assert len({picture.sha256 for picture in pictures}) == 1
    assert [picture.name for picture in pictures] == [path.name, path.name, "cat", "The picture", path.name]
    assert pictures[0].size == (24, 36)
    assert np.abs(pictures[0].rgb.astype(int) - rgb).mean() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
def test_exif_orientation(rgb, format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_bytes(Image.fromarray(rgb), format, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert expected.shape[:2] == ((24, 36) if orientation < 5 else (36, 24))
    assert np.array_equal(read_picture(data).rgb, expected)


def test_damaged_exif_counts_as_none(rgb):
    data = file_bytes(Image.fromarray(rgb), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xffgarbage")
    assert read_picture(data).size == (24, 36)


def as_mode(mode):
    """4 x 4 pixels of a mode: a dark left half and a bright right half."""
    image = Image.new("L", (4, 4), 0)
    image.paste(255, (2, 0, 4, 4))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "format"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("RGBA", "PNG"),
        ("1", "TIFF"),
        ("CMYK", "TIFF"),
        ("CMYK", "JPEG"),
        ("RGBA", "WEBP"),
        ("L", "JPEG"),
    ],
)
def test_modes_look_the_same(mode, format):
    options = {"lossless": True} if format == "WEBP" else {}
    picture = read_picture(file_bytes(as_mode(mode), format, **options))
    assert np.abs(picture.rgb[:, :2].astype(int)).max() <= 6
    assert np.abs(picture.rgb[:, 2:].astype(int) - 255).max() <= 6


def test_lab_colours():
    assert read_picture(file_bytes(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF")).rgb.min() > 245, (
        "the lightest Lab colour is white"
    )


def test_transparent_parts_lie_over_white():
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:, 0, 3], rgba[:, 1, 3], rgba[:, 2, 3] = 0, 255, 51
    picture = read_picture(file_bytes(Image.fromarray(rgba), "PNG"))
    assert [tuple(pixel) for pixel in picture.rgb[0].tolist()] == [WHITE, (200, 0, 0), (244, 204, 204)]

    grey_alpha = Image.merge("LA", (Image.new("L", (2, 1), 10), Image.fromarray(np.array([[0, 255]], np.uint8))))
    assert read_picture(file_bytes(grey_alpha, "PNG")).rgb[0].tolist() == [[255] * 3, [10] * 3]


def test_transparent_colour_of_a_palette_or_an_rgb_png_lies_over_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert read_picture(file_bytes(palette, "PNG", transparency=0)).rgb[0].tolist() == [[255] * 3, [40, 50, 60]]
    assert read_picture(file_bytes(palette, "GIF", transparency=0)).rgb[0].tolist() == [[255] * 3, [40, 50, 60]]
    rgb = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert read_picture(file_bytes(rgb, "PNG", transparency=(1, 2, 3))).rgb[0].tolist() == [[255] * 3, [4, 5, 6]]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 257 * 100, 65535], [0, 100, 255]),
        ([0, 2048, 4095], [0, 128, 255]),
        ([0, 511, 1023], [0, 127, 255]),
        ([0, 7, 255], [0, 7, 255]),
        ([0, 0, 0], [0, 0, 0]),
    ],
    ids=["16 bits", "12 bits", "10 bits", "8 bits", "black"],
)
def test_16_bit_greyscale_is_scaled_not_clipped(format, values, expected):
    picture = read_picture(file_bytes(Image.fromarray(np.array([values], np.uint16)), format))
    assert picture.rgb[0].tolist() == [[value] * 3 for value in expected]


def png_16_bit(samples, colour_type):
    """A PNG of 16-bit samples [H, W, C], which Pillow itself can't write."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = samples.shape[:2]
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_16_bit_colour_keeps_its_upper_bits():
    samples = np.array([[[0, 0x8000, 0xFFFF], [0x1234, 0xABCD, 0x00FF]]])
    assert read_picture(png_16_bit(samples, 2)).rgb[0].tolist() == [[0, 0x80, 0xFF], [0x12, 0xAB, 0x00]]
    with_alpha = np.concatenate([samples, [[[0xFFFF], [0]]]], axis=2)
    assert read_picture(png_16_bit(with_alpha, 6)).rgb[0].tolist() == [[0, 0x80, 0xFF], [255, 255, 255]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([-10.0, 0.0, 10.0], [0, 128, 255]),
        ([float("nan"), 0.0, 1.0], [0, 0, 255]),
        ([float("inf"), 2.0, 4.0], [0, 0, 255]),
        ([-3e38, 0.0, 3e38], [0, 128, 255]),
        ([7.0, 7.0, 7.0], [0, 0, 0]),
        ([float("nan")] * 3, [0, 0, 0]),
    ],
)
def test_float_greyscale(values, expected):
    picture = read_picture(file_bytes(Image.fromarray(np.array([values], np.float32)), "TIFF"))
    assert picture.rgb[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 40000, 80000], [0, 128, 255]), ([-100, 0, 100], [0, 128, 255]), ([0, 4095, 1], [0, 255, 0])],
)
def test_32_bit_greyscale(values, expected):
    picture = read_picture(file_bytes(Image.fromarray(np.array([values], np.int32)), "TIFF"))
    assert picture.rgb[0, :, 0].tolist() == expected


def frames(count, mode="RGB"):
    return [Image.new(mode, (8, 8), (i * 40, 0, 0)) for i in range(count)]


BAD_FILES = {
    "empty": (b"", "is empty"),
    "text": (
        b"To whom it may concern\n" * 20,
        "is not a picture that can be read here; it looks like text. Give a JPEG",
    ),
    "noise": (bytes(range(256)) * 4, "is not a picture that can be read here. Give"),
    "pdf": (b"%PDF-1.7\n\x00", "looks like a PDF"),
    "zip": (b"PK\x03\x04\x14\x00", "looks like a ZIP"),
    "svg": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "looks like an SVG"),
    "heic": (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "looks like a HEIC"),
    "video": (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00", "looks like a video"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    "png signature alone": (b"\x89PNG\r\n\x1a\n", "damaged|cut short"),
    "jpeg signature alone": (b"\xff\xd8\xff\xe0", "damaged|cut short"),
    "webp signature alone": (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "damaged|cut short"),
    "huge png header": (png_with_size(100_000, 100_000), "pixels"),
    "wide png header": (png_with_size(20_000, 4), "20000 x 4 pixels; at most 16384 a side"),
    "large png header": (png_with_size(8_000, 8_000), "8000 x 8000 pixels; at most 50 million"),
    "no rows": (png_with_size(4_000, 4_000), "cut short|damaged"),
    "animated gif": (file_bytes(frames(3)[0], "GIF", save_all=True, append_images=frames(3)[1:]), "is animated"),
    "animated png": (file_bytes(frames(3)[0], "PNG", save_all=True, append_images=frames(3)[1:]), "is animated"),
    "animated webp": (file_bytes(frames(3)[0], "WEBP", save_all=True, append_images=frames(3)[1:]), "is animated"),
    "tiff of pages": (
        file_bytes(frames(3)[0], "TIFF", save_all=True, append_images=frames(3)[1:]),
        "has several pages",
    ),
    "icon": (file_bytes(Image.new("RGB", (16, 16)), "ICO"), "not a picture that can be read here"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_get_a_sentence(case, tmp_path):
    data, sentence = BAD_FILES[case]
    path = tmp_path / "holiday.png"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(PictureError, match=sentence) as caught:
            read_picture(source, "holiday.png")
        assert isinstance(caught.value, BadInput)
        assert (
            str(caught.value).startswith("holiday.png ")
            and str(caught.value).endswith(".")
            and "\n" not in str(caught.value)
        )


def test_size_caps_are_checked_before_decoding():
    """7,000 x 7,000 white pixels: 150 MB decoded, a few kB as a file. The peak memory of the process does not move."""
    data = file_bytes(Image.new("L", (7_000, 7_000), 255), "PNG")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for caps in ({"max_pixels": 40_000_000}, {"max_side": 4_096}, {"max_bytes": len(data) - 1}):
        with pytest.raises(PictureError, match="Make it smaller first"):
            read_picture(data, **caps)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    with pytest.raises(PictureError, match="Make it smaller first"):
        read_picture(io.BytesIO(data), max_bytes=len(data) - 1)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("JPEG", {}),
    ],
)
def test_cut_short_anywhere(rgb, format, options):
    """A file cut after any number of bytes is refused, or, where only what follows the pixels is missing, read
    whole.
    """
    data = file_bytes(Image.fromarray(rgb), format, **options)
    whole = read_picture(data).rgb
    refused = 0
    for length in range(len(data)):
        try:
            assert np.array_equal(read_picture(data[:length]).rgb, whole), length
        except PictureError as error:
            assert str(error).endswith(".")
            refused += 1
    assert refused > 0.75 * len(data)


@given(
    st.sampled_from(["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG"]),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_flipped_bytes_end_in_a_picture_or_a_sentence(format, damage):
    y, x = np.mgrid[0:24, 0:36]
    data = bytearray(file_bytes(Image.fromarray((x * 7 + y).astype(np.uint8)), format))
    for place, value in damage:
        data[place % len(data)] ^= value
    try:
        picture = read_picture(bytes(data))
    except PictureError as error:
        assert str(error).endswith(".")
    else:
        assert picture.rgb.dtype == np.uint8 and picture.rgb.ndim == 3


@given(
    st.binary(max_size=400),
    st.sampled_from(
        [
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xe0",
            b"GIF89a",
            b"BM",
            b"II*\x00",
            b"MM\x00*",
            b"RIFF\x40\x00\x00\x00WEBP",
        ]
    ),
)
def test_any_bytes_end_in_a_picture_or_a_sentence(data, start):
    try:
        read_picture(start + data)
    except PictureError as error:
        assert str(error).endswith(".")


def test_paths_that_are_no_files(tmp_path):
    for path, sentence in [
        (tmp_path / "missing.png", "There is no file"),
        (tmp_path, "is a folder"),
        ("", "There is no file"),
        ("a\x00b.png", "can't be opened"),
        ("x" * 5000 + ".png", "can't be opened"),
        ("/dev/zero", "is a device or a pipe"),
    ]:
        with pytest.raises(PictureError, match=sentence):
            read_picture(path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PictureError, match="is a device or a pipe"):
        read_picture(tmp_path / "pipe.png")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """Root may read everything, so the refusal is put in by hand."""
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PictureError, match=r"secret\.png can't be opened: this user may not read it"):
        read_picture(path)


def test_file_objects_that_are_no_files(tmp_path):
    closed = io.BytesIO(b"x")
    closed.close()
    for file, sentence in [
        (io.StringIO("text"), "opened as text"),
        (closed, "can't be read"),
        (42, "not from a int"),
        (None, "not from a NoneType"),
    ]:
        with pytest.raises(PictureError, match=sentence):
            read_picture(file)


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\cat.png", "cat.png"),
        ("a\nb\x1b[31m.png", "a?b?[31m.png"),
        ("x" * 300, "x" * 100),
        ("  ", "The picture"),
    ],
)
def test_names_are_fit_for_a_sentence(rgb, given_name, shown):
    assert read_picture(file_bytes(Image.fromarray(rgb), "PNG"), given_name).name == shown


def test_picture_is_a_value(rgb):
    source = rgb.copy()
    picture = Picture.from_array(source, "a")
    source[:] = 0
    assert np.array_equal(picture.rgb, rgb)
    with pytest.raises(ValueError, match="read-only"):
        picture.rgb[0, 0] = 0
    assert picture == Picture.from_array(rgb, "b") and hash(picture) == hash(Picture.from_array(rgb, "b"))
    assert picture != Picture.from_array(255 - rgb, "a")
    assert (picture.height, picture.width, picture.size) == (24, 36, (24, 36))
    assert picture.sha256 != Picture.from_array(rgb.reshape(36, 24, 3)).sha256, "the shape counts"


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_arrays_that_are_no_pictures(pixels):
    with pytest.raises(PictureError, match="uint8 of the shape"):
        Picture.from_array(pixels)


def test_png_round_trip(rgb):
    picture = Picture.from_array(rgb, "a")
    assert read_picture(picture_to_png(picture)) == picture
