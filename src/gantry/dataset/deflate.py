"""Deflated Data Sets (PS3.5 A.5, RFC 1951): streamed both ways, and bounded on the way in.

After the deflate stream the standard allows one null byte. Some writers leave the trailer of a gzip file
there (checksum and length, RFC 1952 2.3.1); it is accepted where it is true. Anything else is refused,
since nobody would know what it belongs to.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

from gantry.dataset.limits import INFLATE_LIMITS, InflateLimits
from gantry.errors import DataSetError

_STEP: Final = 1 << 18
_TRAILER: Final = Struct("<LL")


def inflate(chunks: Iterable[bytes | memoryview], limits: InflateLimits = INFLATE_LIMITS) -> Iterator[bytes]:
    """The Data Set inside a deflated one, in pieces of at most 256 KiB.

    Raises DataSetError where the stream is corrupt, is cut, is followed by something else, or grows past a
    limit; whatever was yielded before must then be thrown away.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    taken = made = checksum = 0
    rest = b""
    for chunk in chunks:
        taken += len(chunk)
        if inflater.eof:
            rest = _more_rest(rest, bytes(chunk), taken)
            continue
        for piece in _inflate_chunk(inflater, chunk, taken):
            made += len(piece)
            _check_growth(taken, made, limits)
            checksum = zlib.crc32(piece, checksum)
            yield piece
        rest = _more_rest(rest, inflater.unused_data, taken)
    if not inflater.eof:
        raise DataSetError("the deflated Data Set is cut", offset=taken)
    if rest.strip(b"\0") and rest != _TRAILER.pack(checksum, made & 0xFFFFFFFF):
        raise DataSetError("something follows the deflated Data Set", offset=taken)


def _inflate_chunk(inflater: zlib._Decompress, chunk: bytes | memoryview, taken: int) -> Iterator[bytes]:
    data: bytes | memoryview = chunk
    while True:
        try:
            piece = inflater.decompress(data, _STEP)
        except zlib.error as error:
            raise DataSetError(f"the deflated Data Set is corrupt: {error}", offset=taken) from error
        if piece:
            yield piece
        data = inflater.unconsumed_tail
        if inflater.eof or (not data and len(piece) < _STEP):
            return


def _check_growth(taken: int, made: int, limits: InflateLimits) -> None:
    if made > limits.size_bytes:
        raise DataSetError(f"the deflated Data Set grows past {limits.size_bytes} bytes", offset=taken)
    if made > taken * limits.ratio + limits.slack_bytes:
        raise DataSetError(f"the deflated Data Set grows more than {limits.ratio} times", offset=taken)


def _more_rest(rest: bytes, more: bytes, taken: int) -> bytes:
    """What stands after the stream so far, as long as a trailer; what follows that must be zeros."""
    rest += more
    if rest[_TRAILER.size :].strip(b"\0"):
        raise DataSetError("something follows the deflated Data Set", offset=taken)
    return rest[: _TRAILER.size]


def deflate(chunks: Iterable[bytes | memoryview], level: int = 6) -> Iterator[bytes]:
    """The bytes of a Data Set deflated, and padded to an even length."""
    deflater = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    made = 0
    for chunk in chunks:
        piece = deflater.compress(chunk)
        made += len(piece)
        if piece:
            yield piece
    last = deflater.flush()
    yield last + b"\0" * ((made + len(last)) % 2)
