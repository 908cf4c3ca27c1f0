"""A time of day that a test sets while a server runs, by Debian's faketime: clocks jump, seconds come twice.

The clock that only goes on (CLOCK_MONOTONIC) stays as it is, as it does on a real machine whose clock is set.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from gantry_process import SOURCE

_SLEEP = """\
import select
import time

time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
"""faketime 0.9.10 refuses the call that Python sleeps by (clock_nanosleep until a time of CLOCK_MONOTONIC)."""


class FakedClock:
    """What the time is for processes that are started `within` it."""

    def __init__(self, folder: Path) -> None:
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            pytest.skip("faketime (Debian package faketime) is not installed")
        self._library = libraries[0]
        self._file = folder / "clock"
        self._repairs = folder / "repairs"
        self._repairs.mkdir()
        (self._repairs / "sitecustomize.py").write_text(_SLEEP)
        self._offset_s = 0.0
        self.turn(0)

    def within(self, zone: str) -> tuple[str, ...]:
        """What stands before a command that is to see this time, in a time zone."""
        # Python waits for its own lock by a call that faketime makes as long as WAIT_MS, 100 unless told
        return (
            "env", f"TZ={zone}", f"LD_PRELOAD={self._library}", f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1", "FAKETIME_WAIT_MS=2", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1",
            f"PYTHONPATH={self._repairs}:{SOURCE}",
        )  # fmt: skip

    def turn(self, seconds: float) -> None:
        """Set it forward, or back."""
        self._offset_s += seconds
        made = self._file.with_suffix(".new")
        made.write_text(f"{self._offset_s:+.3f}\n")
        made.replace(self._file)

    def set(self, moment: datetime) -> None:
        """Set it to a time."""
        self.turn(moment.timestamp() - (time.time() + self._offset_s))
