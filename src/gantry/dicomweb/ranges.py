"""Byte ranges and entity tags (RFC 9110 13 and 14).

One range per request: a list of ranges would need multipart/byteranges, which no DICOM client
reads, and was how other servers were made to spend quadratic time. A list is answered 416.
"""

from __future__ import annotations

from gantry.errors import NotSatisfiable

_MAX_DIGITS = 19
_MAX_TAG_LIST_CHARS = 4096


def parse_range(field: str | None, size: int) -> tuple[int, int] | None:
    """The half-open byte range asked for of `size` bytes, or None for the whole.

    Raises NotSatisfiable for anything but one satisfiable range.
    """
    if field is None:
        return None
    unit, equals, spec = field.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None  # RFC 9110 14.2: a unit that is not understood is ignored.
    first, hyphen, last = spec.strip().partition("-")
    if not hyphen or len(spec) > 2 * _MAX_DIGITS + 4:
        raise NotSatisfiable(size, "Range: only one range of the form FIRST-LAST is served")
    start, stop = _position(first, size), _position(last, size)
    if start is None:
        if not stop or not size:
            raise NotSatisfiable(size, "Range: an empty range")
        return max(0, size - stop), size
    if start >= size or (stop is not None and stop < start):
        raise NotSatisfiable(size, f"Range: not within 0-{size - 1}")
    return start, size if stop is None else min(stop + 1, size)


def range_of_held(field: str | None, if_range: str | None, etag: str, size: int) -> tuple[int, int] | None:
    """As `parse_range`, for a client that says what it holds (If-Range, RFC 9110 13.1.5).

    Of what it does not hold, a range is no use to it: that is given whole. Dates name nothing here, since no
    answer has Last-Modified. Raises NotSatisfiable.
    """
    return parse_range(field, size) if if_range is None or if_range.strip() == etag else None


def _position(text: str, size: int) -> int | None:
    text = text.strip()
    if not text:
        return None
    if len(text) > _MAX_DIGITS or not (text.isascii() and text.isdigit()):
        raise NotSatisfiable(size, "Range: a position is not a number, or there is more than one range")
    return int(text)


def not_modified(if_none_match: str | None, etag: str) -> bool:
    """Whether the client already holds the entity that `etag` (with its quotes) names."""
    if if_none_match is None or len(if_none_match) > _MAX_TAG_LIST_CHARS:
        return False
    held = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    wanted = etag.removeprefix("W/")
    return any(tag in ("*", wanted) for tag in held)
