"""Work that is done in order by several at once: a few pieces are under way while one is given out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


async def ahead(
    items: Iterable[_Item], work: Callable[[_Item], Coroutine[Any, Any, _Result]], count: int
) -> AsyncIterator[asyncio.Task[_Result]]:
    """A finished task for each item, in order; up to `count` run ahead. Leaving early cancels the others."""
    waiting: deque[asyncio.Task[_Result]] = deque()
    try:
        for item in items:
            waiting.append(asyncio.create_task(work(item)))
            if len(waiting) > count:
                yield await _finished(waiting.popleft())
        while waiting:
            yield await _finished(waiting.popleft())
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _finished(task: asyncio.Task[_Result]) -> asyncio.Task[_Result]:
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        raise
    return task
