"""Files that a person named: folders are walked, in a stable order, links to elsewhere not followed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gantry.errors import CallerError


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Every regular file at or below the paths. Raises CallerError for a path that is not there."""
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from (p for p in sorted(path.rglob("*")) if p.is_file() and not p.is_symlink())
        else:
            raise CallerError(f"there is no file or folder {path}")
