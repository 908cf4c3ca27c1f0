"""The root of the command line: finds each command's file when called, turns errors into exit codes.

Commands load lazily so that `gantry --help`, and completion in a shell, answer at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

import gantry
from gantry.cli.exits import Exit, exit_code
from gantry.errors import GantryError

# name -> module of gantry.cli that defines a click command called `command`
COMMANDS = {
    "serve": "serve",
    "config": "config",
    "import": "import_",
    "export": "export",
    "send": "send",
    "echo": "echo",
    "find": "find",
    "get": "get",
    "move": "move",
    "dump": "dump",
    "verify": "verify",
    "reindex": "reindex",
    "stats": "stats",
    "example": "example",
    "completion": "completion",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(f"gantry.cli.{module}").command
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: "
    + "; ".join(f"{code.value} {code.meaning}" for code in Exit)
    + ". Settings: see gantry config.",
)
@click.version_option(gantry.__version__, prog_name="gantry")
def root() -> None:
    """Gantry: an imaging archive, network node, DICOMweb server and toolkit for DICOM."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; answers the exit code instead of ending the process."""
    try:
        result: Any = root.main(
            arguments, prog_name="gantry", complete_var="_GANTRY_COMPLETE", standalone_mode=False
        )
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        return Exit.STOPPED
    except click.ClickException as error:
        error.show()
        return Exit.USAGE if isinstance(error, click.UsageError) else Exit.PROBLEMS
    except GantryError as error:
        click.echo(f"gantry: {error}", err=True)
        return exit_code(error)
    except BrokenPipeError:
        # The reader (head, less) has had enough; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    return int(result) if isinstance(result, int) else Exit.OK
