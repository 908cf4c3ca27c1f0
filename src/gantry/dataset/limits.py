"""What a Data Set from outside may cost: each bound, and why it is where it is.

Nothing here refuses an object that a modality is known to make. Bounds on counts keep memory flat, because
a few megabytes of bytes can describe millions of Python objects; bounds on depth and on inflated size end
the classes of attack that took down other archives (deep nesting, deflate bombs).
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_NESTING = 64
"""Sequences within sequences. The deepest objects in use (structured reports) stay below 20."""

MAX_ITEMS = 1_000_000
"""Items of all sequences, and fragments of encapsulated values, in one Data Set. Whole-slide images of
100,000 tiles carry one functional group item and one fragment for each.
"""

MAX_ELEMENTS = 5_000_000
"""Data Elements on all levels of one Data Set: five for each of the items that are allowed."""

MAX_ELEMENTS_OF_ONE_LEVEL = 250_000
"""Data Elements of one Data Set or one Item, nested ones not counted. The dictionary has some 5,000; what
is held in memory for one level is about 250 bytes an element, so that this is about 60 MB.
"""

MAX_TEXT_BYTES = 1 << 20
"""One text value that is decoded. Longer values stay in the object; who asks for them gets this much."""

MAX_META_BYTES = 64 << 10
"""File Meta Information (PS3.10 7.1). Private Information in it is at most some kilobytes in practice."""


@dataclass(frozen=True, slots=True)
class InflateLimits:
    """How far a deflated Data Set may grow (PS3.5 A.5).

    `ratio` is output over input: text headers deflate 5 to 20 times, a flat image some 100 times; 1,000 is
    what deflate can do to zeros. `slack_bytes` may be produced whatever the ratio, so that small objects of
    zeros pass. `size_bytes` is the bound on everything together.
    """

    ratio: int = 200
    slack_bytes: int = 1 << 20
    size_bytes: int = 4 << 30


INFLATE_LIMITS = InflateLimits()
