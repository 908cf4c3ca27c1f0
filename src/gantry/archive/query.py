"""A query and its answer, whoever asks: C-FIND, QIDO-RS, the page, the Python API.

A `Query` names a level, the conditions that rows must meet, and what to give back. The index answers with
rows in a total order, so that a page asked for by `limit` and `offset` neither repeats nor skips a row while
nothing is stored. Each row carries its answer as it was serialised at ingest: `Row.json` for a door that
passes bytes on, `Row.model` for one that picks attributes.

**Slots.** What changes without the attributes changing (counts, modalities, the URL) is no part of the
serialised answer; it is put in at reading. An answer is therefore kept as four sections, in the tag order
that PS3.18 F.2.2 asks for, with a slot between each two: availability and modalities (0008,0056-0061), the
retrieve URL (0008,1190), the counts (0020,1200-1209).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import msgspec

from gantry.archive.records import InstanceKey, JsonModel, Location
from gantry.standard.query_keys import DEFAULT_ANSWERS, LEVEL_OF_TAG, Level

MAX_RESULTS = 10_000
"""Rows that one query gives at most, see the limits of docs/architecture.md; more are had by paging."""
MAX_EXAMINED = 50_000
"""Rows looked at one by one, where SQL alone cannot decide, before an answer is cut short."""
MAX_COUNTED = 10_000
"""Of these, rows looked at beyond the page only to count them."""
MAX_COUNTED_IN_SQL = 100_000
"""Rows counted for a total where SQL alone decides."""
MAX_HEADERS = 2_000
"""Files opened for one query because it asks for an attribute that the index does not hold."""

HeaderOf = Callable[[Location], JsonModel]
"""Gives all attributes of an object but its bulk data; the archive supplies it."""


class OrderBy(Enum):
    """What rows are sorted by, before the tie-breakers that make every order total."""

    NEWEST = "newest"
    """Study Date and Time, latest first; then by Series Number, Instance Number."""
    OLDEST = "oldest"
    PATIENT_NAME = "patient-name"
    PATIENT_NAME_DESCENDING = "patient-name-descending"
    PATIENT_ID = "patient-id"
    PATIENT_ID_DESCENDING = "patient-id-descending"
    ACCESSION = "accession"
    ACCESSION_DESCENDING = "accession-descending"
    RECEIVED = "received"
    """Latest first noted study first."""


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody wants to find.

    `keys` are the matching keys in the DICOM JSON model, as C-FIND or QIDO-RS sent them: an empty value
    matches everything (PS3.4 C.2.2.2.3) and asks for the attribute back, as `wanted` tags do. `fuzzy` is
    phonetic matching of names; `empty_values` lets ``""`` match empty values only and `multiple_values` lets
    ``,`` divide values (PS3.18 8.3.4); `combined_date_time`
    makes one range of a date and a time range (PS3.4 C.2.2.2.5.1).
    `limit` is at most `MAX_RESULTS`; None asks for that many.
    """

    level: Level
    keys: JsonModel = field(default_factory=dict)
    wanted: tuple[int, ...] = ()
    limit: int | None = None
    offset: int = 0
    fuzzy: bool = False
    empty_values: bool = False
    multiple_values: bool = False
    combined_date_time: bool = False
    order: OrderBy = OrderBy.NEWEST
    want_total: bool = False


@dataclass(frozen=True, slots=True)
class TextQuery:
    """What a person types: every word begins a name, an identifier, a described word or a date, or is a
    modality.

    `modality` is codes with commas between, dates are of DICOM; empty, they narrow nothing.
    """

    words: Sequence[str]
    limit: int
    offset: int = 0
    modality: str = ""
    date_from: str = ""
    date_to: str = ""
    want_total: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """The visible instances of a study or series, and of what they consist."""

    instances: int
    series: int = 0
    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PatientCounts:
    """What is visible of a patient."""

    studies: int
    series: int
    instances: int


@dataclass(frozen=True, slots=True)
class LevelAnswer:
    """The attributes of one level as they were serialised at ingest.

    `sections` is the default answer, cut at its slots; `more` is a JSON object of what else is kept.
    """

    sections: bytes
    more: bytes

    def attributes(self) -> JsonModel:
        """All of it as one JSON model."""
        joined = b"{" + b",".join(filter(None, self.sections.split(SECTION_END))) + b"}"
        return {**_decode(joined), **_decode(self.more)}


@dataclass(frozen=True, slots=True)
class Row:
    """One answer. UIDs of levels below its own are empty, `None` stands for the answers of those levels.

    `study_counts`, `series_counts` and `patient_counts` tell what is visible. `extra` holds attributes
    that were asked for, are not in the index and were read from the file.
    """

    level: Level
    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    study: LevelAnswer
    series: LevelAnswer | None = None
    instance: LevelAnswer | None = None
    study_counts: Counts | None = None
    series_counts: Counts | None = None
    patient_counts: PatientCounts | None = None
    extra: JsonModel = field(default_factory=dict)

    @property
    def key(self) -> InstanceKey:
        """The UIDs of the row."""
        return InstanceKey(self.study_uid, self.series_uid, self.sop_uid)

    def json(self, retrieve_url: str | None = None) -> bytes:
        """The default answer of the row's own level (PS3.18 10.6.3) as a JSON object in UTF-8."""
        if self.level is Level.PATIENT:
            return msgspec.json.encode(self.model())
        own = self.instance or self.series or self.study
        before_counts, after_availability = self._slots()
        first, second, third, fourth = own.sections.split(SECTION_END)
        parts = (
            _CHARACTER_SET,
            first,
            _AVAILABILITY,
            after_availability,
            second,
            b'"00081190":{"vr":"UR","Value":[' + msgspec.json.encode(retrieve_url) + b"]}"
            if retrieve_url
            else b"",
            third,
            before_counts,
            fourth,
        )
        return b"{" + b",".join(filter(None, parts)) + b"}"

    @property
    def answer(self) -> bytes:
        """`json` without a URL."""
        return self.json()

    def model(self) -> JsonModel:
        """Everything the index knows that belongs to the row's level or above, in tag order."""
        if self.level is Level.PATIENT:
            known = self.study.attributes()
            merged = {tag: element for tag, element in known.items() if int(tag, 16) in _PATIENT_TAGS}
        else:
            merged = self.study.attributes()
        for answer in (self.series, self.instance):
            if answer is not None:
                merged.update(answer.attributes())
        merged.update(self.computed())
        merged.update(self.extra)
        return dict(sorted(merged.items()))

    def computed(self) -> JsonModel:
        """The attributes that the archive answers of itself: availability, modalities and counts."""
        found: JsonModel = {"00080056": {"vr": "CS", "Value": ["ONLINE"]}}
        if (patient := self.patient_counts) is not None:
            found["00201200"] = {"vr": "IS", "Value": [patient.studies]}
            found["00201202"] = {"vr": "IS", "Value": [patient.series]}
            found["00201204"] = {"vr": "IS", "Value": [patient.instances]}
        if (study := self.study_counts) is not None:
            found["00080061"] = _texts("CS", study.modalities)
            found["00080062"] = _texts("UI", study.sop_classes)
            found["00201206"] = {"vr": "IS", "Value": [study.series]}
            found["00201208"] = {"vr": "IS", "Value": [study.instances]}
        if (series := self.series_counts) is not None:
            found["00201209"] = {"vr": "IS", "Value": [series.instances]}
        return found

    def _slots(self) -> tuple[bytes, bytes]:
        """What stands in the slots of the row's own level: its counts, its modalities."""
        if self.level is Level.STUDY and self.study_counts is not None:
            study = self.study_counts
            counts = b'"00201206":{"vr":"IS","Value":[%d]},"00201208":{"vr":"IS","Value":[%d]}'
            return counts % (study.series, study.instances), (
                b'"00080061":' + msgspec.json.encode(_texts("CS", study.modalities))
            )
        if self.level is Level.SERIES and self.series_counts is not None:
            return b'"00201209":{"vr":"IS","Value":[%d]}' % self.series_counts.instances, b""
        return b"", b""


@dataclass(frozen=True, slots=True)
class FindResult:
    """The rows of one page.

    `total` counts all rows that match, None when it was not asked for or not all could be examined;
    `more` says that rows follow this page; `truncated` that the search stopped at one of its limits, so
    that rows may be missing.
    """

    rows: list[Row]
    total: int | None = None
    more: bool = False
    truncated: bool = False


SECTION_END = b"\n"
"""Parts the sections of a serialised answer; JSON without blanks holds no line feed."""

_SLOTS = ("00080056", "00081190", "00201200")
_CHARACTER_SET = b'"00080005":{"vr":"CS","Value":["ISO_IR 192"]}'
_AVAILABILITY = b'"00080056":{"vr":"CS","Value":["ONLINE"]}'
_PATIENT_TAGS = frozenset(tag for tag, level in LEVEL_OF_TAG.items() if level is Level.PATIENT)
_DEFAULTS = {
    level: frozenset(f"{tag:08X}" for tag in DEFAULT_ANSWERS[level]) - {"00080005", "00080056", "00081190"}
    for level in Level
}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict).decode


def _texts(vr: str, values: tuple[str, ...]) -> JsonModel:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def serialise(level: Level, attributes: JsonModel) -> LevelAnswer:
    """Cut the attributes of one level into the form that the index keeps.

    Specific Character Set is left out, for a JSON answer is in UTF-8 whatever the object was in.
    """
    sections: list[JsonModel] = [{}, {}, {}, {}]
    more: JsonModel = {}
    defaults = _DEFAULTS[level]
    for tag, element in sorted(attributes.items()):
        if tag in defaults:
            sections[bisect_right(_SLOTS, tag)][tag] = element
        elif tag != "00080005":
            more[tag] = element
    cut = SECTION_END.join([_encode(section)[1:-1] for section in sections])
    return LevelAnswer(cut, _encode(more))
