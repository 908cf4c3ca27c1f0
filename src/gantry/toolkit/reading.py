"""One file as people hold it in Python: a pydicom `Dataset`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset


def read(path: Path | str) -> Dataset:
    """The object in a DICOM file, or in an XML or JSON document of one, with its file meta information.

    Raises DataSetError for what is none, OSError for what cannot be read.
    """
    import pydicom

    from gantry.toolkit.sources import with_meta

    place = Path(path)
    if place.suffix.lower() in (".xml", ".json"):
        from gantry.toolkit.exact_model import file_from_document

        return pydicom.dcmread(io.BytesIO(file_from_document(place.read_bytes())))
    content = place.read_bytes()
    from gantry.dataset.part10 import read_part10
    from gantry.toolkit.sources import Kind, kind_of

    if kind_of(content) is not Kind.OBJECT:
        content = b"".join(with_meta([content]))
    read_part10(content)  # whole, and within the limits, before a more forgiving reader sees it
    return pydicom.dcmread(io.BytesIO(content))
