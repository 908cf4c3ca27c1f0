"""DICOM objects in what people hand over: folders, files, zip files, file-sets with a DICOMDIR (PS3.10).

`objects_in` yields a `Source` for each candidate; reading it gives its bytes in pieces. A zip file is read
as a stream, its members' declared sizes are not believed, and no name in it ever becomes a path. A file-set
is read through its DICOMDIR when that is what was named; a folder that holds one is walked like any other,
since what lies in it matters, not what its index says.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gantry.dataset.part10 import PREAMBLE_BYTES, PREFIX, read_file_meta, read_part10
from gantry.errors import CallerError, DataSetError
from gantry.standard.sop_classes import MEDIA_STORAGE_DIRECTORY

BLOCK = 1 << 20

MAX_ZIP_MEMBERS = 1_000_000
"""A hospital's year of CT; more in one zip file is a mistake or an attack."""

MAX_MEMBER_RATIO = 200
"""Times its compressed size that a member may inflate to: noise-free images reach 50, bombs 1000."""

SMALL_MEMBER_BYTES = 1 << 20
"""Members below this inflate to may have any ratio: an empty image compresses without end."""

_DIRECTORY_RECORD_SEQUENCE = 0x00041220
_REFERENCED_FILE_ID = 0x00041500


@dataclass(frozen=True, slots=True)
class Source:
    """One candidate: `name` for reports, `path` where it is a file of its own, `pieces` its bytes."""

    name: str
    path: Path | None
    pieces: Callable[[], Iterator[bytes]]

    def is_dicom(self) -> bool:
        """Whether it begins like a Part 10 file that holds a composite object, not a DICOMDIR."""
        head = _head(self.pieces())
        if head[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != PREFIX:
            return False
        try:
            return read_file_meta(head).media_storage_sop_class_uid != MEDIA_STORAGE_DIRECTORY
        except DataSetError:
            return True  # the archive will say what is wrong with it


def objects_in(paths: Iterable[Path]) -> Iterator[Source]:
    """Candidates at or below the paths. Raises CallerError for a path that is not there."""
    for path in paths:
        if path.is_dir():
            files: Iterable[Path] = (p for p in sorted(path.rglob("*")) if p.is_file() and not p.is_symlink())
        elif path.is_file():
            files = (path,)
        else:
            raise CallerError(f"there is no file or folder {path}")
        for file in files:
            yield from _in_file(file, named=file == path)


def _in_file(path: Path, *, named: bool) -> Iterator[Source]:
    if zipfile.is_zipfile(path) and not _begins_like_dicom(path):
        yield from _in_zip(path)
    elif named and _is_dicomdir(path):
        yield from _in_file_set(path)
    else:
        yield Source(str(path), path, partial(_file_pieces, path))


def _begins_like_dicom(path: Path) -> bool:
    # The end of a DICOM file may look like a zip file, and the other way round (B48): the prefix decides.
    with path.open("rb") as file:
        return file.read(PREAMBLE_BYTES + 4)[PREAMBLE_BYTES:] == PREFIX


def _file_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(BLOCK):
            yield piece


def _head(pieces: Iterator[bytes]) -> bytes:
    for piece in pieces:
        return piece
    return b""


def _in_zip(path: Path) -> Iterator[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as error:
        raise DataSetError(f"{path} is a broken zip file: {error}") from error
    if len(members) > MAX_ZIP_MEMBERS:
        raise DataSetError(f"{path} has {len(members)} members, the limit is {MAX_ZIP_MEMBERS}")
    for member in members:
        if not member.is_dir():
            yield Source(f"{path}!{member.filename}", None, partial(_member_pieces, path, member))


def _member_pieces(path: Path, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member, inflated piece by piece. Raises DataSetError for a bomb or a broken member."""
    limit = max(SMALL_MEMBER_BYTES, member.compress_size * MAX_MEMBER_RATIO)
    total = 0
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            while piece := stream.read(BLOCK):
                total += len(piece)
                if total > limit:
                    raise DataSetError(
                        f"{member.filename!r} inflates to more than {MAX_MEMBER_RATIO} times its size"
                    )
                yield piece
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
        raise DataSetError(f"{member.filename!r} in {path} cannot be read: {error}") from error


def _is_dicomdir(path: Path) -> bool:
    if path.name.upper() != "DICOMDIR":
        return False
    try:
        return (
            read_file_meta(_head(_file_pieces(path))).media_storage_sop_class_uid == MEDIA_STORAGE_DIRECTORY
        )
    except DataSetError:
        return False


def _in_file_set(dicomdir: Path) -> Iterator[Source]:
    """The files that a DICOMDIR refers to; a File ID may not lead out of the file-set (PS3.10 8.2)."""
    _, ds = read_part10(dicomdir.read_bytes())
    for record in ds.sequence(_DIRECTORY_RECORD_SEQUENCE):
        parts = record.texts(_REFERENCED_FILE_ID)
        if not parts:
            continue
        path = _within(dicomdir.parent, parts)
        if path is None:
            yield Source(f"{dicomdir}: {parts!r}", None, partial(_missing, parts))
        else:
            yield Source(str(path), path, partial(_file_pieces, path))


def _missing(parts: list[str]) -> Iterator[bytes]:
    raise DataSetError(f"the file-set has no file {'/'.join(parts)!r}")


def _within(root: Path, parts: list[str]) -> Path | None:
    """The file of a File ID below `root`, whatever the case of its name on this file system; None if none."""
    path = root
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\0" in part:
            return None
        if not (path / part).exists():
            alike = [p for p in path.iterdir() if p.name.lower() == part.lower()] if path.is_dir() else []
            part = alike[0].name if alike else part
        path = path / part
    return path if path.is_file() and path.resolve().is_relative_to(root.resolve()) else None
