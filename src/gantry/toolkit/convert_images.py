"""The images among what is to be converted: read once each, told apart by series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.toolkit.convert_options import Converted
from gantry.toolkit.images import Candidate, Image, Opened, Unreadable, image_of

_SERIES_UID, _SOP_UID = 0x0020000E, 0x00080018
_SERIES_NUMBER, _INSTANCE_NUMBER, _ACQUISITION_NUMBER = 0x00200011, 0x00200013, 0x00200012
_MODALITY = 0x00080060
_FRAME_TIME, _CINE_RATE, _DISPLAY_RATE = 0x00181063, 0x00180040, 0x00082144

MOST_SERIES_NUMBER = 999_999
"""A Series Number that becomes part of a file name; others count as none."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What naming, ordering and timing need to know of an image. `frame_ms` is 0 where it does not say."""

    series_uid: str
    sop_uid: str
    series_number: int
    instance_number: int
    modality: str
    frame_ms: float


@dataclass(slots=True)
class Series:
    """The images of one series, in the order in which they were found."""

    uid: str
    number: int
    modality: str
    images: list[Image] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    sop_uids: set[str] = field(default_factory=set)

    def in_order(self) -> list[tuple[Image, Facts]]:
        """The images by Instance Number."""
        return sorted(zip(self.images, self.facts, strict=True), key=lambda pair: pair[1].instance_number)


def facts_of(ds: DataSet) -> Facts:
    """Read the facts of an object; none of them need be there."""
    number = _integer(ds, _SERIES_NUMBER)
    return Facts(
        series_uid=ds.text(_SERIES_UID) or "",
        sop_uid=ds.text(_SOP_UID) or "",
        series_number=number if 0 <= number <= MOST_SERIES_NUMBER else 0,
        instance_number=_integer(ds, _INSTANCE_NUMBER),
        modality=ds.text(_MODALITY) or "",
        frame_ms=_frame_ms(ds),
    )


def _integer(ds: DataSet, tag: int) -> int:
    values = ds.ints(tag)
    return values[0] if values else 0


def _frame_ms(ds: DataSet) -> float:
    """PS3.3 C.7.6.5: Frame Time, or else one of the two rates in frames a second."""
    for value in ds.floats(_FRAME_TIME)[:1]:
        if 1 <= value <= 60_000:
            return value
    for tag in (_DISPLAY_RATE, _CINE_RATE):
        for value in ds.floats(tag)[:1]:
            if 0.02 <= value <= 1000:
                return 1000 / value
    return 0.0


def refused(candidate: Candidate | Unreadable, error: Exception | str) -> Converted:
    """The word on an input that is not converted."""
    return Converted(candidate.name, None, error=str(error))


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


def open_image(candidate: Candidate) -> tuple[Image, Facts]:
    """An image and its facts. Raises DataSetError, OSError."""
    with Opened(candidate.path) as (meta, ds):
        return image_of(candidate, meta, ds), facts_of(ds)


def add_to_series(all_series: dict[str, Series], image: Image, facts: Facts) -> Series:
    """Put an image into its series. Raises DataSetError for one that is there already."""
    series = all_series.get(facts.series_uid)
    if series is None:
        series = all_series[facts.series_uid] = Series(facts.series_uid, facts.series_number, facts.modality)
    if facts.sop_uid and facts.sop_uid in series.sop_uids:
        raise DataSetError("the same object comes twice; the first one is taken")
    series.sop_uids.add(facts.sop_uid)
    series.images.append(image)
    series.facts.append(facts)
    return series


def by_series(found: Iterable[tuple[Image, Facts]]) -> tuple[list[Series], list[Converted]]:
    """Images by series; what comes twice is named."""
    all_series: dict[str, Series] = {}
    failed = []
    for image, facts in found:
        try:
            add_to_series(all_series, image, facts)
        except DataSetError as error:
            failed.append(refused(image.candidate, error))
    return list(all_series.values()), failed
