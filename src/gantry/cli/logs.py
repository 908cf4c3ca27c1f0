"""The log of `gantry serve`: one line an event on standard error, for people or as JSON for programs.

Whatever a message holds, it stays on its line: line ends and control characters are written as escapes, and a
traceback follows its message on the same line.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from gantry.cli.output import json_text, shown
from gantry.server.logs import current_request


def log_to_stderr(level: str, *, as_json: bool, worker: str = "") -> None:
    """Send what all rooms log, from this level on, to standard error; `worker` names this process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(worker) if as_json else TextLines(worker))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # The web server tells of its own life what we tell already.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


class TextLines(logging.Formatter):
    """Time, level, logger, message."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._name = f"[{worker}] " if worker else ""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {self._name}{record.name} {record.getMessage()}"
        request = current_request.get()
        if request is not None and not line.endswith(f"request={request.id}"):
            line += f"; request={request.id}"
        cause = _exception(record)
        return shown(f"{line} | {cause}" if cause else line)


class JsonLines(logging.Formatter):
    """The same as a JSON object, with the names of request and association to look for."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._more = {"worker": worker} if worker else {}

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._more,
        }
        request = current_request.get()
        if request is not None:
            entry["request"] = request.id
        association = getattr(record, "association", None)
        if association is not None:
            entry["association"] = association
        cause = _exception(record)
        return json_text(entry | {"exception": cause} if cause else entry)


def _time(record: logging.LogRecord) -> str:
    """ISO 8601, UTC with its offset: a log must be read right wherever it is read (N20)."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _exception(record: logging.LogRecord) -> str:
    if record.exc_info is None:
        return ""
    return logging.Formatter().formatException(record.exc_info)
