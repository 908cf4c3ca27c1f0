"""multipart/related, read in pieces and written in pieces (RFC 2046 5.1, RFC 2387).

`MultipartParser` takes the body as it comes off the wire, in chunks cut anywhere, and gives events:
a part begins with these headers, here is data of it, it ended. It holds back no more than one
delimiter's length, so a 2 GB object passes through in the chunks it came in. Three outcomes as any
reader: events, none yet (feed more), or WebRequestError 400 with the offset in the body.

The delimiter is CRLF, two hyphens and the boundary; the CRLF belongs to the delimiter and not to the
part before it, which is why a parser may treat the body's start as if a CRLF stood before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from gantry.dicomweb.media_types import MediaType
from gantry.errors import WebRequestError

MAX_PARTS = 10_000
"""Most parts of one body: twice the largest series seen, and what one answer can list."""

MAX_BOUNDARY_CHARS = 70
"""RFC 2046 5.1.1."""

MAX_PART_HEADER_BYTES = 8192
"""Headers of one part; real ones have three short fields."""

MAX_PREAMBLE_BYTES = 65_536
"""What may stand before the first delimiter; nothing should."""

_BOUNDARY_CHARS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ")
_MAX_PADDING_BYTES = 256


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part starts. Header names are in lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the part that began last."""

    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that began last is whole."""


Event = PartBegin | PartData | PartEnd
_PART_END = PartEnd()


class _State(Enum):
    PREAMBLE = "before the first delimiter"
    AFTER_DELIMITER = "after a delimiter"
    HEADERS = "in the headers of a part"
    BODY = "in a part"
    END = "after the closing delimiter"


def boundary_of(content_type: MediaType) -> str:
    """The boundary parameter. Raises WebRequestError 400 where it is missing or breaks RFC 2046."""
    boundary = content_type.parameters.get("boundary")
    if not boundary:
        raise WebRequestError(400, f"Content-Type {content_type.essence} has no boundary parameter")
    if len(boundary) > MAX_BOUNDARY_CHARS:
        raise WebRequestError(400, f"the multipart boundary is longer than {MAX_BOUNDARY_CHARS} characters")
    if not _BOUNDARY_CHARS.issuperset(boundary) or boundary.endswith(" "):
        raise WebRequestError(400, "the multipart boundary has characters that RFC 2046 does not allow")
    return boundary


class MultipartParser:
    """Push parser of one body. After `feed` of everything, `finish` tells whether it was whole."""

    def __init__(self, boundary: str, *, max_parts: int = MAX_PARTS) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._state = _State.PREAMBLE
        self._held = b"\r\n"
        self._offset = -2
        self._parts = 0
        self._max_parts = max_parts
        self._events: list[Event] = []

    @property
    def complete(self) -> bool:
        """Whether the closing delimiter has been read."""
        return self._state is _State.END

    @property
    def in_part(self) -> bool:
        """Whether a part has begun and not ended."""
        return self._state is _State.BODY

    @property
    def parts_begun(self) -> int:
        return self._parts

    def feed(self, data: bytes) -> list[Event]:
        """Events in `data`. Raises WebRequestError; `taken` still gives what was read before it."""
        if self._state is _State.END:
            return []
        if self._state is _State.BODY and not self._held:
            buffer = data
        else:
            buffer = self._held + data
        self._held = b""
        self._events = []
        position = 0
        while position >= 0:
            position = _STEP[self._state](self, buffer, position)
        return self._events

    def taken(self) -> list[Event]:
        """Events of the `feed` that raised, up to where it did."""
        return self._events

    def finish(self) -> None:
        """The body has ended. Raises WebRequestError 400 unless it was whole."""
        if self._state is not _State.END:
            raise self._error("the multipart body ends without its closing delimiter", 0)

    def _error(self, cause: str, position: int) -> WebRequestError:
        return WebRequestError(
            400, f"{cause} ({self._state.value}, offset {max(0, self._offset + position)})"
        )

    def _hold(self, buffer: bytes, position: int) -> int:
        self._held = buffer[position:]
        self._offset += position
        return -1

    def _skip_preamble(self, buffer: bytes, position: int) -> int:
        found = buffer.find(self._delimiter, position)
        if found < 0:
            keep = max(position, len(buffer) - len(self._delimiter) + 1)
            if self._offset + keep > MAX_PREAMBLE_BYTES:
                raise self._error("no delimiter with the announced boundary was found", keep)
            return self._hold(buffer, keep)
        self._state = _State.AFTER_DELIMITER
        return found + len(self._delimiter)

    def _after_delimiter(self, buffer: bytes, position: int) -> int:
        if buffer.startswith(b"--", position):
            self._state = _State.END
            return -1
        end = buffer.find(b"\r\n", position)
        if end < 0:
            if len(buffer) - position > _MAX_PADDING_BYTES:
                raise self._error("a delimiter is not followed by a line end", position)
            return self._hold(buffer, position)
        if buffer[position:end].strip(b" \t"):
            raise self._error("a delimiter is followed by other text", position)
        if self._parts == self._max_parts:
            raise self._error(f"more than {self._max_parts} parts", position)
        self._parts += 1
        self._state = _State.HEADERS
        # The header block is read from this CRLF on, so that a part without headers ends at once.
        return end

    def _headers(self, buffer: bytes, position: int) -> int:
        end = buffer.find(b"\r\n\r\n", position)
        if end < 0 or end - position > MAX_PART_HEADER_BYTES:
            if len(buffer) - position > MAX_PART_HEADER_BYTES:
                raise self._error(f"the headers of a part exceed {MAX_PART_HEADER_BYTES} bytes", position)
            return self._hold(buffer, position)
        # A part may have no body at all: the blank line is then the start of its delimiter.
        following = buffer[end + 2 : end + 2 + len(self._delimiter)]
        if len(following) < len(self._delimiter) and self._delimiter.startswith(following):
            return self._hold(buffer, position)
        self._events.append(PartBegin(self._parse_headers(buffer[position:end], position)))
        self._state = _State.BODY
        return end + 2 if following == self._delimiter else end + 4

    def _parse_headers(self, block: bytes, position: int) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in block.split(b"\r\n"):
            if not line:
                continue
            name, colon, value = line.partition(b":")
            if not colon or not name or name != name.strip():
                raise self._error("a part header is not NAME: VALUE", position)
            try:
                headers[name.decode("ascii").lower()] = value.strip(b" \t").decode("utf-8")
            except UnicodeDecodeError:
                raise self._error("a part header is not text", position) from None
        return headers

    def _body(self, buffer: bytes, position: int) -> int:
        found = buffer.find(self._delimiter, position)
        if found >= 0:
            self._emit(buffer, position, found)
            self._events.append(_PART_END)
            self._state = _State.AFTER_DELIMITER
            return found + len(self._delimiter)
        end = self._possible_delimiter(buffer, position)
        self._emit(buffer, position, end)
        return self._hold(buffer, end)

    def _possible_delimiter(self, buffer: bytes, position: int) -> int:
        """Where the longest tail of `buffer` begins that the delimiter could begin with."""
        delimiter = self._delimiter
        at = buffer.find(b"\r", max(position, len(buffer) - len(delimiter) + 1))
        while at >= 0:
            if delimiter.startswith(buffer[at:]):
                return at
            at = buffer.find(b"\r", at + 1)
        return len(buffer)

    def _emit(self, buffer: bytes, start: int, end: int) -> None:
        if end > start:
            whole = start == 0 and end == len(buffer)
            self._events.append(PartData(buffer if whole else memoryview(buffer)[start:end]))


def _nothing(_parser: MultipartParser, _buffer: bytes, _position: int) -> int:
    return -1


_STEP: dict[_State, Callable[[MultipartParser, bytes, int], int]] = {
    _State.PREAMBLE: MultipartParser._skip_preamble,
    _State.AFTER_DELIMITER: MultipartParser._after_delimiter,
    _State.HEADERS: MultipartParser._headers,
    _State.BODY: MultipartParser._body,
    _State.END: _nothing,
}


def part_head(boundary: str, headers: Mapping[str, str], *, first: bool) -> bytes:
    """What stands before a part's bytes: delimiter and headers."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{'' if first else chr(13) + chr(10)}--{boundary}\r\n{lines}\r\n".encode("latin-1")


def closing(boundary: str) -> bytes:
    """What ends the body."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")


def related_content_type(media_type: str, boundary: str) -> str:
    """The Content-Type of a whole answer whose parts are of `media_type`."""
    return f'multipart/related; type="{media_type}"; boundary={boundary}'
