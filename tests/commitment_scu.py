"""A user of storage commitment: pynetdicom asks, and is told on the same association or by calling it back."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.association import Association

PUSH = "1.2.840.10008.1.20.1"
PUSH_INSTANCE = "1.2.840.10008.1.20.1.1"

Pair = tuple[str, str]
"""SOP Class UID and SOP Instance UID."""


@dataclass(frozen=True)
class Report:
    """An N-EVENT-REPORT: its Event Type ID, what was committed, and Failure Reasons of what was not."""

    transaction: str
    event: int
    committed: frozenset[Pair]
    failed: dict[Pair, int]
    retrieve_aet: str


@dataclass
class Scu:
    """Remembers what it is told, by Transaction UID; `status` is what it answers."""

    aet: str = "MODALITY"
    status: int = 0x0000
    reports: list[Report] = field(default_factory=list)
    roles: list[tuple[bool, bool]] = field(default_factory=list)
    """Of the associations on which it was called: whether we were SCU, and SCP."""
    _told: threading.Condition = field(default_factory=threading.Condition)

    def on_report(self, event: evt.Event) -> tuple[int, None]:
        _SERVING.setdefault(event.assoc, []).append(threading.current_thread())
        ds = event.event_information
        told = Report(
            str(ds.TransactionUID),
            event.event_type,
            frozenset(_pair(item) for item in ds.get("ReferencedSOPSequence", ())),
            {_pair(item): item.FailureReason for item in ds.get("FailedSOPSequence", ())},
            ds.get("RetrieveAETitle", ""),
        )
        with self._told:
            self.reports.append(told)
            self._told.notify_all()
        return self.status, None

    @property
    def handlers(self) -> list[Any]:
        return [(evt.EVT_N_EVENT_REPORT, self.on_report)]

    def wait_for(self, transaction: str, timeout_s: float = 30.0, count: int = 1) -> list[Report]:
        """The reports of a transaction, when there are that many."""

        def of_it() -> list[Report]:
            return [one for one in self.reports if one.transaction == transaction]

        with self._told:
            assert self._told.wait_for(lambda: len(of_it()) >= count, timeout_s), f"told: {self.reports}"
            return of_it()

    @contextmanager
    def associated(self, port: int, called: str = "GANTRY") -> Iterator[Association]:
        """An association on which to ask, released at the end unless it is gone."""
        ae = AE(self.aet)
        ae.add_requested_context(PUSH, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", port, ae_title=called, evt_handlers=self.handlers)
        assert association.is_established
        connection = association.dul.socket.socket
        try:
            yield association
        finally:
            _pause(association)
            association.release()
            association.join(10)
            # pynetdicom leaves that of an association which was broken off to the garbage collector
            connection.close()

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[int]:
        """Be there to be called back; the port."""
        ae = AE(self.aet)
        ae.add_supported_context(PUSH, ExplicitVRLittleEndian, scu_role=False, scp_role=True)

        def accepted(event: evt.Event) -> None:
            self.roles += [(c.as_scu, c.as_scp) for c in event.assoc.accepted_contexts]

        handlers = [*self.handlers, (evt.EVT_ACCEPTED, accepted)]
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def ask(
    association: Association,
    references: Sequence[Pair],
    transaction: str | None = None,
    *,
    action: int = 1,
    instance: str = PUSH_INSTANCE,
    **attributes: Any,
) -> tuple[int, str]:
    """N-ACTION; the status of the answer, and the Transaction UID."""
    information = Dataset()
    information.TransactionUID = transaction or generate_uid()
    information.ReferencedSOPSequence = [_item(*pair) for pair in references]
    for keyword, value in attributes.items():
        setattr(information, keyword, value)
    _pause(association)
    answer, _ = association.send_n_action(information, action, PUSH, instance)
    return int(answer.Status), str(information.TransactionUID)


def _pause(association: Association) -> None:
    """Have the thread of an association wait, so that it takes no message that somebody else waits for.

    pynetdicom 3.0.4 serves a report in a thread of its own, which says at its end that the other does not wait;
    whoever needs that waits for ever.
    """
    association._reactor_checkpoint.clear()
    while association.is_established and not _waits(association):
        time.sleep(0.001)
    for thread in _SERVING.get(association, ()):
        thread.join(10)
    association._is_paused = True


_SERVING: WeakKeyDictionary[Association, list[threading.Thread]] = WeakKeyDictionary()


def _waits(association: Association) -> bool:
    frame = sys._current_frames().get(association.ident or 0)
    calls = []
    while frame is not None:
        calls.append(frame.f_code.co_name)
        frame = frame.f_back
    # The event's wait, and within that the condition's
    return ["wait", "wait", "_run_reactor"] in [calls[n : n + 3] for n in range(len(calls))]


def _item(sop_class: str, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = instance
    return item


def _pair(item: Dataset) -> Pair:
    return str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)
