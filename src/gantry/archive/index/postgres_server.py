"""A PostgreSQL server as we reach it: URL, settings of our connections, what errors mean, being away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.types.numeric import Int8Dumper, IntLoader
from psycopg.types.string import StrDumperUnknown
from psycopg_pool import PoolClosed, PoolTimeout
from sqlalchemy.exc import DBAPIError

from gantry.errors import Corrupt, OutOfSpace, SettingsError, StorageError, Unreachable

CONNECT_S = 5
"""How long a server may take to answer before it counts as away."""
FIRST_RETRY_S, LAST_RETRY_S = 0.1, 2.0
"""Between attempts to reach a server that is away: doubled each time, as far as the last."""
LOCK_S = 10
"""How long to wait for another node to end its transaction, as for another process with SQLite."""
IDLE_S = 60
"""After how long a server ends the transaction of a node that does not go on with it: all others wait."""
GONE_S = 25
"""After how long without a sign the other side of a connection counts as gone, by either."""
READERS = 8
"""Connections for reading, unless the setting says otherwise."""

_ENCODING = "UTF8"
"""Of the database, and of what we speak with it, whatever ``PGCLIENTENCODING`` says."""

_SETTINGS = {
    "application_name": "gantry",
    "synchronous_commit": "on",
    "lock_timeout": f"{LOCK_S}s",
    "idle_in_transaction_session_timeout": f"{IDLE_S}s",
    # A machine that is gone holds nothing up for longer than this
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": f"{GONE_S}s",
    "timezone": "UTC",
    "client_encoding": _ENCODING,
}
# Who was sent away by the server, never reached it, or did not get the lock in time: nothing was done
_AWAY = ("08", "57P01", "57P02", "57P03", "53300", "25P03", "55P03")
_KINDS: tuple[tuple[str, type[StorageError]], ...] = (
    ("53100", OutOfSpace),  # disk_full
    ("XX001", Corrupt),  # data_corrupted
    ("XX002", Corrupt),  # index_corrupted
)


class _TextDumper(StrDumperUnknown):
    """Text without NUL, which PostgreSQL does not have; no text of a Data Set has this in its place.

    Columns that are compared never hold NUL (see `columns`), so that what is asked with one finds nothing.
    """

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\U0010ffff") if "\0" in obj else obj)


class _WholeLoader(IntLoader):
    """A `numeric` is a sum of whole numbers."""


def _adapters() -> AdaptersMap:
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(str, _TextDumper)
    # One type for all, so that a statement is prepared once; columns of truth are small numbers
    adapters.register_dumper(int, Int8Dumper)
    adapters.register_dumper(bool, _TruthDumper)
    adapters.register_loader("numeric", _WholeLoader)
    return adapters


class _TruthDumper(Int8Dumper):
    def dump(self, obj: Any) -> Any:
        return super().dump(int(obj))


_ADAPTERS = _adapters()


OPTIONS: dict[str, Any] = {
    "autocommit": True,  # transactions are begun and ended by the caller
    "context": _ADAPTERS,
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": GONE_S * 1000,
    "prepare_threshold": 5,
}
"""What all our connections have in common, beside what the URL says."""


def settle(connection: psycopg.Connection[Any], schema: str) -> None:
    """Settings of a session, whose tables are those of one schema. Raises psycopg.Error.

    They are told once it is there, and not while it is being made: proxies do not let everything pass then.
    """
    values = {**_SETTINGS, "search_path": schema}
    calls = ", ".join(["set_config(%s, %s, false)"] * len(values))
    told = [word for pair in values.items() for word in pair]
    connection.execute(f"SELECT {calls}", told, prepare=False)


@dataclass(frozen=True, slots=True)
class Server:
    """A database, from a URL that libpq reads; `name` is the schema that tells our tables from others'.

    The password is in `conninfo` alone, and in no text that is made of this.
    """

    conninfo: str
    name: str

    @classmethod
    def parse(cls, url: str) -> Server:
        """Read ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME``. Raises SettingsError."""
        base, mark, query = url.partition("?")
        words = query.split("&") if mark else []
        names = [word.removeprefix("schema=") for word in words if word.startswith("schema=")]
        rest = "&".join(word for word in words if not word.startswith("schema="))
        name = names[-1] if names else "gantry"
        if not name.isidentifier() or not name.isascii() or name != name.lower() or len(name) > 40:
            raise SettingsError("the schema of an index is named by 1 to 40 small letters, digits and _")
        conninfo = f"{base}?{rest}" if rest else base
        try:
            psycopg.conninfo.conninfo_to_dict(conninfo)
        except psycopg.Error:
            # What libpq says of it may hold the password
            unknown = _unknown_options(words)
            why = f": it has no option {', '.join(unknown)}" if unknown else ""
            raise SettingsError(f"index is no URL that PostgreSQL understands{why}") from None
        return cls(conninfo, name)

    def __repr__(self) -> str:
        return f"Server({self!s})"

    def __str__(self) -> str:
        known = psycopg.conninfo.conninfo_to_dict(self.conninfo)
        return f"postgresql://{known.get('host', '')}/{known.get('dbname', '')}?schema={self.name}"

    def connect(self, schema: str) -> psycopg.Connection[Any]:
        """A connection whose tables are those of one schema. Raises psycopg.Error; SettingsError where the
        database does not keep all characters."""
        connection = psycopg.connect(self.conninfo, **OPTIONS)
        try:
            encoding = connection.info.parameter_status("server_encoding")
            if encoding != _ENCODING:
                raise SettingsError(
                    f"the database of {self} keeps {encoding}, and names need {_ENCODING}: make it by"
                    f" createdb --encoding {_ENCODING} --template template0"
                )
            settle(connection, schema)
        except BaseException:
            connection.close()
            raise
        return connection


def _unknown_options(words: list[str]) -> list[str]:
    """Names that libpq does not have; none where it may be the end of a password with ? in it."""
    if any("@" in word for word in words):
        return []
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    return sorted({word.partition("=")[0] for word in words} - known - {"schema"})


@contextmanager
def translated_errors(doing: str) -> Iterator[None]:
    """Turn PostgreSQL's errors into ours; `doing` says at what step."""
    try:
        yield
    except (PoolTimeout, PoolClosed) as error:
        raise Unreachable(f"{doing}: no connection to PostgreSQL is free or can be made") from error
    except (psycopg.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise _kind(cause)(f"{doing}: {_first_line(cause)}") from error


def _kind(cause: object) -> type[StorageError]:
    code = getattr(cause, "sqlstate", None)
    if code is None:
        return Unreachable if isinstance(cause, psycopg.OperationalError) else StorageError
    if code.startswith(_AWAY):
        return Unreachable
    return dict(_KINDS).get(code, StorageError)


def _first_line(cause: object) -> str:
    return str(cause).strip().partition("\n")[0]


class Outage:
    """Whether a server is away, and when it is worth trying again. Shared by all connections of an index."""

    def __init__(self) -> None:
        self._wait = FIRST_RETRY_S
        self._until = 0.0
        self._why = ""

    @property
    def is_known(self) -> bool:
        """Whether the last attempt failed, or there is reason to look."""
        return bool(self._why)

    @property
    def lasts(self) -> bool:
        """Whether the last attempt failed, and another is not due yet."""
        return bool(self._why) and time.monotonic() < self._until

    def begins(self, why: str) -> None:
        """An attempt failed."""
        self._why = why
        self._until = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, LAST_RETRY_S)

    def is_suspected(self, why: str) -> None:
        """A connection broke, or none is to be had: who comes next had better look."""
        if not self._why:
            self._why, self._until = why, 0.0

    def ends(self) -> None:
        """A connection was made."""
        self._wait, self._why = FIRST_RETRY_S, ""

    def connected(self, connect: Callable[[], psycopg.Connection[Any]]) -> psycopg.Connection[Any]:
        """A connection made, unless an attempt failed a moment ago. Raises Unreachable, psycopg.Error."""
        if self.lasts:
            raise Unreachable(f"PostgreSQL is away: {self._why}")
        try:
            made = connect()
        except psycopg.OperationalError as error:
            self.begins(_first_line(error))
            raise
        self.ends()
        return made
