"""Programs of others that tests install once, beside the packages of this Python and never among them."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

INSTALL_TIMEOUT_S = 300


def installed(name: str, command: Callable[[Path], Sequence[str | Path]]) -> Path:
    """The folder of a program, made by `command` where there is none; one test process makes it.

    A test is skipped with a word where it cannot be had.
    """
    place = Path(sys.prefix) / "peers" / name
    done = place / "installed"
    if done.exists():
        return place
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        pytest.skip(f"{name} cannot be installed: {error}")
    with place.with_name(place.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _run(name, command(place))
            done.touch()
    return place


def _run(name: str, command: Sequence[str | Path]) -> None:
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{name} cannot be fetched")
    if ended.returncode != 0:
        pytest.skip(f"{name} cannot be installed: {ended.stderr[-300:]}")
