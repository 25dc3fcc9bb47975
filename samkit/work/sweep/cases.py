"""What a sweep is run on, one object at a time: on pictures in samples, files, COCO and DAVIS folders; films and pairs
have files of their own.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from samkit.errors import BadInput, PictureError
from samkit.files import opened_regular
from samkit.machine import memory_at_hand
from samkit.media.coco_masks import annotation_rle
from samkit.media.mask_files import read_mask_file
from samkit.media.rle import mask_to_rle
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.media.samples import SAMPLE_OBJECTS, SAMPLES, VARIANTS, load_sample, sample_names
from samkit.prompts import Prompts
from samkit.words import format_bytes, nearest
from samkit.work.sources import FRAME_REF, SAMPLE_PREFIX
from samkit.work.spec import Ref
from samkit.work.sweep.case import Case, told_apart
from samkit.work.sweep.film_cases import film_cases
from samkit.work.sweep.found_files import PICTURES, davis_sequences, fixed_part, found_pictures, limited, masks_of
from samkit.work.sweep.pair_cases import pair_cases
from samkit.work.sweep.sample_truth import filled_ellipse
from samkit.work.sweep.spec import PictureSource, SweepSpec

__all__ = ["Case", "all_cases", "find_cases"]

MAX_COCO_BYTES, READ_TIMES = 2**30, 10
"""Of an annotation file; and how much more memory it takes when it is read, about."""


ObjectsOf = Callable[[], list[Case]]
"""All cases of one picture; reads its masks."""


def all_cases(spec: SweepSpec) -> list[Case]:
    """All cases of a sweep: pictures, films and pairs, or the model alone. Raises BadInput for a source that leads to
    nothing.
    """
    try:
        cases = find_cases(spec.pictures, spec.seed) if spec.pictures else []
        cases += told_apart(film_cases(spec.films, spec.seed)) + told_apart(pair_cases(spec.pairs, spec.seed))
    except OSError as error:
        # Whatever is asked of a path that no file can have, or that may not be looked at.
        place = str(error.filename)[:200] if error.filename else "A path of the spec"
        raise BadInput(f"{place} can't be used ({error.strerror or error}): check the path.") from error
    return cases or find_cases((), spec.seed)


def find_cases(sources: tuple[PictureSource, ...], seed: int) -> list[Case]:
    """All cases, in the order of the sources and of the names in each. One without a picture where there are no
    sources. Raises BadInput for a source that leads to no picture.
    """
    if not sources:
        return [Case("the model alone", None)]
    cases: list[Case] = []
    for source in sources:
        pictures = limited(list(_pictures(source)), source.limit, seed)
        found = [case for objects in pictures for case in objects()]
        if not found:
            raise BadInput(_no_object(source))
        cases += found
    return told_apart(cases)


def _pictures(source: PictureSource) -> Iterator[ObjectsOf]:
    each = source.objects == "each"
    if source.samples:
        return (partial(_sample, name, each) for name in source.samples)
    if source.files:
        return _files(source, each)
    return _coco(source, each) if source.coco else _davis(source, each)


def _no_object(source: PictureSource) -> str:
    if source.files and source.masks:
        first = found_pictures(source.files[0])[0]
        return (
            f"None of the pictures in {_said(source)} has a mask with an object in {source.masks:.200}: a mask has the "
            f"picture's name, such as {first.stem:.80}.png for {first.name:.80}."
        )
    return f"There are pictures in {_said(source)}, but no object on any of them."


def _said(source: PictureSource) -> str:
    return ", ".join((*source.samples, *source.files, *filter(None, (source.coco, source.davis))))[:200]


def _sample(name: str, each: bool) -> list[Case]:
    """A sample picture, or a frame of a sample film as coin#12. The coins and the films come with their truth."""
    ref = Ref(f"{SAMPLE_PREFIX}{name}", name=name)
    frame = FRAME_REF.fullmatch(name)
    if frame and frame[1] in SAMPLE_VIDEOS:
        film, index = load_sample_video(frame[1]), int(frame[2])
        if index >= film.length:
            raise BadInput(f"The sample film {frame[1]} has the frames 0 to {film.length - 1}, not {index}.")
        return [Case(name, ref, Ref(json.dumps(mask_to_rle(film.mask(index))), name=f"truth of {name}"))]
    if name not in SAMPLES and name not in VARIANTS:
        raise BadInput(f"There is no sample picture {name:.60}: {nearest(name, sample_names())}")
    if name not in SAMPLE_OBJECTS or not each:
        return [Case(name, ref, given=SAMPLES[name].prompts if name in SAMPLES else Prompts())]
    size = load_sample(name).size
    return [
        Case(
            f"{name}, object {number}",
            ref,
            Ref(json.dumps(mask_to_rle(filled_ellipse(box, size))), name=f"truth of {name} {number}"),
            Prompts(boxes=[box]),
        )
        for number, box in enumerate(SAMPLE_OBJECTS[name].boxes, start=1)
    ]


def _files(source: PictureSource, each: bool) -> Iterator[ObjectsOf]:
    for pattern in source.files:
        root = fixed_part(pattern)
        for path in found_pictures(pattern):
            masks = masks_of(path, root, Path(source.masks)) if source.masks else None
            yield partial(_masked, path, masks, source.called or str(path.relative_to(root)), each)


def _masked(picture: Path, masks: list[Path] | None, name: str, each: bool) -> list[Case]:
    """masks: None where the source has none; those of a picture without a mask are empty, and it is left out."""
    ref = Ref(str(picture), name=name)
    if masks is None:
        return [Case(name, ref)]
    cases = []
    for file in masks:
        if not each:
            cases.append(Case(f"{name}, {file.name}" if len(masks) > 1 else name, ref, Ref(str(file))))
            continue
        objects = read_mask_file(file).objects
        for number in objects:
            alone = len(masks) == 1 and len(objects) == 1
            which = f"{file.stem} object {number}" if len(masks) > 1 else f"object {number}"
            cases.append(Case(name if alone else f"{name}, {which}", ref, Ref(f"{file}#{number}")))
    return cases


def _coco(source: PictureSource, each: bool) -> Iterator[ObjectsOf]:
    path = Path(str(source.coco))
    images, annotations = _annotations(path)
    folder = Path(source.images) if source.images else path.parent
    for number, found in sorted(annotations.items(), key=lambda item: str(item[0])):
        if number in images:
            yield partial(_coco_picture, folder, images[number], found, each)


def _annotations(path: Path) -> tuple[dict[Any, dict[str, Any]], dict[Any, list[dict[str, Any]]]]:
    """(images by their id, the annotations of each) of a COCO file. Raises BadInput where it can't be read."""
    try:
        with opened_regular(path, MAX_COCO_BYTES) as (file, size):
            room = memory_at_hand()
            if room is not None and size * READ_TIMES > room:
                raise MemoryError(f"it takes about {format_bytes(size * READ_TIMES)} of memory")
            document = json.load(file)
        images = {image["id"]: image for image in document["images"]}
        annotations: dict[Any, list[dict[str, Any]]] = {}
        for annotation in document["annotations"]:
            # A crowd is many objects in one mask.
            if not annotation.get("iscrowd"):
                annotations.setdefault(annotation["image_id"], []).append(annotation)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error)[:200]
        raise BadInput(
            f"{str(path)[:200]} can't be read as a COCO annotation file with images and annotations ({reason})."
        ) from error
    return images, annotations


def _coco_picture(folder: Path, image: dict[str, Any], annotations: list[dict[str, Any]], each: bool) -> list[Case]:
    try:
        name, size = str(image["file_name"]), (int(image["height"]), int(image["width"]))
        # A name in somebody's file does not lead out of the folder.
        picture = folder / name
        if not picture.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"The COCO picture {name[:200]} lies outside {folder}: name its folder with images:.")
        masks = [(annotation.get("id", at), annotation["segmentation"]) for at, annotation in enumerate(annotations)]
    except KeyError as error:
        raise BadInput(f"A COCO picture or annotation lacks its {error}.") from error
    except (TypeError, AttributeError, ValueError, OverflowError, OSError) as error:
        raise BadInput(f"A COCO picture or annotation can't be read ({str(error)[:200]}).") from error
    cases = []
    for number, segmentation in masks:
        try:
            rle = annotation_rle(segmentation, size)
        except PictureError as error:
            raise BadInput(f"{name}, annotation {number}: {error}") from error
        cases.append(Case(f"{name}, annotation {number}", Ref(str(picture), name=name), Ref(json.dumps(rle))))
    if each:
        return cases
    raise BadInput("objects: together is for mask files: in a COCO file every annotation is an object of its own.")


def _davis(source: PictureSource, each: bool) -> Iterator[ObjectsOf]:
    pictures, masks, names = davis_sequences(Path(str(source.davis)), source.sequences)
    for name in names:
        for mask in sorted((masks / name).glob("*.png")):
            picture = next(
                (file for end in PICTURES if (file := pictures / name / f"{mask.stem}{end}").is_file()), None
            )
            if picture is not None:
                yield partial(_masked, picture, [mask], f"{name}/{picture.name}", each)
