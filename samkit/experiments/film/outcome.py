"""What a film's run comes to: masks, pictures, figures, tables, and the film with the masks drawn in."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samkit.errors import BadInput
from samkit.experiments.film.memories import all_priors
from samkit.experiments.film.params import Params
from samkit.experiments.inputs import Prior
from samkit.experiments.lab import LabLike
from samkit.experiments.measures.bank_file import bank_bytes
from samkit.experiments.result import Mask, Metric, Result, higher, neutral
from samkit.experiments.steering import Correction
from samkit.media.drawing import overlay
from samkit.media.film import FilmWriter, masks_to_json
from samkit.media.mask_views import film_view
from samkit.scratch import scratch

if TYPE_CHECKING:
    from samkit.experiments.film.film_run import FilmRun

NAME = "video-priors"
FILM_SIDE = 960
"""Longest side of the film that is written, in pixels."""


def numbered(name: str, number: int, ending: str = "") -> str:
    """What belongs to an object: `masks.json` of the first one, `masks_1.json` of the second."""
    return f"{name}_{number}{ending}" if number else f"{name}{ending}"


def film_result(run: "FilmRun", lab: LabLike) -> Result[Params]:
    """Of the frames segmented so far. Raises BadInput before the first one.

    images:  prior_0, ..., each recorded picture with its mask; first, middle, last: frames of the film with theirs
    masks:   mask_prior_0, ..., each on its recorded picture; mask_correction_0, ... on their frames
    arrays:  memory_bank, uint8, the file that `MemoryBank.save` writes of what the film began with
    metrics: mean_object_score, present_share (of frames whose object score is above 0), mean_area_share,
             mean_predicted_iou
    facts:   frames; where there are marks, also marks (frames and objects that are marked) and corrections (how often
             marks refined what the run had found)
    tables:  frames, priors, and memory_bank with the hash of that file's content
    files:   film.mp4 with the masks drawn in, masks.json (COCO RLE per frame)

    Of several objects, metrics are those of all together, and `object_1_present_share`, ... those of the second alone;
    `memory_bank_1`, `masks_1.json`, ... are the second's; the fact `objects` and the table `objects` say which there
    are; the rows of a frame say whose they are. Overlaps stay as the model gives them. Corrections and switches are
    tables of their own, where there are any.
    """
    rows = run.rows
    if not rows:
        raise BadInput("No frame has been segmented yet: let the run go on first.")
    frames = sorted({row["frame"] for row in rows}, key=run.place_of)
    priors = list(zip(all_priors(run.inputs, run.params), run.prior_masks, strict=True))
    frames_ms = float(sum(row["ms"] for row in rows))
    return Result(
        NAME,
        run.params if run.done == run.total else run.params.model_copy(update={"count": run.done}),
        images=_images(run, priors, frames),
        masks=_masks(run),
        arrays={
            numbered("memory_bank", number): np.frombuffer(bank_bytes(bank), np.uint8)
            for number, bank in enumerate(run.first_banks)
            if number == 0 or bank.prompts
        },
        metrics=_all_metrics(run, rows),
        facts=_facts(run, len(frames)),
        tables=_tables(run, rows, priors),
        timings={"priors_ms": run.prior_ms, "frames_ms": frames_ms, "frame_ms": frames_ms / len(frames)},
        files={"film.mp4": film_file(run, lab)}
        | {numbered("masks", track.number, ".json"): masks_to_json(track.masks) for track in run.tracks},
    )


def _facts(run: "FilmRun", frames: int) -> dict[str, int]:
    steering = run.steering
    facts = {"frames": frames}
    if steering.count > 1:
        facts["objects"] = steering.count
    if steering.corrections:
        facts |= {"marks": len(steering.corrections), "corrections": steering.corrected}
    return facts


def _masks(run: "FilmRun") -> dict[str, Mask]:
    """Of the recorded pictures, and of corrected frames that the run has come to."""
    masks = {f"mask_prior_{i}": Mask(mask, "prior", i) for i, mask in enumerate(run.prior_masks)}
    for i, correction in enumerate(run.steering.corrections):
        if found := run.on(correction.frame).get(correction.object):
            masks[f"mask_correction_{i}"] = Mask(found.pixels, "frame", correction.frame)
    return masks


def _tables(
    run: "FilmRun", rows: list[dict[str, Any]], priors: list[tuple[Prior, np.ndarray]]
) -> dict[str, list[dict[str, Any]]]:
    """rows: of all frames and objects. Tables of what there is none of are left out."""
    steering = run.steering
    several = steering.count > 1
    tables: dict[str, list[dict[str, Any]]] = {
        "frames": [_plain_row(row, several, bool(steering.corrections)) for row in rows],
        "priors": [_prior_row(i, prior, mask, several) for i, (prior, mask) in enumerate(priors)],
        "memory_bank": [{"sha256": bank.sha256, "memories": len(bank.prompts)} for bank in run.first_banks],
    }
    if several:
        tables["objects"] = [
            {"object": number, "name": steering.name(number), "color": steering.color(number)}
            for number in range(steering.count)
        ]
    if steering.corrections:
        tables["corrections"] = [_correction_row(each) for each in steering.corrections]
    if steering.switches:
        tables["switches"] = [{"frame": each.frame, "action": each.action} for each in steering.switches]
    return tables


def _correction_row(correction: Correction) -> dict[str, Any]:
    row = {"frame": correction.frame, "object": correction.object, "prompts": correction.prompts.to_json()}
    row["mask"] = correction.mask is not None
    return row | ({"refines": True, "earlier": len(correction.earlier)} if correction.refines else {})


def film_file(run: "FilmRun", lab: LabLike) -> bytes:
    """An MP4 file of the frames gone past so far, in the film's own order, with their masks drawn in."""
    passed = sorted(run.order[: run.done])
    with scratch("film") as folder:
        path = Path(folder) / "film.mp4"
        frames = run.video.frames(passed[0], passed[-1] + 1)
        with FilmWriter(path, run.video.fps) as writer:
            for done, (rgb, frame) in enumerate(zip(frames, passed, strict=True)):
                lab.report(done / len(passed), f"Writing the film, frame {done + 1} of {len(passed)}")
                writer.add(drawn_frame(run, frame, rgb))
        return path.read_bytes()


def drawn_frame(run: "FilmRun", frame: int, rgb: np.ndarray, side: int = FILM_SIDE) -> np.ndarray:
    """uint8 [h, w, 3], at most `side` pixels a side: the frame, uint8 [H, W, 3], with the masks of all objects, later
    ones above earlier ones.
    """
    found = sorted(run.on(frame).items())
    return film_view(rgb, [(each.pixels, run.steering.rgb(number)) for number, each in found], side)


def _images(run: "FilmRun", priors: list[tuple[Prior, np.ndarray]], frames: list[int]) -> dict[str, np.ndarray]:
    """Recorded pictures and three frames, each with its masks."""
    images = {
        f"prior_{i}": overlay(prior.picture.rgb, mask, run.steering.rgb(prior.object))
        for i, (prior, mask) in enumerate(priors)
    }
    for name, place in (("first", 0), ("middle", len(frames) // 2), ("last", -1)):
        images[name] = drawn_frame(run, frames[place], run.video.frame(frames[place]))
    return images


def _all_metrics(run: "FilmRun", rows: list[dict[str, Any]]) -> dict[str, Metric]:
    """Of all objects together, and of several ones each by itself too."""
    metrics = _metrics(rows)
    if run.steering.count > 1:
        for track in run.tracks:
            if track.found:
                metrics |= {f"object_{track.number}_{name}": each for name, each in _metrics(track.rows, False).items()}
    return metrics


def _metrics(rows: list[dict[str, Any]], key: bool = True) -> dict[str, Metric]:
    """rows: one a frame and object. key: whether they sum the run up."""
    metrics = {
        "present_share": higher(np.mean([row["object_score"] > 0 for row in rows]), key=key),
        "mean_object_score": higher(_mean(rows, "object_score"), key=key),
        "mean_area_share": neutral(_mean(rows, "area_share"), key=key),
    }
    predicted = [row for row in rows if row["predicted_iou"] is not None]
    if predicted:
        metrics["mean_predicted_iou"] = higher(_mean(predicted, "predicted_iou"), key=key)
    return metrics


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def _plain_row(row: dict[str, Any], several: bool, corrected: bool) -> dict[str, Any]:
    """A row without what says nothing: whose it is among one object, what is corrected where nothing is."""
    first = {"object": row["object"]} if several else {}
    left_out = {"object"} if corrected else {"object", "corrected"}
    return first | {name: value for name, value in row.items() if name not in left_out}


def _prior_row(index: int, prior: Prior, mask: np.ndarray, several: bool) -> dict[str, Any]:
    row = {
        "prior": index,
        "picture": prior.picture.name,
        "prompts": prior.prompts.to_json(),
        "film_frame": prior.film_frame,
        "area_px": int(np.count_nonzero(mask)),
    }
    return row | ({"object": prior.object} if several else {})
