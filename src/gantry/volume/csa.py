"""The header that Siemens MR scanners put into a private attribute, (0029,1010), as a table of names.

Two forms exist: one begins with ``SV10``, the older one at once with the number of entries. Each entry has a
name of 64 bytes and a list of texts; an entry gives its lengths as 32-bit numbers, which are checked against
the bytes that are there. A header that does not add up ends where it stops adding up: it is a help, not a
promise.
"""

from __future__ import annotations

from struct import Struct

_MAGIC = b"SV10"
_COUNTS = Struct("<II")
_ENTRY = Struct("<64si4siii")
_VALUE = Struct("<iiii")

MAX_ENTRIES = 1024
"""A header has about a hundred."""

MAX_VALUES = 4096
"""Values of one entry; the longest list is one time for each slice of a mosaic."""


def read_csa(data: bytes) -> dict[str, list[str]]:
    """Name to texts, empty ones left out; empty for bytes that are no such header."""
    new = data[:4] == _MAGIC
    pos = 8 if new else 0
    if len(data) < pos + _COUNTS.size:
        return {}
    count, mark = _COUNTS.unpack_from(data, pos)
    if not 0 < count <= MAX_ENTRIES or mark not in (77, 205):
        return {}
    pos += _COUNTS.size
    first = 0
    entries: dict[str, list[str]] = {}
    for _ in range(count):
        if pos + _ENTRY.size > len(data):
            break
        name, _, _, _, values, _ = _ENTRY.unpack_from(data, pos)
        pos += _ENTRY.size
        if not entries:
            first = values  # the older form adds the first entry's number of values to each length
        texts: list[str] = []
        for _ in range(max(0, min(values, MAX_VALUES))):
            if pos + _VALUE.size > len(data):
                return entries
            one, two, _, _ = _VALUE.unpack_from(data, pos)
            pos += _VALUE.size
            size = two if new else one - first
            if not 0 <= size <= len(data) - pos:
                if new:
                    return entries
                break  # the older form ends a list of values so
            text = data[pos : pos + size].split(b"\0", 1)[0].decode("latin-1").strip()
            pos += (size + 3) // 4 * 4
            if text:
                texts.append(text)
        entries[name.split(b"\0", 1)[0].decode("latin-1")] = texts
    return entries


def csa_numbers(entries: dict[str, list[str]], name: str) -> list[float]:
    """The values of an entry that are numbers."""
    found = []
    for text in entries.get(name, ()):
        try:
            found.append(float(text))
        except ValueError:
            return []
    return found
