"""`gantry transcode`: files in another transfer syntax.

Each file is worked on in a process of its own kind, as many at once as there are cores: a codec that crashes
costs the file it was working on.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import click

from gantry.cli.exits import Exit
from gantry.cli.options import json_option
from gantry.cli.output import note, print_json, result
from gantry.cli.progress import Bar
from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.dataset.scan import Buffer
from gantry.errors import CallerError, DataSetError
from gantry.pixels.codecs.codec import Compression
from gantry.pixels.codecs.registry import NAMES, syntax_named
from gantry.pixels.transcode import transcode
from gantry.server.allocator import FRAME_MAPPING_BYTES, keep_buffers
from gantry.toolkit.sources import Kind, Source, objects_in, opened
from gantry.toolkit.workers import in_processes

SPOOL_BYTES = 64 << 20
"""Compressed frames up to this wait in memory, more in a temporary file."""

MADE, UNCHANGED, FAILED, SKIPPED = "transcoded", "already so", "failed", "passed over"

_BESIDE_OBJECTS = (Kind.OTHER, Kind.DIRECTORY, Kind.LINK)


@dataclass(frozen=True, slots=True)
class Task:
    """One file: where it is, where it goes, what it becomes."""

    source: Path
    target: Path
    syntax_uid: str
    compression: Compression


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one file; sizes in bytes."""

    name: str
    what: str
    message: str = ""
    target: str = ""
    sop_uid: str = ""
    bytes_before: int = 0
    bytes_after: int = 0
    lossy: bool = False
    notes: tuple[str, ...] = ()


@click.command("transcode")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--to", "name", required=True, metavar="NAME|UID", help=f"One of {', '.join(NAMES)}, or a UID.")
@click.option(
    "--quality", default=90, show_default=True, type=click.IntRange(1, 100), help="Of a lossy codec."
)
@click.option(
    "--near", default=2, show_default=True, type=click.IntRange(1, 127), help="Largest error of jpeg-ls-near."
)
@click.option(
    "--ratio", type=click.FloatRange(1, 1000), help="Size before over size after, instead of --quality."
)
@click.option("--jobs", type=click.IntRange(1, 256), help="Files at once.  [default: number of cores]")
@json_option
def command(
    inputs: tuple[Path, ...],
    output: Path,
    name: str,
    quality: int,
    near: int,
    ratio: float | None,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Write what lies at INPUTS, files and folders, to OUTPUT in another transfer syntax.

    One file goes to the file OUTPUT, or into it where it is a folder; of folders the tree is kept. What loses
    nothing keeps every value and the SOP Instance UID; what does is a derived image with one of its own. A
    file that is in that transfer syntax already is copied. The exit code is 1 when a file could not be done.
    """
    syntax_uid = syntax_named(name)
    compression = Compression(quality, near, ratio or 0.0)
    tasks, others = _tasks(inputs, output, syntax_uid, compression)
    counts = dict.fromkeys((MADE, UNCHANGED, FAILED, SKIPPED), 0)
    before = after = 0
    with Bar("transcoding", lambda: len(tasks), quiet=as_json) as bar:
        for done in chain(others, _results(tasks, jobs or os.cpu_count() or 1, bar)):
            counts[done.what] += 1
            before += done.bytes_before
            after += done.bytes_after
            _report(done, as_json)
    if not as_json:
        told = ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing found"
        result(f"{told}; {before} bytes became {after}" if after else told)
    return Exit.PROBLEMS if counts[FAILED] or not tasks else Exit.OK


def _report(done: Done, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "file": done.name,
                "result": done.what,
                "message": done.message,
                "output": done.target,
                "sopInstanceUid": done.sop_uid,
                "bytesBefore": done.bytes_before,
                "bytesAfter": done.bytes_after,
                "lossy": done.lossy,
                "notes": list(done.notes),
            }
        )
        return
    if done.what == FAILED:
        note(f"failed: {done.name}: {done.message}")
    for words in done.notes:
        note(f"{done.name}: {words}")


def _tasks(
    inputs: tuple[Path, ...], output: Path, syntax_uid: str, compression: Compression
) -> tuple[list[Task], list[Done]]:
    """What is to be done, and what cannot or need not be."""
    tasks: list[Task] = []
    others: list[Done] = []
    single = len(inputs) == 1 and inputs[0].is_file() and not output.is_dir()
    for given in inputs:
        for source in objects_in([given]):
            kind = _kind(source)
            if isinstance(kind, Done):
                others.append(kind)
            elif kind is Kind.OBJECT and source.path is not None:
                target = output if single else output / _below(source.path, given)
                tasks.append(Task(source.path, target, syntax_uid, compression))
            elif kind in _BESIDE_OBJECTS and source.path != given:
                others.append(Done(source.name, SKIPPED))
            else:
                words = kind.value if source.path is not None else "in a zip file; import it, or unpack it"
                others.append(Done(source.name, FAILED, words))
    targets: set[Path] = set()
    for task in tasks:
        if task.target in targets:
            raise CallerError(f"two files would become {task.target}")
        targets.add(task.target)
    return tasks, others


def _kind(source: Source) -> Kind | Done:
    try:
        return opened(source)[0]
    except DataSetError as error:
        return Done(source.name, FAILED, str(error))
    except OSError as error:
        return Done(source.name, FAILED, f"cannot be read: {error.strerror}")


def _below(path: Path, given: Path) -> Path:
    return path.relative_to(given) if given.is_dir() and path.is_relative_to(given) else Path(path.name)


def _results(tasks: list[Task], jobs: int, bar: Bar) -> Iterator[Done]:
    for _, done in in_processes(tasks, run, _failed, jobs, partial(keep_buffers, FRAME_MAPPING_BYTES)):
        bar.advance()
        yield done


def _failed(task: Task, why: str) -> Done:
    return Done(str(task.source), FAILED, why)


def run(task: Task) -> Done:
    """Transcode one file, in this process."""
    try:
        return _made(task)
    except (CallerError, DataSetError) as error:
        return Done(str(task.source), FAILED, str(error))
    except MemoryError:
        return Done(str(task.source), FAILED, "it takes more memory than there is")
    except OSError as error:
        return Done(str(task.source), FAILED, f"{error.filename or 'a file'}: {error.strerror}")


def _made(task: Task) -> Done:
    size = task.source.stat().st_size
    with (
        task.source.open("rb") as file,
        closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data,
    ):
        meta, ds = read_part10(data)
        task.target.parent.mkdir(parents=True, exist_ok=True)
        if meta.transfer_syntax_uid == task.syntax_uid:
            _write(task.target, iter([data[:]]))
            uid = meta.media_storage_sop_instance_uid
            return Done(str(task.source), UNCHANGED, "", str(task.target), uid, size, size)
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
            made = transcode(
                ds,
                task.syntax_uid,
                compression=task.compression,
                new_sop_instance_uid=f"2.25.{uuid.uuid4().int}",
                spool=spool,
            )
            head = encode_file_meta(
                sop_class_uid=made.sop_class_uid or meta.media_storage_sop_class_uid,
                sop_instance_uid=made.sop_instance_uid or meta.media_storage_sop_instance_uid,
                transfer_syntax_uid=task.syntax_uid,
                source_aet=meta.text(0x00020016),
            )
            written = _write(task.target, _with_head(head, made.pieces))
        notes, lossy, uid = made.notes, made.lossy, made.sop_instance_uid
        del ds, made  # they look into the map that is closed now
    return Done(str(task.source), MADE, "", str(task.target), uid, size, written, lossy, notes)


def _with_head(head: bytes, pieces: Iterator[Buffer]) -> Iterator[bytes]:
    yield head
    for piece in pieces:
        yield bytes(piece)


def _write(target: Path, pieces: Iterator[bytes]) -> int:
    """Write beside the target, then give it its name: a file that is there is whole."""
    written = 0
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".transcode-", delete=False) as file:
        try:
            for piece in pieces:
                written += file.write(piece)
            file.close()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return written
