"""Every error that Gantry raises on purpose, in one tree. The type says who is to blame.

GantryError
├── CallerError            the person or program calling us asked for something that cannot be
│   ├── SettingsError      a setting is missing, unknown or contradicts another
│   └── QueryError         a query that cannot be answered as asked
├── PeerError              what came over the wire, or in a file, is wrong
│   ├── DataSetError       bytes that are not a Data Set: names tag and offset
│   ├── ProtocolError      a PDU or a DIMSE message that breaks PS3.7 or PS3.8
│   └── WebRequestError    an HTTP request that breaks PS3.18: carries the status to answer
├── ConnectError           the other side could not be reached, or broke the connection off
└── StorageError           disk or index failed
    ├── OutOfSpace         no room: refuse new objects, go on serving
    ├── ReadOnly           writing was switched off after a failed fsync
    ├── NotFound           no such object, or none that is visible
    ├── Raced              another node was faster: what this was based on is no longer so
    ├── Unreachable        the database of the index, or the object store, does not answer
    └── Corrupt            bytes on disk are not the bytes that were acknowledged
"""

from __future__ import annotations


class GantryError(Exception):
    """Root of all errors raised on purpose."""


class CallerError(GantryError):
    """The caller asked for something that cannot be."""


class SettingsError(CallerError):
    """A setting is missing, unknown or contradicts another."""


class QueryError(CallerError):
    """A query that cannot be answered as asked."""


class PeerError(GantryError):
    """What came over the wire, or in a file, is wrong."""


class DataSetError(PeerError):
    """Bytes that are not a Data Set, with the place where that showed.

    `tag` is the element being read (``0xGGGGEEEE``) and `offset` the byte where it began, each
    None where it is not known.
    """

    def __init__(self, cause: str, *, tag: int | None = None, offset: int | None = None) -> None:
        self.cause = cause
        self.tag = tag
        self.offset = offset
        where = ""
        if tag is not None:
            where += f" in element ({tag >> 16:04X},{tag & 0xFFFF:04X})"
        if offset is not None:
            where += f" at offset {offset}"
        super().__init__(f"{cause}{where}")


class ProtocolError(PeerError):
    """A PDU or a DIMSE message that breaks PS3.7 or PS3.8."""


class WebRequestError(PeerError):
    """An HTTP request that breaks PS3.18; `status` is the HTTP status to answer with."""

    def __init__(self, status: int, cause: str) -> None:
        self.status = status
        self.cause = cause
        super().__init__(cause)


class NotSatisfiable(WebRequestError):
    """A byte range that something of `size` bytes does not have (RFC 9110 15.5.17), or not one range."""

    def __init__(self, size: int, cause: str) -> None:
        self.size = size
        super().__init__(416, cause)


class ConnectError(GantryError):
    """The other side could not be reached, refused, or broke the connection off."""


class StorageError(GantryError):
    """Disk or index failed."""


class OutOfSpace(StorageError):
    """There is no room for new objects; what is kept can still be read."""


class ReadOnly(StorageError):
    """Writing was switched off after a failed fsync; see N6 in docs/architecture.md."""


class NotFound(StorageError):
    """No such object, or none that is visible."""


class Raced(StorageError):
    """Another node has changed what this was based on. Nothing was done; look again, and do it anew."""


class Unreachable(StorageError):
    """The index's database, or the object store, does not answer; it is tried again whenever it is asked."""


class Corrupt(StorageError):
    """Bytes on disk are not the bytes that were acknowledged."""
