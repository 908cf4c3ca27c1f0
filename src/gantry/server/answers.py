"""Answers to searches, kept while the archive does not change.

A study list is asked for by every viewer that is open, in the same words, again and again. An answer is
kept with the number of the last change before it was looked up; the next change ends them all. So a
kept answer is one that the index would give again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gantry.server.generation import Generation
from gantry.server.http import Headers, Response

MAX_KEPT_BYTES = 16 << 20
MAX_ANSWER_BYTES = 1 << 20
"""Larger answers are asked for rarely, and would push out many others."""

Words = tuple[str, ...]
"""All that an answer depends on besides the archive: path, query, form, address, encoding."""


@dataclass(frozen=True, slots=True)
class _Kept:
    status: int
    body: bytes
    headers: Headers


class Answers:
    """The answers given since the last change."""

    def __init__(self, generation: Generation) -> None:
        self._now = generation
        self._kept: OrderedDict[Words, _Kept] = OrderedDict()
        self._kept_bytes = 0
        self._good_for = generation.state

    def generation(self) -> tuple[int, int]:
        """Names the archive's present state; take it before looking anything up."""
        return self._now.state

    def find(self, words: Words) -> Response | None:
        """The answer to a request in these words, if one is known that still holds."""
        if self._good_for != self._now.state:
            self._kept.clear()
            self._kept_bytes = 0
            self._good_for = self._now.state
            return None
        kept = self._kept.get(words)
        return None if kept is None else Response(kept.status, kept.body, list(kept.headers))

    def keep(self, words: Words, response: Response, generation: tuple[int, int]) -> None:
        """Keep an answer that was looked up after `generation` was taken."""
        body = response.body
        if generation != self._good_for or not isinstance(body, bytes) or len(body) > MAX_ANSWER_BYTES:
            return
        before = self._kept.pop(words, None)
        self._kept[words] = _Kept(response.status, body, list(response.headers))
        self._kept_bytes += len(body) - (len(before.body) if before else 0)
        while self._kept_bytes > MAX_KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1].body)
