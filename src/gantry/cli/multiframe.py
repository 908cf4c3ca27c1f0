"""`gantry multiframe`: enhanced multi-frame objects to single-frame ones, and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from gantry.cli.exits import Exit
from gantry.cli.options import json_option
from gantry.cli.output import note, print_json, result
from gantry.cli.progress import Bar
from gantry.errors import CallerError, DataSetError
from gantry.standard.sop_classes import name_of
from gantry.toolkit.multiframe import Combined, combine, split
from gantry.toolkit.sources import Kind, Source, objects_in, opened

SPLIT, COMBINED, LEFT, FAILED, SKIPPED = "split", "combined", "left as it is", "failed", "passed over"

_BESIDE_OBJECTS = (Kind.OTHER, Kind.DIRECTORY, Kind.LINK)

_inputs = click.argument("inputs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
_out = click.argument("folder", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))


@click.group("multiframe")
def command() -> None:
    """Make single-frame objects of enhanced multi-frame ones, and back. No pixel is changed."""


@command.command("split")
@_inputs
@_out
@json_option
def split_command(inputs: tuple[Path, ...], folder: Path, as_json: bool) -> int:
    """Write the frames of enhanced CT, MR, PET, XA and XRF objects as single-frame objects.

    Each object at INPUTS, files and folders, gets a folder in OUT called after its file. Frames of Legacy
    Converted Enhanced objects become the objects that they were, with their UIDs; other frames get UIDs that
    are the same each time. The exit code is 1 when an object could not be split.
    """
    counts = dict.fromkeys((SPLIT, FAILED, SKIPPED), 0)
    frames = 0
    with Bar("splitting", quiet=as_json) as bar:
        for found in _found(inputs):
            if not isinstance(found, Path):
                counts[found[1]] += 1
                _report_left(found[0], found[1], found[2], as_json)
                continue
            try:
                made = split(found, folder / found.stem, on_frame=bar.advance)
            except (CallerError, DataSetError) as error:
                counts[FAILED] += 1
                _report_left(str(found), FAILED, str(error), as_json)
                continue
            counts[SPLIT] += 1
            frames += len(made.files)
            if as_json:
                print_json(
                    {
                        "file": str(made.source),
                        "result": SPLIT,
                        "outputs": [str(file) for file in made.files],
                        "sopInstanceUids": list(made.sop_instance_uids),
                    }
                )
    if not as_json:
        told = ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing found"
        result(f"{told}; {frames} single-frame objects" if frames else told)
    return Exit.PROBLEMS if counts[FAILED] or not counts[SPLIT] else Exit.OK


@command.command("combine")
@_inputs
@_out
@click.option(
    "--one-frame-of-reference",
    is_flag=True,
    help="Take the objects of a series to be in one Frame of Reference, whatever they say.",
)
@json_option
def combine_command(
    inputs: tuple[Path, ...], folder: Path, one_frame_of_reference: bool, as_json: bool
) -> int:
    """Write single-frame CT, MR and PET series as Legacy Converted Enhanced objects.

    Objects at INPUTS, files and folders, that are of one series and alike in size, bits, Frame of Reference
    and transfer syntax become one file in OUT, frames in the order of position and time. What the enhanced
    class has no place for is kept in it, so that `gantry multiframe split` gives back each object. The exit
    code is 1 when an object could not be combined.
    """
    counts = dict.fromkeys((COMBINED, LEFT, FAILED, SKIPPED), 0)
    files = 0
    with Bar("reading", quiet=as_json) as bar:
        paths: list[Path] = []
        for found in _found(inputs):
            if isinstance(found, Path):
                paths.append(found)
            else:
                counts[found[1]] += 1
                _report_left(found[0], found[1], found[2], as_json)
        for one in combine(paths, folder, one_frame_of_reference=one_frame_of_reference, on_read=bar.advance):
            if isinstance(one, Combined):
                files += 1
                counts[COMBINED] += len(one.sources)
                _report_combined(one, as_json)
            else:
                what = FAILED if one.is_broken else LEFT
                counts[what] += 1
                _report_left(one.name, what, one.reason, as_json)
    if not as_json:
        told = ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing found"
        result(f"{told}; {files} multi-frame objects" if files else told)
    return Exit.PROBLEMS if counts[FAILED] or counts[LEFT] or not files else Exit.OK


def _report_combined(made: Combined, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "result": COMBINED,
                "output": str(made.file),
                "sopClass": name_of(made.sop_class_uid),
                "sopInstanceUid": made.sop_instance_uid,
                "frames": list(made.sources),
                "notes": list(made.notes),
            }
        )
        return
    for words in made.notes:
        note(words)


def _report_left(name: str, what: str, reason: str, as_json: bool) -> None:
    if as_json:
        print_json({"file": name, "result": what, "message": reason})
    elif what != SKIPPED:
        note(f"{what}: {name}: {reason}")


def _found(inputs: tuple[Path, ...]) -> Iterator[Path | tuple[str, str, str]]:
    """The DICOM files at the inputs; and what is none, with what became of it and why."""
    for given in inputs:
        for source in objects_in([given]):
            yield _looked_at(source, named=source.path == given)


def _looked_at(source: Source, *, named: bool) -> Path | tuple[str, str, str]:
    try:
        kind = opened(source)[0]
    except DataSetError as error:
        return source.name, FAILED, str(error)
    except OSError as error:
        return source.name, FAILED, f"cannot be read: {error.strerror}"
    if kind is Kind.OBJECT and source.path is not None:
        return source.path
    if kind in _BESIDE_OBJECTS and not named:
        return source.name, SKIPPED, kind.value
    words = kind.value if source.path is not None else "in a zip file; import it, or unpack it"
    return source.name, FAILED, words
