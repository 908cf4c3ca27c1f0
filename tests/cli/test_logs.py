"""Log lines: one an event, whatever its text holds."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from gantry.cli.logs import JsonLines, TextLines


def record(message: str, *values: object, with_error: bool = False) -> logging.LogRecord:
    error = None
    if with_error:
        try:
            raise ValueError("broken\x1b")
        except ValueError:
            error = sys.exc_info()
    made = logging.LogRecord("gantry.test", logging.WARNING, __file__, 1, message, values, error)
    made.created = 1767225600.25
    return made


def test_a_line_has_time_level_logger_and_message() -> None:
    line = TextLines().format(record("stored %d objects", 3))
    assert line == "2026-01-01T00:00:00.250+00:00 WARNING gantry.test stored 3 objects"


def test_json_has_the_same() -> None:
    assert json.loads(JsonLines().format(record("stored %d objects", 3))) == {
        "time": "2026-01-01T00:00:00.250+00:00",
        "level": "warning",
        "logger": "gantry.test",
        "message": "stored 3 objects",
    }


@pytest.mark.parametrize("formatter", [TextLines(), JsonLines()])
@pytest.mark.parametrize("with_error", [False, True])
def test_b36_a_peer_writes_no_lines_of_its_own(formatter: logging.Formatter, with_error: bool) -> None:
    line = formatter.format(
        record("called by %s", "A\r\n2026 INFO forged \x1b[2J\u202e", with_error=with_error)
    )
    assert line.isprintable()
    assert not with_error or "ValueError: broken" in line
