"""Whose a bucket is: one folder's alone, or all nodes' that have their index in one database.

A folder has a lock that ends with its process; a bucket has none. So who has an archive open whose index is
in its own folder leaves a mark in the bucket, and renews it. Another folder may take the bucket when the
mark was not renewed for `DEAD_S`, as after the loss of a machine; who could not renew its mark writes
nothing from `LATE_S` on. Between the two lies more than any request may take, so that two never write at
once, whatever their clocks say.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

import msgspec

from gantry.archive.blobs.bucket import Bucket
from gantry.archive.blobs.files import AWAY
from gantry.errors import StorageError

MARK = "owner.json"
RENEW_S = 15.0
LATE_S = 60.0
DEAD_S = 180.0
_LOOK_S = 5.0
ID_FILE = "store.id"
"""In the folder from the first time on that a bucket was had: the objects are there."""

_log = logging.getLogger(__name__)


class _Mark(msgspec.Struct):
    """`owner` is the id of a folder, empty for all nodes of a database; `turn` goes up with each renewal."""

    owner: str
    host: str = ""
    turn: int = 0


class Shared:
    """The bucket of many nodes, which take turns elsewhere."""

    def __init__(self, bucket: Bucket) -> None:
        mark = _read(bucket)
        if mark is not None and mark.owner:
            _wait_for_death(bucket, mark)
        if mark is None or mark.owner:
            bucket.put(MARK, msgspec.json.encode(_Mark("")), replacing=True)

    def require(self) -> None:
        """Whoever has a turn may write."""

    def end(self) -> None:
        """The mark stays: the bucket is never one folder's again by itself."""


class Owner:
    """The bucket of one folder. Raises StorageError where it is another's, OSError."""

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        self._bucket = bucket
        path = folder / ID_FILE
        is_new = not path.exists()
        self._id = _id_of(path)
        try:
            self._take()
        except (OSError, StorageError):
            if is_new:
                path.unlink()
            raise
        self._thread = threading.Thread(target=self._keep, name="gantry-owner", daemon=True)
        self._thread.start()

    def _take(self) -> None:
        bucket = self._bucket
        mark = _read(bucket)
        if mark is not None and not mark.owner:
            raise StorageError(
                "the bucket is of nodes with their index in a database: name that (index), or remove "
                f"{MARK} from the bucket when there is none any more"
            )
        if mark is not None and mark.owner != self._id:
            _wait_for_death(bucket, mark)
        self._turn = mark.turn if mark is not None else 0
        self._lost = ""
        self._renewed_at = 0.0
        self._stop = threading.Event()
        self._renew()

    def require(self) -> None:
        """Raises OSError where the bucket may be another's by now."""
        if self._lost:
            raise OSError(errno.EROFS, self._lost)
        if time.monotonic() - self._renewed_at > LATE_S:
            raise OSError(AWAY, "the object store fails, and nothing may be written into it until it answers")

    def end(self) -> None:
        """Let another folder have the bucket at once."""
        self._stop.set()
        self._thread.join()
        with suppress(OSError):  # it goes by itself
            mark = _read(self._bucket)
            if mark is not None and mark.owner == self._id:
                self._bucket.delete(MARK)

    def _keep(self) -> None:
        while not self._stop.wait(RENEW_S) and not self._lost:
            try:
                mark = _read(self._bucket)
                if mark is not None and mark.owner != self._id:
                    self._lost = f"the bucket was taken by another archive, on {mark.host or 'other nodes'}"
                    _log.critical("%s; nothing is written any more", self._lost)
                    return
                self._renew()
            except OSError as error:
                _log.warning("the mark in the bucket could not be renewed: %s", error.strerror)

    def _renew(self) -> None:
        began = time.monotonic()
        self._turn += 1
        mark = _Mark(self._id, socket.gethostname(), self._turn)
        self._bucket.put(MARK, msgspec.json.encode(mark), replacing=True)
        self._renewed_at = began


def _wait_for_death(bucket: Bucket, mark: _Mark) -> None:
    """Raises StorageError where the owner renews its mark."""
    _log.warning(
        "the bucket was of an archive on %s, which did not end in order: waiting %g s whether it lives",
        mark.host, DEAD_S,
    )  # fmt: skip
    end = time.monotonic() + DEAD_S
    while time.monotonic() < end:
        time.sleep(_LOOK_S)
        now = _read(bucket)
        if now is None:
            return
        if (now.owner, now.turn) != (mark.owner, mark.turn):
            raise StorageError(
                f"the bucket is in use by an archive on {now.host} whose index is in its folder"
            )


def _read(bucket: Bucket) -> _Mark | None:
    try:
        return msgspec.json.decode(bucket.get(MARK), type=_Mark)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise StorageError(f"{MARK} in the bucket cannot be read: {error}") from error


def _id_of(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        made = uuid.uuid4().hex
        path.write_text(made)
        return made
