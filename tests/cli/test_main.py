"""The root of the command line: help without loading anything, exit codes, errors in a sentence."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import command
from cli.conftest import Gantry
from gantry.cli.exits import Exit, exit_code
from gantry.cli.main import COMMANDS, root
from gantry.errors import (
    ConnectError,
    DataSetError,
    GantryError,
    NotFound,
    OutOfSpace,
    ProtocolError,
    SettingsError,
)

HEAVY = ("numpy", "pydicom", "PIL", "imagecodecs", "reportlab", "rich", "sqlalchemy", "httpx", "alembic")


def test_help_names_every_command_with_its_summary(gantry: Gantry) -> None:
    shown = gantry("--help")
    assert shown.code == 0
    for name, (_, summary) in COMMANDS.items():
        assert any(line.split() == [name, *summary.split()] for line in shown.lines)
    for code in Exit:
        assert str(code.value) in shown.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, gantry: Gantry) -> None:
    shown = gantry(name, "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: gantry {name}")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "completion"])
def test_every_command_prints_json_and_explains_its_options(name: str) -> None:
    module = importlib.import_module(f"gantry.cli.{COMMANDS[name][0]}")
    command = module.command
    for one in command.commands.values() if isinstance(command, click.Group) else [command]:
        options = [param for param in one.params if isinstance(param, click.Option)]
        assert any("--json" in option.opts for option in options)
        assert all(option.help for option in options)


def test_version(gantry: Gantry) -> None:
    assert gantry("--version").out.startswith("gantry, version ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("x"), Exit.USAGE),
        (ConnectError("x"), Exit.NETWORK),
        (ProtocolError("x"), Exit.NETWORK),
        (OutOfSpace("x"), Exit.STORAGE),
        (NotFound("x"), Exit.NOT_FOUND),
        (DataSetError("x"), Exit.BAD_INPUT),
        (GantryError("x"), Exit.PROBLEMS),
    ],
)
def test_which_error_gives_which_exit_code(error: GantryError, code: Exit) -> None:
    assert exit_code(error) is code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nonsense"], Exit.USAGE),
        (["serve", "--nonsense"], Exit.USAGE),
        (["find", "study", "NoSuchKeyword=1"], Exit.USAGE),
        (["config", "--config", "/no/such/file.toml"], Exit.USAGE),
        (["echo", "NOBODY"], Exit.USAGE),
        (["echo", "A\\B@127.0.0.1:104"], Exit.USAGE),
        (["get", "out", "--study", "1.2", "--instance", "3"], Exit.USAGE),
        (["get", "out", "--study", "../../etc"], Exit.USAGE),
        (["import", "/no/such/file"], Exit.USAGE),
    ],
)
def test_what_cannot_be_asked_is_told_in_words(words: list[str], code: Exit, gantry: Gantry) -> None:
    ended = gantry(*words)
    assert ended.code == code
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert ended.err.strip()


def test_a_failed_disk_is_told_with_the_file(gantry: Gantry, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    ended = gantry("example", "--to", tmp_path / "file" / "below")
    assert ended.code == Exit.STORAGE
    assert str(tmp_path / "file" / "below") in ended.err


def test_help_and_completion_load_nothing_heavy(tmp_path: Path) -> None:
    probe = (
        "import sys; from gantry.cli.main import run; run(['--help']);"
        f"print([m for m in {HEAVY!r} if m in sys.modules] + [m for m in sys.modules if 'gantry.' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        env=command.environment(tmp_path),
        check=True,
    )
    loaded = eval(done.stdout.splitlines()[-1])
    assert set(loaded) == {
        "gantry.cli",
        "gantry.cli.main",
        "gantry.cli.exits",
        "gantry.cli.output",
        "gantry.errors",
    }


@pytest.mark.parametrize(
    "words", [["echo", "A@127.0.0.1:1"], ["config"], ["find", "study", "-p", "A@127.0.0.1:1"]]
)
def test_small_commands_load_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    probe = f"import sys; from gantry.cli.main import run; run({words!r}); print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        env=command.environment(tmp_path),
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "gantry", "config"],
        stdout=write,
        stderr=subprocess.PIPE,
        env=command.environment(tmp_path),
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


COMPLETE = """
source <(printf '%s' "$SCRIPT")
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_gantry_completion gantry
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["gantry", "se"], {"serve", "send"}),
        (["gantry", ""], set(COMMANDS)),
        (["gantry", "find", "stu"], {"study"}),
        (["gantry", "find", "study", "PatientNa"], {"PatientName"}),
        (["gantry", "send", "--assoc"], {"--associations"}),
    ],
)
def test_bash_completes(words: list[str], expected: set[str], tmp_path: Path, gantry: Gantry) -> None:
    script = gantry("completion", "bash").out
    program = tmp_path / "gantry"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gantry "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", *words],
        capture_output=True,
        text=True,
        env=command.environment(tmp_path)
        | {"SCRIPT": script, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) == expected


def test_completion_offers_no_command_that_is_not_there() -> None:
    context = click.Context(root)
    assert [item.value for item in root.shell_complete(context, "")] == list(COMMANDS)
