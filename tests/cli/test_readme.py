"""The README tells people commands that there are."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

from gantry.cli.main import COMMANDS

README = Path(__file__).resolve().parents[2] / "README.md"


def told() -> list[str]:
    text = README.read_text(encoding="utf-8")
    return re.findall(r"`(gantry [^`]+)`", text) + re.findall(r"^(gantry [^#\n]+)", text, re.MULTILINE)


def test_the_readme_tells_some() -> None:
    assert len(told()) >= 8


@pytest.mark.parametrize("line", told())
def test_each_is_a_command_with_options_that_it_has(line: str) -> None:
    _, name, *words = shlex.split(line)
    if name.startswith("-"):
        return
    command: click.Command = importlib.import_module(f"gantry.cli.{COMMANDS[name][0]}").command
    if isinstance(command, click.Group):
        command, words = command.commands[words[0]], words[1:]
    known = {opt for param in command.params for opt in param.opts} | {"--help"}
    assert {word for word in words if word.startswith("-")} <= known
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    assert arguments or not [word for word in words[:1] if not word.startswith("-")]
