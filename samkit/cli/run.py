"""`python -m samkit run` and `replay`: an experiment without a browser, and the same again."""

import math
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samkit.cli.inputs import check_out_folder, make_parents, read_spec
from samkit.cli.output import Json, print_json, print_values, say, say_progress
from samkit.scratch import scratch

if TYPE_CHECKING:
    from samkit.tracking.bundle.bundle import Bundle
    from samkit.work.replay import ReplayOutcome

EXIT_DIFFERS = 1

Model = Annotated[str, typer.Option("--model", help="Catalogue name, or path of a .pt, .pth or .safetensors file.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


def run(
    experiment: Annotated[str, typer.Argument(help="Which experiment, such as mask-stability or cross-image.")],
    model: Model,
    out: Annotated[Path, typer.Option(help="New or empty folder for the run.")],
    image: Annotated[
        str | None,
        typer.Option(
            help="A picture file, sample:NAME (sample:chelsea), or a frame of a film (film.mp4#12, sample:coin#12); "
            "with --video, the picture that shows the object to follow."
        ),
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(help="x,y[,label] as shares 0..1 of the picture; label 1 foreground, 0 background. Repeatable."),
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(help="x1,y1,x2,y2 as shares 0..1 of the picture. Repeatable.")
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="JSON file of prompts, samkit's or MuggledSAM's.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="name=value, a parameter of the experiment. Repeatable.")
    ] = None,
    image_b: Annotated[
        str | None,
        typer.Option(
            "--image-b", help="The second picture, where the experiment takes one, in the same forms as --image."
        ),
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(help="The film, where the experiment takes one: a file, a folder of frames, or sample:coin."),
    ] = None,
    video_side: Annotated[
        int | None,
        typer.Option(help="Shrinks the film's frames while they are decoded: their longest side in pixels, even."),
    ] = None,
    bank: Annotated[
        list[str] | None,
        typer.Option(
            help="A memory bank to start from, where the experiment takes one. Repeatable: one for each object, none "
            "for an object without."
        ),
    ] = None,
    steering: Annotated[
        Path | None,
        typer.Option(
            help="With --video: a JSON file of the objects that are followed, of corrections on frames, and of what is "
            "switched at which frame."
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            help="On a picture, a mask hint beside the prompts or alone: a mask file of the picture's size (PNG, WebP, "
            "bool .npy, COCO RLE in JSON), masks.png#3 for its object 3, or logits of an earlier run as a float .npy. "
            "With --video, the object's mask in place of prompts: a black and white PNG or COCO RLE in JSON."
        ),
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            help="The right mask of the picture, for true_iou: a mask file as for --mask; in a file of several objects "
            "all of them, or one (masks.png#3); 255 beside other numbers is not counted."
        ),
    ] = None,
    truth_b: Annotated[
        str | None, typer.Option("--truth-b", help="The right mask of the second picture, in the same forms.")
    ] = None,
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16, of the image encoder.")] = "float32",
    keep: Annotated[bool, typer.Option("--keep", help="Also send the run to the run store.")] = False,
    name: Annotated[str, typer.Option(help="What to call the run.")] = "",
    note: Annotated[str, typer.Option(help="A note to keep with the run.")] = "",
    as_json: Json = False,
) -> None:
    """Run an experiment on a picture and write it as a folder: run.json, inputs/ and outputs/."""
    from samkit.work.execute import compute, write
    from samkit.work.lab import Lab

    check_out_folder(out)
    written = {
        "--image": image,
        "--image-b": image_b,
        "--point": point,
        "--box": box,
        "--prompts": prompts,
        "--video": video,
        "--video-side": video_side,
        "--mask": mask,
        "--truth": truth,
        "--truth-b": truth_b,
        "--bank": bank,
        "--steering": steering,
    }
    spec = read_spec(experiment, model, settings or [], written, device, dtype)
    # Each command is a run of its own, even where it is the same as one before.
    computed = compute(replace(spec, attempt=uuid.uuid4().hex), Lab(progress=say_progress))
    if computed.inputs.video is not None and computed.inputs.video.warning:
        say(computed.inputs.video.warning)
    make_parents(out)
    bundle = write(computed, out, name=name, note=note)
    kept = _keep(bundle) if keep else None
    if as_json:
        print_json({**_summary(bundle), "kept": kept})
    else:
        numbers = {name: metric.value for name, metric in bundle.record.metrics.items()}
        print_values({name: _shown(value) for name, value in (numbers | bundle.record.facts).items()})
        print(out)


def _keep(bundle: "Bundle") -> dict[str, Any]:
    """Send the run to the store, and say what came of it."""
    from samkit.tracking.store.keep import keep_run

    outcome = keep_run(bundle)
    say(outcome.sentence)
    run = outcome.run
    return {"run_id": run.run_id if run else None, "url": run.url if run else None, "spooled": not outcome.kept}


def _summary(bundle: "Bundle") -> dict[str, Any]:
    """What `--json` prints of a run."""
    record = bundle.record
    return {
        "experiment": record.experiment,
        "run_uuid": record.run_uuid,
        "metrics": {name: metric.value for name, metric in record.metrics.items()},
        "facts": record.facts,
        "timings": record.timings,
        "bundle": str(bundle.path),
        "files": [str(bundle.path / file) for file in ("run.json", *record.files)],
    }


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def replay(
    target: Annotated[
        str, typer.Argument(metavar="RUN_ID|DIR|ZIP", help="A run in the store, a run's folder, or its zip file.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="The model, where its checkpoint can't be found by the hash or the name in the run."
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda or mps; default: the run's, or the CPU where that is not available."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="How far a metric or an array may move, relative to its largest value or to 1.")
    ] = 1e-5,
    as_json: Json = False,
) -> None:
    """Run a kept run again. Exit code 0: every mask and fact is identical, and no array or metric moved by more than
    the tolerance; 1: something did, and what.
    """
    from samkit.work.replay import open_run
    from samkit.work.replay import replay as replay_run

    with scratch("replay") as folder:
        bundle = open_run(target, folder)
        outcome = replay_run(bundle, model=model, device=device, progress=say_progress, tolerance=tolerance)
    if as_json:
        print_json(_outcome_values(outcome))
    else:
        print("\n".join((outcome.sentence, *outcome.mask_differences, *outcome.array_sentences, *outcome.surroundings)))
        for name, (then, again) in (outcome.metric_differences | outcome.fact_differences).items():
            print(f"{name}: {then} when kept, {again} now.")
    if not outcome.identical:
        raise typer.Exit(EXIT_DIFFERS)


def _outcome_values(outcome: "ReplayOutcome") -> dict[str, Any]:
    """What `--json` prints of a replay."""
    differences = outcome.metric_differences.items()
    return {
        "identical": outcome.identical,
        "sentence": outcome.sentence,
        "mask_differences": outcome.mask_differences,
        "metric_differences": {metric: [_json_value(value) for value in pair] for metric, pair in differences},
        "moved": outcome.moved,
        "fact_differences": outcome.fact_differences,
        "array_differences": {array: difference.by for array, difference in outcome.array_differences.items()},
        "moved_arrays": outcome.moved_arrays,
        "surroundings": outcome.surroundings,
    }


def _json_value(value: object) -> object:
    """JSON knows no NaN and no infinity: they, and anything else that is not a number, go as text."""
    plain = value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if plain else str(value)
