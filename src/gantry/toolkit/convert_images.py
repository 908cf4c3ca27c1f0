"""The images among what is to be converted: read once each, told apart by series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gantry.dataset.part10 import FileMeta
from gantry.dataset.scan import DataSet
from gantry.toolkit.convert_options import Converted
from gantry.toolkit.images import Candidate, Image, PlainHeaders, image_of, read_each
from gantry.volume.frames import Frame, frames_of, repetition_s

_SERIES_UID, _SOP_UID = 0x0020000E, 0x00080018
_SERIES_NUMBER, _INSTANCE_NUMBER = 0x00200011, 0x00200013
_MODALITY = 0x00080060
_MODALITY_LUT_SEQUENCE = 0x00283000
_FRAME_TIME, _CINE_RATE, _DISPLAY_RATE = 0x00181063, 0x00180040, 0x00082144

MOST_SERIES_NUMBER = 999_999
"""A Series Number that becomes part of a file name; others count as none."""

_FRAME_MS = (1.0, 60_000.0)
"""Frame times, in ms, that are believed: a thousand frames a second to one a minute."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What naming, ordering and timing need to know of an image. `frame_ms` and `repetition_s` are 0 where it
    does not say.
    """

    series_uid: str
    sop_uid: str
    series_number: int
    instance_number: int
    modality: str
    frame_ms: float
    repetition_s: float
    has_modality_lut: bool


@dataclass(frozen=True, slots=True)
class Known:
    """An image, its facts, and where volumes are made, where its frames lie."""

    image: Image
    facts: Facts
    frames: tuple[Frame, ...] = ()


@dataclass(slots=True)
class Series:
    """The images of one series, in the order in which they were found, no object twice."""

    uid: str
    number: int
    modality: str
    known: list[Known] = field(default_factory=list)
    sop_uids: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"series {self.number}" + (f" ({self.uid})" if self.uid else "")

    def in_order(self) -> list[Known]:
        """The images by Instance Number."""
        return sorted(self.known, key=lambda one: one.facts.instance_number)


def read_images(found: Iterable[Candidate]) -> tuple[list[Known], list[Converted]]:
    """The images among candidates, and why others are none."""

    def read(candidate: Candidate, meta: FileMeta, ds: DataSet) -> Known:
        return Known(image_of(candidate, meta, ds), facts_of(ds))

    return read_each(found, read)


def read_slices(found: Iterable[Candidate]) -> tuple[list[Known], list[Converted]]:
    """As `read_images`, with the place of each frame. An image that lacks frames is none: no volume is true
    with holes.
    """

    headers = PlainHeaders()

    def read(candidate: Candidate, meta: FileMeta, ds: DataSet) -> Known:
        image, facts = image_of(candidate, meta, ds, headers), facts_of(ds)
        image.check_complete()
        return Known(image, facts, tuple(frames_of(ds, image.header, image.frame_count)))

    return read_each(found, read)


def facts_of(ds: DataSet) -> Facts:
    """Read the facts of an object; none of them need be there."""
    number = _integer(ds, _SERIES_NUMBER)
    modality = ds.text(_MODALITY) or ""
    return Facts(
        series_uid=ds.text(_SERIES_UID) or "",
        sop_uid=ds.text(_SOP_UID) or "",
        series_number=number if 0 <= number <= MOST_SERIES_NUMBER else 0,
        instance_number=_integer(ds, _INSTANCE_NUMBER),
        modality=modality,
        frame_ms=_frame_ms(ds),
        repetition_s=repetition_s(ds) if modality == "MR" else 0.0,
        has_modality_lut=_MODALITY_LUT_SEQUENCE in ds,
    )


def _integer(ds: DataSet, tag: int) -> int:
    values = ds.ints(tag)
    return values[0] if values else 0


def _frame_ms(ds: DataSet) -> float:
    """PS3.3 C.7.6.5: Frame Time, or else one of the two rates in frames a second."""
    least, most = _FRAME_MS
    for value in ds.floats(_FRAME_TIME)[:1]:
        if least <= value <= most:
            return value
    for tag in (_DISPLAY_RATE, _CINE_RATE):
        for value in ds.floats(tag)[:1]:
            if 1000 / most <= value <= 1000 / least:
                return 1000 / value
    return 0.0


def series_stem(series: Series, taken: set[str]) -> str:
    """The name of a series among those taken. It holds numbers only: nothing else that an object says becomes
    part of a path.
    """
    base = f"series{series.number:04d}"
    stem, count = base, 1
    while stem in taken:
        count += 1
        stem = f"{base}-{count}"
    taken.add(stem)
    return stem


def by_series(found: Iterable[Known]) -> tuple[list[Series], list[Converted]]:
    """Images by series; what comes twice is named."""
    all_series: dict[str, Series] = {}
    failed = []
    for one in found:
        facts = one.facts
        series = all_series.get(facts.series_uid)
        if series is None:
            series = Series(facts.series_uid, facts.series_number, facts.modality)
            all_series[facts.series_uid] = series
        if facts.sop_uid and facts.sop_uid in series.sop_uids:
            words = "the same object comes twice; the first one is taken"
            failed.append(Converted(one.image.candidate.name, None, error=words))
            continue
        series.sop_uids.add(facts.sop_uid)
        series.known.append(one)
    return list(all_series.values()), failed
