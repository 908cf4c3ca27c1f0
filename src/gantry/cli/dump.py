"""`gantry dump`: what is in a file."""

from __future__ import annotations

import mmap
from pathlib import Path

import click

from gantry.cli.options import json_option, print_json
from gantry.errors import CallerError


@click.command("dump")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--width", default=80, show_default=True, help="Characters of a value to show.")
@json_option
def command(files: tuple[Path, ...], width: int, as_json: bool) -> None:
    """Print the elements of DICOM FILES: tag, VR, length, value and name.

    With --json each file is one object of the DICOM JSON model.
    """
    from gantry.toolkit.dump import dump_json, dump_lines

    for path in files:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise CallerError(f"{path} is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if as_json:
                    print_json(dump_json(content))
                    continue
                if len(files) > 1:
                    click.echo(f"# {path}")
                for line in dump_lines(content, value_width=width):
                    click.echo(line)
