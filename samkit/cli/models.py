"""`python -m samkit models`: the checkpoints."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samkit.cli.output import Json, plain_app, print_json, print_values, say

if TYPE_CHECKING:
    from samkit.experiments.measures.weight_changes import WeightChanges

EXIT_DIFFERS = 1
WEIGHTS_SHOWN = 10
OWN_KINDS = {"sam1": "SAM 1", "sam2": "SAM 2", "sam3": "SAM 3", "adapter": "needs a base"}
"""By the family that a file's names tell."""

app = plain_app("Checkpoints: list them, download one, show what is inside, and what training changed.")


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """The models known by name, whether each is on this machine, and own checkpoints in SAMKIT_EXTRA_MODELS."""
    from samkit.models.files.catalogue import catalogue
    from samkit.models.files.folders import look_for_own

    entries = catalogue()
    found = look_for_own()
    own = found.paths
    for sentence in found.unread:
        say(sentence)
    if as_json:
        fields = ("name", "title", "family", "version", "file_bytes", "sha256", "licence", "url", "origin")
        rows = [
            {name: getattr(entry, name) for name in fields} | {"state": entry.state(), "path": str(entry.local_path())}
            for entry in entries
        ]
        print_json({"models": rows, "own": [_own_row(path) for path in own]})
        return
    for entry in entries:
        print(f"{entry.name:<26}{entry.title:<24}{entry.size_text:>8}  {entry.state():<10}{entry.licence:.60}")
    for entry in entries:
        if entry.state() == "to bring":
            print(f"{entry.title}: {entry.origin}")
    for path in own:
        row = _own_row(path)
        print(f"{path}\n    {_own_line(row)}")


def _own_line(row: dict[str, Any]) -> str:
    from samkit.words import format_bytes

    what = OWN_KINDS.get(row["family"], "may be loaded" if row["loads"] else "can't be loaded")
    return f"{what}, {format_bytes(row['file_bytes'])}. {' '.join(row['told'])}".rstrip()


def _own_row(path: Path) -> dict[str, Any]:
    """What a file of one's own is, told without loading it."""
    from samkit.models.files.glance import glance
    from samkit.models.memory_taken import memory_taken

    told = glance(path)
    memory = memory_taken(path) if told.loads else None
    return {
        "path": str(path),
        "family": told.family,
        "loads": told.loads,
        "told": list(told.told),
        "file_bytes": told.file_bytes,
        "memory_bytes": memory.weights if memory else None,
        "encoding_bytes": memory.encoding if memory else None,
    }


@app.command("download")
def download_model(name: str, as_json: Json = False) -> None:
    """Fetch a catalogue model, or the rest of it, and check its size and SHA-256."""
    from samkit.models.files.download import download
    from samkit.words import format_bytes

    shown = -1

    def progress(done: int, total: int) -> None:
        nonlocal shown
        percent = 100 * done // total
        if percent > shown:
            shown = percent
            say(f"{percent:3d} %  {format_bytes(done)} of {format_bytes(total)}")

    path = download(name, progress=progress)
    if as_json:
        print_json({"name": name, "path": str(path)})
    else:
        print(path)


@app.command("info")
def model_info(ref: str, as_json: Json = False) -> None:
    """What is inside a model, and what was done to its file: a catalogue name, or the path of a file or folder.

    Choices stand behind a #: model.pt#ema, adapter#base=sam_vit_b, model.pt#side=512&windows=8,4,14,7.
    """
    from samkit.models.files.licences import LICENCES
    from samkit.models.sam import load_model

    info = load_model(ref, device="cpu").info
    fields = (
        "name",
        "family",
        "version",
        "sha256",
        "native_side",
        "patch_size",
        "side_step",
        "blocks_per_stage",
        "channels_per_stage",
        "window_sizes",
    )
    values = {name: getattr(info, name) for name in (*fields, "global_blocks", "parameters", "parameter_count")} | {
        "path": str(info.path)
    }
    values["changes"] = list(info.changes)
    if licence := LICENCES.get(info.family):
        values["licence"] = licence
    if info.file_sha256 != info.sha256:
        values["file_sha256"] = info.file_sha256
    if as_json:
        print_json(values)
        return
    print_values({name: value for name, value in values.items() if name != "changes"})
    for number, change in enumerate(info.changes, start=1):
        print(f"{'what was done' if number == 1 else '':<22}{change}")
    for name in info.checkpoint.others:
        print(f"{'also in the file':<22}{ref}#{name}")


@app.command("random")
def random_model(
    kind: str,
    path: Annotated[Path | None, typer.Option("--to", help="else among the downloaded models")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Write a small model with random weights (sam3), with which all pages can be seen. Its masks mean nothing."""
    from samkit.errors import BadInput
    from samkit.models.files.folders import extra_models_folders, models_folder
    from samkit.models.random_models import DEMO_MODELS, save_random_model

    if kind not in DEMO_MODELS:
        raise BadInput(f'There is no random model "{kind[:40]}": choose {" or ".join(DEMO_MODELS)}.')
    path = path or models_folder() / f"random-{kind}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    print(save_random_model(path, DEMO_MODELS[kind], seed))
    if path.absolute().parent not in extra_models_folders():
        say(f"To have it in the app's list of models, start the app with SAMKIT_EXTRA_MODELS={path.absolute().parent}")


@app.command("diff")
def diff_models(before: str, after: str, as_json: Json = False) -> None:
    """Which weights differ between two models of one architecture, such as one and what it became by fine-tuning.

    Each is a catalogue name or the path of a file. Exit code 0: no weight differs; 1: some do. What that does to a
    picture, `python -m samkit run fine-tuning --model AFTER --set other_model=BEFORE` tells.
    """
    from samkit.experiments.measures.weight_changes import compare_models
    from samkit.models.sam import load_model

    changes = compare_models(load_model(after, device="cpu"), load_model(before, device="cpu"))
    if as_json:
        print_json(
            {
                "weights": len(changes.weights),
                "changed_weights": len(changes.changed),
                "changed_share": changes.changed_share,
                "relative_change": changes.relative,
                "rounding_only": changes.rounding,
                "only_before": list(changes.only_before),
                "only_after": list(changes.only_after),
                "parts": changes.part_rows(),
                "changed": changes.weight_rows(),
            }
        )
    else:
        _print_changes(changes)
    if changes.changed or changes.only_before or changes.only_after:
        raise typer.Exit(EXIT_DIFFERS)


def _print_changes(changes: "WeightChanges") -> None:
    if not changes.changed:
        print(f"None of the {len(changes.weights)} weights differs.")
    else:
        print(
            f"{len(changes.changed)} of {len(changes.weights)} weights differ, {changes.changed_share:.1%} of all "
            f"numbers; relative change {changes.relative:.3%}."
        )
    if changes.rounding:
        print("All of it is rounding to half precision.")
    for name, keys in (("first", changes.only_before), ("second", changes.only_after)):
        if keys:
            print(f"Only the {name} model has {len(keys)} weights: {', '.join(keys[:3])}{', ...' if keys[3:] else ''}")
    if not changes.changed:
        return
    print(f"\n{'part':<16}{'where':<22}{'weights that differ':>20}{'relative change':>18}")
    for row in changes.part_rows():
        if row["changed"]:
            count = f"{row['changed']} of {row['weights']}"
            print(f"{row['part']:<16}{row['group']:<22}{count:>20}{row['relative_change']:>18.3%}")
    rows = changes.weight_rows()
    print(f"\n{'most changed':<58}{'relative change':>18}")
    for row in rows[:WEIGHTS_SHOWN]:
        print(f"{row['weight']:<58}{row['relative_change']:>18.3%}")
    if rows[WEIGHTS_SHOWN:]:
        print(f"and {len(rows) - WEIGHTS_SHOWN} more; --json gives all")
