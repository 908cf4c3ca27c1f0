"""Files in a smaller form that gives the original back, bit for bit.

The pixels of the new form are decoded and written anew in the original's transfer syntax: only where that is,
octet for octet, the value of its Pixel Data, is the new form worth anything. All around that value is kept as
it is by whoever lets the original go, so that no reader or writer of headers need be trusted in years to
come, only the lossless codec.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gantry.archive.let_go import MAX_KEPT_BYTES
from gantry.dataset.part10 import FileMeta, encode_file_meta, read_part10
from gantry.dataset.scan import DataSet
from gantry.errors import CallerError, DataSetError
from gantry.pixels.transcode import keeps_pixels, pixel_value, transcode
from gantry.standard.transfer_syntaxes import transfer_syntax

SPOOL_BYTES = 64 << 20
"""Compressed frames up to this wait in memory, more in a temporary file."""

LEAST_SAVING = 0.02
"""A form that is smaller by less than this share is not worth a version of its own."""

_BLOCK = 1 << 20

NOT_EXACT = "it would not come back bit for bit"


@dataclass(frozen=True, slots=True)
class Smaller:
    """A form that was made: bytes of both files, and of what stands around the pixels of the first."""

    bytes_before: int
    bytes_after: int
    bytes_around: int


class NotWorthIt(CallerError):
    """Nothing is wrong with the object, but it stays as it is."""


def make_smaller(source: Path, target: Path, syntax_uid: str, dataset_sha256: bytes) -> Smaller:
    """Write the object in `source` to `target` in another transfer syntax, without loss, and prove it.

    Raises NotWorthIt where it does not become smaller or would not come back; CallerError, DataSetError for
    pixels that cannot be written so or read, or a source that has not the digest it must have; OSError. What
    is at `target` then is to be thrown away.
    """
    with _opened(source, dataset_sha256) as (meta, ds, size):
        _require_exact(meta.transfer_syntax_uid, syntax_uid)
        around = _around(ds, size)
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool, target.open("wb") as file:
            made = transcode(ds, syntax_uid, spool=spool)
            head = encode_file_meta(
                sop_class_uid=made.sop_class_uid,
                sop_instance_uid=made.sop_instance_uid,
                transfer_syntax_uid=syntax_uid,
                source_aet=meta.text(0x00020016),
            )
            written = file.write(head)
            for piece in made.pieces:
                written += file.write(piece)
        if written + around > size * (1 - LEAST_SAVING):
            raise NotWorthIt(f"it would take {written} bytes instead of {size}")
        _prove(ds, meta.transfer_syntax_uid, target)
        return Smaller(size, written, around)


def prove(source: Path, made: Path, dataset_sha256: bytes) -> Smaller:
    """See that the object in `made` gives the pixels of that in `source` back. Raises as `make_smaller`."""
    with _opened(source, dataset_sha256) as (meta, ds, size):
        around = _around(ds, size)
        _prove(ds, meta.transfer_syntax_uid, made)
        return Smaller(size, made.stat().st_size, around)


def make_again(made: Path, syntax_uid: str, head: bytes, tail: bytes, target: Path) -> None:
    """Write the original to `target`: what stood around its pixels, and these in its transfer syntax.

    Raises CallerError, DataSetError, OSError.
    """
    with _opened(made) as (_, ds, _), target.open("wb") as file:
        file.write(head)
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
            for piece in pixel_value(ds, syntax_uid, spool):
                file.write(piece)
        file.write(tail)


def _around(ds: DataSet, size: int) -> int:
    """Bytes of the file that are not pixels."""
    if ds.pixel_data is None:
        raise NotWorthIt("it has no pixels")
    around = size - ds.pixel_data.length
    if around > MAX_KEPT_BYTES:
        raise NotWorthIt(f"it has {around} bytes beside its pixels")
    return around


def _require_exact(source_uid: str, target_uid: str) -> None:
    source = transfer_syntax(source_uid)
    if source.deflated or not source.known:
        raise NotWorthIt(f"what is stored in {source.name} stays as it is")
    if not keeps_pixels(source_uid, target_uid):
        raise NotWorthIt(f"{source.name} in {transfer_syntax(target_uid).name} would lose something")
    if not keeps_pixels(target_uid, source_uid):
        raise NotWorthIt(f"nothing gives {source.name} back bit for bit")


def _prove(original: DataSet, syntax_uid: str, made: Path) -> None:
    pixels = original.pixel_data
    assert pixels is not None
    position, stop = pixels.offset, pixels.offset + pixels.length
    with _opened(made) as (_, ds, _), tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        try:
            for piece in pixel_value(ds, syntax_uid, spool):
                if position + len(piece) > stop or original.buffer[position : position + len(piece)] != piece:
                    raise NotWorthIt(NOT_EXACT)
                position += len(piece)
        except (CallerError, DataSetError) as error:
            raise NotWorthIt(f"{NOT_EXACT}: {error}") from error
    if position != stop:
        raise NotWorthIt(NOT_EXACT)


def _digest(data: mmap.mmap, start: int) -> bytes:
    digest = hashlib.sha256()
    for place in range(start, len(data), _BLOCK):
        digest.update(data[place : place + _BLOCK])
    return digest.digest()


@contextmanager
def _opened(path: Path, dataset_sha256: bytes | None = None) -> Iterator[tuple[FileMeta, DataSet, int]]:
    with path.open("rb") as file, closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
        meta, ds = read_part10(data)
        if dataset_sha256 is not None and _digest(data, meta.dataset_offset) != dataset_sha256:
            raise DataSetError("the file does not hold the bytes that were acknowledged")
        yield meta, ds, len(data)
        del ds
