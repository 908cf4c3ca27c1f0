"""The index on a SQL database, made of the files beside this one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gantry.archive.index import edit_list, feed, inspection, places
from gantry.archive.index.database import Database
from gantry.archive.index.find import Finder
from gantry.archive.index.ingest import Ingest
from gantry.archive.index.protocol import (
    Change,
    Conflict,
    CurrentVersion,
    EditFilter,
    EditRow,
    Finding,
    IndexChange,
    IndexStats,
    VersionRow,
    at_once,
)
from gantry.archive.index.sqlite_file import SqliteFile
from gantry.archive.query import FindResult, HeaderOf, Query, TextQuery
from gantry.archive.records import InstanceKey, Location

_ACTS = 1


def _number(name: Sequence[str]) -> int:
    """What stands for something among nodes; two that share a number only wait for each other."""
    digest = hashlib.sha256("/".join(name).encode("utf-8", "replace")).digest()
    return 2 + (int.from_bytes(digest[:8], "big") >> 2)


class SqlIndex:
    """An `Index` in a database, or in the SQLite file at a path; it is made when it does not exist.

    Raises StorageError when there is something else, or an index that was made by a later release.
    """

    def __init__(self, place: Database | Path) -> None:
        database = SqliteFile(place) if isinstance(place, Path) else place
        self._epoch = database.prepare()
        self._writing = threading.RLock()
        self._writer = database.connect_writer()
        self._ingest = Ingest(self._writer)
        self._ingest.rederive_if_older()
        self._readers = database.connect_readers()
        self._finder = Finder(self._readers)

    @property
    def epoch(self) -> str:
        """See `Index.epoch`."""
        return self._epoch

    def known(self, keys: Iterable[InstanceKey]) -> Set[InstanceKey]:
        """See `Index.known`."""
        return places.known(self._readers, keys)

    def lookup(self, keys: Iterable[InstanceKey]) -> dict[InstanceKey, CurrentVersion]:
        """See `Index.lookup`."""
        with self._writing:
            return self._ingest.lookup(keys)

    def apply(self, changes: Sequence[IndexChange], ready: Callable[[], object] = at_once) -> int:
        """See `Index.apply`."""
        with self._writing:
            return self._ingest.apply(changes, ready)

    @contextmanager
    def turn(self, names: Iterable[Sequence[str]] | None) -> Iterator[None]:
        """See `Index.turn`."""
        numbers = None if names is None else [_number(name) for name in names]
        with self._writing:
            with self._writer.translated_errors("waiting for other nodes"):
                self._writer.hold(numbers)
            try:
                yield
            finally:
                self._writer.let_go()

    def take_acts(self) -> None:
        """See `Index.take_acts`."""
        with self._writing, self._writer.translated_errors("waiting for other nodes"):
            self._writer.hold_more(_ACTS)

    @property
    def is_our_turn(self) -> bool:
        """See `Index.is_our_turn`."""
        with self._writing:
            return self._writer.holds

    def find(self, query: Query, header_of: HeaderOf | None = None) -> FindResult:
        """See `Index.find`."""
        return self._finder.find(query, header_of)

    def search_text(self, query: TextQuery) -> FindResult:
        """See `Index.search_text`."""
        return self._finder.search_text(query)

    def locate(
        self,
        study_uid: str | None = None,
        series_uid: str | None = None,
        sop_uid: str | None = None,
        version: int | None = None,
    ) -> list[Location]:
        """See `Index.locate`."""
        return places.locate(self._readers, study_uid, series_uid, sop_uid, version)

    def versions(self, key: InstanceKey) -> list[VersionRow]:
        """See `Index.versions`."""
        return places.versions(self._readers, key)

    def all_versions(self) -> Iterator[VersionRow]:
        """See `Index.all_versions`."""
        return places.all_versions(self._readers)

    def versions_after(self, after: int) -> list[tuple[int, VersionRow]]:
        """See `Index.versions_after`."""
        return places.versions_after(self._readers, after)

    def edits(self, what: EditFilter, before: int = 0, limit: int = 100) -> list[EditRow]:
        """See `Index.edits`."""
        return edit_list.edits(self._readers, what, before, limit)

    def edit(self, number: int) -> EditRow | None:
        """See `Index.edit`."""
        return edit_list.edit(self._readers, number)

    def changes(self, after: int = 0, limit: int = 1000, sop_class_uid: str = "") -> list[Change]:
        """See `Index.changes`."""
        return feed.changes(self._readers, after, limit, sop_class_uid)

    def conflicts(self, after: int = 0, limit: int = 1000) -> list[Conflict]:
        """See `Index.conflicts`."""
        return feed.conflicts(self._readers, after, limit)

    def heard(self) -> tuple[int, str]:
        """See `Index.heard`."""
        return feed.heard(self._readers)

    def tell_damage(self, word: str) -> None:
        """See `Index.tell_damage`."""
        with self._writing:
            self._ingest.tell_damage(word)

    def stats(self) -> IndexStats:
        """See `Index.stats`."""
        return feed.stats(self._readers)

    def check(self) -> list[Finding]:
        """See `Index.check`."""
        return inspection.check(self._readers)

    def repair_counts(self) -> int:
        """See `Index.repair_counts`."""
        found = len(self.check())
        with self._writing:
            self._ingest.rederive()
        return found

    def canonical_dump(self, *, in_order: bool = True) -> Iterator[dict[str, Any]]:
        """See `Index.canonical_dump`."""
        return inspection.canonical_dump(self._readers, in_order=in_order)

    def close(self) -> None:
        """See `Index.close`."""
        self._readers.close()
        with self._writing:
            self._ingest.close()
