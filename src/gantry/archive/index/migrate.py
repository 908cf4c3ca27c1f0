"""Bringing the index file to the form that this release expects.

A new one is made from `schema.py` in one go; an older one goes through the migrations. Alembic is loaded
only then, because it takes longer to load than everything else here takes to run.

On PostgreSQL other nodes work on while a migration runs, so it takes no lock for long:

- it adds (tables, columns without a default that must be written, indexes), and leaves what is in use; a
  release later, when no node needs it any more, another one may remove it;
- each runs in a transaction of its own, which waits two seconds for a lock and then lets others pass, and is
  tried again (`postgres_schema`);
- an index of a table that grows is added by `add_index`, which writers need not wait for;
- rows are not rewritten: what is derived in another way is told by `derive.DERIVATION`;
- nodes of the release before go on writing, and leave new columns at their defaults. Where that is wrong, it
  is put right when an index is opened (`PostgresSchema.prepare`), until no index has the form before.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, create_engine, insert, select

from gantry.archive.index import schema
from gantry.archive.index.derive import DERIVATION
from gantry.archive.index.sqlite import connect_writer, translated_errors
from gantry.archive.index.statements import prepare
from gantry.errors import StorageError

HEAD = "0004"
"""The newest migration; a test compares it with the scripts."""

EPOCH = prepare(select(schema.meta.c.value).where(schema.meta.c.name == bindparam("name")))
_SCRIPTS = Path(__file__).parent / "migrations"


def prepare_file(path: Path) -> str:
    """Make or migrate the index at `path`; its epoch.

    Raises StorageError when the file is no index, or was made by a later release.
    """
    with translated_errors(f"opening the index {path.name}"):
        connection = connect_writer(path)
        try:
            revision = _revision(connection)
            if revision is None:
                _create(path)
            elif revision != HEAD:
                upgrade(path, revision)
            epoch: str = connection.execute(EPOCH.sqlite, ("epoch",)).fetchone()[0]
            return epoch
        finally:
            connection.close()


def _revision(connection: sqlite3.Connection) -> str | None:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise StorageError("the file holds a database that is no index of ours")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision: str | None = row[0] if row else None
    return revision


def _create(path: Path) -> None:
    with _alone(path) as connection:
        create(connection)


def create(connection: Connection) -> None:
    """Make the tables in their newest form, in a transaction that excludes all others."""
    schema.metadata.create_all(connection)
    connection.exec_driver_sql(
        "CREATE TABLE IF NOT EXISTS alembic_version "
        "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    if connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar() == 0:
        connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{HEAD}')")
        fill(connection.execute)


def fill(execute: object) -> None:
    """The rows that an empty index has."""
    execute(insert(schema.meta).values(name="epoch", value=uuid.uuid4().hex))  # type: ignore[operator]
    execute(insert(schema.meta).values(name="derivation", value=str(DERIVATION)))  # type: ignore[operator]
    execute(insert(schema.totals).values(id=1))  # type: ignore[operator]


def upgrade(path: Path, revision: str = "base") -> None:
    """Run the migrations that are missing."""
    with _alone(path) as connection:
        run(connection, revision)


@contextmanager
def _alone(path: Path) -> Iterator[Connection]:
    """A transaction that excludes all others."""
    engine = create_engine("sqlite://", creator=lambda: connect_writer(path))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
    finally:
        engine.dispose()


def run(connection: Connection, revision: str = "base") -> None:
    """Run the migrations that an index of this form lacks. Raises StorageError for an unknown form."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision != "base" and revision not in known:
        raise StorageError(f"the index has form {revision}, which this release does not know")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def add_index(name: str, table: str, columns: list[str], **options: Any) -> None:
    """Add an index, for use in a migration; on PostgreSQL while others write to the table."""
    from alembic import op

    if op.get_bind().dialect.name != "postgresql":
        op.create_index(name, table, columns, **options)
        return
    with op.get_context().autocommit_block():
        # It holds nobody up while it waits for transactions that began before
        op.execute("SET lock_timeout = 0")
        # An attempt that was broken off leaves one that is not used
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.create_index(name, table, columns, postgresql_concurrently=True, **options)
