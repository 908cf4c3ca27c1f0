"""Files that get their name when they are whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from gantry.errors import CallerError

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
"""What file systems answer that have no second names for a file."""


def name_anew(source: Path, target: Path) -> None:
    """Give a file its name, never in the place of another. Raises CallerError, OSError."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise CallerError(f"{target} exists; --force overwrites") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            target.touch(exist_ok=False)
        except FileExistsError:
            raise CallerError(f"{target} exists; --force overwrites") from None
        source.replace(target)
