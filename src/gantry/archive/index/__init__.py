"""The index of the archive: what is kept, where it lies, and how it is found."""

from __future__ import annotations

from gantry.archive.index.protocol import (
    AddEdit,
    AddRestore,
    AddTombstone,
    AddVersion,
    Change,
    ChangeKind,
    Conflict,
    ConflictKind,
    CurrentVersion,
    EditFilter,
    EditRow,
    Finding,
    Index,
    IndexChange,
    IndexStats,
    VersionKind,
    VersionRow,
)
from gantry.archive.records import Location

__all__ = [
    "AddEdit",
    "AddRestore",
    "AddTombstone",
    "AddVersion",
    "Change",
    "ChangeKind",
    "Conflict",
    "ConflictKind",
    "CurrentVersion",
    "EditFilter",
    "EditRow",
    "Finding",
    "Index",
    "IndexChange",
    "IndexStats",
    "Location",
    "VersionKind",
    "VersionRow",
]
