"""Errors that a library cannot raise, because they happen where Python code may not fail: seen all the same.

The interpreter hands them to ``sys.unraisablehook`` and goes on, and the caller is given a result that is
none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_watched: ContextVar[tuple[str, list[BaseException]] | None] = ContextVar("watched", default=None)
_before: Any = sys.unraisablehook


@contextmanager
def unraised(origin: str) -> Iterator[list[BaseException]]:
    """What goes wrong in this thread within `origin`, a part of the name of who could not raise it."""
    global _before
    installed = sys.unraisablehook
    if installed is not _note:
        _before = installed
        sys.unraisablehook = _note
    seen: list[BaseException] = []
    token = _watched.set((origin, seen))
    try:
        yield seen
    finally:
        _watched.reset(token)


def _note(unraisable: Any) -> None:
    watched = _watched.get()
    if watched is not None and unraisable.exc_value is not None and watched[0] in str(unraisable.object):
        watched[1].append(unraisable.exc_value)
    else:
        _before(unraisable)
