"""`gantry dump`: what is in a file."""

from __future__ import annotations

import mmap
from pathlib import Path

import click

from gantry.cli.exits import Exit
from gantry.cli.options import json_option
from gantry.cli.output import note, print_json, result
from gantry.errors import DataSetError


@click.command("dump")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--width",
    default=80,
    show_default=True,
    type=click.IntRange(min=1),
    help="Characters of a value to show.",
)
@json_option
def command(files: tuple[Path, ...], width: int, as_json: bool) -> int:
    """Print the elements of DICOM FILES: tag, VR, length, keyword and value.

    With --json each file is one object of the DICOM JSON model. A file that cannot be read is named and the
    others are printed; the exit code is then 5.
    """
    code = Exit.OK
    for path in files:
        try:
            if len(files) > 1 and not as_json:
                result(f"# {path}")
            _dump(path, width, as_json)
        except DataSetError as error:
            note(f"gantry: {path}: {error}")
            code = Exit.BAD_INPUT
    return code


def _dump(path: Path, width: int, as_json: bool) -> None:
    from gantry.toolkit.dump import dump_json, dump_lines

    with path.open("rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise DataSetError("the file is empty") from None
        with content:
            if as_json:
                print_json(dump_json(content))
                return
            for line in dump_lines(content, value_width=width):
                result(line)
