"""Private attributes found by their creator, whichever block it has reserved (PS3.5 7.8.1)."""

from __future__ import annotations

from gantry.dataset.scan import DataSet

_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF


def private_tag(ds: DataSet, group: int, creator: str, element: int) -> int | None:
    """The tag under which the creator's attribute `element` (0 to FF) stands; None where it is not there."""
    first, last = group << 16 | _FIRST_BLOCK, group << 16 | _LAST_BLOCK
    for tag in [tag for tag in ds.elements if first <= tag <= last]:
        found = group << 16 | (tag & 0xFF) << 8 | element
        if found in ds.elements and (ds.text(tag) or "").strip() == creator:
            return found
    return None
