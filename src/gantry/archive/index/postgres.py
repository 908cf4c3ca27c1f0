"""The index over PostgreSQL: one connection that writes, and a pool of those that read.

One connection of each node writes. A transaction begins by locking the row of `totals`, which every one of
them changes: so writers of all nodes come one after the other, row ids and the numbers of the feed have no
gaps and follow the order of the commits, and who wrote last is known by that row. The statements of a
transaction are sent without waiting for each other's answers, as far as nobody asks for what they found.

Readers come from a pool that is bounded; a snapshot is a transaction in REPEATABLE READ. Every statement of
the code is prepared once for each connection. A connection that broke is made anew when it is next needed;
while the server cannot be reached nobody waits for it longer than `CONNECT_S`, and who comes between two
attempts is refused at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy import Connection, Engine, Executable, Result, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gantry.archive.index.database import Parameters
from gantry.archive.index.postgres_server import (
    CONNECT_S,
    LAST_RETRY_S,
    OPTIONS,
    Outage,
    Server,
    settle,
    translated_errors,
)
from gantry.archive.index.statements import Prepared, postgresql
from gantry.errors import StorageError, Unreachable

PREPARED = 400
"""Statements kept prepared by a connection; the code has about a hundred."""

MOST_ROWS = 64
"""Rows inserted by one statement."""
_VALUES = " VALUES "
_ROWS_AT_ONCE = 1000
_T = TypeVar("_T")

# The lock is on a row that every transaction changes, so its `xmin` names who wrote last. Where the index was
# superseded there is no such row any more, also for who was waiting for it.
_BEGIN = "SELECT xmin::text::bigint, txid_current() & 4294967295 FROM totals WHERE id = 1 FOR UPDATE"


class _PostgresSession:
    """A connection for prepared statements."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        raw.prepared_max = PREPARED
        self.raw = raw

    def execute(self, statement: Prepared, parameters: Parameters = ()) -> psycopg.Cursor[Any]:
        """See `Session.execute`."""
        return self.raw.execute(statement.postgresql, parameters, prepare=True)

    def executemany(self, statement: Prepared, rows: Iterable[Parameters]) -> None:
        """See `Session.executemany`."""
        left = list(rows)
        single, values, group = statement.postgresql.partition(_VALUES)
        while left and values:
            # so many at once that few statements must be prepared
            count = min(1 << len(left).bit_length() - 1, MOST_ROWS)
            text = f"{single}{values}{', '.join([group] * count)}"
            self.raw.execute(text, [value for row in left[:count] for value in row], prepare=True)
            del left[:count]
        for row in left:
            self.execute(statement, row)

    def first_rows(self, statement: Prepared, rows: Sequence[Parameters]) -> list[Any]:
        """See `Session.first_rows`."""
        if len(rows) < 2:
            return [self.execute(statement, row).fetchone() for row in rows]
        with self.raw.pipeline():
            return [found.fetchone() for found in [self.execute(statement, row) for row in rows]]


# Who does not come back within this time is taken for dead, and its turn for over
_TURN_S = 600
_ALL_OF_IT = 0


class PostgresWriter:
    """The one connection of this node that writes; made anew when it broke.

    What is held is held by this connection and by no other: where it breaks, others take their turns, and
    what was begun in ours cannot be committed any more. `salt` tells the numbers of this index from others'.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], outage: Outage, salt: int = 0) -> None:
        self._connect = connect
        self._outage = outage
        self._salt = salt
        # The connection that holds something
        self._holder: _PostgresSession | None = None
        self._session: _PostgresSession | None = None
        self._pipeline: AbstractContextManager[Any] | None = None
        self._transaction = self._last_transaction = -1
        self._waiting: dict[Prepared, list[Parameters]] = {}
        self._connected()

    def _connected(self) -> _PostgresSession:
        session = self._session
        if session is None or session.raw.closed:
            session = _PostgresSession(self._outage.connected(self._connect))
            try:
                self._wait_for_predecessors(session)
            except BaseException:
                session.raw.close()
                raise
            self._session = session
        return session

    def _wait_for_predecessors(self, session: _PostgresSession) -> None:
        """Let a commit end that was sent over a connection which broke, or by a process that died.

        Until then nobody can tell whether it took place: what is asked now would be answered without it.
        """
        with session.raw.transaction():
            session.raw.execute(_BEGIN)

    def execute(self, statement: Prepared, parameters: Parameters = ()) -> psycopg.Cursor[Any]:
        """See `Session.execute`. Outside of a transaction, a connection that proves broken is made anew."""
        if self._pipeline is not None and self._session is not None:
            self._insert_waiting(self._session)
            return self._session.execute(statement, parameters)
        return self._again(lambda session: session.execute(statement, parameters))

    def executemany(self, statement: Prepared, rows: Iterable[Parameters]) -> None:
        """See `Session.executemany`; for use in a transaction."""
        assert self._session is not None, "a transaction has a connection"
        self._insert_waiting(self._session)
        self._session.executemany(statement, rows)

    def insert(self, statement: Prepared, row: Parameters) -> None:
        """See `Writer.insert`. Rows wait for others of their table, because each statement costs the same."""
        self._waiting.setdefault(statement, []).append(row)

    def insert_all(self, statement: Prepared, rows: Sequence[Parameters]) -> None:
        """See `Writer.insert_all`."""
        self._waiting.setdefault(statement, []).extend(rows)

    def _insert_waiting(self, session: _PostgresSession) -> None:
        waiting, self._waiting = self._waiting, {}
        for statement, rows in waiting.items():
            session.executemany(statement, rows)

    def first_rows(self, statement: Prepared, rows: Sequence[Parameters]) -> list[Any]:
        """See `Session.first_rows`."""
        if self._pipeline is not None and self._session is not None:
            self._insert_waiting(self._session)
            return self._session.first_rows(statement, rows)
        return self._again(lambda session: session.first_rows(statement, rows))

    def _again(self, do: Callable[[_PostgresSession], _T]) -> _T:
        session = self._connected()
        try:
            return do(session)
        except psycopg.OperationalError:
            if not session.raw.closed:
                raise
        # It was broken before, as after a restart of the server; nothing was asked of the new one yet
        return do(self._connected())

    def begin(self) -> bool:
        """See `Writer.begin`."""
        return self._again(self._begin)

    def hold(self, one: Sequence[int] | None) -> None:
        """See `Writer.hold`. Raises psycopg.Error."""
        self._again(lambda session: self._hold(session, one))

    def _hold(self, session: _PostgresSession, one: Sequence[int] | None) -> None:
        kind = "" if one is None else "_shared"
        try:
            with session.raw.pipeline():
                if one is not None:
                    session.raw.execute(f"SET idle_session_timeout = '{_TURN_S}s'")
                session.raw.execute(f"SELECT pg_advisory_lock{kind}(%s)", (self._numbered(_ALL_OF_IT),))
                # In one order, so that nobody waits for who waits for them
                for number in sorted({self._numbered(number) for number in one or ()}):
                    session.raw.execute("SELECT pg_advisory_lock(%s)", (number,), prepare=True)
        except psycopg.Error:
            self._release(session)
            raise
        self._holder = session

    def hold_more(self, one: int) -> None:
        """See `Writer.hold_more`. Raises psycopg.Error, StorageError."""
        self._require_turn()
        assert self._holder is not None
        self._holder.raw.execute("SELECT pg_advisory_lock(%s)", (self._numbered(one),))

    @property
    def holds(self) -> bool:
        """See `Writer.holds`."""
        try:
            self._require_turn()
            if self._holder is not None:
                self._holder.raw.execute("SELECT 1")
        except (psycopg.Error, Unreachable):
            return False
        return True

    def let_go(self) -> None:
        """See `Writer.let_go`."""
        holder, self._holder = self._holder, None
        if holder is not None:
            self._release(holder)

    def _release(self, session: _PostgresSession) -> None:
        if session.raw.closed:
            return
        try:
            with session.raw.pipeline():
                session.raw.execute("SELECT pg_advisory_unlock_all()")
                session.raw.execute("SET idle_session_timeout = 0")
        except psycopg.Error:
            session.raw.close()  # with which everything is let go

    def _numbered(self, number: int) -> int:
        return (self._salt + number) % (1 << 63)

    def _require_turn(self) -> None:
        if self._holder is not None and (self._holder is not self._session or self._holder.raw.closed):
            raise Unreachable("the connection to PostgreSQL broke, and with it our turn was over")

    def _begin(self, session: _PostgresSession) -> bool:
        self._require_turn()
        pipeline = session.raw.pipeline()
        pipeline.__enter__()
        self._pipeline = pipeline
        try:
            session.raw.execute("BEGIN")
            row = session.raw.execute(_BEGIN, prepare=True).fetchone()
        except psycopg.Error:
            self.rollback()
            raise
        if row is None:
            self.rollback()
            raise StorageError("the index was made anew meanwhile, and another has taken its place")
        before, self._transaction = row
        return bool(before != self._last_transaction)

    def flush(self) -> None:
        """See `Writer.flush`."""
        if self._pipeline is not None and self._session is not None:
            self._insert_waiting(self._session)
        self._leave_pipeline()

    def _leave_pipeline(self) -> None:
        if self._pipeline is not None:
            pipeline, self._pipeline = self._pipeline, None
            pipeline.__exit__(None, None, None)

    def commit(self) -> None:
        """See `Writer.commit`."""
        self.flush()
        assert self._session is not None, "a transaction has a connection"
        self._session.raw.execute("COMMIT")
        self._last_transaction = self._transaction

    def rollback(self) -> None:
        """See `Writer.rollback`."""
        self._last_transaction = -1
        self._waiting.clear()
        with suppress(psycopg.Error):  # what failed in it was told when it failed
            self._leave_pipeline()
        if self._session is None or self._session.raw.closed:
            return
        if self._session.raw.info.transaction_status is not TransactionStatus.IDLE:
            self._session.raw.execute("ROLLBACK")

    def translated_errors(self, doing: str) -> AbstractContextManager[None]:
        """See `Writer.translated_errors`."""
        return translated_errors(doing)

    def close(self) -> None:
        """See `Writer.close`."""
        if self._session is not None:
            self._session.raw.close()


class PostgresSnapshot(_PostgresSession):
    """A connection whose statements all see the same state."""

    def __init__(self, connection: Connection) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        super().__init__(raw)
        self._connection = connection
        self.is_open = True

    def select(self, statement: Executable) -> Result[Any]:
        """See `Snapshot.select`."""
        return self._connection.execute(statement)

    def each(self, statement: Prepared) -> Generator[Any]:
        """See `Snapshot.each`. The server keeps the rest: without a cursor there, all would come at once."""
        with self.raw.cursor(name="each") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            yield from cursor.execute(statement.postgresql, ())


class PostgresReaders:
    """A bounded pool of connections for reading.

    A thread that asks while it holds a snapshot is answered from that: it must not wait for a second
    connection that others like it hold.
    """

    def __init__(self, server: Server, schema: str, count: int, outage: Outage) -> None:
        self._outage = outage
        self._connect = partial(server.connect, schema)
        self._held = threading.local()
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            server.conninfo,
            kwargs=OPTIONS,
            configure=lambda connection: settle(connection, schema),
            min_size=1,
            max_size=count,
            open=False,
            close_returns=True,  # so SQLAlchemy gives them back
            reconnect_timeout=2 * LAST_RETRY_S,
            name=f"index {schema}",
        )
        self._pool.open()
        self._engine = engine_over(self._taken, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def fetch(self, statement: Prepared, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """See `Readers.fetch`."""
        try:
            return self._fetched(statement, parameters)
        except Unreachable:
            if self._outage.lasts:
                raise
        self._drop_broken()
        return self._fetched(statement, parameters)

    def _fetched(self, statement: Prepared, parameters: Parameters) -> list[tuple[Any, ...]]:
        with self.raw() as session:
            return session.execute(statement, parameters).fetchall()

    @contextmanager
    def raw(self) -> Iterator[_PostgresSession]:
        """See `Readers.raw`."""
        with translated_errors("reading the index"):
            held: PostgresSnapshot | None = getattr(self._held, "snapshot", None)
            if held is not None and held.is_open:
                yield held
                return
            connection = self._taken()
            try:
                yield _PostgresSession(connection)
            finally:
                if connection.closed:
                    self._outage.is_suspected("a connection broke")
                self._pool.putconn(connection)

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        """See `Readers.snapshot`."""
        with translated_errors("reading the index"), self._transaction() as connection:
            snapshot = self._held.snapshot = PostgresSnapshot(connection)
            try:
                yield snapshot
            finally:
                snapshot.is_open = False

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        connection = self._engine.connect()
        try:
            try:
                connection.begin()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                connection.close()
                self._outage.is_suspected("a connection broke")
                self._drop_broken()
                connection = self._engine.connect()
                connection.begin()
            yield connection
        finally:
            connection.close()

    def _taken(self) -> psycopg.Connection[Any]:
        """A connection of the pool. Raises Unreachable, psycopg.Error where none is to be had."""
        if self._outage.is_known:
            self._look()
        try:
            return self._pool.getconn(timeout=CONNECT_S)
        except PoolTimeout:
            self._outage.is_suspected("no connection is free")
            raise

    def _drop_broken(self) -> None:
        """Have connections that broke while nobody used them made anew, as after a restart of the server."""
        with translated_errors("reading the index"):
            self._look()
            self._pool.check()

    def _look(self) -> None:
        """Raises as `_taken` does while the server is away, which the pool would say only after a while."""
        self._outage.connected(self._connect).close()

    def explain(self, statement: Executable | Prepared, parameters: Parameters = ()) -> list[str]:
        """See `Readers.explain`."""
        if isinstance(statement, Prepared):
            return self._explained(statement.postgresql, parameters)
        compiled = statement.compile(  # type: ignore[attr-defined]
            dialect=postgresql(), compile_kwargs={"render_postcompile": True}
        )
        return self._explained(str(compiled), [compiled.params[name] for name in compiled.positiontup or ()])

    def _explained(self, text: str, values: Parameters) -> list[str]:
        with self.snapshot() as snapshot:
            return [line for (line,) in snapshot.raw.execute(f"EXPLAIN {text}", values)]

    def close(self) -> None:
        """See `Readers.close`."""
        self._engine.dispose()
        self._pool.close()


def engine_over(connect: Callable[[], psycopg.Connection[Any]], begin: str) -> Engine:
    """SQLAlchemy over connections of ours, whose transactions begin with `begin`."""
    engine = create_engine(
        "postgresql+psycopg://", creator=connect, poolclass=NullPool, use_native_hstore=False
    )

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
