"""Mean J and F of a model that follows objects through real sequences from their first mask, through samkit's public
functions.

    python -m training.evaluate_video nano-sam2 --data ../shared/data/train_video
    python -m training.evaluate_video nano-sam2 --data FOLDER --json figures.json --pictures sheet.png

The folder is laid out as DAVIS: JPEGImages/SEQUENCE/*.jpg and Annotations/SEQUENCE/*.png, index masks, 255 counts for
nothing, a frame without a mask is not judged. Each object is prompted by its mask on the first frame that has it, and
judged on the annotated frames after that but the last, as in the DAVIS challenge.

Where several objects claim a pixel, the one with the highest logit has it. An object's figures are means over its
frames, those of all are means over objects.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

import samkit
from training.clips import HELD_OUT_SEQUENCES
from training.video_measures import boundary_similarity, region_similarity

VOID = 255
SHEET_FRAMES = 6
COLOURS = ((60, 220, 60), (235, 60, 60), (70, 130, 255), (250, 200, 40), (200, 80, 220), (60, 210, 220), (250, 130, 40))
MEANS = {"all objects": lambda name: True, "sequences no run sees": lambda name: name in HELD_OUT_SEQUENCES}


@dataclass(frozen=True)
class Frame:
    """rgb: uint8 [H, W, 3]; ids: uint8 [H, W], an object's number or 0 or VOID, or None where the frame is not
    annotated.
    """

    rgb: np.ndarray
    ids: np.ndarray | None


@dataclass(frozen=True)
class ObjectFigures:
    """j and f: means over the `frames` judged; lost: the share of them on which the model held the object to be absent
    while it was not.
    """

    sequence: str
    object_id: int
    frames: int
    j: float
    f: float
    lost: float


def sequence_names(root: Path) -> list[str]:
    """In order. Raises ValueError for a folder that is not laid out as DAVIS."""
    if not (root / "JPEGImages").is_dir() or not (root / "Annotations").is_dir():
        raise ValueError(
            f"{root} has no folders JPEGImages and Annotations: give --data a folder that is laid out as DAVIS."
        )
    return sorted(folder.name for folder in (root / "JPEGImages").iterdir() if folder.is_dir())


def read_sequence(root: Path, name: str) -> Iterator[Frame]:
    """One frame at a time, in order."""
    for file in sorted((root / "JPEGImages" / name).glob("*.jpg")):
        annotation = root / "Annotations" / name / f"{file.stem}.png"
        ids = cv2.imread(str(annotation), cv2.IMREAD_UNCHANGED) if annotation.is_file() else None
        yield Frame(cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB), ids)


def follow(model: samkit.SamModel, frames: Iterator[Frame]) -> Iterator[tuple[Frame, dict[int, bool], np.ndarray]]:
    """Yields each frame with {object: whether the model judges it present}, of the objects that were prompted on an
    earlier frame, and the object in every pixel: uint8 [H, W] of object numbers, 0 for none.
    """
    banks: dict[int, samkit.MemoryBank] = {}
    for frame in frames:
        encoding = model.encode_image(frame.rgb, film=True)
        labels = np.zeros(frame.rgb.shape[:2], np.uint8)
        highest = np.zeros(labels.shape, np.float32)
        present = {}
        for number, bank in banks.items():
            step = model.track(encoding, bank)
            bank.add_frame(model.encode_memory(encoding, step, step.best))
            present[number] = step.object_score > 0
            logits = step.logits_at(step.best)
            claimed = logits > highest
            labels[claimed], highest[claimed] = number, logits[claimed]
        for number in new_objects(frame.ids, banks):
            banks[number] = samkit.MemoryBank()
            banks[number].add_prompt(model.encode_memory(encoding, frame.ids == number))
        yield frame, present, labels


def new_objects(ids: np.ndarray | None, known) -> list[int]:
    return (
        []
        if ids is None
        else [int(number) for number in np.unique(ids) if number not in (0, VOID) and number not in known]
    )


def judge_sequence(model: samkit.SamModel, root: Path, name: str) -> tuple[list[ObjectFigures], np.ndarray]:
    """Figures of every object that has a frame to be judged on, and a strip of frames with the predicted masks."""
    last = max((index for index, frame in enumerate(read_sequence(root, name)) if frame.ids is not None), default=0)
    rows: dict[int, list[tuple[float, float, bool]]] = {}
    painted = []
    for index, (frame, present, labels) in enumerate(follow(model, read_sequence(root, name))):
        painted.append(paint(frame, labels))
        if frame.ids is None or index == last:
            continue
        void = frame.ids == VOID
        for number, there in present.items():
            target = frame.ids == number
            row = (
                region_similarity(labels == number, target, void),
                boundary_similarity(labels == number, target, void),
                not there and target.any(),
            )
            rows.setdefault(number, []).append(row)
    figures = [
        ObjectFigures(name, number, len(values), *np.mean(np.array(values, float), axis=0).tolist())
        for number, values in rows.items()
    ]
    return figures, np.hstack([painted[at] for at in np.linspace(0, len(painted) - 1, SHEET_FRAMES).astype(int)])


def paint(frame: Frame, labels: np.ndarray, height: int = 120, width: int = 180) -> np.ndarray:
    """uint8 [120, 180, 3]: the frame with the predicted objects in colour and the true ones outlined in white."""
    painted = frame.rgb.copy()
    for number in np.unique(labels[labels > 0]):
        colour, pixels = np.array(COLOURS[number % len(COLOURS)]), labels == number
        painted[pixels] = (0.5 * painted[pixels] + 0.5 * colour).astype(np.uint8)
    for number in new_objects(frame.ids, ()):
        outlines, _ = cv2.findContours((frame.ids == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(painted, outlines, -1, (255, 255, 255), 2)
    scale = min(height / painted.shape[0], width / painted.shape[1])
    small = cv2.resize(
        painted,
        (max(1, round(painted.shape[1] * scale)), max(1, round(painted.shape[0] * scale))),
        interpolation=cv2.INTER_AREA,
    )
    tile = np.zeros((height, width, 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    return tile


def means(figures: list[ObjectFigures]) -> dict[str, dict[str, float]]:
    """Of all objects, and of those in sequences that training leaves out."""
    by_title = {}
    for title, belongs in MEANS.items():
        chosen = [row for row in figures if belongs(row.sequence)]
        if chosen:
            j, f, lost = np.mean([(row.j, row.f, row.lost) for row in chosen], axis=0).tolist()
            by_title[title] = {
                "objects": len(chosen),
                "J": round(j, 3),
                "F": round(f, 3),
                "J&F": round((j + f) / 2, 3),
                "lost": round(lost, 3),
            }
    return by_title


def main() -> None:
    parser = argparse.ArgumentParser(description="Mean J and F of a model that follows objects from their first mask.")
    parser.add_argument("model", help="name or file of a SAM v2 model")
    parser.add_argument("--data", type=Path, required=True, help="a folder laid out as DAVIS")
    parser.add_argument("--sequences", nargs="+", help="which; default: all")
    parser.add_argument("--json", type=Path, help="add the figures to this file")
    parser.add_argument("--pictures", type=Path, help="write a strip of frames of each sequence here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = samkit.load_model(arguments.model, device="cpu")
    figures, strips = [], []
    for name in arguments.sequences or sequence_names(arguments.data):
        start = time.perf_counter()
        rows, strip = judge_sequence(model, arguments.data, name)
        figures += rows
        strips.append(strip)
        for row in rows:
            print(
                f"  {name:24} object {row.object_id:3}  {row.frames:4} frames  J {row.j:.3f}  F {row.f:.3f}  lost "
                f"{row.lost:.2f}",
                flush=True,
            )
        print(f"  {name:24} {time.perf_counter() - start:.0f} s", flush=True)
    for title, values in means(figures).items():
        print(f"{title}: " + ", ".join(f"{key} {value:g}" for key, value in values.items()))
    if arguments.json:
        known = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
        arguments.json.write_text(json.dumps({**known, "video": means(figures)}, indent=2))
    if arguments.pictures:
        cv2.imwrite(str(arguments.pictures), cv2.cvtColor(np.vstack(strips), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
