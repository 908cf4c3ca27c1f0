"""One PNG for each folder below a path, with the first or middle frame of every image in it, to look at.

    python tools/contact_sheets.py FOLDER OUT [--tile PIXELS] [--frame first|middle]

What has no picture gets a tile that says why. Files that are no DICOM are passed over.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gantry.dataset.part10 import read_part10
from gantry.errors import GantryError
from gantry.pixels.decode import decode
from gantry.pixels.display.pnm import PNM, from_pnm
from gantry.pixels.display.render import render
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.image import ImageHeader, Rendering
from gantry.pixels.transcode import stored_frame

COLUMNS = 8
CAPTION = 24


def main() -> int:
    """Make the sheets; the exit code is 1 where nothing was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tile", type=int, default=160, help="side of a picture, in pixels")
    parser.add_argument("--frame", choices=("first", "middle"), default="first")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    made = 0
    with ProcessPoolExecutor() as pool:
        for folder, files in _folders(options.folder):
            count = len(files)
            wanted = [options.tile] * count, [options.frame == "middle"] * count
            tiles = [tile for tile in pool.map(_tile, files, *wanted) if tile is not None]
            if not tiles:
                continue
            name = "_".join(folder.relative_to(options.folder).parts) or options.folder.resolve().name
            path = options.out / f"{name}.png"
            _sheet(tiles, options.tile).save(path)
            print(f"{path}: {len(tiles)} of {count} files")
            made += 1
    return 0 if made else 1


def _folders(top: Path) -> Iterator[tuple[Path, list[Path]]]:
    for folder, _, names in sorted(os.walk(top)):
        if names:
            yield Path(folder), [Path(folder) / name for name in sorted(names)]


def _tile(path: Path, side: int, middle: bool) -> Image.Image | None:
    """A picture with its name below; None for what is no DICOM file."""
    data = path.read_bytes()
    if data[128:132] != b"DICM" and path.suffix != ".dcm":
        return None
    tile = Image.new("RGB", (side, side + CAPTION), (24, 26, 30))
    try:
        picture = _picture(data, side, middle)
    except GantryError as error:
        _write(tile, 4, _broken_lines(str(error), side), (230, 120, 100))
    else:
        if picture is None:
            _write(tile, 4, "no pixels", (120, 124, 132))
        else:
            image = Image.fromarray(picture).convert("RGB")
            tile.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    _write(tile, side + 4, path.name[-side // 6 :], (200, 204, 210))
    return tile


def _picture(data: bytes, side: int, middle: bool) -> np.ndarray | None:
    meta, ds = read_part10(data, tolerate_missing_preamble=True)
    table = frame_table(ds)
    if table is None or not len(table):
        return None
    frame = (len(table) + 1) // 2 if middle else 1
    header = ImageHeader.from_dataset(ds, frame)
    decoded = decode(stored_frame(ds, table, frame - 1), meta.transfer_syntax_uid, header)
    wanted = Rendering(width=side, height=side, media_type=PNM)
    return from_pnm(render(decoded.pixels, decoded.header.photometric_interpretation, decoded.header, wanted))


def _broken_lines(text: str, side: int) -> str:
    width = max(8, side // 6)
    return "\n".join(text[start : start + width] for start in range(0, len(text), width))


def _write(tile: Image.Image, top: int, text: str, color: tuple[int, int, int]) -> None:
    ImageDraw.Draw(tile).multiline_text((4, top), text, fill=color, font=ImageFont.load_default(10))


def _sheet(tiles: list[Image.Image], side: int) -> Image.Image:
    rows = -(-len(tiles) // COLUMNS)
    columns = min(COLUMNS, len(tiles))
    sheet = Image.new("RGB", (columns * (side + 4), rows * (side + CAPTION + 4)), (10, 11, 13))
    for n, tile in enumerate(tiles):
        sheet.paste(tile, (n % COLUMNS * (side + 4), n // COLUMNS * (side + CAPTION + 4)))
    return sheet


if __name__ == "__main__":
    sys.exit(main())
