"""What the index asks of a SQL database; `sqlite_file` and `postgres` are the two there are.

Statements are `Prepared`; those that are made for one query are SQLAlchemy's, and go through a `Snapshot`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Executable, Result

from gantry.archive.index.statements import Prepared

Parameters = Sequence[Any]


class Cursor(Protocol):
    """The rows that a statement found."""

    def fetchone(self) -> Any:
        """The next row, None after the last."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """The rows one by one."""


class Session(Protocol):
    """A connection for prepared statements. Errors are the driver's; see `translated_errors`."""

    def execute(self, statement: Prepared, parameters: Parameters = ()) -> Cursor:
        """Execute a statement."""

    def executemany(self, statement: Prepared, rows: Iterable[Parameters]) -> object:
        """Execute a statement that finds nothing, once for each of `rows`."""

    def first_rows(self, statement: Prepared, rows: Sequence[Parameters]) -> list[Any]:
        """The first row that the statement finds for each of `rows`; None where it finds none."""


class Writer(Session, Protocol):
    """The one connection of an open index that writes."""

    def begin(self) -> bool:
        """Begin a transaction that excludes all others; whether another has written since the last."""

    def insert(self, statement: Prepared, row: Parameters) -> object:
        """Insert a row in a transaction, before anything else is executed in it that is no insert."""

    def insert_all(self, statement: Prepared, rows: Sequence[Parameters]) -> object:
        """Insert rows likewise."""

    def hold(self, one: Sequence[int] | None) -> None:
        """Hold what these numbers stand for, or everything, against all other nodes, until `let_go`.

        A transaction that begins while it is held is refused where it is held no more.
        """

    def hold_more(self, one: int) -> None:
        """Hold one more number, which whoever holds others takes last."""

    @property
    def holds(self) -> bool:
        """Whether what `hold` took is still held, as the database says."""

    def let_go(self) -> None:
        """Let go of all that is held."""

    def flush(self) -> None:
        """Wait until all statements of the transaction are executed, so that only the commit is left."""

    def commit(self) -> None:
        """Commit durably."""

    def rollback(self) -> None:
        """Take back the transaction, if one has begun."""

    def translated_errors(self, doing: str) -> AbstractContextManager[None]:
        """Turn the driver's errors into ours; `doing` says at what step."""

    def close(self) -> None:
        """Close the connection."""


class Snapshot(Session, Protocol):
    """A connection whose statements all see the same state."""

    def select(self, statement: Executable) -> Result[Any]:
        """The rows of a statement that was made for one query, read as they are taken."""

    def each(self, statement: Prepared) -> Generator[Any]:
        """The rows of a statement, some at a time: there may be any number. To be closed."""


class Readers(Protocol):
    """Connections for reading, shared by all threads. All raise StorageError."""

    def fetch(self, statement: Prepared, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement, in a transaction of its own."""

    def raw(self) -> AbstractContextManager[Session]:
        """A connection for prepared statements, each of which is a transaction of its own."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """A connection whose statements all see the same state, that of one commit."""

    def explain(self, statement: Executable | Prepared, parameters: Parameters = ()) -> list[str]:
        """The database's plan for a statement, a line a step; `parameters` are those of a prepared one."""

    def close(self) -> None:
        """Close all connections; those in use are closed when they are given back."""


class Database(Protocol):
    """Where the tables of one index are."""

    def prepare(self) -> str:
        """Make the tables, or bring them to the form that this release expects; the epoch of the index.

        Raises Corrupt, StorageError.
        """

    def connect_writer(self) -> Writer:
        """The connection that writes. Raises StorageError."""

    def connect_readers(self) -> Readers:
        """Connections that cannot write."""
