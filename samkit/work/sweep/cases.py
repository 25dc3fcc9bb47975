"""What a sweep is run on, one object on one picture at a time: found in samples, files, COCO and DAVIS folders."""

import glob
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from samkit.errors import BadInput, PictureError
from samkit.files import opened_regular
from samkit.media.coco_masks import annotation_rle
from samkit.media.mask_files import read_mask_file
from samkit.media.rle import mask_to_rle
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.media.samples import SAMPLE_OBJECTS, SAMPLES, VARIANTS, load_sample, sample_names
from samkit.prompts import Prompts
from samkit.words import nearest
from samkit.work.sources import FRAME_REF, SAMPLE_PREFIX
from samkit.work.spec import Ref
from samkit.work.sweep.sample_truth import filled_ellipse
from samkit.work.sweep.spec import PictureSource

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MASKS = (".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".npy")
MAX_COCO_BYTES = 2**30


@dataclass(frozen=True)
class Case:
    """An object on a picture.

    picture: what opens it; truth: what opens the right mask of the object, as `RunSpec.truth`; None where nobody said
    name:    for a person: the picture, and which of its objects
    given:   the picture's own prompts; empty where it has none
    """

    name: str
    picture: Ref | None
    truth: Ref | None = None
    given: Prompts = Prompts()


ObjectsOf = Callable[[], list[Case]]
"""All cases of one picture; reads its masks."""


def find_cases(sources: tuple[PictureSource, ...], seed: int) -> list[Case]:
    """All cases, in the order of the sources and of the names in each. One without a picture where there are no
    sources. Raises BadInput for a source that leads to no picture.
    """
    if not sources:
        return [Case("the model alone", None)]
    cases: list[Case] = []
    for source in sources:
        pictures = list(_pictures(source))
        if source.limit is not None and source.limit < len(pictures):
            chosen = sorted(random.Random(seed).sample(range(len(pictures)), source.limit))
            pictures = [pictures[index] for index in chosen]
        found = [case for objects in pictures for case in objects()]
        if not found:
            raise BadInput(f"There are pictures in {_said(source)}, but no object on any of them.")
        cases += found
    return cases


def _pictures(source: PictureSource) -> Iterator[ObjectsOf]:
    each = source.objects == "each"
    if source.samples:
        return (partial(_sample, name, each) for name in source.samples)
    if source.files:
        return _files(source, each)
    return _coco(source, each) if source.coco else _davis(source, each)


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
        is_glob = glob.has_magic(pattern)
        paths = sorted(map(Path, glob.iglob(pattern, recursive=True))) if is_glob else [Path(pattern)]
        if is_glob:
            paths = [path for path in paths if path.suffix.lower() in PICTURES and path.is_file()]
        if not paths or not paths[0].is_file():
            raise BadInput(f"There is no picture {pattern}: check the path, which goes from the spec's own folder.")
        root = _fixed_part(pattern)
        for path in paths:
            masks = _masks_of(path, root, Path(source.masks)) if source.masks else None
            yield partial(_masked, path, masks, str(path.relative_to(root)), each)


def _fixed_part(pattern: str) -> Path:
    """The folder of a glob before its first star; of a plain path its own folder."""
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _masks_of(picture: Path, root: Path, folder: Path) -> list[Path]:
    """The mask of the picture's name, and further layers of it: photo.png, photo_1.png, photo_2.png ..."""
    place = folder / picture.relative_to(root).parent
    found = []
    for stem in (picture.stem, *(f"{picture.stem}_{layer}" for layer in range(1, 1000))):
        of_another = stem != picture.stem and picture.with_name(f"{stem}{picture.suffix}").is_file()
        files = [place / f"{stem}{suffix}" for suffix in MASKS]
        file = next((file for file in files if file != picture and file.is_file()), None)
        if file is None or of_another:
            break
        found.append(file)
    return found


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
    try:
        with opened_regular(path, MAX_COCO_BYTES) as (file, _):
            document = json.load(file)
        images = {image["id"]: image for image in document["images"]}
        annotations: dict[Any, list[dict[str, Any]]] = {}
        for annotation in document["annotations"]:
            # A crowd is many objects in one mask.
            if not annotation.get("iscrowd"):
                annotations.setdefault(annotation["image_id"], []).append(annotation)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path} is not a COCO annotation file with images and annotations ({error}).") from error
    folder = Path(source.images) if source.images else path.parent
    for number, found in sorted(annotations.items(), key=lambda item: str(item[0])):
        if number in images:
            yield partial(_coco_picture, folder, images[number], found, each)


def _coco_picture(folder: Path, image: dict[str, Any], annotations: list[dict[str, Any]], each: bool) -> list[Case]:
    try:
        name, size = str(image["file_name"]), (int(image["height"]), int(image["width"]))
        # A name in somebody's file does not lead out of the folder.
        picture = folder / name
        if not picture.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"The COCO picture {name[:200]} lies outside {folder}: name its folder with images:.")
        masks = [(annotation.get("id", at), annotation["segmentation"]) for at, annotation in enumerate(annotations)]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"A COCO picture or annotation lacks its {error}.") from error
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
    root = Path(str(source.davis))
    pictures, masks = root / "JPEGImages", root / "Annotations"
    if (pictures / "480p").is_dir():
        pictures, masks = pictures / "480p", masks / "480p"
    names = sorted(folder.name for folder in masks.iterdir() if folder.is_dir()) if masks.is_dir() else []
    if not names:
        raise BadInput(f"{root} has no folder Annotations with a folder for each film, as DAVIS has.")
    for name in source.sequences or names:
        if name not in names:
            raise BadInput(f"There is no sequence {name:.60} in {root}: {nearest(name, names)}")
        for mask in sorted((masks / name).glob("*.png")):
            picture = next(
                (file for end in PICTURES if (file := pictures / name / f"{mask.stem}{end}").is_file()), None
            )
            if picture is not None:
                yield partial(_masked, picture, [mask], f"{name}/{picture.name}", each)
