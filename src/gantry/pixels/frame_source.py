"""Single-frame objects on their way into a multi-frame one: what is needed of each, and which become one.

An object is read once, before the next is: its attributes are held (equal values of many objects once), its
pixels are remembered as the place where they lie.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gantry.dataset.scan import DataSet
from gantry.dataset.values import Value, Values, floats_of, texts_of, values_of
from gantry.errors import CallerError, DataSetError
from gantry.pixels.classic import LEGACY_OF
from gantry.pixels.encapsulation import Kind, frame_table
from gantry.pixels.frame_order import Slice
from gantry.standard.dictionary import PIXEL_DATA, name_of, tags_of
from gantry.standard.sop_classes import name_of as name_of_class
from gantry.standard.transfer_syntaxes import TransferSyntax

MAX_HEADER_BYTES: Final = 512 << 20
"""Of attributes held in memory for one call, equal values counted once: 10,000 slices with 50 KB each."""

MAX_SOURCES: Final = 100_000
"""Single-frame objects of one call; see `single_frame.MAX_FRAMES`."""

REFERENCED_IMAGE: Final = 0x00081140
SOURCE_IMAGE: Final = 0x00082112

_REFERENCED_SOP_INSTANCE_UID: Final = 0x00081155
_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SERIES_INSTANCE_UID: Final = 0x0020000E
_FRAME_OF_REFERENCE_UID: Final = 0x00200052
_INSTANCE_NUMBER: Final = 0x00200013
_NUMBER_OF_FRAMES: Final = 0x00280008
_IMAGE_POSITION: Final = 0x00200032
_IMAGE_ORIENTATION: Final = 0x00200037
_ACQUISITION_DATE_TIME: Final = 0x0008002A
_TRAILING: Final = 0xFFFA0000
_CONTENT_TIME: Final = 0x00080033

_KEY: Final = tags_of(
    "SOPClassUID StudyInstanceUID SeriesInstanceUID PatientID PatientName Modality FrameOfReferenceUID "
    "Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation SpecificCharacterSet"
)
"""What must be the same for objects to become one."""


class Headers:
    """The attributes of many objects, equal values held once. `MAX_HEADER_BYTES` bounds what is held."""

    def __init__(self) -> None:
        self._held: dict[Value, Value] = {}
        self._bytes = 0

    def keep(self, values: Values) -> Values:
        """The values, each the one held already where there is one. Raises CallerError at the limit."""
        return {tag: self._one(value) for tag, value in values.items()}

    def _one(self, value: Value) -> Value:
        held = self._held.setdefault(value, value)
        if held is value:
            self._bytes += len(value[1])
            if self._bytes > MAX_HEADER_BYTES:
                raise CallerError(
                    f"the attributes of these objects are more than {MAX_HEADER_BYTES} bytes; combine fewer"
                )
        return held


@dataclass(frozen=True, slots=True)
class FrameSource:
    """A single-frame object that can become a frame: its attributes, and where its pixels lie.

    `spans` are (offset, length) in the buffer of its Data Set. `references` are the SOP Instance UIDs of
    other images, by the tag of the sequence at the top that refers to them.
    """

    name: str
    syntax: TransferSyntax
    values: Values = field(repr=False)
    slice: Slice
    pixel_vr: str
    spans: tuple[tuple[int, int], ...] = field(repr=False)
    references: Mapping[int, frozenset[str]] = field(repr=False, default_factory=dict)

    @property
    def sop_class_uid(self) -> str:
        return self._uid(_SOP_CLASS_UID)

    @property
    def sop_instance_uid(self) -> str:
        return self._uid(_SOP_INSTANCE_UID)

    @property
    def series_instance_uid(self) -> str:
        return self._uid(_SERIES_INSTANCE_UID)

    @property
    def study_instance_uid(self) -> str:
        return self._uid(_STUDY_INSTANCE_UID)

    @property
    def frame_bytes(self) -> int:
        """Length of the frame's bytes."""
        return sum(length for _, length in self.spans)

    def key(self, one_frame_of_reference: bool = False) -> tuple[object, ...]:
        """What must be equal for objects to become one."""
        tags = (t for t in _KEY if not (one_frame_of_reference and t == _FRAME_OF_REFERENCE_UID))
        return (self.syntax.uid, self.pixel_vr, *(self.values.get(tag, ("", b""))[1] for tag in tags))

    def _uid(self, tag: int) -> str:
        return "".join(texts_of(self.values, tag)[:1])


def read_source(name: str, ds: DataSet, headers: Headers) -> FrameSource:
    """What is needed of a single-frame object. Raises DataSetError for what cannot become a frame."""
    sop_class = ds.text(_SOP_CLASS_UID) or ""
    if sop_class not in LEGACY_OF:
        raise DataSetError(
            f"{name_of_class(sop_class) or 'this object'} has no legacy converted form", tag=_SOP_CLASS_UID
        )
    for tag in (_SOP_INSTANCE_UID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID, _FRAME_OF_REFERENCE_UID):
        if not ds.text(tag):
            raise DataSetError(f"{name_of(tag)} is missing", tag=tag)
    if (ds.text(0x00280004) or "").upper() != "MONOCHROME2":  # PS3.3 C.8.13.1, C.8.15.2, C.8.22.3
        raise DataSetError("Photometric Interpretation is not MONOCHROME2", tag=0x00280004)
    spans, vr = pixel_spans(ds)
    without = {PIXEL_DATA, 0x7FE00001, 0x7FE00002, *(tag for tag in ds.elements if tag >= _TRAILING)}
    values = headers.keep(values_of(ds, ds.syntax, without))
    place = Slice.of(ds.floats(_IMAGE_POSITION), ds.floats(_IMAGE_ORIENTATION), _moment(values, ds))
    references = {
        tag: frozenset(uid for item in ds.items(tag) if (uid := item.text(_REFERENCED_SOP_INSTANCE_UID)))
        for tag in (REFERENCED_IMAGE, SOURCE_IMAGE)
    }
    return FrameSource(name, ds.syntax, values, place, vr, spans, references)


def pixel_spans(ds: DataSet) -> tuple[tuple[tuple[int, int], ...], str]:
    """(offset, length) of the stretches that are the only frame, and the VR. Raises DataSetError."""
    pixels, table = ds.pixel_data, frame_table(ds)
    if pixels is None or table is None or pixels.tag != PIXEL_DATA:
        raise DataSetError("the object has no Pixel Data", tag=PIXEL_DATA)
    if table.declared != 1:
        raise DataSetError(f"it has {table.declared} frames already", tag=_NUMBER_OF_FRAMES)
    if len(table) != 1 or not table.is_complete(0):
        raise DataSetError("the frame is not whole", tag=PIXEL_DATA)
    if table.kind is Kind.NATIVE:
        bits = table.frame_bits or 0
        if bits % 8 or (not ds.syntax.little_endian and bits % 16):
            raise DataSetError("the frame does not end with a byte or a word", tag=PIXEL_DATA)
    return table.frame(0), pixels.vr


def _moment(values: Values, ds: DataSet) -> tuple[float | str, ...]:
    def number(tag: int) -> float:
        return next(iter(floats_of(values, tag, ds.syntax)), float("inf"))

    return (
        number(0x00200100),
        number(_INSTANCE_NUMBER),
        acquired(values),
        number(0x00181060),
        "".join(texts_of(values, _CONTENT_TIME)[:1]),
    )


def acquired(values: Values) -> str:
    """When the frame was acquired, as a DT; empty where the object does not say."""
    whole = texts_of(values, _ACQUISITION_DATE_TIME)[:1]
    if whole and whole[0]:
        return whole[0]
    date, time = texts_of(values, 0x00080022)[:1], texts_of(values, 0x00080032)[:1]
    return date[0] + time[0] if date and time and len(date[0]) == 8 else ""


def arranged(
    sources: Sequence[FrameSource], *, one_frame_of_reference: bool = False
) -> tuple[list[list[FrameSource]], list[tuple[FrameSource, str]]]:
    """The objects that become one, together; and the others, each with the reason.

    With `one_frame_of_reference` those of a series are taken to be in one, whatever they say: programs that
    replace UIDs, slice by slice, break what belongs together.
    """
    groups: dict[tuple[object, ...], list[FrameSource]] = defaultdict(list)
    refused: list[tuple[FrameSource, str]] = []
    seen: dict[str, FrameSource] = {}
    for source in sources:
        other = seen.setdefault(source.sop_instance_uid, source)
        if other is not source:
            refused.append((source, f"its SOP Instance UID is that of {other.name}"))
            continue
        groups[source.key(one_frame_of_reference)].append(source)
    together = [group for group in groups.values() if len(group) > 1]
    alone = [group[0] for group in groups.values() if len(group) == 1]
    refused += [(source, _why_alone(source, groups.values())) for source in alone]
    return together, refused


def _why_alone(source: FrameSource, groups: Iterable[list[FrameSource]]) -> str:
    series = source.series_instance_uid
    beside = [g for g in groups if g[0].series_instance_uid == series and g[0] is not source]
    if not beside:
        return "it is alone in its series: there is nothing to combine it with"
    other = max(beside, key=len)[0]
    labels = ["Transfer Syntax", "VR of Pixel Data", *map(name_of, _KEY)]
    pairs = zip(labels, source.key(), other.key(), strict=True)
    differing = [label for label, a, b in pairs if a != b]
    return f"it differs from the others of its series in {', '.join(differing)}"
