"""The picture that a kept mask lies on: one answer for thumbnails, pages, comparisons and reports."""

from PIL import Image

from samkit.errors import BadInput
from samkit.media.pictures import Picture, read_picture
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.film_inputs import open_film, prior_file, remembered


def ground(bundle: Bundle, name: str) -> Picture | None:
    """The picture that the mask of that name is declared to lie on, as large as the mask. None where it is not there,
    as for a frame of a film that is not on this machine, or where it has another size than the mask, as only a run
    from elsewhere may have.

    KeyError for a mask that the run does not have.
    """
    try:
        picture = _declared(bundle, name)
    except (BadInput, OSError):
        return None
    return picture if picture is not None and picture.size == mask_size(bundle, name) else None


def ground_sha256(bundle: Bundle, name: str) -> str:
    """What is equal for masks that lie on one picture, and known where that picture is not there; "" where the run
    says nothing of it.

    KeyError for a mask that the run does not have.
    """
    record, mask = bundle.record, bundle.record.masks[name]
    if mask.on == "frame":
        return f"{record.video.sha256}#{mask.index}" if record.video else ""
    if mask.on == "prior" and not _is_first_picture(bundle, mask.index):
        memories = remembered(bundle.path)
        return memories[mask.index]["sha256"] if mask.index < len(memories) else ""
    entry = record.picture_b if mask.on == "image_b" else record.picture
    return entry.sha256 if entry else ""


def mask_size(bundle: Bundle, name: str) -> tuple[int, int]:
    """(height, width) of a kept mask, from its file's header."""
    with Image.open(bundle.mask_file(name)) as image:
        return image.height, image.width


def _declared(bundle: Bundle, name: str) -> Picture | None:
    mask = bundle.record.masks[name]
    if mask.on == "frame":
        if bundle.record.video is None:
            return None
        with open_film(bundle.path, bundle.record.video) as film:
            return film.picture(mask.index)
    if mask.on == "prior" and not _is_first_picture(bundle, mask.index):
        memories = remembered(bundle.path)
        if mask.index >= len(memories):
            return None
        return read_picture(bundle.path / prior_file(mask.index), memories[mask.index]["name"])
    return bundle.picture("image_b" if mask.on == "image_b" else "image")


def _is_first_picture(bundle: Bundle, index: int) -> bool:
    """Whether what was remembered under that number is the run's first picture: it is where no other was recorded."""
    return index == 0 and prior_file(0) not in bundle.record.files
