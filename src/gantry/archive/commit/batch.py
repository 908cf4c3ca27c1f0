"""What is committed together, as it grows."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from gantry.archive.acts import ActEntry, EditHead
from gantry.archive.commit.arrival import Arrival
from gantry.archive.index.protocol import AddEdit, CurrentVersion, IndexChange, change_key
from gantry.archive.outcome import Outcome
from gantry.archive.received import Receipt
from gantry.archive.records import InstanceKey


@dataclass(slots=True)
class Batch:
    """Files that were named and rows that are to be added. What `is_logged` was answered before.

    `published` and `act` are what is taken back again where the rows do not come about.
    """

    is_logged: bool = False
    changes: list[IndexChange] = field(default_factory=list)
    acts: list[ActEntry] = field(default_factory=list)
    act: str = ""
    # Of an edit
    head: EditHead | None = None
    folders: set[str] = field(default_factory=set)
    published: list[str] = field(default_factory=list)
    # The temporary names that published files had
    staged: dict[str, str] = field(default_factory=dict)
    # Instances as they will be after this batch, and all object versions of those looked at closely.
    # Objects that are to get their names, each with the receipt of it
    naming: list[tuple[str, Receipt]] = field(default_factory=list)
    state: dict[InstanceKey, CurrentVersion] = field(default_factory=dict)
    kept: dict[InstanceKey, dict[tuple[bytes, str], int]] = field(default_factory=dict)
    # Instances of which an edit made what is current, or what is current in another form
    edited: set[InstanceKey] = field(default_factory=set)
    # Object versions whose bytes are gone, and the ones that they can be made from again
    let_go: dict[tuple[InstanceKey, int], int] = field(default_factory=dict)
    # Object versions whose bytes are known to be damaged
    damaged: set[tuple[InstanceKey, int | None]] = field(default_factory=set)
    answers: list[tuple[Arrival, Outcome]] = field(default_factory=list)

    def without(self, keys: Set[InstanceKey]) -> None:
        """Leave out all that was to happen to these instances."""
        self.changes = [c for c in self.changes if isinstance(c, AddEdit) or change_key(c) not in keys]
        self.acts = [act for act in self.acts if act.key not in keys]
        self.answers = [(a, outcome) for a, outcome in self.answers if a.record.key not in keys]
