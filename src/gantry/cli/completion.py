"""`gantry completion`: the script that teaches a shell to complete the command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL.

    For bash: gantry completion bash > ~/.local/share/bash-completion/completions/gantry
    """
    from gantry.cli.main import COMPLETE_VARIABLE, root

    kind = get_completion_class(shell)
    assert kind is not None  # the choice above names only shells that click knows
    click.echo(kind(root, {}, "gantry", COMPLETE_VARIABLE).source())
