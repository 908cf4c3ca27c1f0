"""Work on many objects, some at a time, by whatever `Executor` is given: threads, processes, a cluster.

What is done is a function of a module that takes what it works on (the archive's files, a server) and some
items, and answers a result for each of them. It may run twice, where a process died or a machine was lost in
the middle of it, so it changes nothing, or only what it would find the second time. Results are taken once
each, in the order of the items, and no more are under way than `Batch.width` says: there may be any number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

Place = TypeVar("Place")
Item = TypeVar("Item")
Result = TypeVar("Result")

Work = Callable[[Place, Sequence[Item]], list[Result]]

ITEMS_AT_ONCE = 128
"""Enough that handing them over costs little beside reading them, few enough to be done anew."""
BYTES_AT_ONCE = 64 << 20
_THREADS = 4


@dataclass(frozen=True, slots=True)
class Lost:
    """No result: whatever worked on this item alone died of it."""

    why: str


@dataclass(frozen=True, slots=True)
class Batch(Generic[Place]):
    """Who works, how what works reaches what it works on, and how many shares are given out at once.

    Where `executor` works elsewhere, `reach` is pickled and called there.
    """

    executor: Executor
    reach: Callable[[], AbstractContextManager[Place]]
    width: int

    def run(
        self,
        work: Work[Place, Item, Result],
        items: Iterable[Item],
        size_of: Callable[[Item], int] = lambda _: 0,
    ) -> Iterator[_Done[Item, Result]]:
        """What `work` made of the items, share by share, in their order. Raises what it raises."""
        under_way: deque[tuple[Sequence[Item], Future[list[Result]]]] = deque()
        try:
            for share in _shares(items, size_of):
                if len(under_way) >= self.width:
                    yield self._done(work, *under_way.popleft())
                under_way.append((share, self._begin(work, share)))
            while under_way:
                yield self._done(work, *under_way.popleft())
        finally:
            for _, future in under_way:
                future.cancel()

    def _begin(self, work: Work[Place, Item, Result], share: Sequence[Item]) -> Future[list[Result]]:
        return self.executor.submit(_at, self.reach, work, share)

    def _done(
        self, work: Work[Place, Item, Result], share: Sequence[Item], future: Future[list[Result]]
    ) -> _Done[Item, Result]:
        try:
            return _Done(share, future.result())
        except BrokenExecutor as error:
            if len(share) == 1:
                return _Done(share, [Lost(str(error))])
        # One of them, or nothing in them, was the cause
        alone = [self._begin(work, [item]) for item in share]
        results: list[Result | Lost] = []
        for future in alone:
            try:
                results += future.result()
            except BrokenExecutor as error:
                results.append(Lost(str(error)))
        return _Done(share, results)


@dataclass(frozen=True, slots=True)
class _Done(Generic[Item, Result]):
    items: Sequence[Item]
    results: Sequence[Result | Lost]

    def __iter__(self) -> Iterator[tuple[Item, Result | Lost]]:
        return zip(self.items, self.results, strict=True)


@contextmanager
def in_threads(place: Place) -> Iterator[Batch[Place]]:
    """A batch in this process: for files that are waited for, and digests, which need no Python."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="gantry-batch") as executor:
        yield Batch(executor, lambda: nullcontext(place), 2 * _THREADS)


def _at(
    reach: Callable[[], AbstractContextManager[Place]],
    work: Work[Place, Item, Result],
    share: Sequence[Item],
) -> list[Result]:
    with reach() as place:
        return work(place, share)


def _shares(items: Iterable[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    share: list[Item] = []
    size = 0
    for item in items:
        share.append(item)
        size += size_of(item)
        if len(share) >= ITEMS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield share
            share, size = [], 0
    if share:
        yield share
