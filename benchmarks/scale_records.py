"""Made-up studies for `benchmarks.scale`, each made of its number alone, and the queries about one of them.

Patients have one to five studies. What studies are found by is scattered: neighbours in time are none in the
alphabet, the calendar, or among the UIDs. A name is spelled from syllables that are digits of its number, so
that a beginning as long as the archive is large finds as many studies at each size.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import log10

from benchmarks.corpus import CT_IMAGE
from gantry.archive.index import AddEdit, AddVersion, EditRow, IndexChange
from gantry.archive.query import OrderBy, Query, TextQuery
from gantry.archive.records import InstanceKey, JsonModel, ObjectRecord, Origin, PixelLocation
from gantry.standard.query_keys import Level

PAGE = 25
_ARRIVED = datetime(2016, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(2016, 1, 1)
_DAYS = 3652
_FIRST = ("Al", "Ber", "Cor", "Dà")
_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "mé", "ni", "ro", "sü")
_DIGITS = 6
_NUMBERS = len(_FIRST) * 10**_DIGITS
_STRIDE = 2_472_133
"""Without common factor with `_NUMBERS`: any run of patients gets its share of every beginning."""
_GIVEN = ("Jane", "José", "Łucja", "Søren", "Zoë", "Åsa", "Peter", "Maria", "Ömer", "Chloé", "Ivan")
_KINDS = ("CT", "MR", "CR", "US", "DX", "MG", "NM", "PT")
STUDIES_FOR_EDIT, STUDIES_FOR_CONFLICT = 50, 200
_PARTS = ("Thorax", "Abdomen", "Schädel", "Knee left", "Spine", "Hand", "Pelvis")
_OF_FIVE = (0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4)
"""To which of five patients each of fifteen studies belongs."""


@dataclass(frozen=True, slots=True)
class Patient:
    """Who study `n` is of."""

    number: int
    family: str
    given: str

    @classmethod
    def of(cls, n: int) -> Patient:
        """The patient of study `n`."""
        person = n // 15 * 5 + _OF_FIVE[n % 15]
        number = person * _STRIDE % _NUMBERS
        digits = f"{number % 10**_DIGITS:0{_DIGITS}}"
        family = _FIRST[number // 10**_DIGITS] + "".join(_SYLLABLES[int(digit)] for digit in digits)
        return cls(number, family, _GIVEN[person % len(_GIVEN)])

    def beginning(self, studies: int) -> str:
        """How the names of about 25 of so many studies begin."""
        syllables = round(log10(studies / 100))
        return self.family[: len(_FIRST[self.number // 10**_DIGITS]) + 2 * syllables]


def _element(vr: str, value: str | int) -> JsonModel:
    return {"vr": vr, "Value": [{"Alphabetic": value} if vr == "PN" else value]}


def _scattered(n: int) -> int:
    return n * 2_654_435_761 % (1 << 32)


def key_of(n: int, instance: int = 1) -> InstanceKey:
    """The UIDs of an instance of study `n`."""
    study = f"1.2.826.0.1.3680043.10.1338.8.{_scattered(n)}.{n}"
    return InstanceKey(study, f"{study}.1", f"{study}.1.{instance}")


def accession_of(n: int) -> str:
    """The Accession Number of study `n`."""
    return f"A{_scattered(n):010}"


def day_of(n: int) -> date:
    """The Study Date of study `n`."""
    return _FIRST_DAY + timedelta(days=_scattered(n) % _DAYS)


def change(n: int, instance: int = 1, number: int = 1) -> AddVersion:
    """The arrival of a version of an instance of study `n`."""
    key, patient = key_of(n, instance), Patient.of(n)
    kind = _KINDS[n * 7 % 11 % len(_KINDS)]
    digest = _scattered(n << 10 | instance).to_bytes(31, "big") + bytes([number])
    record = ObjectRecord(
        key=key,
        sop_class_uid=CT_IMAGE,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=f"objects/00/{key.study_uid}/{key.series_uid}/{key.sop_uid}.v{number}.dcm",
        file_size=525_000,
        dataset_offset=400,
        dataset_sha256=digest,
        meta_sha256=digest,
        received_at=_ARRIVED + timedelta(milliseconds=n * 1000 + instance),
        origin=Origin("SCANNER", "192.0.2.7", "dimse"),
        pixel=PixelLocation(1200, 524_288),
        patient={
            "00100010": _element("PN", f"{patient.family}^{patient.given}"),
            "00100020": _element("LO", f"P{patient.number:07}"),
            "00100030": _element("DA", f"{1930 + patient.number % 80}{1 + patient.number % 12:02}15"),
            "00100040": _element("CS", "FM"[patient.number % 2]),
        },
        study={
            "00080020": _element("DA", f"{day_of(n):%Y%m%d}"),
            "00080030": _element("TM", f"{7 + n % 12:02}{n % 60:02}00"),
            "00080050": _element("SH", accession_of(n)),
            "00080090": _element("PN", f"Referrer{_scattered(n) % 300}^Anna"),
            "00081030": _element("LO", f"{kind} {_PARTS[n % len(_PARTS)]}"),
            "0020000D": _element("UI", key.study_uid),
            "00200010": _element("SH", f"S{n}"),
        },
        series={
            "00080060": _element("CS", kind),
            "0008103E": _element("LO", "axial 5 mm"),
            "0020000E": _element("UI", key.series_uid),
            "00200011": _element("IS", 1),
        },
        instance={
            "00080016": _element("UI", CT_IMAGE),
            "00080018": _element("UI", key.sop_uid),
            "00200013": _element("IS", instance),
            "00280010": _element("US", 512),
            "00280011": _element("US", 512),
        },
    )
    return AddVersion(record, number)


def arrivals(n: int) -> list[IndexChange]:
    """Study `n` as it arrives: one or two instances. Some come again with other bytes, some are edited."""
    changes: list[IndexChange] = [change(n, instance) for instance in range(1, 2 + n % 2)]
    if n % STUDIES_FOR_EDIT == 0:
        changes.append(_edit(n))
    if n % STUDIES_FOR_CONFLICT == 1:
        changes.append(change(n, 1, 2))
    return changes


def _edit(n: int) -> AddEdit:
    at = _ARRIVED + timedelta(milliseconds=n * 1000 + 500)
    row = EditRow(n + 1, f"{n:032x}", "modify", at, "clerk", "a name was spelled wrong", Origin(), 0, 1)
    return AddEdit(row, ((f"P{Patient.of(n).number:07}", ""),), (key_of(n),))


def edited(n: int) -> int:
    """A study near `n` that was edited."""
    return n - n % STUDIES_FOR_EDIT


def queries(n: int, studies: int) -> dict[str, Query | TextQuery]:
    """Queries about study `n` of an archive of `studies`."""
    key, patient = key_of(n), Patient.of(n)
    beginning = patient.beginning(studies).lower()
    day = min(day_of(n), _FIRST_DAY + timedelta(days=_DAYS - 30))
    month = f"{day:%Y%m%d}-{day + timedelta(days=30):%Y%m%d}"
    of_study = {"0020000D": _element("UI", key.study_uid)}
    of_series = {**of_study, "0020000E": _element("UI", key.series_uid)}

    def of_studies(tag: str, vr: str, value: str) -> Query:
        return Query(Level.STUDY, {tag: _element(vr, value)}, limit=PAGE)

    return {
        "newest 25, as the page asks": TextQuery([], PAGE, want_total=True),
        "newest 25, as QIDO asks": Query(Level.STUDY, limit=PAGE),
        "study by UID": Query(Level.STUDY, of_study),
        "studies of a Patient ID": of_studies("00100020", "LO", f"P{patient.number:07}"),
        "by Accession Number": of_studies("00080050", "SH", accession_of(n)),
        "family^j*": of_studies("00100010", "PN", f"{patient.family}^{patient.given[0]}*".lower()),
        "name begins": of_studies("00100010", "PN", f"{beginning}*"),
        "25 of a month": of_studies("00080020", "DA", month),
        "25 of the oldest, as retention asks": Query(Level.STUDY, limit=PAGE, order=OrderBy.OLDEST),
        "typed: beginning of a name": TextQuery([beginning], PAGE, want_total=True),
        "typed: names": TextQuery([patient.family.lower(), patient.given.lower()], PAGE, want_total=True),
        "typed: Accession Number": TextQuery([accession_of(n)], PAGE, want_total=True),
        "series of a study": Query(Level.SERIES, of_study),
        "instances of a series": Query(Level.IMAGE, of_series),
    }
