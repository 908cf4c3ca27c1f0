"""What functional groups say, in the words of the single-frame classes (PS3.3 C.8.2, C.8.3, C.8.7, C.8.9).

The enhanced classes tell many things under other attributes, in other units or more precisely than CT, MR,
PET and X-Ray Angiographic Image do. `add_classic_attributes` gets the attributes of one frame, flattened, and
adds those that a reader of single-frame objects looks for. What is there already stays, but for what an
enhanced object says of all frames together (Image Type, dates and times). What the frame says in the words
of the enhanced class stays beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gantry.dataset.values import Values, decimal, floats_of, number_value, text_value, texts_of
from gantry.standard.dictionary import tags_of, vr_of
from gantry.standard.transfer_syntaxes import TransferSyntax

CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
PET_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.128"
XA_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.12.1"
XRF_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.12.2"

CLASSIC_OF: Final = {
    "1.2.840.10008.5.1.4.1.1.2.1": CT_IMAGE,  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.4.1": MR_IMAGE,  # Enhanced MR
    "1.2.840.10008.5.1.4.1.1.130": PET_IMAGE,  # Enhanced PET
    "1.2.840.10008.5.1.4.1.1.12.1.1": XA_IMAGE,  # Enhanced XA
    "1.2.840.10008.5.1.4.1.1.12.2.1": XRF_IMAGE,  # Enhanced XRF
}
"""The single-frame storage class for what each enhanced class holds."""

LEGACY_OF: Final = {
    CT_IMAGE: "1.2.840.10008.5.1.4.1.1.2.2",
    MR_IMAGE: "1.2.840.10008.5.1.4.1.1.4.4",
    PET_IMAGE: "1.2.840.10008.5.1.4.1.1.128.1",
}
"""The Legacy Converted Enhanced class of each single-frame class that has one (PS3.3 A.70 to A.72)."""

IMAGE_TYPE: Final = 0x00080008
FRAME_TYPE: Final = 0x00089007

_NO: Final = ("", "NONE", "NO")

_MOST_IS: Final = (1 << 31) - 1  # PS3.5 6.2
_WHOLE_NUMBERS: Final = {  # IS of FD, US or UL, in the same unit
    0x00181150: 0x00189328,  # Exposure Time, ms: Exposure Time in ms
    0x00181151: 0x00189330,  # X-Ray Tube Current, mA
    0x00181152: 0x00189332,  # Exposure, mAs
    0x00181062: 0x00209251,  # Nominal Interval, ms: R - R Interval Time Nominal
    0x00181242: 0x00189220,  # Actual Frame Duration, ms: Frame Acquisition Duration
    0x00200012: 0x00209156,  # Acquisition Number: Frame Acquisition Number
    0x00200100: 0x00209128,  # Temporal Position Identifier: Temporal Position Index
    0x00180091: 0x00189240,  # Echo Train Length: RF Echo Train Length
}
_DECIMALS: Final = {  # DS of FD, in the same unit
    0x00180081: 0x00189082,  # Echo Time, ms: Effective Echo Time
    0x00180084: 0x00189098,  # Imaging Frequency, MHz: Transmitter Frequency
    0x00181060: 0x00209153,  # Trigger Time, ms: Nominal Cardiac Trigger Delay Time
    0x00181100: 0x00189317,  # Reconstruction Diameter, mm: Reconstruction Field of View
}
_TEXTS: Final = {
    0x00180085: 0x00189100,  # Imaged Nucleus: Resonant Nucleus
    0x00204000: 0x00209158,  # Image Comments: Frame Comments
    0x00200062: 0x00209072,  # Image Laterality: Frame Laterality
}

_TYPE_2: Final = {
    CT_IMAGE: tags_of("KVP AcquisitionNumber SliceThickness PositionReferenceIndicator"),
    MR_IMAGE: tags_of(
        "ScanOptions MRAcquisitionType EchoTime EchoTrainLength SliceThickness PositionReferenceIndicator"
    ),
    PET_IMAGE: tags_of("SliceThickness CollimatorType CorrectedImage PositionReferenceIndicator"),
    XA_IMAGE: tags_of("KVP"),
    XRF_IMAGE: tags_of("KVP"),
}
"""What the single-frame class must have, be it empty."""

_CORRECTIONS: Final = {  # PS3.3 C.8.9.1 of C.8.22.4: what Corrected Image lists
    0x00189758: "DECY",
    0x00189759: "ATTN",
    0x00189760: "SCAT",
    0x00189761: "DTIM",
    0x00189762: "MOTN",
    0x00189764: "NORM",
    0x00189765: "RAN",
    0x00189766: "RADL",
    0x00189767: "DCAL",
}
_UNITS: Final = {"BQ/ML": "BQML", "{COUNTS}": "CNTS", "{PROPCOUNTS}": "PROPCNTS", "{SUVBW}G/ML": "GML"}
"""UCUM terms as the defined terms of Units (PS3.3 C.8.9.1.1.3)."""


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What more than one frame tells of a frame: `number` is its Instance Number, `slices` how many positions
    there are, `units` the UCUM code of the first real world value."""

    number: int
    slices: int
    units: str


def add_classic_attributes(
    values: Values, syntax: TransferSyntax, sop_class_uid: str, facts: FrameFacts
) -> None:
    """Add to the flattened attributes of a frame what its single-frame class looks for."""
    add_frame_content(values, syntax)
    add = {MR_IMAGE: _mr, PET_IMAGE: _pet, XA_IMAGE: _xa, XRF_IMAGE: _xa}.get(sop_class_uid)
    if add is not None:
        add(values, syntax, facts)
    frame_type = texts_of(values, FRAME_TYPE)
    if frame_type:
        values[IMAGE_TYPE] = text_value("CS", *_image_type(frame_type, sop_class_uid))
    add_empty(values, sop_class_uid)


def add_empty(values: Values, sop_class_uid: str) -> None:
    """Add, with no value, what the single-frame class must have."""
    for tag in _TYPE_2[sop_class_uid]:
        values.setdefault(tag, (vr_of(tag), b""))


def add_frame_content(values: Values, syntax: TransferSyntax) -> None:
    """Numbers, times and texts of a frame under their single-frame names (PS3.3 C.7.6.16.2.2)."""
    for tag, source in _WHOLE_NUMBERS.items():
        numbers = floats_of(values, source, syntax)
        if numbers and tag not in values and abs(numbers[0]) <= _MOST_IS:
            values[tag] = text_value("IS", str(round(numbers[0])))
    for tag, source in _DECIMALS.items():
        numbers = floats_of(values, source, syntax)
        if numbers and tag not in values:
            values[tag] = text_value("DS", decimal(numbers[0]))
    for tag, source in _TEXTS.items():
        if source in values and tag not in values:
            values[tag] = vr_of(tag), values[source][1]
    acquired, meant = texts_of(values, 0x00189074), texts_of(values, 0x00189151)
    if acquired and acquired[0]:
        values[0x0008002A] = text_value("DT", acquired[0])
        values |= _date_and_time(acquired[0], 0x00080022, 0x00080032)
    for moment in (meant or acquired)[:1]:
        values |= _date_and_time(moment, 0x00080023, 0x00080033)


def _date_and_time(moment: str, date: int, time: int) -> Values:
    """A DT as DA and TM; the offset from UTC is said by Timezone Offset From UTC, if at all."""
    plain = moment.partition("+")[0].partition("-")[0]
    if len(plain) < 8:
        return {}
    return {date: text_value("DA", plain[:8]), time: text_value("TM", plain[8:])}


def _image_type(frame_type: list[str], sop_class_uid: str) -> list[str]:
    """Image Type of a single frame (PS3.3 C.7.6.1.1.2); CT enumerates the third value (C.8.2.1.1.1)."""
    if sop_class_uid != CT_IMAGE or len(frame_type) < 3 or frame_type[2] in ("AXIAL", "LOCALIZER"):
        return frame_type
    return [*frame_type[:2], "AXIAL", *frame_type[3:]]


def _is(values: Values, tag: int) -> bool:
    """Whether a technique was used: a text other than NO and NONE."""
    return any(text not in _NO for text in texts_of(values, tag)[:1])


def _mr(values: Values, syntax: TransferSyntax, facts: FrameFacts) -> None:
    """PS3.3 C.8.3.1 of C.8.13."""
    values.setdefault(0x00180020, text_value("CS", *_scanning_sequence(values)))
    values.setdefault(0x00180021, text_value("CS", *_sequence_variant(values)))
    values.setdefault(0x00180022, text_value("CS", *_scan_options(values)))
    inversion_ms = floats_of(values, 0x00189079, syntax)
    if inversion_ms and "IR" in texts_of(values, 0x00180020):
        values.setdefault(0x00180082, text_value("DS", decimal(inversion_ms[0])))
    if texts_of(values, 0x00181312) == ["COLUMN"]:
        values[0x00181312] = text_value("CS", "COL")
    steps = [floats_of(values, tag, syntax)[:1] for tag in (0x00189058, 0x00189231)]
    if all(steps) and 0x00181310 not in values:
        frequency, phase = int(steps[0][0]), int(steps[1][0])
        along_rows = texts_of(values, 0x00181312) == ["COL"]
        matrix = (0, frequency, phase, 0) if not along_rows else (frequency, 0, 0, phase)
        values[0x00181310] = number_value("US", syntax, *(n & 0xFFFF for n in matrix))


def _scanning_sequence(values: Values) -> list[str]:
    echoes = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}
    found = list(echoes.get("".join(texts_of(values, 0x00189008)[:1]), []))
    found += ["IR"] * _is(values, 0x00189009) + ["EP"] * _is(values, 0x00189018)
    return found or ["RM"]


def _sequence_variant(values: Values) -> list[str]:
    segmented = _is(values, 0x00189033) and texts_of(values, 0x00189033)[0] != "SINGLE"
    found = ["SK"] * segmented + ["MTC"] * _is(values, 0x00189020) + ["SS"] * _is(values, 0x00189017)
    found += ["SP"] * _is(values, 0x00189016)
    if _is(values, 0x00189029) and texts_of(values, 0x00189029)[0] != "2D":
        found.append("OSP")
    return found or ["NONE"]


def _scan_options(values: Values) -> list[str]:
    gated = _is(values, 0x00189037) or 0x00181060 in values  # Trigger Time needs it
    found = ["CG"] * gated + ["RG"] * _is(values, 0x00189170)
    found += ["FC"] * _is(values, 0x00189010) + ["FS"] * _is(values, 0x00189025)
    if _is(values, 0x00189081):
        found.append("PFF" if texts_of(values, 0x00189036) == ["FREQUENCY"] else "PFP")
    return found + ["SP"] * _is(values, 0x00189027)


def _pet(values: Values, syntax: TransferSyntax, facts: FrameFacts) -> None:
    """PS3.3 C.8.9 of C.8.22."""
    corrected = [term for tag, term in _CORRECTIONS.items() if _is(values, tag)]
    values.setdefault(0x00280051, text_value("CS", *corrected))
    values.setdefault(0x00541000, text_value("CS", "STATIC", "IMAGE"))
    values.setdefault(0x00541001, text_value("CS", _UNITS.get(facts.units.upper(), "NONE")))
    values.setdefault(0x00541002, text_value("CS", "EMISSION"))
    values.setdefault(0x00540081, number_value("US", syntax, min(facts.slices, 0xFFFF)))
    values.setdefault(0x00541330, number_value("US", syntax, min(facts.number, 0xFFFF)))
    values.setdefault(0x00541102, text_value("CS", "START" if "DECY" in corrected else "NONE"))
    values.setdefault(0x00541300, text_value("DS", decimal(_reference_time_ms(values))))


def _reference_time_ms(values: Values) -> float:
    """From the beginning of the series to the moment that the frame stands for (PS3.3 C.8.9.4.1.5)."""
    series = "".join([*texts_of(values, 0x00080021)[:1], *texts_of(values, 0x00080031)[:1]])
    frame = "".join(texts_of(values, 0x00189151)[:1])
    moments = [moment for text in (series, frame) for moment in _moments(text)]
    return (moments[1] - moments[0]).total_seconds() * 1000 if len(moments) == 2 else 0.0


def _moments(text: str) -> Iterator[datetime]:
    whole, _, fraction = text.partition("+")[0].partition("-")[0].partition(".")
    try:
        moment = datetime.strptime(whole, "%Y%m%d%H%M%S")
    except ValueError:
        return
    yield moment.replace(microsecond=int(fraction[:6].ljust(6, "0")) if fraction[:6].isdigit() else 0)


def _xa(values: Values, syntax: TransferSyntax, facts: FrameFacts) -> None:
    """PS3.3 C.8.7 of C.8.19; Radiation Setting is of Type 1 there."""
    values.setdefault(0x00181155, text_value("CS", "GR"))
    values.setdefault(0x00281040, text_value("CS", "DISP"))
