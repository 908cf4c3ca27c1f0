"""Which instances are under a commitment, by study: who deletes asks it."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from gantry.archive.commitment import KEPT
from gantry.archive.commitment.requests import Asked
from gantry.archive.disk import Disk
from gantry.archive.records import InstanceKey
from gantry.archive.small_files import SmallFiles
from gantry.standard.uids import uid_name


class Promise(msgspec.Struct, frozen=True):
    """Instances of one study that were committed to one AE by one transaction."""

    transaction_uid: str
    aet: str
    at: datetime
    study_uid: str
    sop_uids: tuple[str, ...]


class Kept:
    """The instances that were committed. All methods may be called from any thread."""

    def __init__(
        self,
        disk: Disk,
        names: itertools.count[int],
        *,
        require_room: Callable[[int], None],
        stop_writing: Callable[[str], None],
    ) -> None:
        self._files = SmallFiles(
            disk, names, "commitment", require_room=require_room, stop_writing=stop_writing
        )
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever committed. Raises StorageError."""
        return not self._files.names_in(KEPT)

    def note(self, asked: Asked, keys: Sequence[InstanceKey]) -> None:
        """Keep durably that these are committed. Raises OutOfSpace, ReadOnly, StorageError."""
        studies: dict[str, list[str]] = {}
        for key in keys:
            studies.setdefault(key.study_uid, []).append(key.sop_uid)
        with self._lock:
            for study, uids in studies.items():
                promise = Promise(asked.transaction_uid, asked.aet, asked.at, study, tuple(uids))
                data = msgspec.json.encode(promise)
                # A name always has the same bytes, also where a crash has a request looked at again
                part = hashlib.sha256(data).hexdigest()[:16]
                path = f"{_folder(study)}/{uid_name(asked.transaction_uid)}-{part}.json"
                self._files.write(path, data, replacing=True)

    def of_study(self, study_uid: str) -> Mapping[str, Promise]:
        """The committed instances of a study by their UIDs. Raises Corrupt, StorageError."""
        found: dict[str, Promise] = {}
        folder = _folder(study_uid)
        for name in self._files.names_in(folder):
            promise = self._files.read(f"{folder}/{name}", Promise)
            if promise is not None:
                found |= dict.fromkeys(promise.sop_uids, promise)
        return found


def _folder(study_uid: str) -> str:
    spread = hashlib.sha256(study_uid.encode("utf-8", "surrogateescape")).hexdigest()[:2]
    return f"{KEPT}/{spread}/{uid_name(study_uid)}"
