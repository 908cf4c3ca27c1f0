"""Where objects that arrive are put: C-GET and DICOMweb clients and the C-STORE SCP all write to a `Sink`.

A sink is told what arrives, then gets the bytes of a Part 10 file in pieces as the wire delivers
them, on the event loop, and is asked at the end to finish, in a worker thread. It answers with a
status of PS3.4 B.2.3, which goes to the peer as it is.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gantry.dataset.part10 import read_file_meta
from gantry.errors import DataSetError
from gantry.standard.uids import uid_name

SUCCESS = 0x0000
CANNOT_UNDERSTAND = 0xC000
OUT_OF_RESOURCES = 0xA700


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an object: a DIMSE status, and for people and logs a sentence without patient data.

    `comment` goes out as Error Comment (0000,0902) and `offending` as Offending Element (0000,0901).
    `breaks_association` asks for an A-ABORT after the answer, for a peer that cannot be followed.
    """

    status: int
    comment: str = ""
    offending: tuple[int, ...] = ()
    breaks_association: bool = False


STORED = Verdict(SUCCESS)


@dataclass(frozen=True, slots=True)
class Arriving:
    """What a peer says it sends; the UIDs are empty where the protocol does not say."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    peer_aet: str = ""
    peer_address: str = ""
    via: str = "C-STORE"


class Reception(Protocol):
    """One object on its way in."""

    @property
    def backlog(self) -> int:
        """Bytes taken but not yet on disk; the wire stops reading when they grow."""

    @property
    def room(self) -> int:
        """How many bytes `write` takes without waiting for anything; the rest is for a worker thread."""

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the Part 10 file. The view is not valid after the call."""

    def finish(self) -> Verdict:
        """Keep the object and say what became of it. May block: called in a worker thread."""

    def abort(self) -> None:
        """Drop what came so far."""


class Sink(Protocol):
    """Takes objects. `begin` may refuse at once by a Verdict, before the bytes come."""

    def begin(self, arriving: Arriving) -> Reception | Verdict: ...


@dataclass
class MemorySink:
    """Keeps whole files in memory, in the order in which they were complete; for small things and tests."""

    files: list[bytes] = field(default_factory=list)

    def begin(self, arriving: Arriving) -> Reception | Verdict:
        return _MemoryReception(self)


class _MemoryReception:
    backlog = 0
    room = 1 << 20

    def __init__(self, sink: MemorySink) -> None:
        self._sink = sink
        self._data = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        self._data += data

    def finish(self) -> Verdict:
        self._sink.files.append(bytes(self._data))
        return STORED

    def abort(self) -> None:
        self._data.clear()


@dataclass
class FolderSink:
    """Writes each object to ``<folder>/<SOP Instance UID>.dcm``, whole or not at all.

    A UID that breaks the standard's grammar is replaced by a digest: a name from the wire never
    reaches a path. `paths` lists what was written.
    """

    folder: Path
    paths: list[Path] = field(default_factory=list)

    def begin(self, arriving: Arriving) -> Reception | Verdict:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return _FolderReception(self)
        except OSError as error:
            return Verdict(OUT_OF_RESOURCES, f"cannot write: {error.strerror}")


class _FolderReception:
    backlog = 0
    room = 0

    def __init__(self, sink: FolderSink) -> None:
        self._sink = sink
        handle, name = tempfile.mkstemp(suffix=".part", dir=sink.folder)
        self._file = os.fdopen(handle, "wb", buffering=1 << 20)
        self._path = Path(name)
        self._failed: OSError | None = None

    def write(self, data: bytes | memoryview) -> None:
        if self._failed is None:
            try:
                self._file.write(data)
            except OSError as error:
                self._failed = error

    def finish(self) -> Verdict:
        try:
            self._file.close()
            if self._failed is not None:
                raise self._failed
            target = self._sink.folder / f"{uid_name(_instance_uid(self._path))}.dcm"
            self._path.replace(target)
        except OSError as error:
            self.abort()
            return Verdict(OUT_OF_RESOURCES, f"cannot write: {error.strerror}")
        except DataSetError as error:
            self.abort()
            return Verdict(CANNOT_UNDERSTAND, str(error))
        self._sink.paths.append(target)
        return STORED

    def abort(self) -> None:
        # Closing flushes what is buffered, which fails again on a full disk; the file goes anyway.
        with contextlib.suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)


def _instance_uid(path: Path) -> str:
    with path.open("rb") as file:
        return read_file_meta(file.read(256 + (64 << 10))).media_storage_sop_instance_uid
