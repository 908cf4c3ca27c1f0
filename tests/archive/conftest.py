"""The two databases that an index can be in, so that one test is held against both."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import azurite
import swift
from gantry.archive.index.database import Database
from gantry.archive.index.sqlite_file import SqliteFile
from postgres import PostgresServer, database_at

NewDatabase = Callable[[], Database]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of this process."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def object_store_server() -> Iterator[swift.SwiftServer]:
    """A real S3 server for all tests of this process; who ends it starts it again."""
    with swift.running() as server:
        yield server


@pytest.fixture(scope="session")
def azure_server() -> Iterator[azurite.AzuriteServer]:
    """A server of Azure's kind for all tests of this process."""
    with azurite.running() as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewDatabase:
    """Makes places for an index that are empty."""
    if request.param == "sqlite":
        return lambda: SqliteFile(tmp_path_factory.mktemp("index") / "index.sqlite")
    server: PostgresServer = request.getfixturevalue("postgres")
    return lambda: database_at(server.fresh_url())


@pytest.fixture
def database(new_database: NewDatabase) -> Database:
    """An empty place for an index."""
    return new_database()
