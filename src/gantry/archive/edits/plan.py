"""Which objects an edit concerns, and what each is to become: decided by what the index holds now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from gantry.archive.edits import attributes as of
from gantry.archive.edits.attributes import Wanted
from gantry.archive.edits.build import Rewrite
from gantry.archive.edits.model import (
    MAX_OBJECTS,
    EditConflict,
    EditKind,
    EditRefused,
    EditRequest,
    Patient,
    Target,
)
from gantry.archive.index import Index
from gantry.archive.query import MAX_RESULTS, Query
from gantry.archive.records import JsonModel, Location
from gantry.errors import NotFound
from gantry.standard.dictionary import vr_of
from gantry.standard.query_keys import LEVEL_OF_TAG, Level

COERCE: Final = "COERCE"
CORRECT: Final = "CORRECT"
"""Reasons for the Attribute Modification (PS3.3 C.12.1.1.9): reconciled with another register; was wrong."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `of_patient` narrows `rewrites` to objects that name this patient.

    `hidden` are objects that are to be seen no more. `code` makes a note of rejection of them.
    """

    rewrites: tuple[Rewrite, ...] = ()
    hidden: tuple[Location, ...] = ()
    of_patient: Patient | None = None
    reason: str = CORRECT
    code: str = ""


class Header(Protocol):
    """Gives all attributes of an object but its bulk data."""

    def __call__(self, location: Location) -> JsonModel: ...


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans over an index; `new_uid` gives a UID that nothing has."""

    index: Index
    header: Header
    new_uid: Callable[[], str]
    _kinds: dict[EditKind, Callable[[Planner, EditRequest], Plan]] = field(
        default_factory=lambda: {
            EditKind.MODIFY: Planner._modify,
            EditKind.IDENTIFIERS: Planner._identifiers,
            EditKind.MERGE: Planner._merge,
            EditKind.MOVE: Planner._move,
            EditKind.SPLIT: Planner._split,
            EditKind.MERGE_STUDIES: Planner._merge_studies,
            EditKind.REJECT: Planner._reject,
            EditKind.DELETE: Planner._delete,
        }
    )

    def plan(self, request: EditRequest) -> Plan:
        """Decide. Raises EditRefused, DataSetError for wrong values, NotFound where nothing is concerned."""
        kind = self._kinds.get(request.kind)
        if kind is None:
            raise EditRefused(f"{request.kind.value} is no edit of its own: revert an edit")
        plan = kind(self, request)
        if len(plan.rewrites) > MAX_OBJECTS or (plan.code and len(plan.hidden) > MAX_OBJECTS):
            raise EditRefused(f"more than {MAX_OBJECTS} objects; edit studies or series one after the other")
        return plan

    # --- kinds -----------------------------------------------------------------------------------

    def _modify(self, request: EditRequest) -> Plan:
        _require_no(request, into=False, code=False)
        wanted = of.parsed(request.changes)
        if not wanted:
            raise EditRefused("say which attributes change")
        of.require_level(wanted, request.target.level)
        return Plan(self._each(request.target, wanted), of_patient=request.target.patient)

    def _identifiers(self, request: EditRequest) -> Plan:
        """Patient ID and issuer of a patient or study; Accession Number and Study Instance UID of a study."""
        _require_no(request, into=False, code=False)
        level = request.target.level
        if level not in (Level.PATIENT, Level.STUDY):
            raise EditRefused("identifiers are changed of a patient or of a study")
        wanted = of.parsed(request.changes)
        of.require_only(wanted, of.IDENTIFIERS, "an identifier that can be changed")
        if not wanted:
            raise EditRefused("say which identifiers change")
        if level is Level.PATIENT:
            of.require_only(wanted, (of.PATIENT_ID, of.ISSUER), "an identifier of the patient")
        uids: dict[str, str] = {}
        if of.STUDY_INSTANCE_UID in wanted:
            uid = _value(wanted.pop(of.STUDY_INSTANCE_UID) or {})
            if not uid:
                raise EditRefused("a study has a UID")
            uids = self._new_study(request.target.study, uid)
        return Plan(self._each(request.target, wanted, uids), of_patient=request.target.patient)

    def _merge(self, request: EditRequest) -> Plan:
        """All that is one patient's becomes another's, who is known."""
        _require_no(request, changes=False, code=False)
        target, into = request.target, request.into
        if target.level is not Level.PATIENT or into is None or into.level is not Level.PATIENT:
            raise EditRefused("merge takes a patient, and into another patient")
        if target.patient == into.patient:
            raise EditRefused("a patient cannot be merged into itself")
        assert into.patient is not None
        wanted = self._identification(into.patient)
        if wanted is None:
            raise NotFound("there is no such patient to merge into")
        return Plan(self._each(target, wanted), of_patient=target.patient, reason=COERCE)

    def _move(self, request: EditRequest) -> Plan:
        """A study becomes another patient's, who may be new: then `changes` say who it is."""
        _require_no(request, code=False)
        into = request.into
        if request.target.level is not Level.STUDY or into is None or into.patient is None:
            raise EditRefused("move takes a study, and into a patient; split takes series of a study")
        said = of.parsed(request.changes)
        of.require_level(said, Level.PATIENT)
        wanted = self._identification(into.patient)
        if wanted is not None and said:
            raise EditConflict("the patient is known here, and is as it is")
        if wanted is None:
            if of.PATIENT_NAME not in said:
                raise EditRefused("the patient is new here: say its PatientName")
            wanted = {tag: {"vr": vr} for tag, vr in ((0x00100030, "DA"), (0x00100040, "CS"))}
            wanted |= _identity(into.patient) | said
        return Plan(self._each(request.target, wanted))

    def _split(self, request: EditRequest) -> Plan:
        """Series of a study become a study of their own."""
        _require_no(request, code=False)
        into = request.into
        if request.target.level is not Level.SERIES or (into is not None and into.patient is not None):
            raise EditRefused("split takes series of a study, and into a study, or none for a new UID")
        wanted = of.parsed(request.changes)
        accession = wanted.pop(of.ACCESSION, None)
        of.require_level(wanted, Level.STUDY)
        if accession is not None:
            wanted[of.ACCESSION] = accession
        uids = self._new_study(request.target.study, into.study if into is not None else self.new_uid())
        return Plan(self._each(request.target, wanted, uids))

    def _merge_studies(self, request: EditRequest) -> Plan:
        """All that is in one study becomes part of another: its UID, its attributes, its patient."""
        _require_no(request, changes=False, code=False)
        into = request.into
        if request.target.level is Level.PATIENT or into is None or into.level is not Level.STUDY:
            raise EditRefused("merge-studies takes a study, or series of it, and into a study")
        if into.study == request.target.study:
            raise EditRefused("a study cannot be merged into itself")
        found = self.index.locate(into.study)
        if not found:
            raise NotFound("there is no study to merge into")
        header = self.header(found[0])
        wanted: Wanted = {tag: _attribute_of(header, tag) for tag in of.IDENTIFICATION}
        for tag, level in LEVEL_OF_TAG.items():
            name = f"{tag:08X}"
            if level is Level.STUDY and tag != of.STUDY_INSTANCE_UID and name in header:
                wanted[tag] = header[name]
            elif tag in of.OF_STUDY:
                wanted[tag] = _attribute_of(header, tag)
        return Plan(self._each(request.target, wanted, {request.target.study: into.study}))

    def _reject(self, request: EditRequest) -> Plan:
        _require_no(request, changes=False, into=False)
        if request.target.level is Level.PATIENT:
            raise EditRefused("a note of rejection is of one study: reject studies one after the other")
        return Plan(hidden=tuple(self._targeted(request.target)), code=request.code)

    def _delete(self, request: EditRequest) -> Plan:
        _require_no(request, changes=False, into=False, code=False)
        if request.target.level is Level.PATIENT:
            raise EditRefused("delete takes a study, series or instances")
        return Plan(hidden=tuple(self._targeted(request.target)))

    # --- what is there ---------------------------------------------------------------------------

    def _each(
        self, target: Target, wanted: Wanted, uids: dict[str, str] | None = None
    ) -> tuple[Rewrite, ...]:
        return tuple(Rewrite(location, wanted, uids or {}) for location in self._targeted(target))

    def _targeted(self, target: Target) -> list[Location]:
        """The visible objects of a target. Raises NotFound, also where some of what is named is missing."""
        if target.level is Level.PATIENT:
            assert target.patient is not None
            studies = list(dict.fromkeys(self._studies_of(target.patient)))
            found = [location for study in studies for location in self.index.locate(study)]
        else:
            found = self.index.locate(target.study)
            if target.series:
                found = _named(found, target.series, "series", lambda one: one.key.series_uid)
            if target.instances:
                found = _named(found, target.instances, "instance", lambda one: one.key.sop_uid)
        if not found:
            raise NotFound("there is nothing visible to edit")
        return found

    def _studies_of(self, patient: Patient) -> Iterator[str]:
        """The studies of which an object names this patient."""
        keys: JsonModel = {"00100020": {"vr": "LO", "Value": [patient.id]}}
        offset = 0
        while True:
            rows = self.index.find(
                Query(Level.STUDY, keys, wanted=(of.ISSUER,), limit=MAX_RESULTS, offset=offset)
            ).rows
            for row in rows:
                model = row.model()
                if _text(model, of.PATIENT_ID) == patient.id and _text(model, of.ISSUER) == patient.issuer:
                    yield row.study_uid
            offset += len(rows)
            if len(rows) < MAX_RESULTS:
                return

    def _identification(self, patient: Patient) -> Wanted | None:
        """What objects of a known patient say of it; None where none is visible."""
        for study in self._studies_of(patient):
            for location in self.index.locate(study):
                header = self.header(location)
                if (_text(header, of.PATIENT_ID), _text(header, of.ISSUER)) == (patient.id, patient.issuer):
                    return {tag: _attribute_of(header, tag) for tag in of.IDENTIFICATION}
        return None

    def _new_study(self, former: str, uid: str) -> dict[str, str]:
        of.parsed({"StudyInstanceUID": uid})  # says what is wrong with it
        if uid == former:
            raise EditConflict("the study has this UID already")
        if self.index.locate(uid):
            raise EditConflict(f"there is a study {uid} already; merge-studies puts studies together")
        return {former: uid}


def names(patient: Patient, found: tuple[str, str]) -> bool:
    """Whether an object that has this Patient ID and issuer is of the patient."""
    return found == (patient.id, patient.issuer)


def _identity(patient: Patient) -> Wanted:
    issuer: JsonModel | None = {"vr": "LO", "Value": [patient.issuer]} if patient.issuer else None
    return {
        of.PATIENT_ID: {"vr": "LO", "Value": [patient.id]},
        of.ISSUER: issuer,
        of.ISSUER_QUALIFIERS: None,
    }


def _attribute_of(header: JsonModel, tag: int) -> JsonModel | None:
    """An attribute as another object has it; empty, or left out where it may be, if that has none."""
    found: JsonModel | None = header.get(f"{tag:08X}")
    if found is None and tag not in (of.ISSUER, of.ISSUER_QUALIFIERS, 0x00080051, 0x00081030):
        return {"vr": vr_of(tag)}
    return found


def _text(model: JsonModel, tag: int) -> str:
    values = model.get(f"{tag:08X}", {}).get("Value") or [""]
    return str(values[0] or "").strip(" \0")


def _value(attribute: JsonModel) -> str:
    values = attribute.get("Value") or [""]
    return str(values[0])


def _named(
    found: Iterable[Location], names: tuple[str, ...], what: str, name: Callable[[Location], str]
) -> list[Location]:
    chosen = [one for one in found if name(one) in names]
    missing = set(names) - {name(one) for one in chosen}
    if missing:
        raise NotFound(f"there is no {what} {min(missing)}")
    return chosen


def _require_no(request: EditRequest, *, changes: bool = True, into: bool = True, code: bool = True) -> None:
    """Raise EditRefused for what an edit of this kind does not take."""
    for name, allowed, given in (
        ("changes", changes, bool(request.changes)),
        ("into", into, request.into is not None),
        ("code", code, bool(request.code)),
    ):
        if given and not allowed:
            raise EditRefused(f"{request.kind.value} takes no {name}")
