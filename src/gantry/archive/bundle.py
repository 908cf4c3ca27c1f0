"""Series metadata made once and kept as it is sent: compressed, with its entity tag.

A viewer opens a series by asking for the metadata of all its instances (PS3.18 10.4.1.1.2), each viewer
again. The answer depends on the current versions of the series and on how bulk data is referred to, and on
nothing else, so it is made once for each state of the series and kept below ``cache/metadata/``, where the
next run finds it too. The entity tag is a digest of that state; a bundle whose tag is not the present one is
never served, and removed when its successor is made. What the cache may hold is bounded: beyond that the
bundles made longest ago go.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gantry.archive.blobs.files import CACHE, INCOMING
from gantry.archive.clock import Clock
from gantry.archive.disk import Disk, make_folders, write_all
from gantry.archive.records import InstanceKey, Location
from gantry.archive.retrieve import Retriever
from gantry.dataset.json_model import to_json
from gantry.errors import Corrupt, NotFound

FOLDER = f"{CACHE}/metadata"
MAX_CACHE_BYTES = 4 << 30
"""Bundles kept on disk: some 20,000 series of 250 slices."""
MAX_MEMORY_BYTES = 64 << 20
"""Bundles kept in memory."""
_BUNDLES_PER_TIDYING = 256
_LEVEL = 6

_log = logging.getLogger(__name__)

BulkUri = Callable[[InstanceKey, str], str]
"""The URI of bulk data: of which instance, and by which path of tags and item numbers within it."""

Series = tuple[str, str]
"""Study and series UID."""

_PATIENCE = 20
"""How many times longer a quiet series waits to be prepared while others still arrive."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Metadata of a series: a gzip stream of a JSON array, and the entity tag (without quotes)."""

    tag: str
    packed: bytes


class Bundles:
    """Makes, keeps and gives out bundles; for any number of threads."""

    def __init__(
        self,
        disk: Disk,
        clock: Clock,
        retriever: Retriever,
        locate: Callable[[str, str], list[Location]],
    ) -> None:
        self._disk = disk
        self._clock = clock
        self._retriever = retriever
        self._locate = locate
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[Series, str], Bundle] = OrderedDict()
        self._held_bytes = 0
        # How often each series changed while this ran, and when it did last.
        self._states: dict[Series, int] = {}
        self._touched: dict[Series, float] = {}
        self._busy_at = -math.inf
        self._temporary = itertools.count(1)
        self._made = 0

    def changed(self, keys: Sequence[InstanceKey], *, here: bool = True) -> None:
        """Forget what is held of the series of these instances; called at each commit.

        Who changed them `here` has them prepared; other nodes make them when they are asked.
        """
        now = self._clock.monotonic()
        with self._lock:
            self._busy_at = now if here else self._busy_at
            for series in {(key.study_uid, key.series_uid) for key in keys}:
                self._states[series] = self._states.get(series, 0) + 1
                if here:
                    self._touched[series] = now
                for place in [place for place in self._held if place[0] == series] if self._held else ():
                    self._held_bytes -= len(self._held.pop(place).packed)

    def quiet(self, for_s: float) -> list[Series]:
        """Series that changed, but not for so many seconds; each is told once, so that it can be prepared.

        While anything else still arrives they are kept for later, though not for ever: who sends comes first.
        """
        now = self._clock.monotonic()
        with self._lock:
            is_idle = self._busy_at <= now - for_s
            before = now - (for_s if is_idle else for_s * _PATIENCE)
            found = [series for series, at in self._touched.items() if at <= before]
            for series in found:
                del self._touched[series]
            return found

    def get(self, study_uid: str, series_uid: str, form: str, bulk_uri: BulkUri) -> Bundle:
        """The bundle of a series. `form` names what `bulk_uri` does: one form, one cached answer.

        Raises NotFound for a series of which nothing is visible, StorageError.
        """
        series = (study_uid, series_uid)
        with self._lock:
            state = self._states.get(series, 0)
            held = self._held.get((series, form))
            if held is not None:
                self._held.move_to_end((series, form))
                return held
        locations = self._locate(study_uid, series_uid)
        if not locations:
            raise NotFound("no such series, or nothing of it is visible")
        bundle = self._find_or_make(series, form, locations, bulk_uri)
        self._hold(series, form, bundle, state)
        return bundle

    def _find_or_make(
        self, series: Series, form: str, locations: Sequence[Location], bulk_uri: BulkUri
    ) -> Bundle:
        tag = _tag(form, locations)
        stem = _stem(series, form)
        path = f"{FOLDER}/{stem[:2]}/{stem}-{tag}.json.gz"
        with suppress(OSError):
            return Bundle(tag, self._disk.read(path))
        documents = [text for location in locations if (text := self._document(location, bulk_uri))]
        packed = gzip.compress(b"[" + b",".join(documents) + b"]", _LEVEL, mtime=0)
        if len(documents) == len(locations):
            self._keep(path, stem, packed)
        return Bundle(tag, packed)

    def _document(self, location: Location, bulk_uri: BulkUri) -> bytes:
        try:
            with self._retriever.dataset(location) as ds:
                return to_json(ds, bulk_uri=lambda path, _: bulk_uri(location.key, path))
        except Corrupt as error:
            # One damaged object must not hide the others; asked for by itself it is an error.
            _log.error("left out of the metadata of its series: %s", error)
            return b""

    def _hold(self, series: Series, form: str, bundle: Bundle, state: int) -> None:
        with self._lock:
            if self._states.get(series, 0) != state:
                return  # a commit came in between: what was made is good for this answer only
            before = self._held.pop((series, form), None)
            self._held[series, form] = bundle
            self._held_bytes += len(bundle.packed) - (len(before.packed) if before else 0)
            while self._held_bytes > MAX_MEMORY_BYTES and len(self._held) > 1:
                self._held_bytes -= len(self._held.popitem(last=False)[1].packed)

    # --- the cache on disk: derived, so it is written without a sync, and any failure only costs time ------

    def _keep(self, path: str, stem: str, packed: bytes) -> None:
        folder = path.rpartition("/")[0]
        temporary = f"{INCOMING}/bundle-{next(self._temporary)}"
        try:
            make_folders(self._disk, folder)
            older = [e.name for e in self._disk.list_folder(folder) if e.name.startswith(f"{stem}-")]
            file = self._disk.create(temporary)
            try:
                write_all(file, [packed])
            finally:
                file.close()
            self._disk.replace(temporary, path)
            for name in older:
                self._disk.unlink(f"{folder}/{name}")
            self._made += 1
            if self._made % _BUNDLES_PER_TIDYING == 0:
                self.tidy()
        except OSError as error:
            _log.info("a metadata bundle could not be kept: %s", error.strerror)
            with suppress(OSError):
                self._disk.unlink(temporary)

    def tidy(self, limit_bytes: int = MAX_CACHE_BYTES) -> None:
        """Remove the bundles made longest ago, down to the limit. Raises OSError."""
        found = [(self._disk.stat(name), name) for name in self._disk.walk(FOLDER)]
        size = sum(stat.size for stat, _ in found)
        for stat, name in sorted(found, key=lambda one: one[0].modified_ns):
            if size <= limit_bytes:
                return
            self._disk.unlink(name)
            size -= stat.size


def _stem(series: Series, form: str) -> str:
    return hashlib.sha256("\n".join((*series, form)).encode()).hexdigest()[:32]


def _tag(form: str, locations: Sequence[Location]) -> str:
    digest = hashlib.sha256(form.encode())
    for location in locations:
        digest.update(location.key.sop_uid.encode())
        digest.update(location.identity)
        digest.update(location.transfer_syntax_uid.encode())
    return digest.hexdigest()[:32]
