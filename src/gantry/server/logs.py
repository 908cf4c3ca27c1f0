"""What log lines hold: words of a peer, escaped, so that no peer writes lines of its own or hides what it
wrote; and the name of the request that they are of."""

from __future__ import annotations

import codecs
from contextvars import ContextVar
from typing import Protocol

# Looked up now: Python reads a codec from a file, and a process may have no file left to open when it logs
_ESCAPE = codecs.getencoder("unicode_escape")


class Named(Protocol):
    """A request."""

    @property
    def id(self) -> str: ...


current_request: ContextVar[Named | None] = ContextVar("gantry_request", default=None)
"""The request that is being answered here, for whoever writes the log."""


def escaped(text: str) -> str:
    """`text` in printable ASCII: controls, line ends, backslashes and everything beyond ASCII as escapes."""
    return _ESCAPE(text)[0].decode("ascii")
