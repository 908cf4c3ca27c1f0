"""The index in one schema of a PostgreSQL database."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gantry.archive.index import migrate, schema
from gantry.archive.index.postgres import PostgresReaders, PostgresWriter
from gantry.archive.index.postgres_server import READERS, Outage, Server, translated_errors
from gantry.errors import StorageError

MIGRATION_LOCK = "2s"
"""How long a migration waits for a table, and all who come after it with it, before it lets them pass."""
MIGRATION_TRIES = 30
_PAUSE_S = 1.0
MAKING = 4726_0001
"""The advisory lock of whoever makes or changes tables: SQL has no other way to wait for a table to be."""
_UNCOUNTED = "SELECT conflicts <> (SELECT count(*) FROM conflicts) FROM totals"
_log = logging.getLogger(__name__)


def number_of(text: str) -> int:
    """A number that stands for a text in PostgreSQL's advisory locks."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _count_conflicts(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT id FROM totals FOR UPDATE")  # the turn of who writes
    connection.exec_driver_sql("UPDATE totals SET conflicts = (SELECT count(*) FROM conflicts)")


class PostgresSchema:
    """A `Database` that is one schema, which is made when it does not exist."""

    def __init__(self, server: Server, name: str, connections: int = READERS) -> None:
        self._server = server
        self._schema = name
        self._connections = connections
        self._outage = Outage()

    def prepare(self) -> str:
        """See `Database.prepare`."""
        with translated_errors("opening the index"), self._connect() as connection:
            # Of the session, not of a transaction: a migration may take several
            connection.execute("SET lock_timeout = 0")
            connection.execute("SELECT pg_advisory_lock(%s)", (MAKING,))
            connection.execute(f"SET lock_timeout = '{MIGRATION_LOCK}'")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            revision = self._revision(connection)
            if revision is None:
                self._with_sqlalchemy(migrate.create)
            elif revision != migrate.HEAD:
                self._migrate(revision)
            else:
                self._count_conflicts(connection)
            row = connection.execute(migrate.EPOCH.postgresql, ("epoch",)).fetchone()
            assert row is not None, "an index is filled in the transaction that makes it"
            return str(row[0])

    def _revision(self, connection: psycopg.Connection[Any]) -> str | None:
        found = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (self._schema,)
        )
        tables = {name for (name,) in found}
        if not tables:
            return None
        if "alembic_version" not in tables:
            raise StorageError(f"the schema {self._schema} holds tables that are no index of ours")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else None

    def _count_conflicts(self, connection: psycopg.Connection[Any]) -> None:
        """Have `totals` right where nodes of form 0003, which count none, wrote on after the migration.

        Who takes the place of the last of them comes by here.
        """
        row = connection.execute(_UNCOUNTED).fetchone()
        if row is not None and row[0]:
            _log.warning("conflicts were noted that nobody counted, as an earlier release does; counted anew")
            self._with_patience(_count_conflicts)

    def _migrate(self, revision: str) -> None:
        self._with_patience(partial(migrate.run, revision=revision))

    def _with_patience(self, do: Callable[[Connection], None]) -> None:
        """Do it in a transaction, which lets others pass where it must wait for them, and is tried again."""
        for attempt in range(1, MIGRATION_TRIES + 1):
            try:
                self._with_sqlalchemy(do)
                return
            except DBAPIError as error:
                if not isinstance(error.orig, psycopg.errors.LockNotAvailable) or attempt == MIGRATION_TRIES:
                    raise
                time.sleep(_PAUSE_S)

    def _with_sqlalchemy(self, do: Callable[[Connection], None]) -> None:
        def connect() -> psycopg.Connection[Any]:
            made = self._connect()
            made.execute(f"SET lock_timeout = '{MIGRATION_LOCK}'")
            made.autocommit = False
            return made

        engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
        with engine.connect() as connection:
            do(connection)
            connection.commit()
        engine.dispose()

    def _connect(self) -> psycopg.Connection[Any]:
        return self._outage.connected(partial(self._server.connect, self._schema))

    def analyze(self) -> None:
        """Have the planner know what is in the tables, which it would learn only after a while."""
        with translated_errors("looking over the index"), self._connect() as connection:
            for name in schema.metadata.tables:
                connection.execute(f"ANALYZE {name}")

    def connect_writer(self) -> PostgresWriter:
        """See `Database.connect_writer`."""
        with translated_errors("opening the index"):
            connect = partial(self._server.connect, self._schema)
            return PostgresWriter(connect, self._outage, number_of(self._server.name))

    def connect_readers(self) -> PostgresReaders:
        """See `Database.connect_readers`."""
        return PostgresReaders(self._server, self._schema, self._connections, self._outage)
