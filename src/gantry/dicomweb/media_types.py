"""Media types with their parameters, as header fields and query parameters write them.

The grammar is that of RFC 9110 8.3.1 (``type/subtype *( ; name=value )``) read in one pass over the
text, so that a hostile header costs time in proportion to its length and no more. Names of types
and parameters are case-insensitive and held in lower case; parameter values are kept as sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gantry.errors import WebRequestError

MAX_HEADER_CHARS = 8192
"""Longest Accept or Content-Type that is read; real ones stay under 1 KiB."""

MAX_ENTRIES = 100
"""Most alternatives in one Accept; a client that lists every syntax of the standard needs 60."""

MAX_PARAMETERS = 16
"""Most parameters of one media type; PS3.18 defines four."""

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Clients write unquoted types and boundaries (type=application/dicom); RFC 9110 would have them quoted.
_LOOSE_VALUE = _TOKEN | frozenset("/:?=@()[]{}")


@dataclass(frozen=True, slots=True)
class MediaType:
    """``image/jpeg; transfer-syntax=...``: `essence` is ``image/jpeg``."""

    essence: str
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def type(self) -> str:
        return self.essence.partition("/")[0]

    @property
    def subtype(self) -> str:
        return self.essence.partition("/")[2]


def parse_media_type(text: str) -> MediaType:
    """One media type. Raises WebRequestError 400 where the text is not one."""
    entries = parse_media_types(text)
    if len(entries) != 1:
        raise WebRequestError(400, "expected one media type")
    return entries[0]


def parse_media_types(text: str) -> tuple[MediaType, ...]:
    """A comma-separated list of media types. Raises WebRequestError 400."""
    if len(text) > MAX_HEADER_CHARS:
        raise WebRequestError(400, f"a list of media types is longer than {MAX_HEADER_CHARS} characters")
    reader = _Reader(text)
    entries: list[MediaType] = []
    while not reader.at_end():
        if reader.skip(","):
            continue
        if len(entries) == MAX_ENTRIES:
            raise WebRequestError(400, f"more than {MAX_ENTRIES} media types in one list")
        entries.append(_entry(reader))
        if not reader.at_end() and not reader.skip(","):
            raise WebRequestError(400, f"media type list: unexpected character at {reader.position}")
    return tuple(entries)


def _entry(reader: _Reader) -> MediaType:
    kind = reader.token("media type")
    reader.expect("/")
    essence = f"{kind}/{reader.token('media subtype')}".lower()
    parameters: dict[str, str] = {}
    count = 0
    while reader.skip(";"):
        if reader.at_end() or reader.peek() in ",;":
            continue
        name = reader.token("parameter name").lower()
        reader.expect("=")
        count += 1
        if count > MAX_PARAMETERS:
            raise WebRequestError(400, f"media type {essence} has more than {MAX_PARAMETERS} parameters")
        parameters[name] = reader.value()
    return MediaType(essence, MappingProxyType(parameters))


class _Reader:
    """A cursor over header text; white space before a symbol is skipped."""

    __slots__ = ("position", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def at_end(self) -> bool:
        text, n = self.text, len(self.text)
        while self.position < n and text[self.position] in " \t":
            self.position += 1
        return self.position >= n

    def peek(self) -> str:
        return self.text[self.position]

    def skip(self, symbol: str) -> bool:
        if not self.at_end() and self.text[self.position] == symbol:
            self.position += 1
            return True
        return False

    def expect(self, symbol: str) -> None:
        if not self.skip(symbol):
            raise WebRequestError(400, f"media type: expected {symbol!r} at character {self.position}")

    def token(self, what: str) -> str:
        self.at_end()
        return self._run(_TOKEN, what)

    def value(self) -> str:
        if self.skip('"'):
            return self._quoted()
        self.at_end()
        return self._run(_LOOSE_VALUE, "parameter value")

    def _run(self, allowed: frozenset[str], what: str) -> str:
        text, start, n = self.text, self.position, len(self.text)
        end = start
        while end < n and text[end] in allowed:
            end += 1
        if end == start:
            raise WebRequestError(400, f"media type: expected a {what} at character {start}")
        self.position = end
        return text[start:end]

    def _quoted(self) -> str:
        text, n = self.text, len(self.text)
        out: list[str] = []
        while self.position < n:
            char = text[self.position]
            self.position += 1
            if char == '"':
                return "".join(out)
            if char == "\\" and self.position < n:
                char = text[self.position]
                self.position += 1
            out.append(char)
        raise WebRequestError(400, "media type: a quoted value has no end")
