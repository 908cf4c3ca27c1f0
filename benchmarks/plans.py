"""The plans of what an index does: a database that notes each statement, to be explained afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from sqlalchemy import Executable

from gantry.archive.index.database import Database, Parameters, Readers, Session, Writer
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.index.statements import Prepared

Noted = list[tuple[Executable | Prepared, Parameters]]


class _Noting:
    """A connection that does what another does, and notes what it was asked; inserts have no plan."""

    def __init__(self, inner: Any, noted: Noted) -> None:
        self._inner, self._noted = inner, noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, statement: Prepared, parameters: Parameters = ()) -> Any:
        self._noted.append((statement, parameters))
        return self._inner.execute(statement, parameters)

    def first_rows(self, statement: Prepared, rows: Sequence[Parameters]) -> Any:
        self._noted += [(statement, row) for row in rows[:1]]
        return self._inner.first_rows(statement, rows)

    def select(self, statement: Executable) -> Any:
        self._noted.append((statement, ()))
        return self._inner.select(statement)


class _NotingReaders:
    def __init__(self, inner: Readers, noted: Noted) -> None:
        self._inner, self._noted = inner, noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def fetch(self, statement: Prepared, parameters: Parameters = ()) -> Any:
        self._noted.append((statement, parameters))
        return self._inner.fetch(statement, parameters)

    def raw(self) -> AbstractContextManager[Any]:
        return self._wrapped(self._inner.raw())

    def snapshot(self) -> AbstractContextManager[Any]:
        return self._wrapped(self._inner.snapshot())

    @contextmanager
    def _wrapped(self, taken: AbstractContextManager[Session]) -> Iterator[Any]:
        with taken as session:
            yield _Noting(session, self._noted)


class NotingDatabase:
    """The same tables, read and written by connections that note."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.noted: Noted = []

    def prepare(self) -> str:
        return self._inner.prepare()

    def connect_writer(self) -> Writer:
        return cast("Writer", _Noting(self._inner.connect_writer(), self.noted))

    def connect_readers(self) -> Readers:
        return cast("Readers", _NotingReaders(self._inner.connect_readers(), self.noted))


def plans(database: Database, works: dict[str, Callable[[SqlIndex], object]]) -> dict[str, list[str]]:
    """The plans of all statements of each of `works`, one after the other, each statement once."""
    noting = NotingDatabase(database)
    index = SqlIndex(noting)
    readers = database.connect_readers()
    found = {}
    try:
        for name, work in works.items():
            noting.noted.clear()
            work(index)
            different = {_key(statement): (statement, values) for statement, values in noting.noted}
            found[name] = [
                line
                for statement, values in different.values()
                for line in ("", *readers.explain(statement, values))
            ]
    finally:
        readers.close()
        index.close()
    return found


def _key(statement: Executable | Prepared) -> str:
    return statement.sqlite if isinstance(statement, Prepared) else str(statement)
