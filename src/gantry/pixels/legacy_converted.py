"""From the single-frame objects of a series to one Legacy Converted Enhanced object (PS3.3 A.70 to A.72).

What all objects have in common of patient, study, series and equipment stands at the top. What a macro of the
class is made for goes into that macro, shared where all frames have it alike. Everything else, private
attributes and what the top tells otherwise included, goes into Unassigned Shared or Per-Frame Converted
Attributes (C.7.6.16.2.24 and 25), the Series Instance UID too, so that each object can be had back from its
frame; a private attribute there tells what an object did not have but its frame must. Conversion Source
Attributes tell the objects' UIDs. Pixels are copied, compressed ones as one fragment for each frame.

There is no Common Instance Reference: dicom3tools, by which others judge, does not count Conversion Source
Attributes as references, and takes the module for an error.

`LegacyConverted` writes the object around its frames, which come one by one: memory holds the headers only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from struct import Struct
from typing import Final

from gantry.dataset.deflate import deflate
from gantry.dataset.encode import element_header, encode_element
from gantry.dataset.reencode import pixel_data_header
from gantry.dataset.scan import Buffer
from gantry.dataset.values import (
    Value,
    Values,
    floats_of,
    item,
    number_value,
    sequence,
    text_value,
    texts_of,
)
from gantry.errors import CallerError, DataSetError
from gantry.pixels.classic import CT_IMAGE, FRAME_TYPE, IMAGE_TYPE, LEGACY_OF, MR_IMAGE, PET_IMAGE
from gantry.pixels.frame_order import Place, ordered, organization
from gantry.pixels.frame_source import REFERENCED_IMAGE, SOURCE_IMAGE, FrameSource, acquired
from gantry.pixels.functional_groups import (
    CONVERSION_SOURCE_ATTRIBUTES,
    DIMENSION_INDEX_VALUES,
    FRAME_CONTENT,
    FRAME_VOI_LUT,
    PER_FRAME,
    PIXEL_MEASURES,
    PIXEL_VALUE_TRANSFORMATION,
    PLANE_ORIENTATION,
    PLANE_POSITION,
    SHARED,
    UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES,
    UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES,
)
from gantry.pixels.legacy_modules import REQUIRED, is_at_top
from gantry.pixels.single_frame import (
    ABSENT_CREATOR,
    ABSENT_GROUP,
    NOT_OF_A_FRAME,
    absent_blocks,
    derived_uid,
    equipment,
)
from gantry.pixels.transcode import MAX_BASIC_OFFSET, MAX_NATIVE_BYTES
from gantry.standard.dictionary import PIXEL_DATA, is_private, is_private_creator, tags_of, vr_of

_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SERIES_INSTANCE_UID: Final = 0x0020000E
_FRAME_OF_REFERENCE_UID: Final = 0x00200052
_INSTANCE_NUMBER: Final = 0x00200013
_NUMBER_OF_FRAMES: Final = 0x00280008
_IMAGE_POSITION: Final = 0x00200032
_IMAGE_ORIENTATION: Final = 0x00200037
_RESCALE_TYPE: Final = 0x00281054
_LOSSY: Final = 0x00282110
_CONTRIBUTING_EQUIPMENT: Final = 0x0018A001
_ACQUISITION_NUMBER: Final = 0x00200012
_CONTENT_DATE, _CONTENT_TIME = 0x00080023, 0x00080033
_STACK_ID, _IN_STACK_POSITION, _TEMPORAL_POSITION = 0x00209056, 0x00209057, 0x00209128
_DIMENSION_ORGANIZATION_UID: Final = 0x00209164
_FRAME_TYPE_MACRO: Final = {CT_IMAGE: 0x00189329, MR_IMAGE: 0x00189226, PET_IMAGE: 0x00189751}
_IRRADIATION_EVENT: Final = 0x00189477
_VOLUME: Final = {
    0x00089205: text_value("CS", "MONOCHROME"),
    0x00089206: text_value("CS", "VOLUME"),
    0x00089207: text_value("CS", "NONE"),
}
"""Pixel Presentation, Volumetric Properties, Volume Based Calculation Technique."""

_TOLD_ELSEWHERE: Final = frozenset({_SOP_CLASS_UID, _SOP_INSTANCE_UID})
_MR_KINDS: Final = {"M": "MAGNITUDE", "P": "PHASE", "R": "REAL", "I": "IMAGINARY"}
_MR_CONTENT: Final = (
    "ANGIO", "CINE", "DIFFUSION", "FLOW_ENCODED", "FMRI", "LOCALIZER", "MOTION", "MULTIECHO", "PERFUSION",
    "PROTON_DENSITY", "REALTIME", "STIR", "TAGGING", "TEMPERATURE", "T1", "T2", "T2_STAR", "TOF", "VELOCITY",
)  # fmt: skip
"""Defined terms of Image Type value 3 that single frames of MR bear too (PS3.3 C.8.13.3.1.1.1)."""

_ITEM: Final = Struct("<HHL")


class LegacyConverted:
    """One Legacy Converted Enhanced object of the objects of a group. `number` is its Instance Number.

    `known` are objects, by SOP Instance UID, whose study and series can be told where frames refer to them.
    `frames` are the objects in the order of the frames. Raises CallerError for more pixels than can be told.
    """

    def __init__(
        self, sources: Sequence[FrameSource], number: int = 1, known: Mapping[str, FrameSource] | None = None
    ) -> None:
        self._known = known or {}
        slices = [source.slice for source in sources]
        self.places: list[Place] = ordered(slices)
        self.frames = [sources[place.index] for place in self.places]
        self.organization = organization(slices, self.places)
        first = self.frames[0]
        self._classic = first.sop_class_uid
        self._syntax = first.syntax
        self.sop_class_uid = LEGACY_OF[self._classic]
        self.sop_instance_uid = derived_uid("combined", *sorted(s.sop_instance_uid for s in sources))
        self.series_instance_uid = derived_uid("combined series", first.series_instance_uid)
        self._lengths = [source.frame_bytes for source in self.frames]
        if not self._syntax.encapsulated and sum(self._lengths) > MAX_NATIVE_BYTES:
            raise CallerError(
                f"{sum(self._lengths)} bytes of native Pixel Data are more than its length can tell"
            )
        self._number = number
        self._has_times = any(place.time > 1 for place in self.places)

    @property
    def transfer_syntax_uid(self) -> str:
        return self._syntax.uid

    @property
    def notes(self) -> tuple[str, ...]:
        """Frames at one position that nothing tells apart; mosaics, whose slices readers will not find."""
        met: dict[object, str] = {}
        words = []
        for place, source in zip(self.places, self.frames, strict=True):
            key = place.stack, place.position, source.slice.moment, source.values.get(IMAGE_TYPE)
            other = met.setdefault(key, source.name)
            if other != source.name:
                words.append(f"{source.name} has the position and the time of {other}")
        mosaics = sum("MOSAIC" in texts_of(source.values, IMAGE_TYPE) for source in self.frames)
        if mosaics:
            # What tells of the slices is a vendor's; it is among the unassigned attributes now.
            words.append(f"{mosaics} frames are mosaics of slices; split again, they can be read as such")
        return tuple(words)

    def pieces(self, pixels: Iterable[Sequence[Buffer]]) -> Iterator[Buffer]:
        """The bytes of the Data Set; `pixels` gives the stretches of each frame, in the order of `frames`.

        Raises DataSetError where a frame is not as long as its object was.
        """
        plain = self._plain(pixels)
        return deflate(map(memoryview, plain)) if self._syntax.deflated else plain

    def _plain(self, pixels: Iterable[Sequence[Buffer]]) -> Iterator[Buffer]:
        syntax = self._syntax
        top, per_frame = self._headers()
        for tag in sorted(top):
            if tag < PER_FRAME:
                yield encode_element(tag, *top[tag], syntax)
        yield element_header(PER_FRAME, "SQ", sum(map(len, per_frame)), syntax)
        yield from per_frame
        for tag in sorted(top):
            if tag > PER_FRAME:
                yield encode_element(tag, *top[tag], syntax)
        if syntax.encapsulated:
            yield from self._encapsulated(pixels)
        else:
            total = sum(self._lengths)
            yield pixel_data_header(self.frames[0].pixel_vr, total + total % 2, syntax)
            for frame, length in zip(pixels, self._lengths, strict=True):
                yield from self._one_frame(frame, length)
            if total % 2:
                yield b"\0"

    def _encapsulated(self, pixels: Iterable[Sequence[Buffer]]) -> Iterator[Buffer]:
        """PS3.5 A.4: a fragment for each frame."""
        offsets = [] if self._needs_extended else self._offsets()
        yield Struct("<HH2sHL").pack(PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, b"OB", 0, 0xFFFFFFFF)
        yield _ITEM.pack(0xFFFE, 0xE000, 4 * len(offsets)) + Struct(f"<{len(offsets)}L").pack(*offsets)
        for frame, length in zip(pixels, self._lengths, strict=True):
            yield _ITEM.pack(0xFFFE, 0xE000, length + length % 2)
            yield from self._one_frame(frame, length)
            if length % 2:
                yield b"\0"
        yield _ITEM.pack(0xFFFE, 0xE0DD, 0)

    def _one_frame(self, frame: Sequence[Buffer], length: int) -> Iterator[Buffer]:
        if sum(map(len, frame)) != length:
            raise DataSetError("an object has changed since it was read", tag=PIXEL_DATA)
        yield from frame

    def _offsets(self) -> list[int]:
        offsets, position = [], 0
        for length in self._lengths:
            offsets.append(position)
            position += 8 + length + length % 2
        return offsets

    @property
    def _needs_extended(self) -> bool:
        return self._offsets()[-1] > MAX_BASIC_OFFSET

    # Attributes

    def _headers(self) -> tuple[Values, list[bytes]]:
        """The elements at the top, the shared groups among them; and the Item of each frame."""
        macros = [self._macros(source) for source in self.frames]
        alike = {tag for tag in macros[0] if all(m.get(tag) == macros[0][tag] for m in macros)}
        alike.discard(PLANE_POSITION)
        made = [self._made(source) for source in self.frames]
        made_alike = {tag for tag in made[0] if all(m.get(tag) == made[0][tag] for m in made)}
        left = map(_left, self.frames, map(_flat, macros))
        top, shared, per_frame = _divided(list(left))
        self._complete(top)
        referring = [source.values.get(REFERENCED_IMAGE, ("SQ", b"")) for source in self.frames]
        referring_alike = all(value == referring[0] for value in referring)
        groups: Values = {tag: sequence([macros[0][tag]], self._syntax) for tag in alike}
        groups |= {tag: sequence([made[0][tag]], self._syntax) for tag in made_alike}
        absent = [
            _absent(source, {*top, *_flat(m), *_flat(n), *shared, *own})
            for source, m, n, own in zip(self.frames, macros, made, per_frame, strict=True)
        ]
        self._tell_absent(absent, shared, per_frame)
        groups[UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES] = sequence([shared], self._syntax)
        if referring_alike and referring[0][1]:
            groups[REFERENCED_IMAGE] = referring[0]
        top[SHARED] = sequence([groups], self._syntax)
        return top, [
            self._frame_item(
                n,
                {tag: v for tag, v in macros[n].items() if tag not in alike}
                | {tag: v for tag, v in made[n].items() if tag not in made_alike}
                | {UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES: per_frame[n]},
                None if referring_alike else referring[n],
            )
            for n in range(len(self.frames))
        ]

    def _frame_item(self, n: int, groups: dict[int, Values], referring: Value | None) -> bytes:
        """The Item of Per-Frame Functional Groups of a frame, from 0."""
        groups[FRAME_CONTENT] = self._frame_content(self.frames[n], self.places[n])
        groups[CONVERSION_SOURCE_ATTRIBUTES] = _reference(self.frames[n])
        encoded = {tag: sequence([v], self._syntax) for tag, v in groups.items()}
        if referring is not None and referring[1]:
            encoded[REFERENCED_IMAGE] = referring
        return item(encoded, self._syntax)

    def _macros(self, source: FrameSource) -> dict[int, Values]:
        """The macros that take attributes over as they are."""
        found: dict[int, Values] = {}
        values = source.values
        for macro, needed, optional in _TAKEN:
            if all(values.get(tag, ("", b""))[1].strip() for tag in needed):
                taken = {t: values[t] for t in (*needed, *optional) if values.get(t, ("", b""))[1].strip()}
                if taken:
                    found[macro] = taken
        if PIXEL_VALUE_TRANSFORMATION in found:
            # Type 1 in the macro; CT images without it are in Hounsfield units (PS3.3 C.8.2.1.1.4)
            localizer = "LOCALIZER" in texts_of(values, IMAGE_TYPE)
            kind = "HU" if self._classic == CT_IMAGE and not localizer else "US"
            found[PIXEL_VALUE_TRANSFORMATION].setdefault(_RESCALE_TYPE, text_value("LO", kind))
        return found

    def _made(self, source: FrameSource) -> dict[int, Values]:
        """The macros, or attributes of them, that no single-frame object has."""
        kind: Values = {FRAME_TYPE: text_value("CS", *_frame_type(source)), **_VOLUME}
        if self._classic == MR_IMAGE:
            kind |= _mr_description(source)
        return {_FRAME_TYPE_MACRO[self._classic]: kind}

    def _frame_content(self, source: FrameSource, place: Place) -> Values:
        """PS3.3 C.7.6.16.2.2."""
        index = (
            (place.stack, place.position, place.time) if self._has_times else (place.stack, place.position)
        )
        number = partial(number_value, "UL", self._syntax)
        content: Values = {
            _STACK_ID: text_value("SH", str(place.stack)),
            _IN_STACK_POSITION: number(place.position),
            DIMENSION_INDEX_VALUES: number(*index),
        }
        if self._has_times:
            content[_TEMPORAL_POSITION] = number(place.time)
        moment = acquired(source.values)
        if moment:
            content[0x00189074] = text_value("DT", moment)
        acquisition = floats_of(source.values, _ACQUISITION_NUMBER, self._syntax)[:1]
        if acquisition and 0 <= acquisition[0] <= 0xFFFF:
            content[0x00209156] = number_value("US", self._syntax, acquisition[0])
        return content

    def _complete(self, top: Values) -> None:
        """What the class must have at the top beside what the objects share."""
        first = self.frames[0]
        for tag in REQUIRED:
            top.setdefault(tag, first.values.get(tag, (vr_of(tag), b"")))
        frame_of_reference = derived_uid("frame of reference", first.series_instance_uid)
        top.setdefault(_FRAME_OF_REFERENCE_UID, text_value("UI", frame_of_reference))
        organization_uid = text_value("UI", derived_uid("dimensions", self.sop_instance_uid))
        top[_SOP_CLASS_UID] = text_value("UI", self.sop_class_uid)
        top[_SOP_INSTANCE_UID] = text_value("UI", self.sop_instance_uid)
        top[_SERIES_INSTANCE_UID] = text_value("UI", self.series_instance_uid)
        top[_INSTANCE_NUMBER] = text_value("IS", str(self._number))
        top[_NUMBER_OF_FRAMES] = text_value("IS", str(len(self.frames)))
        top[IMAGE_TYPE] = text_value("CS", *_mixed([_frame_type(source) for source in self.frames]))
        top |= _VOLUME
        if self._classic == PET_IMAGE:
            top[0x00189004] = text_value("CS", "PRODUCT")  # Content Qualification, Type 1 there (C.8.22.3)
        if self._classic == MR_IMAGE:
            descriptions = [_mr_description(source) for source in self.frames]
            for tag in descriptions[0]:
                top[tag] = text_value("CS", *_mixed([texts_of(d, tag) for d in descriptions]))
        date, time = min(_content(source.values) for source in self.frames)
        top[_CONTENT_DATE], top[_CONTENT_TIME] = text_value("DA", date), text_value("TM", time)
        top.setdefault(0x20500020, text_value("CS", "IDENTITY"))
        top[_LOSSY] = text_value("CS", self._lossy())
        top[0x00209221] = sequence([{_DIMENSION_ORGANIZATION_UID: organization_uid}], self._syntax)
        top[0x00209222] = self._dimensions(organization_uid)
        for tag, evidence in ((REFERENCED_IMAGE, 0x00089092), (SOURCE_IMAGE, 0x00089154)):
            told = self._evidence({uid for source in self.frames for uid in source.references.get(tag, ())})
            if told is not None:
                top[evidence] = told
        if self.organization:
            top[0x00209311] = text_value("CS", self.organization)
        earlier = top.get(_CONTRIBUTING_EQUIPMENT, ("SQ", b""))[1]
        top[_CONTRIBUTING_EQUIPMENT] = (
            "SQ",
            earlier
            + item(
                equipment(self._syntax, "Legacy Enhanced Image created from Classic Images"), self._syntax
            ),
        )
        if self._syntax.encapsulated and self._needs_extended:
            words = Struct(f"<{len(self._lengths)}Q")
            top[0x7FE00001] = "OV", words.pack(*self._offsets())
            top[0x7FE00002] = "OV", words.pack(*self._lengths)

    def _lossy(self) -> str:
        told = any(texts_of(source.values, _LOSSY)[:1] == ["01"] for source in self.frames)
        return "01" if told or self._syntax.lossy else "00"

    def _dimensions(self, organization_uid: Value) -> Value:
        """PS3.3 C.7.6.17."""
        pointers = [_STACK_ID, _IN_STACK_POSITION, *([_TEMPORAL_POSITION] if self._has_times else [])]
        return sequence(
            [
                {
                    _DIMENSION_ORGANIZATION_UID: organization_uid,
                    0x00209165: number_value("AT", self._syntax, pointer),
                    0x00209167: number_value("AT", self._syntax, FRAME_CONTENT),
                }
                for pointer in pointers
            ],
            self._syntax,
        )

    def _evidence(self, uids: set[str]) -> Value | None:
        """Study and series of what is referred to (PS3.3 C.17.2.1); None where not all of it is known."""
        if not uids or not uids <= self._known.keys():
            return None
        series: dict[tuple[str, str], list[Values]] = defaultdict(list)
        for uid in sorted(uids):
            source = self._known[uid]
            series[source.study_instance_uid, source.series_instance_uid].append(_reference(source))
        return sequence(
            [
                {
                    _STUDY_INSTANCE_UID: text_value("UI", study),
                    0x00081115: sequence(
                        [
                            {
                                _SERIES_INSTANCE_UID: text_value("UI", one),
                                0x00081199: sequence(references, self._syntax),
                            }
                        ],
                        self._syntax,
                    ),
                }
                for (study, one), references in series.items()
            ],
            self._syntax,
        )

    def _tell_absent(self, absent: list[tuple[int, ...]], shared: Values, per_frame: list[Values]) -> None:
        """Tell once what all objects did not have, else for each."""
        differ = any(tags != absent[0] for tags in absent)
        self._mark(shared, () if differ else absent[0])
        for own, tags in zip(per_frame, absent, strict=True):
            if differ or absent_blocks(own, ABSENT_CREATOR):
                self._mark(own, tags if differ else ())

    def _mark(self, values: Values, absent: tuple[int, ...]) -> None:
        """Tell what was absent, in the last private block of the group (PS3.5 7.8.1)."""
        block = max(absent_blocks(values), default=0x0F) + 1
        if block > 0xFF:
            raise DataSetError("no private block is free", tag=ABSENT_GROUP)
        values[ABSENT_GROUP | block] = text_value("LO", ABSENT_CREATOR)
        if absent:
            values[ABSENT_GROUP | block << 8 | 1] = number_value("AT", self._syntax, *absent)


_TAKEN: Final = (
    # macro, attributes without which there is none, others of it
    (PIXEL_MEASURES, (), tags_of("PixelSpacing SliceThickness SpacingBetweenSlices")),
    (PLANE_POSITION, (_IMAGE_POSITION,), ()),
    (PLANE_ORIENTATION, (_IMAGE_ORIENTATION,), ()),
    (
        FRAME_VOI_LUT,
        tags_of("WindowCenter WindowWidth"),
        tags_of("WindowCenterWidthExplanation VOILUTFunction"),
    ),
    (PIXEL_VALUE_TRANSFORMATION, tags_of("RescaleIntercept RescaleSlope"), tags_of("RescaleType")),
    (_IRRADIATION_EVENT, tags_of("IrradiationEventUID"), ()),
)


def _left(source: FrameSource, taken: Values) -> Values:
    """What no macro takes as it is."""
    return {
        tag: value
        for tag, value in source.values.items()
        if tag not in _TOLD_ELSEWHERE
        and taken.get(tag) != value
        and not (tag == REFERENCED_IMAGE and value[1])
    }


def _absent(source: FrameSource, told: set[int]) -> tuple[int, ...]:
    """What the frame has and its object had not, nor loses on the way back anyhow."""
    more = told - source.values.keys() - NOT_OF_A_FRAME
    return tuple(sorted(tag for tag in more if not is_private(tag)))


def _flat(macros: dict[int, Values]) -> Values:
    return {tag: value for values in macros.values() for tag, value in values.items()}


def _divided(left: list[Values]) -> tuple[Values, Values, list[Values]]:
    """What stands at the top, what is shared, and what each frame has for itself."""
    count = Counter(tag for values in left for tag in values)
    same = {
        tag
        for tag, times in count.items()
        if times == len(left) and all(values[tag] == left[0][tag] for values in left)
    }
    # A private attribute is only the same where its block has the same creator.
    same = {tag for tag in same if not is_private(tag) or is_private_creator(tag) or _creator(tag) in same}
    top = {tag: left[0][tag] for tag in same if is_at_top(tag)}
    shared = {tag: left[0][tag] for tag in same if tag not in top}
    per_frame = []
    for values in left:
        own = {tag: value for tag, value in values.items() if tag not in same}
        creators = {_creator(tag) for tag in own if is_private(tag) and not is_private_creator(tag)}
        own |= {tag: values[tag] for tag in creators if tag in values}
        per_frame.append(own)
    return top, shared, per_frame


def _creator(tag: int) -> int:
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF


def _reference(source: FrameSource) -> Values:
    return {
        0x00081150: source.values[_SOP_CLASS_UID],
        0x00081155: source.values[_SOP_INSTANCE_UID],
    }


def _frame_type(source: FrameSource) -> list[str]:
    """Four values in the words of the enhanced class (PS3.3 C.8.16.1)."""
    told = [*texts_of(source.values, IMAGE_TYPE), "", "", ""]
    kind = "DERIVED" if told[0] == "DERIVED" else "ORIGINAL"
    content = next((value for value in told[2:] if value == "LOCALIZER"), "VOLUME")
    if source.sop_class_uid == MR_IMAGE:
        content = next((value for value in told[2:] if value in _MR_CONTENT), "VOLUME")
    return [kind, "PRIMARY", content, "NONE"]


def _mr_description(source: FrameSource) -> Values:
    """Complex Image Component and Acquisition Contrast (PS3.3 C.8.13.3)."""
    told = texts_of(source.values, IMAGE_TYPE)[2:]
    component = next((_MR_KINDS[v[0]] for v in told if v in (*_MR_KINDS, *_MR_KINDS.values())), "MAGNITUDE")
    return {0x00089208: text_value("CS", component), 0x00089209: text_value("CS", "UNKNOWN")}


def _mixed(lists: list[list[str]]) -> list[str]:
    return [found[0] if len(set(found)) == 1 else "MIXED" for found in zip(*lists, strict=True)]


def _content(values: Values) -> tuple[str, str]:
    """Content Date and Time, or the nearest that the object has."""
    for date, time in ((0x23, 0x33), (0x22, 0x32), (0x21, 0x31), (0x20, 0x30)):
        dates, times = texts_of(values, 0x00080000 | date), texts_of(values, 0x00080000 | time)
        if dates and dates[0] and times and times[0]:
            return dates[0], times[0]
    return "19000101", "000000"
