"""`python -m samkit run` and `replay`: an experiment without a browser, and the same again."""

import math
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from samkit.cli.inputs import check_out_folder, check_taken, make_parents, read_inputs, read_prompts, read_settings
from samkit.cli.output import Json, print_json, print_values, say, say_progress
from samkit.errors import BadInput

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
            "with --video what is remembered."
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
        typer.Option("--image-b", help="The second picture, where the experiment takes one, in the same ways."),
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(help="The film, where the experiment takes one: a file, a folder of frames, or sample:coin."),
    ] = None,
    bank: Annotated[
        Path | None, typer.Option(help="A memory bank to start from, where the experiment takes one.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="A black and white PNG as large as the picture: what is remembered, in place of prompts, with --video."
        ),
    ] = None,
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16, of the image encoder.")] = "float32",
    keep: Annotated[bool, typer.Option("--keep", help="Also send the run to the run store.")] = False,
    name: Annotated[str, typer.Option(help="What to call the run.")] = "",
    note: Annotated[str, typer.Option(help="A note to keep with the run.")] = "",
    as_json: Json = False,
) -> None:
    """Run an experiment on a picture and write it as a folder: run.json, inputs/ and outputs/."""
    from samkit.experiments.params import build_params
    from samkit.experiments.registry import find_experiment

    module = find_experiment(experiment)
    params = build_params(module.Params, read_settings(settings or []))
    check_out_folder(out)
    given = {
        "--image": image,
        "--image-b": image_b,
        "--point": point,
        "--box": box,
        "--prompts": prompts,
        "--video": video,
        "--mask": mask,
        "--bank": bank,
    }
    check_taken(module, given)
    takes_picture = "image" in module.TAKES
    if dtype != "float32" and not takes_picture:
        raise BadInput(f"{module.NAME} looks at the model alone and runs no image encoder: leave --dtype out.")
    inputs = read_inputs(
        image, image_b, read_prompts(point or [], box or [], prompts), video, bank, mask, takes_picture
    )

    from samkit.models.sam import load_model
    from samkit.tracking.bundle.bundle import write_bundle

    loaded = load_model(model, device=device, dtype=dtype)
    result = module.run(loaded, inputs, params, progress=say_progress)
    make_parents(out)
    bundle = write_bundle(
        out,
        result=result,
        inputs=inputs,
        model_info=loaded.info,
        device=loaded.device,
        dtype=loaded.dtype,
        name=name,
        note=note,
    )
    kept = None
    if keep:
        from samkit.tracking.store.keep import keep_run

        outcome = keep_run(bundle)
        say(outcome.sentence)
        kept = {
            "run_id": outcome.run.run_id if outcome.run else None,
            "url": outcome.run.url if outcome.run else None,
            "spooled": not outcome.kept,
        }
    if as_json:
        files = [str(out / file) for file in ("run.json", *bundle.record["files"])]
        values = {
            "experiment": module.NAME,
            "run_uuid": bundle.run_uuid,
            "metrics": bundle.record["metrics"],
            "timings": bundle.record["timings"],
        }
        print_json(values | {"bundle": str(out), "files": files, "kept": kept})
    else:
        print_values({key: f"{value:g}" for key, value in result.metrics.items()})
        print(out)


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
        str | None, typer.Option(help="auto, cpu, cuda or mps; default: the run's, or the CPU where that is missing.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="By how much a metric or an array may move, of its largest value or of 1.")
    ] = 1e-5,
    as_json: Json = False,
) -> None:
    """Run a kept run again. Exit code 0: every mask is identical, and no array or metric moved by more than the
    tolerance; 1: something did, and what.
    """
    from samkit.models.sam import load_model
    from samkit.work.replay import open_run, replay_device
    from samkit.work.replay import replay as replay_run

    with tempfile.TemporaryDirectory(prefix="samkit-replay-") as folder:
        bundle = open_run(target, Path(folder))
        try:
            own = (
                load_model(model, device=device or replay_device(bundle.record["device"]), dtype=bundle.record["dtype"])
                if model
                else None
            )
            outcome = replay_run(bundle, model=own, device=device, progress=say_progress, tolerance=tolerance)
        except KeyError as error:
            raise BadInput(
                f"The run's run.json has no {error}: it was not written by samkit, or was changed."
            ) from error
    if as_json:
        print_json(
            {
                "identical": outcome.identical,
                "sentence": outcome.sentence,
                "mask_differences": outcome.mask_differences,
                "metric_differences": {
                    metric: [_json_value(value) for value in pair]
                    for metric, pair in outcome.metric_differences.items()
                },
                "moved": outcome.moved,
                "array_differences": {array: difference.by for array, difference in outcome.array_differences.items()},
                "moved_arrays": outcome.moved_arrays,
                "surroundings": outcome.surroundings,
            }
        )
    else:
        print("\n".join((outcome.sentence, *outcome.mask_differences, *outcome.array_sentences, *outcome.surroundings)))
        for metric, (then, again) in outcome.metric_differences.items():
            print(f"{metric}: {then} then, {again} in the replay.")
    if not outcome.identical:
        raise typer.Exit(EXIT_DIFFERS)


def _json_value(value):
    """JSON knows no NaN and no infinity: they, and what else is no number, go as text."""
    plain = value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if plain else str(value)
