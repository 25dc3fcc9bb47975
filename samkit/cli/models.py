"""`python -m samkit models`: the checkpoints."""

import typer

from samkit.cli.output import Json, plain_app, print_json, print_values, say

app = plain_app("Checkpoints: list them, download one, show what is inside.")


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """The models known by name, whether each is on this machine, and own checkpoints in SAMKIT_EXTRA_MODELS."""
    from samkit.models.files.catalogue import catalogue
    from samkit.models.files.folders import own_checkpoints
    from samkit.words import format_bytes

    entries = catalogue()
    own = own_checkpoints()
    if as_json:
        fields = ("name", "title", "family", "version", "file_bytes", "sha256", "licence", "url")
        rows = [
            {name: getattr(entry, name) for name in fields} | {"state": entry.state(), "path": str(entry.local_path())}
            for entry in entries
        ]
        print_json({"models": rows, "own": [str(path) for path in own]})
        return
    for entry in entries:
        print(
            f"{entry.name:<26}{entry.title:<24}{format_bytes(entry.file_bytes):>8}  "
            f"{entry.state():<10}{entry.licence:.60}"
        )
    for path in own:
        print(path)


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
