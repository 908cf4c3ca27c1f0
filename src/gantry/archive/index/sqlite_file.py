"""The index in one SQLite file."""

from __future__ import annotations

from pathlib import Path

from gantry.archive.index import migrate
from gantry.archive.index.sqlite import SqliteReaders, SqliteWriter, translated_errors


class SqliteFile:
    """A `Database` that is one file, which is made when it does not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> str:
        """See `Database.prepare`."""
        return migrate.prepare_file(self._path)

    def connect_writer(self) -> SqliteWriter:
        """See `Database.connect_writer`."""
        with translated_errors("opening the index"):
            return SqliteWriter(self._path)

    def connect_readers(self) -> SqliteReaders:
        """See `Database.connect_readers`."""
        return SqliteReaders(self._path)
