"""All that is particular to SQLite: connections, their settings, and what its errors mean.

One connection writes, in WAL with ``synchronous=FULL``: a commit returns when it would survive a power cut.
Readers have connections of their own, which cannot write, and see the state of one commit for as long as
their transaction lasts, whatever is written meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Executable, Table, bindparam, create_engine, event
from sqlalchemy.dialects import sqlite as dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql import ClauseElement

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

_DIALECT = dialect.dialect(paramstyle="qmark")


def prepare(statement: ClauseElement, *names: str) -> str:
    """The SQL text of `statement` for the DBAPI; `names` pin the order in which parameters must be given."""
    compiled = statement.compile(dialect=_DIALECT)
    order = tuple(getattr(compiled, "positiontup", None) or ())
    if names and order != names:
        raise AssertionError(f"statement takes {order}, not {names}")
    if any(value is not None for value in compiled.params.values()):
        raise AssertionError(f"a constant became a parameter of {compiled}")
    return str(compiled)


def prepare_insert(table: Table, *names: str) -> str:
    """The SQL text that inserts a row into `table`; the columns `names` stand in the table's own order."""
    return prepare(table.insert().values({name: bindparam(name) for name in names}), *names)


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


def begin_writing(connection: sqlite3.Connection) -> int:
    """Begin the transaction that writes; the number changes when another connection has written meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version


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
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        kind = _KINDS.get(code, StorageError)
        raise kind(f"{doing}: {cause}") from error


class Readers:
    """A few connections for reading, shared by all threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = reader_engine(path)
        # For prepared statements, which a store asks for each object: a pool that keeps books costs as much
        # as the statement.
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False

    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a prepared statement, in a transaction of its own."""
        with self.raw() as connection:
            return connection.execute(sql, parameters).fetchall()

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """A connection for prepared statements, each of which is a transaction of its own."""
        with translated_errors("reading the index"):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = connect_reader(self._path)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            if len(self._idle) < READERS and not self._closed:
                self._idle.append(connection)
            else:
                connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection whose statements all see the same state."""
        with translated_errors("reading the index"), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def raw_snapshot(self) -> Iterator[sqlite3.Connection]:
        """The same for prepared statements."""
        with self.snapshot() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            yield raw

    def explain(self, statement: Executable) -> list[str]:
        """SQLite's plan for a statement, one line per step."""
        compiled = statement.compile(  # type: ignore[attr-defined]
            dialect=_DIALECT, compile_kwargs={"render_postcompile": True}
        )
        names = compiled.positiontup or ()
        values = tuple(compiled.params[name] for name in names)
        return [row[3] for row in self.fetch(f"EXPLAIN QUERY PLAN {compiled}", values)]

    def close(self) -> None:
        """Close all connections; those in use are closed when they are given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()
