"""The index of the archive: what is kept, where it lies, and how it is found."""

from __future__ import annotations

from gantry.archive.index.protocol import (
    AddRestore,
    AddTombstone,
    AddVersion,
    Change,
    ChangeKind,
    Conflict,
    ConflictKind,
    CurrentVersion,
    Finding,
    Index,
    IndexChange,
    IndexStats,
    VersionKind,
    VersionRow,
)
from gantry.archive.records import Location

__all__ = [
    "AddRestore",
    "AddTombstone",
    "AddVersion",
    "Change",
    "ChangeKind",
    "Conflict",
    "ConflictKind",
    "CurrentVersion",
    "Finding",
    "Index",
    "IndexChange",
    "IndexStats",
    "Location",
    "VersionKind",
    "VersionRow",
]
