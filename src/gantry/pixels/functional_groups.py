"""Functional groups of enhanced multi-frame objects, resolved in one place (PS3.3 C.7.6.16).

A macro stands once for all frames or once for each. Whoever asks for the attributes of a frame gets the Item
that holds for it, or the Data Set itself where the object is not enhanced, so that both kinds are read alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from gantry.dataset.scan import DataSet

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
