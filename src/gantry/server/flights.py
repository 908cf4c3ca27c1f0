"""One piece of work for all who ask for the same thing at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")


class Flights(Generic[_Result]):
    """Work under way, by key. It goes on when who asked first goes away: what it makes is kept."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[_Result]] = {}

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """The result of `work`, or of the same work that is under way already."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _landed(self, key: Hashable, task: asyncio.Task[_Result]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # looked at, also when nobody waits for it any more
