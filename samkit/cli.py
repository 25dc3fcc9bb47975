"""The command line: the same models and experiments without a browser.

Results go to stdout, everything else to stderr. Exit codes: 0 done; 2 wrong usage or bad input, with one sentence on stderr; 1 anything else; 130
interrupted. Heavy modules are imported by the command that needs them, so that `--help` answers at once.
"""

import json
import sys
from typing import Annotated, NoReturn

import typer

from samkit.errors import BadInput, SamkitError

PROGRAM = "python -m samkit"
EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

# Typer names the class of all wrong usage only through its subclass.
UsageError = typer.BadParameter.__base__

_PLAIN = dict(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app = typer.Typer(help="Look inside Segment Anything models: prompt a picture, turn one knob of the model, keep the run, compare.", **_PLAIN)
models_app = typer.Typer(help="The checkpoints: what there is, fetching one, what is inside.", **_PLAIN)
app.add_typer(models_app, name="models")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line (default: of this process) and exit with its code. The one place where errors become sentences."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=arguments or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except UsageError as error:
        code = _complain(_usage_sentence(error), EXIT_BAD_INPUT)
    except BadInput as error:
        code = _complain(str(error), EXIT_BAD_INPUT)
    except SamkitError as error:
        code = _complain(str(error), EXIT_FAILED)
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("Interrupted.", EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@models_app.command("list")
def list_models(as_json: Json = False) -> None:
    """The models known by name, whether each is on this machine, and own checkpoints in SAMKIT_EXTRA_MODELS."""
    from samkit.models.byte_sizes import format_bytes
    from samkit.models.catalogue import catalogue
    from samkit.models.folders import own_checkpoints

    entries = catalogue()
    own = own_checkpoints()
    if as_json:
        fields = ("name", "title", "family", "version", "file_bytes", "sha256", "licence", "url")
        rows = [{name: getattr(entry, name) for name in fields} | {"state": entry.state(), "path": str(entry.local_path())} for entry in entries]
        _print_json({"models": rows, "own": [str(path) for path in own]})
        return
    for entry in entries:
        print(f"{entry.name:<26}{entry.title:<24}{format_bytes(entry.file_bytes):>8}  {entry.state():<10}{entry.licence:.60}")
    for path in own:
        print(path)


@models_app.command("download")
def download_model(name: str, as_json: Json = False) -> None:
    """Fetch a catalogue model, or the rest of it, and check its size and SHA-256."""
    from samkit.models.byte_sizes import format_bytes
    from samkit.models.download import download

    shown = -1

    def progress(done: int, total: int) -> None:
        nonlocal shown
        percent = 100 * done // total
        if percent > shown:
            shown = percent
            _say(f"{percent:3d} %  {format_bytes(done)} of {format_bytes(total)}")

    path = download(name, progress=progress)
    if as_json:
        _print_json({"name": name, "path": str(path)})
    else:
        print(path)


@models_app.command("info")
def model_info(ref: str, as_json: Json = False) -> None:
    """What is inside a model: a catalogue name, or the path of a .pt, .pth or .safetensors file."""
    from samkit.models.sam import load_model

    info = load_model(ref, device="cpu").info
    fields = ("name", "family", "version", "sha256", "native_side", "patch_size", "side_step", "blocks_per_stage", "channels_per_stage", "window_sizes")
    values = {name: getattr(info, name) for name in (*fields, "global_blocks", "parameters", "parameter_count")} | {"path": str(info.path)}
    if as_json:
        _print_json(values)
        return
    for name, value in values.items():
        if isinstance(value, dict):
            value = ", ".join(f"{part} {count:,}" for part, count in value.items())
        elif isinstance(value, tuple):
            value = " ".join(map(str, value))
        print(f"{name:<20}{value:,}" if isinstance(value, int) else f"{name:<20}{value}")


def _usage_sentence(error) -> str:
    message = error.format_message().strip()
    if "\n" in message:
        # A group called without a command answers with its whole help.
        return f"Say what to do: `{error.ctx.command_path} --help` lists the commands."
    message = message if message.endswith((".", "?", ")")) else message + "."
    path = error.ctx.command_path if getattr(error, "ctx", None) else PROGRAM
    return f"{message} `{path} --help` shows how it is used."


def _complain(sentence: str, code: int) -> int:
    _say(sentence)
    return code


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_json(value: dict) -> None:
    print(json.dumps(value, allow_nan=False))
