"""Enhanced multi-frame files to single-frame files and back (PS3.3 A.70 to A.72).

`split` writes the frames of one enhanced object as single-frame objects. `combine` writes the single-frame
objects of series as Legacy Converted Enhanced objects, and says of each object that cannot be combined why.
Neither decodes a pixel. What is written lies beside its place until it is whole.

Memory holds attributes and one frame. Files are mapped, and opened again when their frame is written, so that
a series may have more slices than a process may have files open.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.dataset.scan import Buffer, DataSet
from gantry.errors import CallerError, DataSetError
from gantry.pixels.frame_source import MAX_SOURCES, FrameSource, Headers, arranged, pixel_spans, read_source
from gantry.pixels.legacy_converted import LegacyConverted
from gantry.pixels.single_frame import SingleFrames


@dataclass(frozen=True, slots=True)
class Split:
    """What became of an enhanced object: its files, in the order of the frames."""

    source: Path
    files: tuple[Path, ...]
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Combined:
    """A Legacy Converted Enhanced object, and the files of its frames, in their order.

    `notes` tell of frames at one position that nothing tells apart, and of mosaics.
    """

    file: Path
    sop_class_uid: str
    sop_instance_uid: str
    sources: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotCombined:
    """An object that stays as it is, and why."""

    name: str
    reason: str
    is_broken: bool = False


def split(path: Path, folder: Path, *, on_frame: Callable[[], None] = lambda: None) -> Split:
    """Write the frames of an enhanced object as single-frame objects into `folder`, which is made.

    The files are called after the frames, from ``000001.dcm``. Doing it again makes the same bytes. Raises
    CallerError for an object without a single-frame class and for a folder that is there already,
    DataSetError for one that is broken; nothing is left then.
    """
    if folder.exists():
        raise CallerError(f"{folder} is there already")
    with _mapped(path) as ds:
        frames = SingleFrames(ds)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".multiframe-"))
        names, uids = [], []
        try:
            for one in frames:
                head = encode_file_meta(
                    sop_class_uid=one.sop_class_uid,
                    sop_instance_uid=one.sop_instance_uid,
                    transfer_syntax_uid=one.transfer_syntax_uid,
                )
                names.append(f"{one.frame:06d}.dcm")
                uids.append(one.sop_instance_uid)
                _write(beside / names[-1], head, one.pieces)
                on_frame()
            beside.chmod(0o755)
            beside.rename(folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        finally:
            del frames  # it looks into the map that is closed now
    return Split(path, tuple(folder / name for name in names), tuple(uids))


def combine(
    paths: Iterable[Path],
    folder: Path,
    *,
    one_frame_of_reference: bool = False,
    on_read: Callable[[], None] = lambda: None,
) -> Iterator[Combined | NotCombined]:
    """Write the single-frame objects at `paths`, files, as Legacy Converted Enhanced objects into `folder`.

    Objects of a series are combined that are alike in class, size, bits, Frame of Reference, character set
    and transfer syntax; their orientation may differ. A file is called after its SOP Instance UID, which the
    objects determine. With `one_frame_of_reference` the objects of a series are taken to be in one, whatever
    they say. Raises CallerError where there are more than can be held, OSError where writing fails.
    """
    sources, headers = [], Headers()
    for count, path in enumerate(paths, start=1):
        if count > MAX_SOURCES:
            raise CallerError(f"more than {MAX_SOURCES} objects at once")
        try:
            with _mapped(path) as ds:
                sources.append(read_source(str(path), ds, headers))
        except DataSetError as error:
            yield NotCombined(str(path), str(error), is_broken=True)
        except OSError as error:
            yield NotCombined(str(path), f"cannot be read: {error.strerror}", is_broken=True)
        on_read()
    groups, refused = arranged(sources, one_frame_of_reference=one_frame_of_reference)
    for source, reason in refused:
        yield NotCombined(source.name, reason)
    known = {source.sop_instance_uid: source for source in sources}
    for number, group in enumerate(groups, start=1):
        try:
            yield _combined(LegacyConverted(group, number, known), folder)
        except (CallerError, DataSetError) as error:
            yield from (NotCombined(source.name, str(error), is_broken=True) for source in group)


def _combined(whole: LegacyConverted, folder: Path) -> Combined:
    head = encode_file_meta(
        sop_class_uid=whole.sop_class_uid,
        sop_instance_uid=whole.sop_instance_uid,
        transfer_syntax_uid=whole.transfer_syntax_uid,
    )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{whole.sop_instance_uid}.dcm"
    fd, name = tempfile.mkstemp(dir=folder, prefix=".multiframe-")
    os.close(fd)
    beside = Path(name)
    try:
        _write(beside, head, whole.pieces(_pixels(whole.frames)))
        beside.chmod(0o644)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sources = tuple(source.name for source in whole.frames)
    return Combined(target, whole.sop_class_uid, whole.sop_instance_uid, sources, whole.notes)


def _pixels(frames: Iterable[FrameSource]) -> Iterator[list[Buffer]]:
    """The bytes of each frame, out of its file as long as nobody has changed that."""
    for source in frames:
        with _mapped(Path(source.name)) as ds:
            if pixel_spans(ds)[0] != source.spans:
                raise DataSetError(f"{source.name} has changed since it was read")
            stretches: list[Buffer] = [bytes(ds.buffer[at : at + length]) for at, length in source.spans]
            del ds
        yield stretches


@contextmanager
def _mapped(path: Path) -> Iterator[DataSet]:
    """The Data Set of a DICOM file. Raises DataSetError, OSError."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise DataSetError("the file is empty")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Not closed: views may still look into it. It goes with the last of them.
        _, ds = read_part10(data)
        yield ds


def _write(target: Path, head: bytes, pieces: Iterable[Buffer]) -> None:
    with target.open("wb") as file:
        file.write(head)
        for piece in pieces:
            file.write(piece)
