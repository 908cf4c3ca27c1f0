"""Log lines: one an event, whatever its text holds."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass

import pytest

from gantry.cli.logs import JsonLines, TextLines
from gantry.server.logs import current_request


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


@dataclass(frozen=True)
class OneRequest:
    id: str


def test_a_line_of_a_request_or_an_association_says_which() -> None:
    told = current_request.set(OneRequest("abc-7"))
    try:
        assert TextLines().format(record("is damaged")).endswith(" is damaged; request=abc-7")
        assert TextLines().format(record("400; request=abc-7")).endswith(" 400; request=abc-7")
        assert json.loads(JsonLines().format(record("is damaged")))["request"] == "abc-7"
    finally:
        current_request.reset(told)
    ended = record("association ended")
    ended.association = 12
    line = json.loads(JsonLines().format(ended))
    assert line["association"] == 12
    assert "request" not in line
