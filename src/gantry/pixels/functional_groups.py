"""Functional groups of enhanced multi-frame objects, resolved in one place (PS3.3 C.7.6.16).

A macro stands once for all frames or once for each. Whoever asks for the attributes of a frame gets the Item
that holds for it, or the Data Set itself where the object is not enhanced, so that both kinds are read alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.standard.dictionary import vr_of

SHARED, PER_FRAME = 0x52009229, 0x52009230

PIXEL_MEASURES = 0x00289110
FRAME_VOI_LUT = 0x00289132
PIXEL_VALUE_TRANSFORMATION = 0x00289145
REAL_WORLD_VALUE_MAPPING = 0x00409096
FRAME_CONTENT = 0x00209111
PLANE_POSITION = 0x00209113
PLANE_ORIENTATION = 0x00209116
FRAME_ANATOMY = 0x00209071
DERIVATION_IMAGE = 0x00089124
FRAME_DISPLAY_SHUTTER = 0x00189472
UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES = 0x00209170
UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES = 0x00209171
CONVERSION_SOURCE_ATTRIBUTES = 0x00209172

DIMENSION_INDEX_VALUES = 0x00209157


class FunctionalGroups:
    """The functional groups of one Data Set. Items are read as they are asked for, and kept."""

    def __init__(self, ds: DataSet) -> None:
        self._ds = ds
        self._shared = next(ds.items(SHARED), None)
        self._unread: Iterator[DataSet] = ds.items(PER_FRAME)
        self._frames: list[DataSet] = []

    @property
    def is_enhanced(self) -> bool:
        """Whether there are any."""
        return self._shared is not None or PER_FRAME in self._ds

    def frame(self, frame: int) -> DataSet | None:
        """The Item of Per-Frame Functional Groups for a frame, from 1; None where there is none."""
        while len(self._frames) < frame:
            item = next(self._unread, None)
            if item is None:
                return None
            self._frames.append(item)
        return self._frames[frame - 1] if frame >= 1 else None

    @property
    def shared(self) -> DataSet | None:
        """The Item of Shared Functional Groups."""
        return self._shared

    def check(self, frames: int) -> None:
        """Raise DataSetError where the groups are not those of so many frames, or a macro is no sequence."""
        if not self.is_enhanced:
            raise DataSetError("there are no functional groups", tag=SHARED)
        for tag in (SHARED, PER_FRAME):
            _check_sequence(self._ds, tag)
        count = sum(1 for _ in self._ds.items(PER_FRAME))
        if count != frames:
            raise DataSetError(f"there are {count} Items for {frames} frames", tag=PER_FRAME)
        for group in (self._shared, *map(self.frame, range(1, frames + 1))):
            for tag in group.elements if group is not None else ():
                _check_sequence(group, tag)

    def macros(self, frame: int) -> dict[int, DataSet]:
        """Which macros hold for a frame, by the tag of their sequence, and the group that has each."""
        found: dict[int, DataSet] = {}
        for group in (self._shared, self.frame(frame)):
            if group is not None:
                found |= dict.fromkeys((tag for tag, e in group.elements.items() if e[1] == "SQ"), group)
        return found

    def dimension_index(self, frame: int) -> tuple[int, ...]:
        """The Dimension Index Values of a frame; empty where it has none (PS3.3 C.7.6.17)."""
        items = self.items(frame, FRAME_CONTENT)
        return tuple(items[0].ints(DIMENSION_INDEX_VALUES)) if items else ()

    def items(self, frame: int, macro: int) -> list[DataSet]:
        """All Items of a macro for a frame: its own, else the shared ones; none where neither has it."""
        for group in (self.frame(frame), self._shared):
            found = group.sequence(macro) if group is not None else []
            if found:
                return found
        return []

    def attributes(self, frame: int, macro: int) -> DataSet:
        """What holds the attributes of a macro for a frame: its first Item, else the Data Set itself."""
        return next(iter(self.items(frame, macro)), self._ds)


def _check_sequence(ds: DataSet | None, tag: int) -> None:
    element = ds.elements.get(tag) if ds is not None else None
    if element is not None and vr_of(tag) == "SQ" and element[1] != "SQ":
        raise DataSetError(f"{element[1]} where functional groups are a sequence", tag=tag)
