"""The index in a PostgreSQL database, as the archive in a folder has it.

Folder and database know each other by an id, which is made when they first meet: an index that was filled by
one archive is never taken for that of another.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import AbstractContextManager
from datetime import datetime

from gantry.archive.blobs.files import INCOMING, replace_durably
from gantry.archive.disk import Disk, make_folders
from gantry.archive.incoming import storage_error
from gantry.archive.index import Index
from gantry.archive.index.postgres_registry import FORMER, FRESH, IN_USE, Registry
from gantry.archive.index.postgres_schema import PostgresSchema
from gantry.archive.index.postgres_server import Server
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.index_files import Lead
from gantry.errors import StorageError

ID_FILE = "archive.id"

_log = logging.getLogger(__name__)


class PostgresIndexFiles:
    """The index in the database that `url` names, with one connection to write and `connections` to read."""

    def __init__(self, disk: Disk, url: str, connections: int) -> None:
        self._disk = disk
        self._server = Server.parse(url)
        self._connections = connections
        self._registry = Registry(self._server)
        self._fresh = ""
        self._opened = ""
        self._claimed = False

    def exists(self) -> bool:
        """See `IndexFiles.exists`."""
        self._claim()
        return bool(self._registry.in_use())

    def open(self) -> Index:
        """See `IndexFiles.open`."""
        self._claim()
        self._drop_what_nobody_reads()
        self._opened = self._registry.make(IN_USE)
        return self._index(self._opened)

    def open_fresh(self, *, former: bool = False) -> Index:
        """See `IndexFiles.open_fresh`."""
        self._claim()
        if not former:
            self._registry.drop(FRESH)
        self._fresh = self._registry.make(FRESH)
        return self._index(self._fresh)

    def take_fresh(self, fresh: Index) -> Index:
        """See `IndexFiles.take_fresh`. The former stays for who reads it; the next start drops it."""
        fresh.close()
        self._schema(self._fresh).analyze()
        self._registry.replace(self._fresh)
        self._opened = self._fresh
        return self._index(self._fresh)

    def drop_fresh(self, fresh: Index) -> None:
        """See `IndexFiles.drop_fresh`."""
        try:
            fresh.close()
        finally:
            self._registry.drop(FRESH)

    def set_aside(self, at: datetime) -> None:
        """See `IndexFiles.set_aside`."""
        self._registry.set_aside(at)

    @property
    def is_current(self) -> bool:
        """See `IndexFiles.is_current`."""
        return self._registry.in_use() == self._opened

    def alone(self) -> AbstractContextManager[None]:
        """See `IndexFiles.alone`."""
        return self._registry.alone()

    def lead(self) -> Lead | None:
        """See `IndexFiles.lead`."""
        return self._registry.lead()

    def _index(self, schema: str) -> SqlIndex:
        return SqlIndex(self._schema(schema))

    def _schema(self, name: str) -> PostgresSchema:
        return PostgresSchema(self._server, name, self._connections)

    def _drop_what_nobody_reads(self) -> None:
        try:
            self._registry.drop(FORMER)
        except StorageError as error:
            _log.info("an index that was replaced is still being read, and stays for now: %s", error)

    def _claim(self) -> None:
        if self._claimed:
            return
        known = self._known_id()
        if not known:
            self._registry.claim("")
            known = self._new_id()
        self._registry.claim(known)
        self._claimed = True

    def _known_id(self) -> str:
        try:
            return self._disk.read(ID_FILE).decode("ascii").strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise StorageError(f"{ID_FILE} in the archive cannot be read: {error}") from error

    def _new_id(self) -> str:
        made, unfinished = uuid.uuid4().hex, f"{INCOMING}/{ID_FILE}"
        try:
            make_folders(self._disk, INCOMING)
            replace_durably(self._disk, unfinished, ID_FILE, [f"{made}\n".encode()])
            self._disk.sync_folder("")
        except OSError as error:
            raise storage_error(error) from error
        return made
