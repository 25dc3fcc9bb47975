"""Mean IoU of a model on held-out objects, through samkit's public functions: what a user of the app gets.

    python -m training.evaluate nano-sam2 --data ../shared/data --set val
    python -m training.evaluate nano-sam2 --data ../shared/data --set pairs --json figures.json --pictures overlays.png

Prompts: a tight box; one click in the object's middle (the pixel farthest from its edge); then clicks in the middle of the larger error region, with the logits
of the previous mask fed back. After the first click the mask is chosen by predicted IoU, later the single mask counts. Masks are compared in the picture's own
pixels.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch

import samkit
from training.held_out import HeldOutObject, load_held_out
from training.prompts import correction_click, innermost_pixel

CLICKS = (3, 5)
GREEN, RED, WHITE = (60, 220, 60), (235, 60, 60), (255, 255, 255)


def mask_iou(predicted: np.ndarray, target: np.ndarray) -> float:
    return float((predicted & target).sum() / max(1, (predicted | target).sum()))


def tight_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 in 0..1 around a mask, bool [H, W]."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def click_at(pixel: tuple[int, int], label: int, shape: tuple[int, int]) -> tuple[float, float, int]:
    """(x, y, label) in 0..1 of the centre of a pixel (row, column)."""
    return (pixel[1] + 0.5) / shape[1], (pixel[0] + 0.5) / shape[0], label


def judge(model: samkit.SamModel, item: HeldOutObject) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """All figures of one object, and the masks of the box and of one click."""
    target, shape = item.mask, item.mask.shape
    encoding = model.encode_image(item.rgb)
    boxed = model.predict_masks(encoding, samkit.Prompts(boxes=[tight_box(target)]))
    prompts = samkit.Prompts(points=[click_at(innermost_pixel(target), 1, shape)])
    prediction = model.predict_masks(encoding, prompts)
    clicked = [mask_iou(prediction.mask(index), target) for index in range(4)]
    chosen = prediction.best
    figures = {
        "box": mask_iou(boxed.mask(0), target),
        "1 click, single mask": clicked[0],
        "1 click, chosen by predicted IoU": clicked[chosen],
        "1 click, best of the four": max(clicked),
        "object score": float(prediction.object_score > 0),
        "trivial: box filled": mask_iou(filled_box(target), target),
        "trivial: ellipse in the box": mask_iou(filled_ellipse(target), target),
    }
    masks = {"box": boxed.mask(0), "click": prediction.mask(chosen)}
    index = chosen
    for count in range(2, max(CLICKS) + 1):
        row, column, label = correction_click(prediction.mask(index), target)
        prompts = prompts.with_point(*click_at((row, column), label, shape))
        prediction = model.predict_masks(encoding, prompts, mask_hint=prediction.logits[index].clamp(-32, 32))
        index = 0
        if count in CLICKS:
            figures[f"{count} clicks"] = mask_iou(prediction.mask(index), target)
    return figures, masks


def filled_box(mask: np.ndarray) -> np.ndarray:
    box = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return box


def filled_ellipse(mask: np.ndarray) -> np.ndarray:
    """The ellipse that touches the sides of the mask's box."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    vertical = (y - (rows[0] + rows[-1]) / 2) / ((rows[-1] - rows[0] + 1) / 2)
    horizontal = (x - (columns[0] + columns[-1]) / 2) / ((columns[-1] - columns[0] + 1) / 2)
    return vertical**2 + horizontal**2 <= 1


def evaluate(model: samkit.SamModel, items: list[HeldOutObject]) -> tuple[dict[str, float], list[dict[str, np.ndarray]]]:
    """Means over the objects, rounded to three places, and each object's masks."""
    values, masks = defaultdict(list), []
    for item in items:
        figures, own = judge(model, item)
        masks.append(own)
        for name, value in figures.items():
            values[name].append(value)
    return {name: round(float(np.mean(column)), 3) for name, column in values.items()}, masks


def draw_sheet(items: list[HeldOutObject], masks: list[dict[str, np.ndarray]], columns: int = 6, side: int = 200) -> np.ndarray:
    """Each object three times side by side, wanted, from the box, and from one click: green where right, red where wrong, white outline where wanted."""
    tiles = []
    for item, own in zip(items, masks, strict=True):
        views = [paint(item, item.mask), paint(item, own["box"]), paint(item, own["click"])]
        tiles.append(np.hstack([cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA) for view in views]))
    columns = max(1, columns // 3)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])


def paint(item: HeldOutObject, mask: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3]: the picture under a predicted mask."""
    painted = item.rgb.copy()
    for region, colour in ((mask & item.mask, GREEN), (mask & ~item.mask, RED)):
        painted[region] = (0.5 * painted[region] + 0.5 * np.array(colour)).astype(np.uint8)
    outlines, _ = cv2.findContours(item.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(painted, outlines, -1, WHITE, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Mean IoU of a model on held-out objects.")
    parser.add_argument("model", help="name or file of a model")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--set", choices=("val", "pairs"), default="val", dest="name")
    parser.add_argument("--json", type=Path, help="add the figures to this file")
    parser.add_argument("--pictures", type=Path, help="write a sheet of the first objects' masks here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    items = load_held_out(arguments.data, arguments.name)
    figures, masks = evaluate(samkit.load_model(arguments.model, device="cpu"), items)
    print(f"{arguments.name}: {len(items)} objects in as many pictures")
    for name, value in figures.items():
        print(f"  {name:34} {value:.3f}")
    if arguments.json:
        known = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
        arguments.json.write_text(json.dumps({**known, arguments.name: {"objects": len(items), **figures}}, indent=2))
    if arguments.pictures:
        sheet = draw_sheet(items[:24], masks[:24])
        cv2.imwrite(str(arguments.pictures), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
