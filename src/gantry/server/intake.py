"""Objects on their way from one request into the archive, stored in groups while more arrive.

Each object goes straight into an arrival of the archive. Whole ones wait until a storing thread is free and
are then stored together, while the next are read. Several threads store at once, because making a file
durable is waiting for the disk, and a disk serves several that wait better than one after the other; the
archive joins their commits. What became of each is kept in the order they came.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import TypeVar

from gantry.archive.archive import Archive
from gantry.archive.incoming import Incoming
from gantry.archive.outcome import Outcome, Refused
from gantry.archive.records import Origin
from gantry.dicomweb.stow import InstanceResult
from gantry.errors import GantryError
from gantry.server.outcome import Answer, answer_for, answer_for_error
from gantry.server.traces import ARCHIVE_STORE, part

log = logging.getLogger("gantry.server.http")

_A = TypeVar("_A")
_T = TypeVar("_T")

MAX_WAITING = 32
"""Objects that wait to be stored before the sender is held up: with 1 MiB each, 32 MiB a request."""

MIN_GROUP = 2
"""Objects worth a commit while more may come: one alone would pay for the flush by itself."""

MAX_STORING = 4
"""Groups of one request that are made durable at once; more gain nothing on one disk."""

STORE_THREADS = 32
"""Threads that write and store, for all requests: of their own, because a large object on its way into a
bucket holds one as long as the wire takes, one on its way to a disk that stands still until that goes on,
and nobody who reads shall wait for that."""

_threads = ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="gantry-stow")

_COMMON_STATUSES = frozenset({413, 415, 500, 503, 507})


async def in_store_thread(work: Callable[[_A], _T], argument: _A) -> _T:
    """What `work` gives, done in one of the threads that may wait for a disk."""
    # In our context, as asyncio.to_thread has it: what is logged there names the request
    in_context = partial(copy_context().run, work, argument)
    return await asyncio.get_running_loop().run_in_executor(_threads, in_context)


class Intake:
    """Takes the objects of one request. `finish` or `abandon` must be called."""

    def __init__(self, archive: Archive, origin: Origin, study_uid: str | None) -> None:
        self._archive = archive
        self._origin = origin
        self._study_uid = study_uid
        self._current: Incoming | None = None
        self._waiting: list[tuple[int, Incoming]] = []
        self._storing: set[asyncio.Task[None]] = set()
        self._results: list[InstanceResult] = []
        self.statuses: list[Answer] = []

    def begin(self, size_hint: int | None = None) -> None:
        """An object starts. Raises OutOfSpace, ReadOnly."""
        self._current = self._archive.begin(self._origin, size_hint, expect_study=self._study_uid)

    async def write(self, data: bytes | memoryview) -> None:
        """Bytes of the object that started last."""
        current = self._current
        assert current is not None
        if len(data) > current.room and current.refusal is None:
            await in_store_thread(current.write, data)
        else:
            current.write(data)

    async def end(self) -> None:
        """The object that started last is whole."""
        assert self._current is not None
        place = self.add(InstanceResult(), Answer(0, 200))
        self._waiting.append((place, self._current))
        self._current = None
        if len(self._waiting) >= MIN_GROUP:
            self._store_waiting()
        while len(self._waiting) >= MAX_WAITING:
            await self._one_stored()
            self._store_waiting()

    def add(self, result: InstanceResult, answer: Answer) -> int:
        """Note what became of something that is not an arrival; its place in the order."""
        self._results.append(result)
        self.statuses.append(answer)
        return len(self._results) - 1

    def fail(self, error: GantryError) -> None:
        """Note that the rest of the request could not be read."""
        self.drop_current()
        answer = answer_for_error(error)
        self.add(InstanceResult(failure_reason=answer.dimse_status, comment=answer.comment), answer)

    async def finish(self) -> list[InstanceResult]:
        """Store what still waits; what became of each object, in their order."""
        while self._waiting or self._storing:
            self._store_waiting()
            await self._one_stored()
        return self._results

    def drop_current(self) -> None:
        """Forget the object that has begun and is not whole."""
        if self._current is not None:
            self._current.abort()
            self._current = None

    def abandon(self) -> None:
        """Forget all that is not stored yet; harmless after `finish`."""
        self.drop_current()
        for _, arrival in self._waiting:
            arrival.abort()
        self._waiting.clear()

    def common_failure(self) -> Answer | None:
        """The answer for the whole request where every object failed for one reason that has a status.

        Several reasons are as one where all are ours, as on a disk that fails: no object is at fault.
        """
        statuses = {answer.http_status for answer in self.statuses}
        if statuses and statuses <= _COMMON_STATUSES and (len(statuses) == 1 or min(statuses) >= 500):
            return max(self.statuses, key=lambda answer: answer.http_status)
        return None

    def _store_waiting(self) -> None:
        """Share what waits among the storing threads that are free."""
        free = MAX_STORING - len(self._storing)
        share = max(MIN_GROUP, -(-len(self._waiting) // free)) if free else 0
        while self._waiting and len(self._storing) < MAX_STORING:
            group, self._waiting = self._waiting[:share], self._waiting[share:]
            self._storing.add(asyncio.create_task(self._keep(group)))

    async def _one_stored(self) -> None:
        """Wait until a group is durable. Raises what went wrong with it, if it was none of its objects."""
        if self._storing:
            done, self._storing = await asyncio.wait(self._storing, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _keep(self, group: list[tuple[int, Incoming]]) -> None:
        with part(ARCHIVE_STORE) as span:
            arrivals = [arrival for _, arrival in group]
            outcomes = await in_store_thread(self._archive.store_many, arrivals)
            if span is not None:
                span.note("gantry.objects", len(group))
        for (place, _), outcome in zip(group, outcomes, strict=True):
            answer = answer_for(outcome)
            self.statuses[place] = answer
            self._results[place] = instance_result(outcome, answer)
            self._log(outcome, answer)

    def _log(self, outcome: Outcome, answer: Answer) -> None:
        if isinstance(outcome, Refused):
            log.warning(
                "refused an object from %s: %04X %s",
                self._origin.peer,
                answer.dimse_status,
                ascii(answer.comment),
            )


def instance_result(outcome: Outcome, answer: Answer) -> InstanceResult:
    """What the answer says of one object."""
    key = outcome.key
    named = InstanceResult(
        sop_class_uid=outcome.sop_class_uid or "",
        sop_instance_uid=key.sop_uid if key else "",
        study_uid=key.study_uid if key else "",
        series_uid=key.series_uid if key else "",
        comment=answer.comment,
    )
    if isinstance(outcome, Refused):
        return replace(named, failure_reason=answer.dimse_status)
    return named
