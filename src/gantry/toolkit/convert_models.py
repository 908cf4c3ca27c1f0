"""Objects to XML and JSON, and back: see `exact_model` for what the documents hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from gantry.errors import DataSetError
from gantry.toolkit.convert_options import Converted, Made, Options, Piece
from gantry.toolkit.exact_model import exact_model, file_from_document
from gantry.toolkit.images import Candidate, Opened

MAX_DOCUMENT_BYTES = 1 << 30
"""A document is held whole, and some copies of it."""


def plan(found: list[Candidate], options: Options, suffix: str) -> tuple[list[Piece], list[Converted]]:
    """A document for each object, or an object for each document. See `convert.Planner`."""
    make = {".xml": _xml, ".json": _json, ".dcm": _dicom}[suffix]
    return [Piece(one.stem, suffix, one.name, partial(_write, make, one.path)) for one in found], []


def _write(make: Callable[[Path], bytes], source: Path, path: Path) -> Made:
    size = source.stat().st_size
    if size > MAX_DOCUMENT_BYTES:
        raise DataSetError(f"{size:,} bytes, more than the {MAX_DOCUMENT_BYTES:,} of one document")
    path.write_bytes(make(source))
    return Made()


def _json(source: Path) -> bytes:
    import msgspec

    with Opened(source) as (meta, ds):
        return msgspec.json.encode(exact_model(meta, ds)) + b"\n"


def _xml(source: Path) -> bytes:
    from gantry.dataset.xml_model import to_xml

    with Opened(source) as (meta, ds):
        return to_xml(exact_model(meta, ds, for_xml=True))


def _dicom(source: Path) -> bytes:
    return file_from_document(source.read_bytes())
