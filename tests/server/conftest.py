"""The two databases that an archive's index can be in, for what is served of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from postgres import PostgresServer

NewIndex = Callable[[], str]


IN_FOLDER = pytest.mark.parametrize("new_index", [str], ids=["sqlite"])
"""For tests of requests that are refused before an index is asked anything."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of this process."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def new_index(request: pytest.FixtureRequest) -> NewIndex:
    """Where the index of an archive is to be: the URL of a schema that nobody has, or empty for its folder."""
    if request.param == "sqlite":
        return lambda: ""
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.fresh_url
