"""Mean IoU of a model on held-out objects, through samkit's public functions: what a user of the app gets.

    python -m training.evaluate nano-sam2 --data ../shared/data --set val
    python -m training.evaluate nano-sam2 --data ../shared/data --set pairs --json figures.json --pictures overlays.png
    python -m training.evaluate nano-sam2 --data ../shared/data --side 256 384 512 768 1024 --windows 8,4,8,4 16,8,14,7

Prompts: a tight box; one click in the object's middle (the pixel farthest from its edge); then clicks in the middle of
the larger error region, with the logits of the previous mask fed back. After the first click the mask is chosen by
predicted IoU, later the single mask counts. Masks are compared in the picture's own pixels. "refined" is the same mask
after `samkit.media.refine`, which is no part of the model. The rank correlation (Spearman's) is that of predicted with
true IoU over all masks of all objects' boxes and first clicks: whether the model knows its good masks. The areas of a
click's three masks tell whether they differ.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.stats import spearmanr

import samkit
from samkit.media.refine import refine_edges
from training.held_out import HeldOutObject, load_held_out
from training.prompts import correction_click, innermost_pixel, pixel_box

CLICKS = (3, 5)
SHEET_OBJECTS = 40
REFINED = ", refined"
GREEN, RED, WHITE = (60, 220, 60), (235, 60, 60), (255, 255, 255)


def mask_iou(predicted: np.ndarray, target: np.ndarray) -> float:
    return float((predicted & target).sum() / max(1, (predicted | target).sum()))


def tight_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 in 0..1 around a mask, bool [H, W]."""
    height, width = mask.shape
    return tuple(pixel_box(mask) / (width, height, width, height))


def click_at(pixel: tuple[int, int], label: int, shape: tuple[int, int]) -> tuple[float, float, int]:
    """(x, y, label) in 0..1 of the centre of a pixel (row, column)."""
    return (pixel[1] + 0.5) / shape[1], (pixel[0] + 0.5) / shape[0], label


@dataclass(frozen=True)
class Setting:
    """How pictures are encoded; None is the model's own."""

    side: int | None = None
    windows: tuple[int, ...] | None = None

    def __str__(self) -> str:
        parts = [f"{self.side} px"] * (self.side is not None) + [
            f"windows {' '.join(map(str, self.windows or ()))}"
        ] * (self.windows is not None)
        return ", ".join(parts) or "native"


NATIVE = Setting()


@dataclass(frozen=True)
class Judgement:
    """One object's figures by name, its masks of the box and of one click, and float [masks, 2] of predicted and true
    IoU.
    """

    figures: dict[str, float]
    masks: dict[str, np.ndarray]
    predicted_and_true: np.ndarray


def judge(model: samkit.SamModel, item: HeldOutObject, setting: Setting = NATIVE) -> Judgement:
    target, shape, box = item.mask, item.mask.shape, tight_box(item.mask)
    encoding = model.encode_image(item.rgb, side=setting.side, window_sizes=setting.windows)
    boxed = model.predict_masks(encoding, samkit.Prompts(boxes=[box]))
    prompts = samkit.Prompts(points=[click_at(innermost_pixel(target), 1, shape)])
    prediction = model.predict_masks(encoding, prompts)
    clicked = [mask_iou(prediction.mask(index), target) for index in range(4)]
    in_box = [mask_iou(boxed.mask(index), target) for index in range(4)]
    chosen = prediction.best
    figures = {
        "box": in_box[0],
        f"box{REFINED}": mask_iou(refine_edges(item.rgb, boxed.logits_at(0), box), target),
        "1 click, single mask": clicked[0],
        "1 click, chosen by predicted IoU": clicked[chosen],
        f"1 click, chosen by predicted IoU{REFINED}": mask_iou(
            refine_edges(item.rgb, prediction.logits_at(chosen)), target
        ),
        "1 click, best of the four": max(clicked),
        "trivial: box filled": mask_iou(filled_box(target), target),
        "trivial: ellipse in the box": mask_iou(filled_ellipse(target), target),
    }
    if prediction.object_score is not None:
        figures["object score above 0"] = float(prediction.object_score > 0)
    areas = [int(prediction.mask(index).sum()) for index in (1, 2, 3)]
    figures["1 click, smallest of the three masks over the largest"] = min(areas) / max(1, *areas)
    masks = {"box": boxed.mask(0), "click": prediction.mask(chosen)}
    predicted = torch.cat([boxed.iou, prediction.iou]).cpu().numpy()
    index = chosen
    for count in range(2, max(CLICKS) + 1):
        row, column, label = correction_click(prediction.mask(index), target)
        prompts = prompts.with_point(*click_at((row, column), label, shape))
        prediction = model.predict_masks(encoding, prompts, mask_hint=prediction.logits[index].clamp(-32, 32))
        index = 0
        if count in CLICKS:
            figures[f"{count} clicks"] = mask_iou(prediction.mask(index), target)
    return Judgement(figures, masks, np.stack([predicted, np.array(in_box + clicked)], axis=1))


def filled_box(mask: np.ndarray) -> np.ndarray:
    box = np.zeros_like(mask)
    left, top, right, bottom = pixel_box(mask)
    box[top:bottom, left:right] = True
    return box


def filled_ellipse(mask: np.ndarray) -> np.ndarray:
    """The ellipse that touches the sides of the mask's box."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    vertical = (y - (rows[0] + rows[-1]) / 2) / ((rows[-1] - rows[0] + 1) / 2)
    horizontal = (x - (columns[0] + columns[-1]) / 2) / ((columns[-1] - columns[0] + 1) / 2)
    return vertical**2 + horizontal**2 <= 1


def evaluate(
    model: samkit.SamModel, items: list[HeldOutObject], setting: Setting = NATIVE
) -> tuple[dict[str, float], list[dict[str, np.ndarray]]]:
    """Means over the objects and the rank correlation, rounded to three places, and each object's masks."""
    values, masks, pairs = defaultdict(list), [], []
    for item in items:
        judgement = judge(model, item, setting)
        masks.append(judgement.masks)
        pairs.append(judgement.predicted_and_true)
        for name, value in judgement.figures.items():
            values[name].append(value)
    figures = {name: float(np.mean(column)) for name, column in values.items()}
    figures["rank correlation of predicted IoU"] = rank_correlation(np.concatenate(pairs))
    return {name: round(value, 3) for name, value in figures.items()}, masks


def rank_correlation(pairs: np.ndarray) -> float:
    """Spearman's, of float [N, 2]; 0 where one column is the same all over, which ranks nothing."""
    return float(spearmanr(pairs).statistic) if (np.ptp(pairs, axis=0) > 0).all() else 0.0


def format_table(columns: dict[str, dict[str, float]]) -> str:
    """Lines of figures, one column each; a figure that a column lacks is left empty."""
    names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    first = max(map(len, names)) + 2
    widths = {title: max(8, len(title) + 2) for title in columns}
    head = f"  {'':{first}}" + "".join(f"{title:>{widths[title]}}" for title in columns)
    rows = [
        f"  {name:{first}}"
        + "".join(f"{f'{figures[name]:.3f}' if name in figures else '':>{widths[t]}}" for t, figures in columns.items())
        for name in names
    ]
    return "\n".join((head, *(row.rstrip() for row in rows)))


def beside_refined(figures: dict[str, float]) -> dict[str, dict[str, float]]:
    """The figures as two columns: the model's own, and those of refined masks."""
    own = {name: value for name, value in figures.items() if not name.endswith(REFINED)}
    return {
        "model": own,
        "refined": {name.removesuffix(REFINED): value for name, value in figures.items() if name.endswith(REFINED)},
    }


def draw_sheet(
    items: list[HeldOutObject], masks: list[dict[str, np.ndarray]], columns: int = 6, side: int = 200
) -> np.ndarray:
    """Each object three times side by side, wanted, from the box, and from one click: green where right, red where
    wrong, white outline where wanted.
    """
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
    parser.add_argument("--side", type=int, nargs="+", help="longest sides to encode at; default: the native one")
    parser.add_argument("--windows", nargs="+", help="window sizes to encode with, one for each stage: 8,4,14,7")
    parser.add_argument("--json", type=Path, help="add the figures to this file")
    parser.add_argument("--pictures", type=Path, help="write a sheet of the first objects' masks here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = samkit.load_model(arguments.model, device="cpu")
    items = load_held_out(arguments.data, arguments.name)
    print(f"{arguments.name}: {len(items)} objects in as many pictures")
    settings = [Setting(side=side) for side in arguments.side or ()]
    settings += [Setting(windows=tuple(int(window) for window in text.split(","))) for text in arguments.windows or ()]
    by_setting = {}
    for setting in settings or [NATIVE]:
        figures, masks = evaluate(model, items, setting)
        by_setting[str(setting)] = figures
        print(f"{setting}\n{format_table(beside_refined(figures))}", flush=True)
    if len(by_setting) > 1:
        print(format_table(by_setting))
    if arguments.json:
        known = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
        for title, figures in by_setting.items():
            known[arguments.name if title == str(NATIVE) else f"{arguments.name}, {title}"] = {
                "objects": len(items),
                **figures,
            }
        arguments.json.write_text(json.dumps(known, indent=2))
    if arguments.pictures:
        sheet = draw_sheet(items[:SHEET_OBJECTS], masks[:SHEET_OBJECTS])
        cv2.imwrite(str(arguments.pictures), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
