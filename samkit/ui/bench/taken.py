"""What a page gives away as files: a mask in every form that other tools read, the page's pictures, its
numbers. Each is made when it is asked for, at the picture's own size.
"""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from samkit.experiments.inputs import Inputs
from samkit.experiments.result import Mask
from samkit.media.coco import coco_annotation, coco_file, coco_image
from samkit.media.drawing import cut_out, mask_to_png, overlay
from samkit.media.outline import mask_to_svg
from samkit.media.pictures import Picture, array_to_png
from samkit.ui.bench.page import Scene
from samkit.ui.parts import style
from samkit.ui.parts.downloads import Download
from samkit.ui.parts.inline_image import fit_within, shrink_mask

NAMED = {
    "mask_chosen": ("Mask {mask_index}", "mask{mask_index}"),
    "mask_tracked": ("Found: mask {tracked_index}", "found_mask{tracked_index}"),
    "mask_prompted": ("Prompted: mask {mask_index}", "prompted_mask{mask_index}"),
    "mask_similar": ("All that is alike", "alike"),
    "mask_objects": ("All objects", "objects"),
}
"""Name of a mask in a result -> (what it is called, how its files are called). Numbers are the run's facts, counted
from 1 as on the page; commands and kept runs count from 0.
"""
IMAGE_TITLES = {
    "prediction": "Logits",
    "original": "Outline on the picture",
    "binary": "White on black",
    "sheet": "All blocks",
} | {f"band_{index}": f"Logits of mask {index + 1}" for index in range(4)}
COUNTED_IMAGES = {"band": "logits_mask", "prior": "memory"}
"""Beginning of the names of pictures that a result counts from 0 -> that of their files, which count from 1."""
PNG, SVG, JSON, NPZ = "image/png", "image/svg+xml", "application/json", "application/octet-stream"
COPIED_PX = 2048
"""The longest side of a picture that is copied: browsers turn it into bare pixels."""


@dataclass(frozen=True)
class TakenMask:
    """A mask to take away. file_name: its beginning; load: the picture it lies on, and its pixels, bool [H, W]."""

    title: str
    file_name: str
    load: Callable[[], tuple[Picture, np.ndarray]]


def taken_masks(scene: Scene) -> list[TakenMask]:
    """The masks that a page is about, the one that matters most first; none where there are none."""
    result, taken = scene.result, []
    told = {name: fact + 1 for name, fact in result.facts.items() if name.endswith("_index") and isinstance(fact, int)}
    for name, (title, short) in NAMED.items():
        if name in result.masks:
            taken.append(_taken(scene, result.masks[name], title.format(**told), short.format(**told)))
    for name, mask in result.masks.items():
        if name.startswith("mask_prior_"):
            taken.append(_taken(scene, mask, f"Memory {mask.index + 1}", f"memory{mask.index + 1}"))
    return taken


def _taken(scene: Scene, mask: Mask, title: str, short: str) -> TakenMask:
    picture = ground(scene.inputs, mask)
    return TakenMask(f"{title} · {picture.name}", file_stem(scene, picture, short), lambda: (picture, mask.pixels))


def ground(inputs: Inputs, mask: Mask) -> Picture:
    """The picture that a mask lies on."""
    if mask.on == "frame":
        assert inputs.video is not None
        return inputs.video.picture(mask.index)
    if mask.on == "prior":
        return inputs.priors[mask.index].picture if inputs.priors else inputs.picture
    picture = inputs.image if mask.on == "image" else inputs.image_b
    assert picture is not None
    return picture


def file_stem(scene: Scene, picture: Picture | None, *more: str) -> str:
    """Picture, model and what else tells a file from others, as one name."""
    stem = re.sub(r"\.\w{2,5}$", "", picture.name) if picture is not None else ""
    return "_".join(re.sub(r"[^\w.-]+", "-", part) for part in (stem, scene.model.info.name, *more) if part)


def mask_downloads(taken: TakenMask, prompts: Callable[[], str] | None) -> list[Download]:
    """prompts: JSON, where there are some."""

    def made(make: Callable[[Picture, np.ndarray], bytes]) -> Callable[[], bytes]:
        return lambda: make(*taken.load())

    stem = taken.file_name
    files = [
        Download("Mask, PNG", "contrast", f"{stem}.png", PNG, made(lambda _, mask: mask_to_png(mask))),
        Download("Outline, SVG", "polyline", f"{stem}_outline.svg", SVG, made(lambda _, mask: mask_to_svg(mask))),
        Download("Cut-out, PNG", "content_cut", f"{stem}_cut_out.png", PNG, made(_cropped)),
        Download("Cut-out, whole size", "crop_free", f"{stem}_cut_out_whole.png", PNG, made(_whole)),
        Download("COCO, run lengths", "data_object", f"{stem}_coco_rle.json", JSON, made(_coco(polygons=False))),
        Download("COCO, polygons", "pentagon", f"{stem}_coco_polygons.json", JSON, made(_coco(polygons=True))),
        Download("Picture with mask", "image", f"{stem}_picture.png", PNG, made(_covered)),
    ]
    if prompts is not None:
        files.append(Download("Prompts, JSON", "ads_click", f"{stem}_prompts.json", JSON, prompts))
    return files


def _cropped(picture: Picture, mask: np.ndarray) -> bytes:
    return array_to_png(cut_out(picture.rgb, mask, crop=True))


def _whole(picture: Picture, mask: np.ndarray) -> bytes:
    return array_to_png(cut_out(picture.rgb, mask))


def _covered(picture: Picture, mask: np.ndarray) -> bytes:
    return array_to_png(overlay(picture.rgb, mask, style.MASK_COLOR))


def _coco(polygons: bool) -> Callable[[Picture, np.ndarray], bytes]:
    def made(picture: Picture, mask: np.ndarray) -> bytes:
        image = coco_image(picture.name, picture.size)
        return coco_file([image], [coco_annotation(mask, polygons=polygons)])

    return made


def picture_to_copy(taken: TakenMask) -> bytes:
    """PNG of the picture with the mask over it, within `COPIED_PX`."""
    picture, mask = taken.load()
    small = fit_within(picture.rgb, COPIED_PX, COPIED_PX)
    return array_to_png(overlay(small, shrink_mask(mask, small.shape[:2]), style.MASK_COLOR))


def image_title(name: str) -> str:
    """What a result's picture of that name is called."""
    kind, number = _counted(name)
    if kind == "prior" and number is not None:
        return f"Memory {number} with its mask"
    return IMAGE_TITLES.get(name, name.replace("_", " ").capitalize())


def _counted(name: str) -> tuple[str, int | None]:
    """(beginning of a picture's name, its number as a person counts); None where it is not counted."""
    found = re.fullmatch(r"(\w+)_(\d+)", name)
    if found is None or found[1] not in COUNTED_IMAGES:
        return name, None
    return found[1], int(found[2]) + 1


def image_file(name: str) -> str:
    """How the file of a result's picture of that name is called, without its ending."""
    kind, number = _counted(name)
    return name if number is None else f"{COUNTED_IMAGES[kind]}{number}"


def page_downloads(scene: Scene) -> list[Download]:
    """The page's pictures, and all its numbers."""
    files: list[Download] = []
    for side in scene.sides:
        letter = side.letter if len(scene.sides) > 1 else ""
        beside = f" · {letter}" if letter else ""
        stem = file_stem(scene, side.inputs.image, *([letter] if letter else []))
        if side.inputs.image is not None:
            picture = side.inputs.image
            make = partial(array_to_png, picture.rgb)
            files.append(Download(f"Picture{beside}", "photo", f"{stem}_original.png", PNG, make))
        for name, image in side.result.images.items():
            files.append(
                Download(
                    image_title(name) + beside,
                    "image",
                    f"{stem}_{image_file(name)}.png",
                    PNG,
                    partial(array_to_png, image),
                )
            )
        if side.result.arrays:
            make = partial(_npz, side.result.arrays)
            files.append(Download(f"All numbers, NPZ{beside}", "data_array", f"{stem}_numbers.npz", NPZ, make))
    return files


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]  # numpy's types take a name for an option
    return file.getvalue()
