"""Objects to other formats: which format is made by what, and the one way in which all are made.

`plan` of a format's module looks at the inputs and says which files will be made of them; then they are made,
several at a time, each under a temporary name beside its own and named when it is whole. What fails is told,
and the others are made. What exists is not overwritten unless that was asked for.

`FORMATS` is the table. A format that is to come (documents, reports, meshes) is a line in it and a module
with a `plan`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gantry.errors import CallerError, GantryError
from gantry.toolkit.convert_options import Converted, Made, Options, Piece
from gantry.toolkit.cores import CORES
from gantry.toolkit.images import Candidate, Spool, Unreadable, candidates, let_go
from gantry.toolkit.new_files import name_anew
from gantry.toolkit.sources import objects_in

if TYPE_CHECKING:
    from gantry.toolkit.workers import Workers

Progress = Callable[[int, int | None], None]
"""Called with how many are done, and how many there are where that is known."""


class Planner(Protocol):
    """What the module of a format has as `plan`: files to be made of objects, and what none is made of.

    `suffix` is that of the format. Raises CallerError for options that it cannot follow.
    """

    def __call__(
        self, candidates: list[Candidate], options: Options, suffix: str
    ) -> tuple[list[Piece], list[Converted]]: ...


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the suffix of its files, the module of `gantry.toolkit` that plans it, what it is in words.

    `reads_dicom` is false where the inputs are documents, to be made DICOM.
    """

    suffix: str
    module: str
    what: str
    reads_dicom: bool = True


FORMATS: dict[str, Format] = {
    "jpeg": Format(".jpg", "convert_pictures", "JPEG pictures, 8 bit, as displayed"),
    "png": Format(".png", "convert_pictures", "PNG pictures, 8 bit as displayed or 16 bit as stored"),
    "tiff": Format(".tif", "convert_pictures", "TIFF, 16 bit as stored; all frames in one file"),
    "bmp": Format(".bmp", "convert_pictures", "BMP pictures"),
    "gif": Format(".gif", "convert_pictures", "GIF; several frames move"),
    "webp": Format(".webp", "convert_pictures", "WebP pictures"),
    "avif": Format(".avif", "convert_pictures", "AVIF pictures"),
    "jxl": Format(".jxl", "convert_pictures", "JPEG XL pictures"),
    "mp4": Format(".mp4", "convert_video", "MP4 video (AV1) of several frames (needs gantry[video])"),
    "webm": Format(".webm", "convert_video", "WebM video (VP9) of several frames (needs gantry[video])"),
    "nii.gz": Format(".nii.gz", "convert_volumes", "NIfTI volumes, compressed"),
    "nii": Format(".nii", "convert_volumes", "NIfTI volumes"),
    "nrrd": Format(".nrrd", "convert_volumes", "NRRD volumes"),
    "npy": Format(".npy", "convert_volumes", "NumPy arrays of volumes"),
    "npz": Format(".npz", "convert_volumes", "NumPy arrays of volumes with their affine"),
    "xml": Format(".xml", "convert_models", "Native DICOM Model (PS3.19)"),
    "json": Format(".json", "convert_models", "DICOM JSON Model (PS3.18)"),
    "csv": Format(".csv", "convert_table", "one table of headers"),
    "dicom": Format(".dcm", "convert_models", "DICOM, from XML or JSON", reads_dicom=False),
}

_ALIASES = {"jpg": "jpeg", "tif": "tiff", "nifti": "nii.gz", "numpy": "npy", "jpegxl": "jxl", "dcm": "dicom"}


def format_named(name: str) -> str:
    """The key of a format in `FORMATS`. Raises CallerError."""
    key = name.lower().removeprefix(".")
    key = _ALIASES.get(key, key)
    if key not in FORMATS:
        raise CallerError(f"there is no format {name!r}: choose one of {', '.join(FORMATS)}")
    return key


def format_of(output: Path) -> str | None:
    """The format that the name of an output says; None where it says none."""
    name = output.name.lower()
    for suffix in (".nii.gz", output.suffix.lower()):
        if name.endswith(suffix) and suffix[1:]:
            key = _ALIASES.get(suffix[1:], suffix[1:])
            return key if key in FORMATS else None
    return None


def convert(
    inputs: Iterable[Path | str] | Path | str | Mapping[str, str],
    output: Path | str,
    to: str | None = None,
    *,
    archive: Path | str | None = None,
    options: Options | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[Converted]:
    """Convert files, folders and zip files to `output`, and say what became of each.

    With `archive`, the folder of one or the URL of a DICOMweb service, `inputs` are conditions on studies,
    such as ``{"PatientID": "42"}``; an empty mapping is all. `to` is a name of `FORMATS`; without it the
    suffix of `output` says. `output` is a file where its name has the format's suffix, else a folder.

    Raises CallerError for what cannot be asked, before anything is written, StorageError and ConnectError for
    an archive that cannot be reached; what fails in one input is told in its `Converted`.
    """
    place = Path(output)
    key = _asked_format(place, to)
    with Spool() as spool, ExitStack() as stack:
        found: Iterable[Candidate | Unreadable]
        if archive is not None:
            found = _of_archive(inputs, archive, spool, stack)
        else:
            paths = [Path(inputs)] if isinstance(inputs, (str, Path)) else [Path(path) for path in inputs]
            if FORMATS[key].reads_dicom:
                found = candidates(objects_in(paths), paths, spool)
            else:
                found = documents(paths)
        return list(converted(found, place, key, options or Options(), force=force, progress=progress))


def _of_archive(
    conditions: object, archive: Path | str, spool: Spool, stack: ExitStack
) -> Iterator[Candidate | Unreadable]:
    if not isinstance(conditions, Mapping):
        raise CallerError('of an archive, give conditions on studies, as in {"PatientID": "42"}')
    from gantry.toolkit.archive_objects import fetched, located

    if str(archive).startswith(("http://", "https://")):
        return fetched(str(archive), dict(conditions), spool)
    from gantry.archive.archive import Archive

    if not Path(archive).is_dir():
        raise CallerError(f"there is no archive in {archive}")
    return located(stack.enter_context(Archive.open(Path(archive))), dict(conditions), spool)


def _asked_format(output: Path, to: str | None) -> str:
    key = format_named(to) if to is not None else format_of(output)
    if key is None:
        raise CallerError(f"say to which format: the name {output} does not")
    return key


def documents(paths: Iterable[Path]) -> Iterator[Candidate | Unreadable]:
    """XML and JSON files, in folders too."""
    for path in paths:
        if path.is_dir():
            files = sorted(
                f for f in path.rglob("*") if f.suffix.lower() in (".xml", ".json") and f.is_file()
            )
            for file in files:
                yield Candidate(str(file), file, str(file.relative_to(path).with_suffix("")))
        elif path.is_file():
            yield Candidate(str(path), path, path.stem)
        else:
            raise CallerError(f"there is no file or folder {path}")


def converted(
    found: Iterable[Candidate | Unreadable],
    output: Path,
    key: str,
    options: Options,
    *,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> Iterator[Converted]:
    """Convert candidates; results come as they are made. See `convert`."""
    form = FORMATS[key]
    planner: Planner = importlib.import_module(f"gantry.toolkit.{form.module}").plan
    readable: list[Candidate] = []
    for one in found:
        if isinstance(one, Candidate):
            readable.append(one)
        elif not one.is_other:
            yield Converted(one.name, None, error=one.why)
    pieces, failed = planner(readable, options, form.suffix)
    yield from failed
    places = _places(pieces, output, form)
    if not force:
        _refuse_existing(places)
    try:
        yield from _all_made(list(zip(pieces, places, strict=True)), force, progress)
    finally:
        let_go()


def _places(pieces: Sequence[Piece], output: Path, form: Format) -> list[Path]:
    """Where each piece goes, no two to the same place. Raises CallerError."""
    if format_of(output) is not None and not output.is_dir():
        if not output.name.lower().endswith(form.suffix) and FORMATS[str(format_of(output))] is not form:
            raise CallerError(f"{output} does not have the suffix {form.suffix}")
        if len(pieces) > 1:
            raise CallerError(f"{len(pieces)} files would be made of this; name a folder instead of {output}")
        return [output for _ in pieces]
    places = []
    taken: set[Path] = set()
    for piece in pieces:
        place = output / (piece.stem + piece.suffix)
        count = 1
        while place in taken:
            count += 1
            place = output / f"{piece.stem}-{count}{piece.suffix}"
        taken.add(place)
        places.append(place)
    return places


def _refuse_existing(places: Sequence[Path]) -> None:
    there = [place for place in places if place.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise CallerError(f"{there[0]} exists{more}; --force overwrites")


def _all_made(work: list[tuple[Piece, Path]], force: bool, progress: Progress) -> Iterator[Converted]:
    """First what takes one core, several at a time, then what takes all."""
    progress(0, len(work))
    alone = [pair for pair in work if pair[0].uses_all_cores]
    together = [pair for pair in work if not pair[0].uses_all_cores]
    with ExitStack() as stack:
        workers: Workers | None = None
        if len(together) > 1 or any(piece.runs_codec for piece, _ in work):
            from gantry.toolkit.workers import Workers

            workers = stack.enter_context(Workers(CORES))

        def one(pair: tuple[Piece, Path]) -> Converted:
            piece, place = pair
            guarded = piece.runs_codec or (len(together) > 1 and not piece.uses_all_cores)
            return _make(piece, place, force, workers if guarded else None)

        for done, made in enumerate(chain(_several(one, together), map(one, alone)), 1):
            progress(done, len(work))
            yield made


def _several(
    one: Callable[[tuple[Piece, Path]], Converted], work: list[tuple[Piece, Path]]
) -> Iterator[Converted]:
    if len(work) < 2:
        return map(one, work)
    from gantry.toolkit.cores import in_order

    return in_order(len(work), lambda n: one(work[n]))


def _make(piece: Piece, place: Path, force: bool, workers: Workers | None) -> Converted:
    """The file whole and under its name, or not at all."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _folder_beside(place) as folder:
            part = folder / ("part" + piece.suffix)
            made: Made = (
                workers.call(piece.make, part, deadline_s=piece.deadline_s) if workers else piece.make(part)
            )
            beside = _named(part, place, made, piece.suffix, force)
    except MemoryError:
        return Converted(piece.source, None, error="it takes more memory than there is")
    except (GantryError, OSError) as error:
        return Converted(piece.source, None, error=_words(error))
    return Converted(piece.source, place, made.notes, beside=beside)


@contextmanager
def _folder_beside(place: Path) -> Iterator[Path]:
    """A folder on the same disk, for what is not whole; gone afterwards, whatever happens."""
    folder = place.parent / f".gantry-{os.urandom(8).hex()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


def _named(part: Path, place: Path, made: Made, suffix: str, force: bool) -> tuple[Path, ...]:
    """Give the files their names, all or none. Raises CallerError where one is taken."""
    stem = place.name[: -len(suffix)] if place.name.lower().endswith(suffix) else place.stem
    parts = {place: part}
    for ending, data in made.beside.items():
        other = part.with_name("beside" + ending)
        other.write_bytes(data)
        parts[place.with_name(stem + ending)] = other
    named: list[Path] = []
    try:
        for target, source in parts.items():
            if force:
                source.replace(target)
            else:
                name_anew(source, target)
                named.append(target)
    except (OSError, CallerError):
        for target in named:
            target.unlink()
        raise
    return tuple(target for target in parts if target != place)


def _words(error: GantryError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return str(error)
