"""The root of the command line: finds each command's file when called, turns errors into exit codes.

Commands load when they are called and their summaries stand here, so that `gantry --help`, and completion in
a shell, answer at once.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

import click

import gantry
from gantry.cli.exits import Exit, exit_code
from gantry.cli.output import note
from gantry.errors import GantryError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETE_VARIABLE = "_GANTRY_COMPLETE"

# name -> (module of gantry.cli that defines a click command called `command`, what it does)
COMMANDS = {
    "serve": ("serve", "Run the archive: DICOM, DICOMweb and the web page."),
    "config": ("config", "Print the settings in force and where they came from."),
    "import": ("import_", "Store files, folders, zip files, file-sets."),
    "export": ("export", "Write objects of the archive to a folder."),
    "send": ("send", "Send files to a peer: C-STORE or STOW-RS."),
    "echo": ("echo", "Ask whether a peer answers: C-ECHO or a small query."),
    "find": ("find", "Search a peer: C-FIND or QIDO-RS."),
    "get": ("get", "Fetch objects from a peer: C-GET or WADO-RS."),
    "move": ("move", "Have a peer send objects to a third: C-MOVE."),
    "convert": ("convert", "Convert to pictures, volumes, documents, tables."),
    "dump": ("dump", "Print what is in a DICOM file."),
    "transcode": ("transcode", "Write files in another transfer syntax."),
    "compress": ("compress", "Keep objects in a smaller form, by rules, without loss."),
    "tier": ("tier", "Move objects to a second store by age and use, and back."),
    "multiframe": ("multiframe", "Make single-frame objects of enhanced ones, and back."),
    "present": ("present", "Write how images are to be seen: a presentation state."),
    "edit": ("edit", "Modify, merge, move, split, reject, delete: with a history."),
    "history": ("history", "List what was edited, by whom, when and why."),
    "revert": ("revert", "Undo an edit."),
    "retention": ("retention", "Reject studies past their time, by rules."),
    "verify": ("verify", "Compare every stored byte and row with its digest."),
    "reindex": ("reindex", "Rebuild the index from the folder."),
    "backup": ("backup", "Copy the archive, also while it is served; only what is new."),
    "restore": ("restore", "Make an archive again of a backup."),
    "stats": ("stats", "Print how much the archive holds."),
    "example": ("example", "Store a small example study."),
    "completion": ("completion", "Print the completion script for a shell."),
}
# Started by other commands, and of no use to people
_HIDDEN = {"worker": ("worker", "One of the processes of gantry serve --workers.")}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = COMMANDS.get(cmd_name) or _HIDDEN.get(cmd_name)
        if found is None:
            return None
        command: click.Command = importlib.import_module(f"gantry.cli.{found[0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=COMMANDS[name][1]) for name in names] + options


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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows its escape; names must not end a command.
            stream.reconfigure(errors="backslashreplace")
    try:
        result = _invoke(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (click.Abort, KeyboardInterrupt):
        note("stopped")
        return Exit.STOPPED
    except click.ClickException as error:
        error.show()
        return Exit.USAGE if isinstance(error, click.UsageError) else Exit.PROBLEMS
    except GantryError as error:
        note(f"gantry: {error}")
        return exit_code(error)
    except BrokenPipeError:
        # The reader (head, less) has had enough; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except OSError as error:
        note(f"gantry: {error.filename or 'input or output'}: {error.strerror or error}")
        return Exit.STORAGE
    return int(result) if isinstance(result, int) else Exit.OK


def _invoke(arguments: list[str]) -> Any:
    instruction = os.environ.get(COMPLETE_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, "gantry", COMPLETE_VARIABLE, instruction)
    # Not root.main(), which makes its own exit codes of interruptions and closed pipes.
    with root.make_context("gantry", list(arguments)) as context:
        return root.invoke(context)
