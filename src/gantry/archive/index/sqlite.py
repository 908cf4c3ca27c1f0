"""All that is particular to SQLite: connections, their settings, and what its errors mean.

One connection writes, in WAL with ``synchronous=FULL``: a commit returns when it would survive a power cut.
Readers have connections of their own, which cannot write, and see the state of one commit for as long as
their transaction lasts, whatever is written meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Executable, Result, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from gantry.archive.index.database import Parameters
from gantry.archive.index.statements import SQLITE, Prepared
from gantry.errors import Corrupt, OutOfSpace, StorageError

BUSY_TIMEOUT_MS = 10_000
"""How long to wait for another process (`gantry import` beside `gantry serve`) to end its transaction."""
WAL_PAGES = 4_000
"""Pages of 4 KiB in the log before they are carried over into the file: few, long stretches of writing."""
WRITER_CACHE_KIB = 64 * 1024
READER_CACHE_KIB = 8 * 1024
READERS = 8
"""Connections kept open for reading; more are opened while more threads ask at once."""
MAX_READERS = 64


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; transactions are begun and ended by the caller."""
    with translated_errors("opening the index"):
        return _connect(
            path,
            "journal_mode=WAL",
            "synchronous=FULL",
            f"wal_autocheckpoint={WAL_PAGES}",
            f"cache_size=-{WRITER_CACHE_KIB}",
        )


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    return _connect(path, "query_only=ON", f"cache_size=-{READER_CACHE_KIB}")


def reader_engine(path: Path) -> Engine:
    """Connections that cannot write; each transaction sees one state."""

    engine = create_engine(
        "sqlite://",
        creator=lambda: connect_reader(path),
        poolclass=QueuePool,
        pool_size=READERS,
        max_overflow=MAX_READERS - READERS,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _connect(path: Path, *settings: str) -> sqlite3.Connection:
    # isolation_level=None: the module must not begin transactions of its own accord
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    # LIKE must heed case, as prepared text does; then it also uses an index
    common = (f"busy_timeout={BUSY_TIMEOUT_MS}", "temp_store=MEMORY", "case_sensitive_like=ON")
    try:
        for setting in (*common, *settings):
            connection.execute(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


# What is broken can be made anew from the objects, what is full cannot: the archive must tell them apart
_KINDS = {
    sqlite3.SQLITE_FULL: OutOfSpace,
    sqlite3.SQLITE_CORRUPT: Corrupt,
    sqlite3.SQLITE_NOTADB: Corrupt,
}


@contextmanager
def translated_errors(doing: str) -> Iterator[None]:
    """Turn SQLite's errors into ours; `doing` says at what step."""
    try:
        yield
    except (sqlite3.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", 0)
        if code == sqlite3.SQLITE_IOERR_SHMSIZE:
            # Even who only reads needs the 32 KiB that connections share
            raise OutOfSpace(f"{doing}: no space is left on its disk") from error
        kind = _KINDS.get(code & 0xFF, StorageError)
        raise kind(f"{doing}: {cause}") from error


class SqliteSession:
    """A connection for prepared statements."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self._execute = raw.execute

    def execute(self, statement: Prepared, parameters: Parameters = ()) -> sqlite3.Cursor:
        """See `Session.execute`."""
        return self._execute(statement.sqlite, parameters)

    def executemany(self, statement: Prepared, rows: Iterable[Parameters]) -> sqlite3.Cursor:
        """See `Session.executemany`."""
        return self.raw.executemany(statement.sqlite, rows)

    def first_rows(self, statement: Prepared, rows: Sequence[Parameters]) -> list[Any]:
        """See `Session.first_rows`."""
        text = statement.sqlite
        return [self._execute(text, parameters).fetchone() for parameters in rows]


class SqliteWriter(SqliteSession):
    """The one connection that writes."""

    def __init__(self, path: Path) -> None:
        super().__init__(connect_writer(path))
        self._data_version = -1

    def begin(self) -> bool:
        """See `Writer.begin`."""
        self._execute("BEGIN IMMEDIATE")
        # A number that changes when another connection has written meanwhile
        version: int = self._execute("PRAGMA data_version").fetchone()[0]
        before, self._data_version = self._data_version, version
        return version != before

    def insert(self, statement: Prepared, row: Parameters) -> sqlite3.Cursor:
        """See `Writer.insert`."""
        return self._execute(statement.sqlite, row)

    def insert_all(self, statement: Prepared, rows: Sequence[Parameters]) -> sqlite3.Cursor:
        """See `Writer.insert_all`."""
        return self.raw.executemany(statement.sqlite, rows)

    def hold(self, one: Sequence[int] | None) -> None:
        """See `Writer.hold`. The archive's folder is open in one process only."""

    def hold_more(self, one: int) -> None:
        """See `Writer.hold_more`."""

    @property
    def holds(self) -> bool:
        """See `Writer.holds`."""
        return True

    def let_go(self) -> None:
        """See `Writer.let_go`."""

    def flush(self) -> None:
        """See `Writer.flush`: each statement was executed when it was given."""

    def commit(self) -> None:
        """See `Writer.commit`."""
        self._execute("COMMIT")

    def rollback(self) -> None:
        """See `Writer.rollback`."""
        if self.raw.in_transaction:
            self._execute("ROLLBACK")

    def translated_errors(self, doing: str) -> AbstractContextManager[None]:
        """See `Writer.translated_errors`."""
        return translated_errors(doing)

    def close(self) -> None:
        """Carry the log over into the file, so that the file alone is the index, and close the connection."""
        try:
            self._execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.raw.close()


class SqliteSnapshot(SqliteSession):
    """A connection whose statements all see the same state."""

    def __init__(self, connection: Connection) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        super().__init__(raw)
        self._connection = connection

    def select(self, statement: Executable) -> Result[Any]:
        """See `Snapshot.select`."""
        return self._connection.execute(statement)

    def each(self, statement: Prepared) -> Generator[Any]:
        """See `Snapshot.each`."""
        yield from self._execute(statement.sqlite)


class SqliteReaders:
    """A few connections for reading, shared by all threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = reader_engine(path)
        # For prepared statements, which a store asks for each object: a pool that keeps books costs as much
        # as the statement.
        self._idle: deque[SqliteSession] = deque()
        self._closed = False

    def fetch(self, statement: Prepared, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """See `Readers.fetch`."""
        with self.raw() as session:
            return session.execute(statement, parameters).fetchall()

    @contextmanager
    def raw(self) -> Iterator[SqliteSession]:
        """See `Readers.raw`."""
        with translated_errors("reading the index"):
            try:
                session = self._idle.pop()
            except IndexError:
                session = SqliteSession(connect_reader(self._path))
            try:
                yield session
            except BaseException:
                session.raw.close()
                raise
            if len(self._idle) < READERS and not self._closed:
                self._idle.append(session)
            else:
                session.raw.close()

    @contextmanager
    def snapshot(self) -> Iterator[SqliteSnapshot]:
        """See `Readers.snapshot`."""
        with translated_errors("reading the index"), self._engine.connect() as connection, connection.begin():
            yield SqliteSnapshot(connection)

    def explain(self, statement: Executable | Prepared, parameters: Parameters = ()) -> list[str]:
        """See `Readers.explain`."""
        if isinstance(statement, Prepared):
            return self._explained(statement.sqlite, parameters)
        compiled = statement.compile(  # type: ignore[attr-defined]
            dialect=SQLITE, compile_kwargs={"render_postcompile": True}
        )
        names = compiled.positiontup or ()
        return self._explained(str(compiled), tuple(compiled.params[name] for name in names))

    def _explained(self, text: str, values: Parameters) -> list[str]:
        with self.raw() as session:
            return [row[3] for row in session.raw.execute(f"EXPLAIN QUERY PLAN {text}", values)]

    def close(self) -> None:
        """See `Readers.close`."""
        self._closed = True
        while self._idle:
            self._idle.pop().raw.close()
        self._engine.dispose()
