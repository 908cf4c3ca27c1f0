"""`gantry convert`: objects to pictures, volumes, documents, tables; and documents back to objects."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from gantry.cli import values as asked
from gantry.cli.exits import Exit
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import counted, note, print_json, result
from gantry.cli.progress import Bar
from gantry.errors import CallerError, NotFound
from gantry.toolkit.convert import FORMATS, converted, documents, format_named, format_of
from gantry.toolkit.convert_options import Converted, Options, Values
from gantry.toolkit.images import Candidate, Spool, Unreadable, candidates
from gantry.toolkit.sources import objects_in

_FORMATS_HELP = "\b\nFormats:\n" + "\n".join(f"  {name:7} {form.what}" for name, form in FORMATS.items())


@click.command("convert", epilog=_FORMATS_HELP)
@click.argument("inputs", nargs=-1, required=True)
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--to", "to", metavar="FORMAT", help="Format; else the suffix of OUTPUT says.")
@click.option("--depth", type=click.Choice(["8", "16"]), help="Bits of a sample: as displayed, or as stored.")
@click.option("--window", metavar="CENTER,WIDTH", help="Window for pictures; else what the object says.")
@click.option(
    "--state",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Make pictures by the presentation state in this file.",
)
@click.option("--size", metavar="WIDTHxHEIGHT", help="Fit pictures into so many pixels.")
@click.option(
    "--quality", default=90, show_default=True, type=click.IntRange(1, 100), help="Of lossy pictures."
)
@click.option("--frames", metavar="1,3-5", help="Which frames, counted from 1.")
@click.option("--fps", type=click.FloatRange(0.1, 240), help="Frames a second; else what the object says.")
@click.option("--series", "join", is_flag=True, help="One GIF, TIFF or video of each series.")
@click.option(
    "--values",
    type=click.Choice([value.value for value in Values]),
    help="Numbers as stored, or in the units of the modality (CT: HU).",
)
@click.option("--uneven", is_flag=True, help="Make volumes of slices at unequal distances too.")
@click.option("--no-sidecar", is_flag=True, help="No JSON beside NIfTI of MR.")
@click.option("--columns", metavar="KEYWORD,...", help="Columns of a CSV.")
@click.option(
    "--archive", "from_archive", is_flag=True, help="INPUTS are a query of the archive, as in export."
)
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@archive_options
def command(
    inputs: tuple[str, ...],
    output: Path,
    to: str | None,
    depth: str | None,
    window: str | None,
    state: Path | None,
    size: str | None,
    quality: int,
    frames: str | None,
    fps: float | None,
    join: bool,
    values: str | None,
    uneven: bool,
    no_sidecar: bool,
    columns: str | None,
    from_archive: bool,
    force: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Convert INPUTS (files, folders, zip files) to OUTPUT: a file, or a folder for many.

    With --archive INPUTS are Keyword=value conditions on studies, or the word all.

    \b
    gantry convert ct-series/ thorax.nii.gz
    gantry convert scans/ pictures/ --to png --depth 16
    gantry convert --archive PatientID=42 volumes/ --to nii.gz
    """
    # NumPy's linear algebra starts a thread for each core when it is imported, which takes as long as reading
    # a hundred files, and has four numbers to multiply here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is read of each object stays until the end, so that looking through it for garbage is in vain.
    gc.set_threshold(100_000, 20, 20)
    key = format_named(to) if to else format_of(output)
    if key is None:
        raise CallerError(f"say with --to to which format: the name {output} does not")
    wide, high = asked.size(size)
    options = Options(
        depth=int(depth) if depth else None,
        quality=quality,
        window=asked.window(window),
        width=wide,
        height=high,
        state=state,
        frames=asked.frames(frames),
        fps=fps,
        series=join,
        values=Values(values) if values else None,
        uneven=uneven,
        sidecar=not no_sidecar,
        columns=tuple(columns.split(",")) if columns else (),
    )
    written = failed = others = 0
    with (
        Bar("converting", quiet=as_json) as bar,
        _found(inputs, key, from_archive, data, config_file) as found,
    ):
        for one in converted(found, output, key, options, force=force, progress=bar.reached):
            _report(one, as_json)
            written += one.path is not None
            failed += one.path is None and not one.is_other
            others += one.is_other
    if not written and not failed:
        what = "1 object is no image" if others == 1 else f"{others} objects are no images"
        raise NotFound("nothing found to convert" + (f": {what}" if others else ""))
    if not as_json:
        more = f", {failed} could not be converted" if failed else ""
        more += f", {others} passed over" if others else ""
        result(f"{counted(written, 'file')} written to {output}{more}")
    return Exit.PROBLEMS if failed else Exit.OK


def _report(one: Converted, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "source": one.source,
                "file": str(one.path) if one.path else "",
                "beside": [str(path) for path in one.beside],
                "notes": list(one.notes),
                "error": one.error,
                "passedOver": one.is_other,
            }
        )
        return
    if one.path is None:
        note(f"{'passed over' if one.is_other else 'not converted'}: {one.source}: {one.error}")
    for words in one.notes:
        note(f"{one.path}: {words}")


@contextmanager
def _found(
    inputs: tuple[str, ...], key: str, from_archive: bool, data: Path | None, config_file: Path | None
) -> Iterator[Iterator[Candidate | Unreadable]]:
    with Spool() as spool:
        if from_archive:
            with _of_archive(inputs, spool, data, config_file) as found:
                yield found
            return
        paths = [Path(word) for word in inputs]
        if FORMATS[key].reads_dicom:
            yield candidates(objects_in(paths), paths, spool)
        else:
            yield documents(paths)


@contextmanager
def _of_archive(
    words: Sequence[str], spool: Spool, data: Path | None, config_file: Path | None
) -> Iterator[Iterator[Candidate | Unreadable]]:
    """What a query finds: where it lies in our archive, or fetched from the server that has it open."""
    from gantry.cli.find import parse_keys
    from gantry.cli.local import open_archive, running_server
    from gantry.toolkit.archive_objects import fetched, located

    settings = settings_from(config_file, data=data).settings
    conditions = {} if tuple(words) == ("all",) else parse_keys(words)
    server = running_server(settings)
    if server is not None:
        yield fetched(server.dicomweb, conditions, spool)
        return
    with open_archive(settings) as archive:
        yield located(archive, conditions, spool)
