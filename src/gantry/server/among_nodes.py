"""What a server does because others serve the same archive: hear of them, and do once what one must do.

Each node hears of the others' commits by the feed of changes, several times a second. One of them *leads*: it
scrubs, compresses, acts upon notes of rejection and writes the journal, until it ends; then another does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from gantry.archive.archive import Archive
from gantry.archive.index_files import Lead
from gantry.errors import StorageError, Unreachable

HEAR_S = 0.2
"""How long a node may go without hearing of others; who asks it something has it hear at once."""
LOOK_S = 2.0
"""Between asking whether somebody leads, and whether the index is still the one."""
JOURNAL_S = 5.0
_LOOKS_BACK = 10

MADE_ANEW = "another node has made the index anew: this one must start anew to go on with it"

log = logging.getLogger("gantry.server.nodes")


class Work(Protocol):
    """Something that is done in the background."""

    async def run(self) -> None:
        """Do it until `stop`."""

    def stop(self) -> None:
        """Begin nothing more."""


MakeWorks = Callable[[int | None], Sequence[Work]]


class Alone:
    """Works of the only server there is."""

    def __init__(self, works: Sequence[Work]) -> None:
        self._works = works

    async def run(self) -> None:
        """Do all of it until `stop`."""
        await asyncio.gather(*(work.run() for work in self._works))

    def stop(self) -> None:
        """Begin nothing more."""
        for work in self._works:
            work.stop()


class AmongNodes:
    """Hears, and leads when nobody else does; `fail` is told why to end.

    `make` gives what the leader does, from that number of the feed on which the one before may have left it.
    """

    def __init__(self, archive: Archive, make: MakeWorks, fail: Callable[[str], None]) -> None:
        self._archive = archive
        self._make = make
        self._fail = fail
        self._stopping = asyncio.Event()
        self._lead: Lead | None = None
        self._works: Alone | None = None
        self._working: asyncio.Task[None] | None = None
        self._looked_at = self._wrote_at = -JOURNAL_S
        # Where the feed was a while ago: whoever led until now had not seen to all that came since
        self._heard: deque[int] = deque(maxlen=_LOOKS_BACK)

    @property
    def leads(self) -> bool:
        """Whether this node leads."""
        return self._works is not None

    async def run(self) -> None:
        """Hear and lead until `stop`."""
        is_away = False
        while not self._stopping.is_set():
            try:
                await self._hear()
                is_away = False
            except StorageError as error:
                if not is_away:
                    log.warning("this node does not hear of others: %s", error)
                is_away = True
            try:
                await asyncio.wait_for(self._stopping.wait(), HEAR_S)
            except TimeoutError:
                continue
        await self._end_lead()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()
        if self._works is not None:
            self._works.stop()

    async def _hear(self) -> None:
        heard = await asyncio.to_thread(self._archive.follow)
        now = time.monotonic()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._heard.append(heard)
            await self._look()
        if self._works is not None and now - self._wrote_at >= JOURNAL_S:
            self._wrote_at = now
            await asyncio.to_thread(self._archive.write_journal)

    async def _look(self) -> None:
        if not await asyncio.to_thread(lambda: self._archive.is_current):
            self._fail(MADE_ANEW)
            return
        await asyncio.to_thread(self._archive.follow_damage)
        if self._lead is not None:
            if await asyncio.to_thread(lambda: self._lead is not None and self._lead.lasts):
                return
            log.warning("this node leads no more: its connection broke")
            await self._end_lead()
        try:
            self._lead = await asyncio.to_thread(self._archive.lead)
        except Unreachable:
            return
        if self._lead is not None and not self._stopping.is_set():
            log.info("this node leads")
            self._works = Alone(self._make(self._heard[0]))
            self._working = asyncio.create_task(self._works.run())

    async def _end_lead(self) -> None:
        works, self._works = self._works, None
        if works is not None and self._working is not None:
            works.stop()
            await self._working
        if self._lead is not None:
            await asyncio.to_thread(self._lead.end)
            self._lead = None
