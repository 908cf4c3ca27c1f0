"""The rules for compressing, applied by the server itself: to what comes in, and once a day to all there is.

What arrives is compressed when its sender has long had the answer, by one process that yields to all others.
Its original is let go, where a rule says so, no sooner than an hour later: whoever has just found it can
still read it.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gantry.archive.archive import Archive
from gantry.archive.index import VersionRow
from gantry.archive.index.protocol import ChangeKind
from gantry.errors import StorageError
from gantry.toolkit.compress import FAILED, KEPT, Rules, Saving, Work

log = logging.getLogger("gantry.server")

LOOK_EVERY_S = 60.0
"""How often arrivals are looked at; a study being sent is not disturbed at each object."""

ALL_EVERY_S = 24 * 3600.0
"""How often all that is kept is held against the rules: they speak of days."""

FIRST_ALL_AFTER_S = 600.0
"""A server that has just started has other things to do than to go through all it keeps."""

LET_GO_AFTER = timedelta(hours=1)
"""How long an original stays: longer than any retrieval that began before takes."""

NICENESS = 15
"""Whoever waits for an answer comes first (POSIX nice: 19 is the most)."""

_CHANGES_AT_ONCE = 1000
_ARRIVED = frozenset({ChangeKind.STORED, ChangeKind.NEW_VERSION})


@dataclass(slots=True)
class Compressing:
    """Applies rules to an archive until stopped; `folder` is for files that are under way."""

    archive: Archive
    rules: Rules
    folder: Path
    _stop: threading.Event = field(default_factory=threading.Event)
    seen: int = 0
    """Number of the last change that was looked at; 0 before the work began."""

    async def run(self) -> None:
        """Work beside everything else until `stop`."""
        self.seen = (await asyncio.to_thread(self.archive.stats)).last_change
        waited, until_all = 0.0, FIRST_ALL_AFTER_S
        while not self._stop.is_set():
            await asyncio.to_thread(self._stop.wait, LOOK_EVERY_S)
            waited += LOOK_EVERY_S
            if waited >= until_all:
                waited, until_all = 0.0, ALL_EVERY_S
                await self._apply(None)
            elif not self._stop.is_set():
                await self._apply(self.arrivals())

    def stop(self) -> None:
        """Begin nothing more; `run` ends when what is under way has."""
        self._stop.set()

    async def _apply(self, rows: Iterable[VersionRow] | None) -> None:
        try:
            saving = await asyncio.to_thread(self.apply, rows)
        except (StorageError, OSError) as error:
            log.warning("compressing was broken off, and goes on with all that is kept later: %s", error)
            return
        except Exception:  # a fault of ours must not end this work until somebody starts the server anew
            log.exception("compressing failed, and goes on with all that is kept later")
            return
        if set(saving.counts) - {KEPT}:
            failed = saving.counts.get(FAILED, 0)
            log.log(logging.WARNING if failed else logging.INFO, "compressing: %s", saving.text)

    def apply(self, rows: Iterable[VersionRow] | None = None) -> Saving:
        """Hold all that is kept, or these versions, against the rules. Raises StorageError, OSError."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="compress-") as folder:
            work = Work(
                self.archive,
                self.rules,
                Path(folder),
                lambda location, done: None,
                let_go_after=LET_GO_AFTER,
                niceness=NICENESS,
                stopped=self._stop.is_set,
            )
            return work.compress(1, rows)

    def arrivals(self) -> Iterator[VersionRow]:
        """What came since this was asked last, and not in the last moments."""
        before = datetime.now(UTC) - timedelta(seconds=LOOK_EVERY_S)
        while changes := self.archive.changes(self.seen, _CHANGES_AT_ONCE):
            for change in changes:
                if change.at > before:
                    return
                self.seen = change.seq
                if change.kind in _ARRIVED:
                    rows = self.archive.versions(change.key)
                    yield from (row for row in rows if row.number == change.number)
