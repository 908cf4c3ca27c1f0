"""DICOM objects in what people hand over: folders, files, zip files, file-sets with a DICOMDIR (PS3.10).

`objects_in` yields a `Source` for each candidate; `opened` gives its bytes in pieces and says by their
beginning what they are. What cannot be read is a candidate too, one whose bytes fail with the reason, so that
one broken file does not end the import of a disc.

A folder is walked in the order of its names; links in it are named, not followed. A file-set is read through
its DICOMDIR when that is what was named; a folder that holds one is walked like any other, since what lies in
it matters, not what its index says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import chain
from pathlib import Path

from gantry.dataset.part10 import (
    PREAMBLE_BYTES,
    PREFIX,
    encode_file_meta,
    guess_syntax,
    read_file_meta,
    read_part10,
)
from gantry.dataset.scan import scan
from gantry.errors import CallerError, DataSetError
from gantry.standard.dictionary import vr_of
from gantry.standard.sop_classes import MEDIA_STORAGE_DIRECTORY
from gantry.toolkit.zip_file import ZIP_MAGIC, ZipMembers

BLOCK = 1 << 20

HEAD_BYTES = 256 + (64 << 10)
"""The first piece: enough to hold the meta information, which is capped at 64 KiB."""

MAX_BARE_BYTES = 1 << 30
"""An object without meta information is read whole to find its UIDs; such files are old and small."""

_DIRECTORY_RECORD_SEQUENCE = 0x00041220
_RECORD_IN_USE = 0x00041410
_REFERENCED_FILE_ID = 0x00041500
_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_META_GROUP = b"\x02\x00"


class Kind(Enum):
    """What a candidate is, as far as its beginning tells; the value is the word for people."""

    OBJECT = "DICOM object"
    BARE = "without file meta information"
    DIRECTORY = "DICOMDIR"
    ZIP = "zip file in a zip file"
    OTHER = "not DICOM"
    LINK = "link, not followed"


@dataclass(frozen=True, slots=True)
class Source:
    """One candidate: `name` for reports, `path` where it is a file of its own.

    `declared_bytes` is what a zip file says of a member, not to be believed. Iterating over `pieces()` raises
    DataSetError for what is broken and OSError for what cannot be read.
    """

    name: str
    path: Path | None
    pieces: Callable[[], Iterator[bytes]]
    declared_bytes: int = 0
    is_link: bool = False


def opened(source: Source) -> tuple[Kind, Iterator[bytes]]:
    """What a candidate is, and all its bytes. Raises what its `pieces` raise."""
    if source.is_link:
        return Kind.LINK, iter(())
    pieces = source.pieces()
    head = next(pieces, b"")
    return kind_of(head), chain([head], pieces)


def kind_of(head: bytes) -> Kind:
    """What a file is that begins like this; `head` is `HEAD_BYTES` long or the whole file."""
    # The end of a DICOM file may look like a zip file, and the other way round (B48): the prefix decides.
    if head[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == PREFIX:
        try:
            is_directory = read_file_meta(head).media_storage_sop_class_uid == MEDIA_STORAGE_DIRECTORY
        except DataSetError:
            return Kind.OBJECT  # the archive will say what is wrong with it
        return Kind.DIRECTORY if is_directory else Kind.OBJECT
    if head.startswith(ZIP_MAGIC):
        return Kind.ZIP
    return Kind.BARE if _begins_like_a_data_set(head) else Kind.OTHER


def _begins_like_a_data_set(head: bytes) -> bool:
    if head[:4] == PREFIX or (head[:2] == _META_GROUP and head[4:6] in (b"UL", b"OB", b"UI")):
        return True
    # Every composite object begins in group 0008, where its SOP Class UID stands.
    little = head[:2] == b"\x08\x00" and vr_of(0x00080000 | int.from_bytes(head[2:4], "little")) != "UN"
    big = head[:2] == b"\x00\x08" and vr_of(0x00080000 | int.from_bytes(head[2:4], "big")) != "UN"
    return (little or big) and guess_syntax(head) is not None


def with_meta(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A bare object as a Part 10 file: what it lacks is put before it, its own bytes stay.

    Raises DataSetError for what has no SOP Class and Instance UID or cannot be read.
    """
    taken: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_BARE_BYTES:
            raise DataSetError(f"without file meta information, and larger than {MAX_BARE_BYTES} bytes")
        taken.append(piece)
    content = b"".join(taken)
    if content[:4] == PREFIX:
        yield bytes(PREAMBLE_BYTES)
    elif content[:2] == _META_GROUP:
        yield bytes(PREAMBLE_BYTES) + PREFIX
    else:
        yield _made_meta(content)
    yield content


def _made_meta(content: bytes) -> bytes:
    syntax = guess_syntax(content)
    if syntax is None:
        raise DataSetError("not DICOM: neither a file of it, nor a Data Set in any transfer syntax")
    ds = scan(content, syntax)
    sop_class, instance = ds.text(_SOP_CLASS_UID), ds.text(_SOP_INSTANCE_UID)
    if not sop_class or not instance:
        raise DataSetError("SOP Class UID or SOP Instance UID is missing")
    return encode_file_meta(
        sop_class_uid=sop_class, sop_instance_uid=instance, transfer_syntax_uid=syntax.uid
    )


def objects_in(paths: Iterable[Path]) -> Iterator[Source]:
    """Candidates at or below the paths. Raises CallerError for a path that is not there."""
    for path in paths:
        if path.is_dir():
            yield from _in_folder(path)
        elif path.is_file():
            yield from _in_file(path, named=True)
        else:
            raise CallerError(f"there is no file or folder {path}")


def _in_folder(folder: Path) -> Iterator[Source]:
    unreadable: list[OSError] = []
    for name, folders, files in os.walk(folder, onerror=unreadable.append):
        folders.sort()
        here = Path(name)
        for file in sorted(files) + [f for f in folders if (here / f).is_symlink()]:
            path = here / file
            if path.is_symlink():
                yield Source(str(path), path, partial(_file_pieces, path), is_link=True)
            elif path.is_file():
                yield from _in_file(path, named=False)
        while unreadable:
            error = unreadable.pop()
            yield _failing(str(error.filename), error)
    # What failed last has no folder after it that would tell.
    yield from (_failing(str(error.filename), error) for error in unreadable)


def _in_file(path: Path, *, named: bool) -> Iterator[Source]:
    try:
        head = next(_file_pieces(path), b"") if named else _beginning(path)
    except OSError as error:
        yield _failing(str(path), error)
        return
    if head[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != PREFIX and head.startswith(ZIP_MAGIC):
        yield from _in_zip(path)
    elif named and kind_of(head) is Kind.DIRECTORY:
        yield from _in_file_set(path)
    else:
        yield Source(str(path), path, partial(_file_pieces, path))


def _beginning(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(PREAMBLE_BYTES + len(PREFIX))


def _file_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        size = HEAD_BYTES
        while piece := file.read(size):
            yield piece
            size = BLOCK


def _failing(name: str, error: Exception) -> Source:
    def pieces() -> Iterator[bytes]:
        raise error

    return Source(name, None, pieces)


def _in_zip(path: Path) -> Iterator[Source]:
    try:
        members = ZipMembers(path)
    except (DataSetError, OSError) as error:
        yield _failing(str(path), error)
        return
    for member in members:
        pieces = partial(members.pieces, member, HEAD_BYTES)
        yield Source(f"{path}!{member.filename}", None, pieces, member.file_size)


def _in_file_set(dicomdir: Path) -> Iterator[Source]:
    """The files that a DICOMDIR refers to; a File ID may not lead out of the file-set (PS3.10 8.2)."""
    try:
        _, ds = read_part10(dicomdir.read_bytes())
        records = ds.sequence(_DIRECTORY_RECORD_SEQUENCE)
    except DataSetError as error:
        words = f"the DICOMDIR is broken ({error}); name its folder instead"
        yield _failing(str(dicomdir), DataSetError(words))
        return
    for record in records:
        parts = record.texts(_REFERENCED_FILE_ID)
        # PS3.3 F.3.2.2: 0 marks a record that is no longer used.
        if not parts or record.ints(_RECORD_IN_USE) == [0]:
            continue
        path = _within(dicomdir.parent, parts)
        if path is None:
            file_id = "/".join(parts)
            yield _failing(f"{dicomdir}!{file_id}", DataSetError(f"the file-set has no file {file_id!r}"))
        else:
            yield Source(str(path), path, partial(_file_pieces, path))


def _within(root: Path, parts: list[str]) -> Path | None:
    """The file of a File ID below `root`, however this file system spells it; None if there is none."""
    path = root
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\0" in part:
            return None
        if not (path / part).exists():
            alike = (
                [p for p in path.iterdir() if _iso_name(p.name) == _iso_name(part)] if path.is_dir() else []
            )
            part = alike[0].name if alike else part
        path = path / part
    return path if path.is_file() and path.resolve().is_relative_to(root.resolve()) else None


def _iso_name(name: str) -> str:
    """A name as different readers of ISO 9660 show it: in either case, with and without version and dot."""
    return name.lower().partition(";")[0].rstrip(".")
