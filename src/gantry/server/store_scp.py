"""C-STORE SCP: objects that arrive over DIMSE go into the archive (PS3.4 Annex B).

`ArchiveSink` is the archive seen as a sink: what was announced in the C-STORE-RQ is what the archive then
expects to find in the Data Set (B29), and what became of the object is turned into a status by the one table
of `outcome`. `gantry.client.receiving` brings the bytes.
"""

from __future__ import annotations

import logging

from gantry.archive.archive import Archive
from gantry.archive.incoming import Incoming
from gantry.archive.outcome import Reason, Refused
from gantry.archive.records import Origin
from gantry.client.sinks import Arriving, Reception, Verdict
from gantry.errors import GantryError
from gantry.server.logs import escaped
from gantry.server.outcome import Answer, answer_for, answer_for_error
from gantry.server.traces import ARCHIVE_STORE, Span, part
from gantry.standard import status
from gantry.standard.status import Category, category

log = logging.getLogger("gantry.dimse.store")


class ArchiveSink:
    """Puts what one association sends into an archive; log lines call it by the number `association`.

    `span` is the request that an object comes with, set before each `begin` where requests are traced.
    """

    def __init__(self, archive: Archive, association: int = 0) -> None:
        self._archive = archive
        self._association = association
        self.span: Span | None = None

    def begin(self, arriving: Arriving) -> Reception | Verdict:
        """Room is asked for before the body comes (N7); without it the object is refused at once."""
        if not arriving.sop_instance_uid:
            return Verdict(status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "no SOP Instance UID", (0x00001000,))
        try:
            incoming = self._archive.begin(
                Origin(arriving.peer_aet, arriving.peer_address, arriving.via),
                expect_sop_class=arriving.sop_class_uid,
                expect_sop_instance=arriving.sop_instance_uid,
            )
        except GantryError as error:
            return _verdict(answer_for_error(error), arriving, self._association)
        return _ArchiveReception(incoming, arriving, self._association, self.span)


class _ArchiveReception:
    """One object on its way into the archive."""

    backlog = 0

    def __init__(self, incoming: Incoming, arriving: Arriving, association: int, span: Span | None) -> None:
        self._incoming = incoming
        self._span = span
        self._association = association
        self._arriving = arriving

    @property
    def room(self) -> int:
        return self._incoming.room

    def write(self, data: bytes | memoryview) -> None:
        is_file_meta = not self._incoming.size
        self._incoming.write(data)
        if is_file_meta:
            self._incoming.begin_dataset()

    def finish(self) -> Verdict:
        with part(ARCHIVE_STORE, self._span):
            outcome = self._incoming.finish()
        answer = answer_for(outcome)
        # What never ends is cut, and its sender with it (B26).
        cut = isinstance(outcome, Refused) and outcome.reason is Reason.TOO_LARGE and outcome.tag is None
        return _verdict(answer, self._arriving, self._association, breaks_association=cut)

    def abort(self) -> None:
        self._incoming.abort()


def _verdict(
    answer: Answer, arriving: Arriving, association: int, *, breaks_association: bool = False
) -> Verdict:
    if category(answer.dimse_status) is Category.FAILURE:
        log.warning(
            "C-STORE refused with %04XH: %s; association=%d peer=%s aet=%s sop_instance=%s",
            answer.dimse_status,
            escaped(answer.comment),
            association,
            arriving.peer_address,
            escaped(arriving.peer_aet),
            escaped(arriving.sop_instance_uid[:80]),
            extra={"association": association},
        )
    return Verdict(answer.dimse_status, answer.comment, answer.offending, breaks_association)
