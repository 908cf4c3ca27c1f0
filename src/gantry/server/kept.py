"""What was used last, up to a weight in all; for any number of threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class Kept(Generic[_Value]):
    """Values by key; those used longest ago go when all together weigh more than the limit."""

    def __init__(self, limit: int, weight: Callable[[_Value], int]) -> None:
        self._limit = limit
        self._weight = weight
        self._total = 0
        self._held: OrderedDict[object, _Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> _Value | None:
        """The value, which counts as used; None where it is not held."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key]

    def put(self, key: object, value: _Value) -> None:
        """Hold a value, in place of an earlier one."""
        with self._lock:
            before = self._held.pop(key, None)
            self._total += self._weight(value) - (self._weight(before) if before is not None else 0)
            self._held[key] = value
            while self._total > self._limit:
                self._total -= self._weight(self._held.popitem(last=False)[1])
