"""One CSV of many headers: a row for each object, a column for each attribute.

The cells come from whoever made the objects, and a spreadsheet takes one that begins with = + - @ for a
formula and runs it (reliability list, B37): such a cell gets an apostrophe before it, and every cell is
quoted. So does a negative number; who reads CSV by program takes the JSON.
"""

from __future__ import annotations

import csv
from pathlib import Path

from gantry.dataset.json_model import to_json_model
from gantry.dataset.scan import DataSet
from gantry.errors import CallerError, DataSetError
from gantry.standard.dictionary import keyword_of, tag_of
from gantry.toolkit.convert_images import refused
from gantry.toolkit.convert_options import Converted, Made, Options, Piece
from gantry.toolkit.images import Candidate, Opened

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

MAX_CELL_CHARACTERS = 32_000
"""Spreadsheets hold 32,767 in a cell."""

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "SQ"})


def plan(candidates: list[Candidate], options: Options, suffix: str) -> tuple[list[Piece], list[Converted]]:
    """One table of all. See `convert.Planner`."""
    unknown = [name for name in options.columns if tag_of(name) is None]
    if unknown:
        raise CallerError(f"{unknown[0]!r} is not an attribute: give a keyword such as PatientName, or a tag")
    rows: list[dict[str, str]] = []
    failed: list[Converted] = []
    for candidate in candidates:
        try:
            with Opened(candidate.path) as (_, ds):
                rows.append({"File": candidate.name, **_cells(ds)})
        except (DataSetError, OSError) as error:
            failed.append(refused(candidate, error))
    if not rows:
        return [], failed
    columns = [_heading(name) for name in options.columns] or _all_columns(rows)

    def make(path: Path) -> Made:
        with path.open("x", encoding="utf-8-sig", newline="") as out:
            writer = csv.writer(out, quoting=csv.QUOTE_ALL)
            writer.writerow(safe_cell(column) for column in ["File", *columns])
            for row in rows:
                writer.writerow(safe_cell(row.get(column, "")) for column in ["File", *columns])
        return Made()

    return [Piece("headers", suffix, f"{len(rows)} headers", make)], failed


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    short = text if len(text) <= MAX_CELL_CHARACTERS else text[:MAX_CELL_CHARACTERS] + "…"
    return "'" + short if short.lstrip(" ").startswith(FORMULA) else short


def _cells(ds: DataSet) -> dict[str, str]:
    cells = {}
    for key, attribute in to_json_model(ds).items():
        if attribute["vr"] not in _BINARY:
            cells[_heading(key)] = "\\".join(_text(value) for value in attribute.get("Value", ()))
    return cells


def _heading(name: str) -> str:
    tag = tag_of(name)
    return (keyword_of(tag) if tag is not None else "") or name


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "=".join(
            str(value.get(group, "")) for group in ("Alphabetic", "Ideographic", "Phonetic")
        ).rstrip("=")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "" if value is None else str(value)


def _all_columns(rows: list[dict[str, str]]) -> list[str]:
    """Every attribute that some row has, by tag."""
    names = {name for row in rows for name in row if name != "File"}
    return sorted(names, key=lambda name: tag_of(name) or 0)
