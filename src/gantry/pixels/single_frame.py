"""From an enhanced multi-frame object to single-frame objects, one for each frame.

The attributes of a frame are those of the object, over them those of the shared functional groups and of its
own, each macro laid flat (PS3.3 C.7.6.16). Macros that may have several Items, and those of vendors, stay
sequences; what the single-frame class calls otherwise is added (see `classic`). What only makes sense for
many frames (dimensions, concatenation, offset tables), the icon, and signatures of other bytes are left out.
Pixels are copied: native frames byte for byte, compressed ones fragment for fragment.

Frames of a Legacy Converted Enhanced object become what they were made of: the attributes that the converter
found no place for come back, and so do the UIDs (PS3.3 C.7.6.16.2.24 to 26). Other frames get UIDs that are
derived from that of the object and the frame's number, so that doing it again gives the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from gantry.dataset.deflate import deflate
from gantry.dataset.encode import encode_encapsulated
from gantry.dataset.part10 import IMPLEMENTATION_VERSION_NAME
from gantry.dataset.reencode import element_value, pixel_data_header
from gantry.dataset.scan import Buffer, DataSet, PixelData
from gantry.dataset.values import (
    Values,
    encode_values,
    in_charset,
    item,
    put,
    sequence,
    text_value,
    texts_of,
    values_of,
)
from gantry.errors import CallerError, DataSetError
from gantry.pixels.classic import (
    CLASSIC_OF,
    FRAME_TYPE,
    IMAGE_TYPE,
    LEGACY_OF,
    FrameFacts,
    add_classic_attributes,
    add_empty,
    add_frame_content,
)
from gantry.pixels.encapsulation import FrameTable, Kind, frame_table
from gantry.pixels.functional_groups import (
    CONVERSION_SOURCE_ATTRIBUTES,
    DERIVATION_IMAGE,
    PER_FRAME,
    PLANE_POSITION,
    REAL_WORLD_VALUE_MAPPING,
    SHARED,
    UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES,
    UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES,
    FunctionalGroups,
)
from gantry.pixels.overlay import read_overlays
from gantry.pixels.transcode import stored_frame
from gantry.standard.dictionary import (
    PIXEL_DATA,
    is_private,
    is_private_creator,
    tags_of,
)
from gantry.standard.sop_classes import name_of
from gantry.standard.transfer_syntaxes import TransferSyntax

MAX_FRAMES: Final = 100_000
"""Single-frame objects that one object may become: whole-body dynamic PET has some ten thousand frames."""

NAMESPACE: Final = uuid.UUID("6e1c3d0a-92b5-5c55-9d0e-3a1f1c3f5b77")
"""Of all UIDs that are derived from others here."""

ABSENT_CREATOR: Final = "GANTRY MULTIFRAME"
ABSENT_GROUP: Final = 0x52010000
"""Where a conversion by this program tells which attributes a frame did not have: its element 01, AT."""

CONVERSION_EQUIPMENT: Final = "109106"
"""DCM: Enhanced Multi-frame Conversion Equipment."""

_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_SERIES_INSTANCE_UID: Final = 0x0020000E
_INSTANCE_NUMBER: Final = 0x00200013
_CONCATENATION_UID: Final = 0x00209161
_CONCATENATION_FRAME_OFFSET: Final = 0x00209228
_SOURCE_IMAGE: Final = 0x00082112
_REFERENCED_SERIES: Final = 0x00081115
_REFERENCED_INSTANCE: Final = 0x0008114A
_REFERENCED_SOP_CLASS_UID: Final = 0x00081150
_REFERENCED_SOP_INSTANCE_UID: Final = 0x00081155
_CONTRIBUTING_EQUIPMENT: Final = 0x0018A001
_PURPOSE: Final = 0x0040A170
_CODE_VALUE: Final = 0x00080100
_MEASUREMENT_UNITS: Final = 0x004008EA
_IMAGE_POSITION: Final = 0x00200032
_REFERENCED_FRAME: Final = 0x00081160
_DIFFUSION: Final = 0x00189117
_DIFFUSION_DIRECTION: Final = 0x00189076
_DIFFUSION_ORIENTATION: Final = 0x00189089
_FRAMES_IN_OVERLAY, _FRAME_ORIGIN, _OVERLAY_DATA = 0x0015, 0x0051, 0x3000

_OF_MANY_FRAMES: Final = frozenset(
    {
        SHARED,
        PER_FRAME,
        *tags_of(
            "NumberOfFrames FrameIncrementPointer RepresentativeFrameNumber IconImageSequence "
            "DimensionOrganizationSequence DimensionIndexSequence DimensionOrganizationType ConcatenationUID "
            "InConcatenationNumber InConcatenationTotalNumber ConcatenationFrameOffsetNumber "
            "SOPInstanceUIDOfConcatenationSource ExtendedOffsetTable ExtendedOffsetTableLengths "
            "MACParametersSequence PixelData"
        ),
    }
)
_OF_THE_ENHANCED_CLASS: Final = tags_of(
    "PixelPresentation VolumetricProperties VolumeBasedCalculationTechnique ComplexImageComponent "
    "AcquisitionContrast ContentQualification"
)
"""What a converter must make up, since no single-frame object has it."""

NOT_OF_A_FRAME: Final = _OF_MANY_FRAMES | {
    *_OF_THE_ENHANCED_CLASS,
    *tags_of(
        "SOPClassUID SOPInstanceUID SeriesInstanceUID ReferencedSeriesSequence ContributingEquipmentSequence "
        "FrameType"
    ),
}
"""What a frame of a converted object tells and the object made of it has not, or from elsewhere."""

_INDEXES: Final = tags_of("DimensionIndexValues")
_PLACES: Final = tags_of(
    "StackID InStackPositionNumber DimensionIndexValues FrameAcquisitionNumber FrameAcquisitionDateTime "
    "FrameReferenceDateTime FrameAcquisitionDuration FrameComments TemporalPositionIndex FrameLaterality "
    "FrameType"
)

_KEPT: Final = frozenset(
    tags_of(
        "ReferencedImageSequence RealWorldValueMappingSequence ContrastBolusUsageSequence "
        "RadiopharmaceuticalUsageSequence MRSpatialSaturationSequence PixelIntensityRelationshipLUTSequence "
        "CTAdditionalXRaySourceSequence MultienergyCTProcessingSequence MultienergyCTCharacteristicsSequence"
    )
)
"""Macros that stay sequences: references, lists of things, and what would hide attributes of other macros."""

_TRAILING: Final = 0xFFFA0000


@dataclass(frozen=True, slots=True)
class SingleFrame:
    """A single-frame object in the transfer syntax of its source; `frame` is its number there, from 1.

    `pieces` are the bytes of its Data Set, to be had once.
    """

    frame: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    instance_number: str
    pieces: Iterator[Buffer]


class SingleFrames:
    """The single-frame objects that an enhanced object becomes; iterating makes one after the other.

    Raises CallerError for what has no single-frame class, DataSetError for what contradicts itself.
    """

    def __init__(self, ds: DataSet) -> None:
        self._ds = ds
        self._source_class = ds.text(_SOP_CLASS_UID) or ""
        self._source_uid = ds.text(_SOP_INSTANCE_UID) or ""
        self._is_legacy = self._source_class in LEGACY_OF.values()
        self._class = _classic_class(self._source_class)
        if not self._source_uid:
            raise DataSetError("the object has no SOP Instance UID", tag=_SOP_INSTANCE_UID)
        self._pixels, self._table = _checked_pixels(ds)
        self._groups = FunctionalGroups(ds)
        self._groups.check(len(self))
        self._syntax = ds.syntax
        self._flat: dict[int, Values] = {}
        self._top = self._top_values()
        first = 1 + next(iter(ds.ints(_CONCATENATION_FRAME_OFFSET)), 0)
        self._numbers = _instance_numbers(self._groups, len(self), first)
        # The parts of a concatenation are one series again (PS3.3 C.7.6.16.2.2.4).
        self._whole_uid = ds.text(_CONCATENATION_UID) or self._source_uid
        self._slices = self._count_slices()
        self._series_of = self._source_series() if self._is_legacy else {}

    def __len__(self) -> int:
        return self._table.declared

    def __iter__(self) -> Iterator[SingleFrame]:
        return map(self.frame, range(1, len(self) + 1))

    def frame(self, frame: int) -> SingleFrame:
        """The object of one frame, from 1."""
        values = self.values(frame)
        return SingleFrame(
            frame,
            texts_of(values, _SOP_CLASS_UID)[0],
            texts_of(values, _SOP_INSTANCE_UID)[0],
            self._syntax.uid,
            "".join(texts_of(values, _INSTANCE_NUMBER)[:1]),
            self._pieces(values, frame),
        )

    def values(self, frame: int) -> Values:
        """All attributes of one frame's object but its pixels."""
        values = dict(self._top)
        macros = self._groups.macros(frame)
        own = self._groups.frame(frame)
        for group in (self._groups.shared, own):
            if group is not None:
                put(values, self._loose(group))
        for tag, group in macros.items():
            if not is_private(tag):
                put(values, self._macro(group, tag))
        self._add_overlays(values, frame)
        if self._is_legacy:
            return self._as_it_was(values, macros, frame)
        facts = FrameFacts(self._numbers[frame - 1], self._slices, self._units(frame))
        add_classic_attributes(values, self._syntax, self._class, facts)
        values = {tag: value for tag, value in values.items() if tag not in _INDEXES and tag != FRAME_TYPE}
        values[_INSTANCE_NUMBER] = text_value("IS", str(facts.number))
        self._identify(values, frame)
        self._check(values, frame)
        return values

    def _top_values(self) -> Values:
        without = {*_OF_MANY_FRAMES, *(tag for tag in self._ds.elements if tag >= _TRAILING)}
        if self._is_legacy:
            without.update(_OF_THE_ENHANCED_CLASS)
        return values_of(self._ds, self._syntax, without)

    def _loose(self, group: DataSet) -> Values:
        """What stands in the groups outside of the standard's macros: the sequences of vendors."""
        values = {
            tag: element_value(group, element, self._syntax)
            for tag, element in group.elements.items()
            if (is_private(tag) or element[1] != "SQ") and tag & 0xFFFF
        }
        return in_charset(values, group.charset, self._ds.charset)

    def _macro(self, group: DataSet, tag: int) -> Values:
        """The attributes of a macro as they stand in a single-frame object; shared ones are kept."""
        if group is not self._groups.shared:
            return self._flattened(group, tag)
        if tag not in self._flat:
            self._flat[tag] = self._flattened(group, tag)
        return self._flat[tag]

    def _flattened(self, group: DataSet, tag: int) -> Values:
        if tag in (
            UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES,
            UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES,
            CONVERSION_SOURCE_ATTRIBUTES,
        ):
            return {}
        items = group.sequence(tag)
        kept = {tag: element_value(group, group.elements[tag], self._syntax)}
        if tag in _KEPT or not items:
            return kept
        if tag == DERIVATION_IMAGE:
            return self._derivation(items)
        flat = self._item(items[0])
        if len(items) > 1:
            flat |= kept  # flat attributes tell of the first of several
        if tag == _DIFFUSION:
            flat |= self._diffusion_direction(items[0])
        return flat

    def _item(self, ds: DataSet) -> Values:
        return in_charset(values_of(ds, self._syntax), ds.charset, self._ds.charset)

    def _derivation(self, items: list[DataSet]) -> Values:
        """Derivation Image Sequence: the sequences of all Items together (PS3.3 C.7.6.16.2.6)."""
        values = self._item(items[0])
        for ds in items[1:]:
            for tag, (vr, raw) in self._item(ds).items():
                values[tag] = (
                    (vr, values.get(tag, ("SQ", b""))[1] + raw) if vr == "SQ" else values.get(tag, (vr, raw))
                )
        return values

    def _diffusion_direction(self, ds: DataSet) -> Values:
        """The gradient's direction beside the b-value, where readers look for it (PS3.3 C.8.13.5.9)."""
        for direction in ds.items(_DIFFUSION_DIRECTION):
            element = direction.elements.get(_DIFFUSION_ORIENTATION)
            if element is not None:
                return {_DIFFUSION_ORIENTATION: element_value(direction, element, self._syntax)}
        return {}

    def _add_overlays(self, values: Values, frame: int) -> None:
        """Of overlays with a plane for each frame, the plane of this one (PS3.3 C.9.2)."""
        many = {tag >> 16 for tag in self._top if tag & 0xFFE0FFFF == 0x60000000 | _FRAMES_IN_OVERLAY}
        if not many:
            return
        planes = {plane.group: plane for plane in read_overlays(self._ds, frame, stored_bits=range(0))}
        for group in many:
            base, plane = group << 16, planes.get(group)
            values.pop(base | _FRAMES_IN_OVERLAY)
            values.pop(base | _FRAME_ORIGIN, None)
            if plane is None:
                for tag in [tag for tag in values if tag >> 16 == group]:
                    del values[tag]
            elif plane.bits:
                bits = plane.bits + b"\0" * (len(plane.bits) % 2)
                values[base | _OVERLAY_DATA] = ("OB" if not self._syntax.implicit_vr else "OW"), bits

    def _identify(self, values: Values, frame: int) -> None:
        """New UIDs, and the way back (PS3.3 C.12.4.1)."""
        values[_SOP_CLASS_UID] = text_value("UI", self._class)
        values[_SOP_INSTANCE_UID] = text_value("UI", derived_uid(self._source_uid, f"frame {frame}"))
        values[_SERIES_INSTANCE_UID] = text_value("UI", derived_uid(self._whole_uid, "single frames"))
        purpose = code("121322", "DCM", "Source image for image processing operation")
        reference: Values = {
            _REFERENCED_SOP_CLASS_UID: text_value("UI", self._source_class),
            _REFERENCED_SOP_INSTANCE_UID: text_value("UI", self._source_uid),
            _REFERENCED_FRAME: text_value("IS", str(frame)),
            _PURPOSE: sequence([purpose], self._syntax),
        }
        earlier = values.get(_SOURCE_IMAGE, ("SQ", b""))[1]
        values[_SOURCE_IMAGE] = "SQ", earlier + item(reference, self._syntax)
        by = item(equipment(self._syntax, "Classic Image created from Enhanced Image"), self._syntax)
        values[_CONTRIBUTING_EQUIPMENT] = "SQ", values.get(_CONTRIBUTING_EQUIPMENT, ("SQ", b""))[1] + by

    def _check(self, values: Values, frame: int) -> None:
        if self._class in LEGACY_OF and not values.get(_IMAGE_POSITION, ("", b""))[1]:
            raise DataSetError(f"frame {frame} has no Image Position (Patient)", tag=_IMAGE_POSITION)

    # Legacy converted objects

    def _as_it_was(self, values: Values, macros: Mapping[int, DataSet], frame: int) -> Values:
        """The attributes of the object that a frame was converted from."""
        unassigned = [self._item(ds) for ds in self._unassigned(macros)]
        absent = [_taken_absent(found, self._syntax) for found in unassigned]
        if all(tags is None for tags in absent):
            # Another program's: what it made of the originals is all there may be.
            add_frame_content(values, self._syntax)
            values[IMAGE_TYPE] = values.get(FRAME_TYPE, values.get(IMAGE_TYPE, ("CS", b"")))
            values[_INSTANCE_NUMBER] = text_value("IS", str(self._numbers[frame - 1]))
            add_empty(values, self._class)
        for tag in (*_OF_THE_ENHANCED_CLASS, *_PLACES, _REFERENCED_SERIES):
            values.pop(tag, None)
        self._without_converter(values)
        for found in unassigned:
            put(values, found)
        for tag in {tag for tags in absent for tag in tags or ()}:
            values.pop(tag, None)
        source = next(iter(self._groups.items(frame, CONVERSION_SOURCE_ATTRIBUTES)), None)
        uid = source.text(_REFERENCED_SOP_INSTANCE_UID) if source is not None else None
        if source is None or not uid:
            self._identify(values, frame)
            return values
        values[_SOP_INSTANCE_UID] = text_value("UI", uid)
        values[_SOP_CLASS_UID] = text_value("UI", source.text(_REFERENCED_SOP_CLASS_UID) or self._class)
        if not any(_SERIES_INSTANCE_UID in found for found in unassigned):
            series = self._series_of.get(uid) or derived_uid(self._source_uid, "single frames")
            values[_SERIES_INSTANCE_UID] = text_value("UI", series)
        return values

    def _unassigned(self, macros: Mapping[int, DataSet]) -> Iterator[DataSet]:
        for tag in (UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES, UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES):
            group = macros.get(tag)
            yield from group.items(tag) if group is not None else ()

    def _without_converter(self, values: Values) -> None:
        """Take out what the converter said of itself."""
        items = self._ds.sequence(_CONTRIBUTING_EQUIPMENT)
        if items and any(
            code.text(_CODE_VALUE) == CONVERSION_EQUIPMENT for code in items[-1].items(_PURPOSE)
        ):
            rest = [self._item(ds) for ds in items[:-1]]
            if rest:
                values[_CONTRIBUTING_EQUIPMENT] = sequence(rest, self._syntax)
            else:
                values.pop(_CONTRIBUTING_EQUIPMENT, None)

    def _source_series(self) -> dict[str, str]:
        """The series of each object that is referred to (PS3.3 C.12.2)."""
        return {
            uid: series
            for one in self._ds.items(_REFERENCED_SERIES)
            if (series := one.text(_SERIES_INSTANCE_UID))
            for instance in one.items(_REFERENCED_INSTANCE)
            if (uid := instance.text(_REFERENCED_SOP_INSTANCE_UID))
        }

    # Pixels

    def _pieces(self, values: Values, frame: int) -> Iterator[Buffer]:
        plain = self._plain(values, frame)
        return deflate(map(memoryview, plain)) if self._syntax.deflated else plain

    def _plain(self, values: Values, frame: int) -> Iterator[Buffer]:
        yield encode_values(values, self._syntax)
        if self._table.kind is Kind.NATIVE:
            data = stored_frame(self._ds, self._table, frame - 1)
            yield pixel_data_header(self._pixels.vr, len(data) + len(data) % 2, self._syntax)
            yield data
            if len(data) % 2:
                yield b"\0"
        else:
            view = memoryview(self._ds.buffer)
            spans = self._table.frame(frame - 1)
            yield from encode_encapsulated(
                [view[start : start + size] for start, size in spans], self._syntax
            )

    def _count_slices(self) -> int:
        positions = {
            ds.raw(_IMAGE_POSITION)
            for frame in range(1, len(self) + 1)
            for ds in self._groups.items(frame, PLANE_POSITION)[:1]
        }
        return max(1, len(positions))

    def _units(self, frame: int) -> str:
        for mapping in self._groups.items(frame, REAL_WORLD_VALUE_MAPPING)[:1]:
            for unit in mapping.items(_MEASUREMENT_UNITS):
                return unit.text(_CODE_VALUE) or ""
        return ""


def derived_uid(*names: str) -> str:
    """A UID that the same names always give (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(0).join(names)).int}"


def equipment(syntax: TransferSyntax, description: str) -> Values:
    """The Item of Contributing Equipment Sequence that tells of a conversion (PS3.3 C.12.1)."""
    purpose = code(CONVERSION_EQUIPMENT, "DCM", "Enhanced Multi-frame Conversion Equipment")
    return {
        0x00080070: text_value("LO", "Gantry"),
        0x00081090: text_value("LO", "gantry multiframe"),
        0x00181020: text_value("LO", IMPLEMENTATION_VERSION_NAME),
        0x0018A003: text_value("ST", description),
        _PURPOSE: sequence([purpose], syntax),
    }


def code(value: str, scheme: str, meaning: str) -> Values:
    """An Item of a code sequence (PS3.3 8.8)."""
    return {
        _CODE_VALUE: text_value("SH", value),
        0x00080102: text_value("SH", scheme),
        0x00080104: text_value("LO", meaning),
    }


def _classic_class(source: str) -> str:
    for classic, legacy in LEGACY_OF.items():
        if source == legacy:
            return classic
    if source not in CLASSIC_OF:
        raise CallerError(
            f"there is no single-frame class for the frames of {name_of(source) or 'this object'}"
        )
    return CLASSIC_OF[source]


def _checked_pixels(ds: DataSet) -> tuple[PixelData, FrameTable]:
    pixels, table = ds.pixel_data, frame_table(ds)
    if pixels is None or table is None or pixels.tag != PIXEL_DATA:
        raise DataSetError("the object has no Pixel Data", tag=PIXEL_DATA)
    declared = ds.ints(0x00280008)
    if not declared or declared[0] < 1:
        raise DataSetError("Number of Frames is missing or less than 1", tag=0x00280008)
    if table.declared > MAX_FRAMES:
        raise DataSetError(f"{table.declared} frames, the limit is {MAX_FRAMES}", tag=0x00280008)
    if len(table) != table.declared or not table.is_complete(len(table) - 1):
        whole = sum(table.is_complete(n) for n in range(len(table)))
        raise DataSetError(f"there are {whole} frames where {table.declared} are declared", tag=PIXEL_DATA)
    return pixels, table


def _instance_numbers(groups: FunctionalGroups, frames: int, first: int) -> list[int]:
    """Instance Numbers from `first`, in the order of the dimensions; of frames without, in their own."""
    order = sorted(range(frames), key=lambda n: (groups.dimension_index(n + 1), n))
    numbers = [0] * frames
    for place, n in enumerate(order):
        numbers[n] = place + first
    return numbers


def absent_blocks(values: Values, creator: str = "") -> list[int]:
    """The private blocks of the group where a conversion by this program tells what was absent."""
    return [
        tag & 0xFF
        for tag in values
        if tag & 0xFFFF0000 == ABSENT_GROUP
        and is_private_creator(tag)
        and (not creator or texts_of(values, tag) == [creator])
    ]


def _taken_absent(values: Values, syntax: TransferSyntax) -> list[int] | None:
    """Which attributes the frame did not have, taken out of the values; None where nothing tells."""
    blocks = absent_blocks(values, ABSENT_CREATOR)
    if not blocks:
        return None
    block = max(blocks)  # an earlier one was in the object already
    del values[ABSENT_GROUP | block]
    _, raw = values.pop(ABSENT_GROUP | block << 8 | 1, ("AT", b""))
    # In Implicit VR nobody tells that it is AT.
    words = Struct(("<" if syntax.little_endian else ">") + "HH")
    return [group << 16 | element for group, element in words.iter_unpack(raw[: len(raw) // 4 * 4])]
