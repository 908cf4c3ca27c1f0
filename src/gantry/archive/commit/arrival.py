"""Objects that want to be kept, as they pass from hand to hand within a commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gantry.archive.blocks import Block
from gantry.archive.index.protocol import CurrentVersion
from gantry.archive.outcome import Outcome, Refused, Unchanged
from gantry.archive.records import ObjectRecord


@dataclass(slots=True, eq=False)
class Arrival:
    """An object that wants to be kept: its record, and the name under which its bytes are durable.

    `staged` is None for one whose bytes are still in memory, in `block`, and for one referenced in place,
    whose record names its own path. `unknown_at` tells when nothing was known of its instance (see
    `Behind.unknown_at`), `at` its time where that is settled already. `replaces` is the version that this one
    is in another form, and takes the place of whatever the policy, as long as that is current.
    """

    record: ObjectRecord
    staged: str | None
    block: Block | None = None
    unknown_at: int | None = None
    at: datetime | None = None
    replaces: int | None = None
    outcome: Outcome | None = None


def outcome_of(arrival: Arrival) -> Outcome:
    """What became of an arrival that was committed."""
    assert arrival.outcome is not None
    return arrival.outcome


def refuse(arrivals: Iterable[Arrival], refusal: Refused) -> None:
    """Refuse all that have no outcome yet."""
    for arrival in arrivals:
        if arrival.outcome is None:
            arrival.outcome = refusal


def bytes_of(record: ObjectRecord) -> tuple[bytes, str]:
    """What tells one version's bytes from another's."""
    return record.dataset_sha256, record.transfer_syntax_uid


def same_bytes(record: ObjectRecord, current: CurrentVersion) -> bool:
    """Whether an object's very bytes are those of the current version."""
    return bytes_of(record) == (current.dataset_sha256, current.transfer_syntax_uid)


def unchanged(record: ObjectRecord, number: int, *, restored: bool = False) -> Unchanged:
    """The answer for an object that is kept already, as version `number`."""
    return Unchanged(record.key, number, record.sop_class_uid, record.transfer_syntax_uid, restored)
