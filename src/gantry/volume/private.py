"""Private attributes found by their creator, whichever block it has reserved (PS3.5 7.8.1)."""

from __future__ import annotations

from gantry.dataset.scan import DataSet

_BLOCKS = range(0x10, 0x100)


def private_tag(ds: DataSet, group: int, creator: str, element: int) -> int | None:
    """The tag under which the creator's attribute `element` (0 to FF) stands; None where it is not there."""
    for block in _BLOCKS:
        tag = group << 16 | block
        if tag in ds.elements and (ds.text(tag) or "").strip() == creator:
            found = group << 16 | block << 8 | element
            if found in ds.elements:
                return found
    return None
