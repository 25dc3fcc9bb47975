"""The command line: the same models and experiments without a browser.

Results go to stdout, everything else to stderr. Exit codes: 0 done; 2 wrong usage or bad input, with one sentence on
stderr; 1 anything else, a replay that differs among it; 130 interrupted. Heavy modules are imported by the command that
needs them, so that `--help` answers at once.
"""

import sys
from typing import NoReturn, cast

import typer

from samkit.cli import models, run, runs, sweep
from samkit.cli.output import plain_app, say
from samkit.errors import BadInput, SamkitError
from samkit.machine import refused_by_machine

PROGRAM = "python -m samkit"
EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

# Typer names the class of all wrong usage only through its subclass.
UsageError = cast(type[typer.BadParameter], typer.BadParameter.__base__)

app = plain_app(
    "Look inside Segment Anything models: prompt a picture, turn one knob of the model, keep the run, compare."
)
app.add_typer(models.app, name="models")
app.command()(run.run)
app.command()(run.replay)
app.add_typer(runs.app, name="runs")
app.add_typer(sweep.app, name="sweep")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line (default: of this process) and exit with its code. The one place where errors become
    sentences.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=arguments or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except UsageError as error:
        code = _complain(_usage_sentence(error), EXIT_BAD_INPUT)
    except BadInput as error:
        code = _complain(str(error), EXIT_BAD_INPUT)
    except SamkitError as error:
        code = _complain(str(error), EXIT_FAILED)
    except MemoryError:
        code = _complain(
            "The machine ran out of memory: choose a smaller side, a smaller model or a smaller picture.", EXIT_FAILED
        )
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except Exception as error:
        refused = refused_by_machine(error)
        if refused is None:
            raise
        code = _complain(str(refused), EXIT_FAILED)
    if code == EXIT_INTERRUPTED:
        # Typer itself turns most interrupts into this code, and says nothing.
        say("Interrupted.")
    sys.exit(code if isinstance(code, int) else 0)


def _usage_sentence(error: typer.BadParameter) -> str:
    message = error.format_message().strip()
    message = message if message.endswith((".", "?", ")")) else f"{message}."
    path = error.ctx.command_path if error.ctx else PROGRAM
    return f"{message} `{path} --help` shows how it is used."


def _complain(sentence: str, code: int) -> int:
    say(sentence)
    return code
