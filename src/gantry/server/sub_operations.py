"""A span for each C-STORE sub-operation of a C-GET or C-MOVE, where requests are traced."""

from __future__ import annotations

from gantry.client.objects import Outgoing, StoreResult
from gantry.server.traces import SOP_INSTANCE, Span
from gantry.standard import status
from gantry.standard.status import Category, category


class SubOperations:
    """The spans within `span`, on one association; nothing is done where that is None.

    A span lasts from when it is an object's turn until its answer. One that could not be read has none of
    that time.
    """

    def __init__(self, span: Span | None) -> None:
        self._span = span
        self._open: dict[int, Span] = {}

    def begin(self, outgoing: Outgoing) -> None:
        """It is the turn of this object."""
        if self._span is not None:
            child = self._open[id(outgoing)] = self._span.child("C-STORE sub-operation")
            child.identify(SOP_INSTANCE, outgoing.sop_instance_uid)

    def end(self, outgoing: Outgoing, result: StoreResult) -> None:
        """It has this result."""
        if self._span is None:
            return
        if id(outgoing) not in self._open:
            self.begin(outgoing)
        child = self._open.pop(id(outgoing))
        if result.status is not None:
            child.note("dicom.status", f"{result.status:04X}")
        failed = result.status is None or category(result.status) is Category.FAILURE
        child.end(failed=failed)

    def close(self) -> None:
        """Nobody waits for what is left, after a cancel."""
        for child in self._open.values():
            child.note("dicom.status", f"{status.CANCEL:04X}")
            child.end()
        self._open.clear()
