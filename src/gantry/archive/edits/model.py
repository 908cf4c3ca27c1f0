"""What can be asked for, and what is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from gantry.archive.acts import Act, AttributeChange
from gantry.archive.index.protocol import EditRow
from gantry.archive.records import InstanceKey
from gantry.errors import CallerError
from gantry.standard.query_keys import Level

MAX_OBJECTS: Final = 20_000
"""Objects that one edit may make, or name in a note. A whole-body CT with all its reconstructions has about
10,000; an act names them all, and commits wait while its rows are written."""
MAX_WORDS_CHARS: Final = 1024
"""Of who and why: a person writes them."""
EXPIRED: Final = "113039"
"""Data Retention Policy Expired: the code of a rejection that is a deletion (PS3.16 CID 7011)."""
MAX_CHANGES: Final = 200
"""Attributes that one edit may change; a whole patient and study have about as many."""
MAX_SHOWN_INSTANCES: Final = 1000
"""Instances that an answer lists one by one; it counts all."""


class EditKind(Enum):
    """What an edit does. The last two only undo others."""

    MODIFY = "modify"
    MERGE = "merge"
    MOVE = "move"
    SPLIT = "split"
    MERGE_STUDIES = "merge-studies"
    IDENTIFIERS = "identifiers"
    REJECT = "reject"
    DELETE = "delete"
    RESTORE = "restore"
    UNMERGE = "unmerge"
    REVERT = "revert"


class EditRefused(CallerError):
    """What was asked for cannot be done; nothing was changed."""


class EditConflict(EditRefused):
    """What there is now stands against it; something else was done meanwhile, or before."""


class Patient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Patient ID and its issuer, which is empty for a patient without one."""

    id: str
    issuer: str = ""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an edit is about: a patient, or a study, some of its series, or some instances of one series."""

    patient: Patient | None = None
    study: str = ""
    series: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """The level of what is named. Raises EditRefused for what names nothing, or two things."""
        if self.patient is not None and (self.study or self.series or self.instances):
            raise EditRefused("name a patient, or a study, not both")
        if self.patient is not None:
            if not self.patient.id:
                raise EditRefused("a patient without an ID is known by the study: name that")
            return Level.PATIENT
        if not self.study:
            raise EditRefused("name what is to be edited: a patient or a study")
        if self.instances:
            if len(self.series) != 1:
                raise EditRefused("instances are named together with their series")
            return Level.IMAGE
        return Level.SERIES if self.series else Level.STUDY


class EditRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One edit as a person asks for it.

    `changes` are attributes by keyword or tag with their new values: a text or number, several in a list,
    null to leave the attribute out, or an attribute of the DICOM JSON model. `into` is where to: the patient
    or study that takes the objects. `code` is why objects are rejected (`rejection.CODES`). `version` is for
    restore: the object version of the one instance named that is current from then on. `force` is for
    delete, and for reject by the code of retention: also what was committed, or what a rule keeps.
    """

    kind: EditKind
    target: Target
    why: str
    who: str = ""
    changes: dict[str, Any] = {}
    into: Target | None = None
    code: str = ""
    version: int = 0
    force: bool = False

    def check(self) -> None:
        """Raise EditRefused for words that are missing or too long, and for too many changes."""
        require_words(self.who, self.why)
        if len(self.changes) > MAX_CHANGES:
            raise EditRefused(f"more than {MAX_CHANGES} attributes")
        if self.version and self.kind is not EditKind.RESTORE:
            raise EditRefused(f"{self.kind.value} takes no version")
        if self.force and not self.is_guarded:
            raise EditRefused(f"{self.kind.value} is not forced")

    @property
    def is_guarded(self) -> bool:
        """Whether it takes something away for good, as far as whoever looks for it can tell.

        What is rejected for quality or safety, or as another's, is taken away for the patient's sake.
        """
        return self.kind is EditKind.DELETE or (self.kind is EditKind.REJECT and self.code == EXPIRED)


def require_words(who: str, why: str) -> None:
    """Raise EditRefused where nobody says why, or anybody says too much."""
    if not why.strip():
        raise EditRefused("say why: the history keeps it")
    for name, words in (("who", who), ("why", why)):
        if len(words) > MAX_WORDS_CHARS:
            raise EditRefused(f"{name} is longer than {MAX_WORDS_CHARS} characters")
        if any("\ud800" <= c <= "\udfff" for c in words):
            raise EditRefused(f"{name} holds half of a surrogate pair")


@dataclass(frozen=True, slots=True)
class Concerned:
    """One instance that an edit concerns: where it was, where it will be (None: hidden), what changes.

    `before` is None for what was not visible, and for a document that is new.
    """

    before: InstanceKey | None
    after: InstanceKey | None
    changes: tuple[AttributeChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What an edit would do."""

    kind: EditKind
    concerned: tuple[Concerned, ...]


@dataclass(frozen=True, slots=True)
class EditDone:
    """An edit as it stands in the history: its row, and its act."""

    row: EditRow
    act: Act


Progress = Callable[[int, int], None]
"""Called with how many objects are made, and how many there are."""
