"""What the commands print: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer


def plain_app(summary: str) -> typer.Typer:
    """A command with subcommands: no panels, no colours, no tracebacks with local values."""
    return typer.Typer(help=summary, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]


def say(line: str) -> None:
    """One line on stderr."""
    print(line, file=sys.stderr, flush=True)


def say_progress(share: float, line: str) -> None:
    """`samkit.experiments.lab.Progress` on stderr."""
    say(f"{100 * share:3.0f} %  {line}")


def print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, allow_nan=False))


def print_values(values: Mapping[str, Any]) -> None:
    """One `name  value` line each."""
    width = max(map(len, values), default=0) + 2
    for name, value in values.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {part}" for key, part in value.items())
        elif isinstance(value, list | tuple):
            value = " ".join(map(str, value))
        print(f"{name:<{width}}{'none' if value is None else value}")
