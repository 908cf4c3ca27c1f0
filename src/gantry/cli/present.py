"""`gantry present`: how images are to be seen, as a presentation state beside them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click

from gantry.cli import values as asked
from gantry.cli.exits import Exit
from gantry.cli.options import json_option
from gantry.cli.output import counted, print_json, result
from gantry.dataset.part10 import read_part10
from gantry.dataset.scan import Buffer, DataSet
from gantry.errors import CallerError
from gantry.pixels.image import ImageHeader, Window
from gantry.pixels.states.presentation import YELLOW, Graphic, Presentation, Text
from gantry.standard.sop_classes import name_of
from gantry.toolkit.new_files import name_anew
from gantry.toolkit.presentation_state import About, Look, write_presentation_state
from gantry.toolkit.sources import Kind, objects_in, opened, with_meta

_ROWS, _COLUMNS = 0x00280010, 0x00280011
_LEAST_CIRCLE = 1.0


@click.command("present")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--window", metavar="CENTER,WIDTH", help="Window, in the unit of the values; else all of them.")
@click.option(
    "--function",
    type=click.Choice(["linear", "linear-exact", "sigmoid"]),
    default="linear",
    show_default=True,
    help="Of the window.",
)
@click.option("--invert", is_flag=True, help="Show what is bright dark.")
@click.option(
    "--rotate", type=click.Choice(["0", "90", "180", "270"]), default="0", help="Degrees, clockwise."
)
@click.option("--flip", is_flag=True, help="Left to right, after turning.")
@click.option("--area", metavar="LEFT,TOP,WIDTH,HEIGHT", help="What is shown, in pixels of the image.")
@click.option(
    "--text",
    "texts",
    type=(str, str),
    multiple=True,
    metavar="X,Y WORDS",
    help="Words at a place, in pixels of the image; any number of times.",
)
@click.option(
    "--circle", "circles", multiple=True, metavar="X,Y,RADIUS", help="A circle; any number of times."
)
@click.option("--frames", metavar="N[,N-M…]", help="Only for these frames, from 1.")
@click.option("--label", default="PRESENTATION", show_default=True, help="Name: capitals, digits, spaces, _.")
@click.option("--description", default="", help="What it shows.")
@click.option("--creator", default="", metavar="FAMILY^GIVEN", help="Who made it.")
@click.option("--force", is_flag=True, help="Overwrite OUTPUT.")
@json_option
def command(
    inputs: tuple[Path, ...],
    output: Path,
    window: str | None,
    function: str,
    invert: bool,
    rotate: str,
    flip: bool,
    area: str | None,
    texts: tuple[tuple[str, str], ...],
    circles: tuple[str, ...],
    frames: str | None,
    label: str,
    description: str,
    creator: str,
    force: bool,
    as_json: bool,
) -> int:
    """Write to OUTPUT how the images at INPUTS, files and folders of one study, are to be seen.

    The images stay as they are; OUTPUT is a softcopy presentation state, grayscale or color as they are,
    that viewers, `gantry convert --state` and the server show them by.
    """
    center_width = asked.window(window)
    look = Look(
        window=Window(*center_width) if center_width else None,
        voi_function=function.upper().replace("-", "_"),
        inverse=invert,
        presentation=Presentation(
            area=_area(area),
            rotation=int(rotate),
            flip=flip,
            graphics=tuple(map(_circle, circles)),
            texts=tuple(_text(*one) for one in texts),
        ),
    )
    if output.exists() and not force:
        raise CallerError(f"{output} exists; --force overwrites")
    images = list(_images(inputs))
    file = write_presentation_state(
        images,
        look,
        About(label=label, description=description, creator=creator),
        made=datetime.now(),
        frames=asked.frames(frames) or (),
    )
    _written(output, file, force)
    meta = read_part10(file)[0]
    kind = name_of(meta.media_storage_sop_class_uid)
    if as_json:
        print_json(
            {
                "output": str(output),
                "sopClass": kind,
                "sopInstanceUid": meta.media_storage_sop_instance_uid,
                "images": len(images),
            }
        )
    else:
        result(f"{output}: {kind.removesuffix(' Storage')} of {counted(len(images), 'image')}")
    return Exit.OK


def _images(inputs: Sequence[Path]) -> Iterator[DataSet]:
    """The images among the files. Raises CallerError where there is none, DataSetError, OSError."""
    found = False
    for source in objects_in(inputs):
        kind, pieces = opened(source)
        if kind is Kind.OBJECT and source.path is not None:
            content: Buffer = _mapped(source.path)
        elif kind in (Kind.OBJECT, Kind.BARE):
            content = b"".join(pieces if kind is Kind.OBJECT else with_meta(pieces))
        else:
            continue
        ds = read_part10(content)[1]
        if _ROWS in ds and _COLUMNS in ds:
            ImageHeader.from_dataset(ds).check_size()
            found = True
            yield ds
    if not found:
        raise CallerError("there is no image at the inputs")


def _mapped(path: Path) -> mmap.mmap:
    """Headers are all that is wanted of a series: its pixels stay on the disk."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _area(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    numbers = asked.numbers(text, ",", 4)
    if numbers is None or numbers[2] <= 0 or numbers[3] <= 0:
        raise CallerError(f"--area takes left, top, width and height, as in 0,0,256,128, not {text!r}")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _circle(text: str) -> Graphic:
    numbers = asked.numbers(text, ",", 3)
    if numbers is None or numbers[2] < _LEAST_CIRCLE:
        raise CallerError(f"--circle takes x, y and radius in pixels, as in 120,80,25, not {text!r}")
    x, y, radius = numbers
    return Graphic("CIRCLE", "PIXEL", ((x, y), (x + radius, y)), filled=False, color=YELLOW)


def _text(place: str, words: str) -> Text:
    numbers = asked.numbers(place, ",", 2)
    if numbers is None or not words:
        raise CallerError(f"--text takes x,y and words, as in 120,80 'what is here', not {place!r} {words!r}")
    return Text(
        words,
        box=None,
        box_units="PIXEL",
        anchor=(numbers[0], numbers[1]),
        anchor_units="PIXEL",
        anchor_visible=False,
        justification="LEFT",
        color=YELLOW,
    )


def _written(output: Path, file: bytes, force: bool) -> None:
    """The whole file under its name, or none."""
    part = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        part.write_bytes(file)
        if force:
            part.replace(output)
        else:
            name_anew(part, output)
    finally:
        part.unlink(missing_ok=True)
