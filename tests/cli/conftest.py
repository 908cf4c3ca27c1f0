"""Commands run in this process, with a home of their own, or as the real program."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from command import Server, serving
from gantry.cli.main import run


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> list[Any]:
        """The values that were printed, one a line."""
        return [json.loads(line) for line in self.lines]


Gantry = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings, so that no test reads or writes a person's."""
    for name in [name for name in os.environ if name.startswith("GANTRY_") and name != "GANTRY_SHARED"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path


@pytest.fixture
def gantry(home: Path, capsys: pytest.CaptureFixture[str]) -> Gantry:
    """Run a command in this process: ``gantry("find", "study").lines``."""

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        code = run([str(word) for word in words])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One `gantry serve` for the tests of a module, which knows DCMTK's storescp as a peer by a free port."""
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running
