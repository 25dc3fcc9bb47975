"""The Download menu: on every page it offers what the page is about, each file made when it is asked for, and right."""

import io
import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from samkit.media.drawing import cut_out, mask_from_png
from samkit.media.masks import mask_box
from samkit.prompts import Prompts
from samkit.ui.bench import download
from samkit.ui.bench.taken import mask_downloads, page_downloads, taken_masks
from tests.pages.app import new_app, page_path

SCENES: list = []
"""What the pages of a test have shown, oldest first."""


@pytest.fixture
def app(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))
    SCENES.clear()
    masks = download.taken_masks
    monkeypatch.setattr(download, "taken_masks", lambda scene: SCENES.append(scene) or masks(scene))
    return new_app()


def opened(app, page: str):
    """The page with its menu open; (the app, the labels in the menu)."""
    app.session_state[f"download_{page}"] = True
    app.run().switch_page(page_path(page)).run()
    assert not app.exception and not app.error, [error.value for error in app.error]
    return [button.label for button in app.get("download_button")]


def files(scene, index: int = 0) -> dict[str, bytes | str]:
    """Label -> what is made when it is pressed."""
    rows = mask_downloads(taken_masks(scene)[index], scene.inputs.prompts.to_json)
    return {row.label: row.content() for row in rows}


def test_a_mask_in_every_form_is_the_same_mask(app):
    labels = opened(app, "mask-stability")
    assert {"Mask, PNG", "Outline, SVG", "Cut-out, PNG", "COCO, run lengths", "COCO, polygons"} <= set(labels)
    scene = SCENES[-1]
    mask, rgb, made = scene.result.masks["mask_chosen"].pixels, scene.inputs.picture.rgb, files(scene)
    assert np.array_equal(mask_from_png(made["Mask, PNG"]), mask)
    for label in ("COCO, run lengths", "COCO, polygons"):
        (annotation,) = json.loads(made[label])["annotations"]
        encoded = annotation["segmentation"]
        if isinstance(encoded, list):
            encoded = coco.merge(coco.frPyObjects(encoded, *mask.shape))
        assert np.array_equal(coco.decode(encoded).astype(bool), mask), label
    x1, y1, x2, y2 = mask_box(mask)
    whole, cropped = (
        cv2.cvtColor(cv2.imdecode(np.frombuffer(made[label], np.uint8), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
        for label in ("Cut-out, whole size", "Cut-out, PNG")
    )
    assert np.array_equal(whole, cut_out(rgb, mask)) and np.array_equal(cropped, whole[y1:y2, x1:x2])
    assert Prompts.from_json(made["Prompts, JSON"]) == scene.inputs.prompts
    assert f'viewBox="0 0 {mask.shape[1]} {mask.shape[0]}"'.encode() in made["Outline, SVG"]


def test_names_tell_picture_model_and_mask(app):
    opened(app, "mask-stability")
    scene = SCENES[-1]
    (taken,) = taken_masks(scene)
    names = [row.file_name for row in mask_downloads(taken, None)]
    assert names[0] == f"coffee_nano-sam2_mask{scene.result.index() + 1}.png" and len(set(names)) == len(names)


def test_a_pair_has_masks_on_both_pictures(app):
    labels = opened(app, "cross-image")
    scene = SCENES[-1]
    assert {"Contours, JSON", "Memory bank", "Mask, PNG"} <= set(labels)
    found, prompted = taken_masks(scene)
    assert found.load()[0] == scene.inputs.image_b and prompted.load()[0] == scene.inputs.image
    assert found.load()[1] is scene.result.masks["mask_tracked"].pixels


def test_a_page_without_masks_gives_its_maps(app):
    labels = opened(app, "block-norms")
    scene = SCENES[-1]
    assert not taken_masks(scene) and "Mask, PNG" not in labels and "Map" in labels
    numbers = next(row for row in page_downloads(scene) if row.label == "All numbers, NPZ")
    with np.load(io.BytesIO(numbers.content())) as arrays:
        assert np.array_equal(arrays["map"], scene.result.arrays["map"])
