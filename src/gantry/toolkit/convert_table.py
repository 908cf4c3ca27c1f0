"""One CSV of many headers: a row for each object, a column for each attribute.

The cells come from whoever made the objects, and a spreadsheet takes one that begins with = + - @ for a
formula and runs it (reliability list, B37): such a cell gets an apostrophe before it, numbers do not, and
every cell is quoted.

The headers are read twice, first for their columns and then for their rows, so that memory does not grow with
the number of objects.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from gantry.dataset.json_model import to_json_model
from gantry.dataset.part10 import FileMeta
from gantry.dataset.scan import DataSet
from gantry.errors import CallerError, DataSetError
from gantry.standard.dictionary import keyword_of, tag_of
from gantry.toolkit.convert_options import Converted, Made, Options, Piece
from gantry.toolkit.images import Candidate, Opened, read_each
from gantry.toolkit.spreadsheet import plain_cell

MAX_CELL_CHARACTERS = 32_000
"""Spreadsheets hold 32,767 in a cell."""

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "SQ"})
_FILE = "File"


def plan(found: list[Candidate], options: Options, suffix: str) -> tuple[list[Piece], list[Converted]]:
    """One table of all. See `convert.Planner`."""
    unknown = [name for name in options.columns if tag_of(name) is None]
    if unknown:
        raise CallerError(f"{unknown[0]!r} is not an attribute: give a keyword such as PatientName, or a tag")
    tags: set[int] = set()

    def read(candidate: Candidate, _: FileMeta, ds: DataSet) -> Candidate:
        tags.update(tag for tag, element in ds.elements.items() if element[1] not in _BINARY)
        return candidate

    readable, failed = read_each(found, read)
    if not readable:
        return [], failed
    keys = [f"{tag_of(name):08X}" for name in options.columns] or [f"{tag:08X}" for tag in sorted(tags)]
    make = partial(_write, readable, keys)
    return [Piece("headers", suffix, f"{len(readable)} headers", make)], failed


def _write(readable: list[Candidate], keys: list[str], path: Path) -> Made:
    notes = []
    # The mark of UTF-8 is what spreadsheets know the character set by.
    with path.open("x", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        writer.writerow(_cell(name) for name in [_FILE, *map(_heading, keys)])
        for candidate in readable:
            try:
                with Opened(candidate.path) as (_, ds):
                    model = to_json_model(ds)
            except (DataSetError, OSError) as error:
                notes.append(f"{candidate.name} could be read at first, and then not: {error}")
                continue
            writer.writerow(_cell(text) for text in [candidate.name, *_row(model, keys)])
    return Made(tuple(notes))


def _row(model: dict[str, Any], keys: Iterable[str]) -> Iterable[str]:
    for key in keys:
        attribute = model.get(key)
        if attribute is None or attribute["vr"] in _BINARY:
            yield ""
        else:
            yield "\\".join(_text(value) for value in attribute.get("Value", ()))


def _cell(text: str) -> str:
    short = text if len(text) <= MAX_CELL_CHARACTERS else text[:MAX_CELL_CHARACTERS] + "…"
    return plain_cell(short)


def _heading(key: str) -> str:
    return keyword_of(int(key, 16)) or key


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "=".join(
            str(value.get(group, "")) for group in ("Alphabetic", "Ideographic", "Phonetic")
        ).rstrip("=")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "" if value is None else str(value)
