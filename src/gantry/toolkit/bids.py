"""The JSON beside a NIfTI file: how the images were acquired, in the words of BIDS (MRI sidecar, 1.10).

Times are seconds. Nothing of the patient is in it. Directions are those of the volume's own axes as
`volume.stack` lays them: i along the columns, j against the rows. What an object does not say is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gantry
from gantry.dataset.scan import DataSet
from gantry.toolkit.images import Opened
from gantry.volume.csa import csa_numbers
from gantry.volume.frames import Frame, Groups, csa_of
from gantry.volume.private import private_tag
from gantry.volume.stack import Stack

_ECHO, _MODIFIER, _TIMING, _GEOMETRY, _MEASURES = 0x00189114, 0x00189006, 0x00189112, 0x00189125, 0x00289110
_SIEMENS = "SIEMENS MR HEADER"

_TEXTS = {
    "Modality": 0x00080060, "Manufacturer": 0x00080070, "ManufacturersModelName": 0x00081090,
    "InstitutionName": 0x00080080, "InstitutionalDepartmentName": 0x00081040, "StationName": 0x00081010,
    "DeviceSerialNumber": 0x00181000, "SoftwareVersions": 0x00181020, "BodyPart": 0x00180015,
    "PatientPosition": 0x00185100, "MRAcquisitionType": 0x00180023, "SeriesDescription": 0x0008103E,
    "ProtocolName": 0x00181030, "ScanningSequence": 0x00180020, "SequenceVariant": 0x00180021,
    "ScanOptions": 0x00180022, "SequenceName": 0x00180024, "PulseSequenceName": 0x00189005,
    "ReceiveCoilName": 0x00181250,
}  # fmt: skip

# Name: macro, attributes of which the first that is there counts, factor
_NUMBERS: dict[str, tuple[int, tuple[int, ...], float]] = {
    "SeriesNumber": (0, (0x00200011,), 1),
    "AcquisitionNumber": (0, (0x00200012,), 1),
    "MagneticFieldStrength": (0, (0x00180087,), 1),
    "ImagingFrequency": (_MODIFIER, (0x00180084, 0x00189098), 1),
    "SliceThickness": (_MEASURES, (0x00180050,), 1),
    "SpacingBetweenSlices": (_MEASURES, (0x00180088,), 1),
    "SAR": (0, (0x00181316,), 1),
    "EchoTime": (_ECHO, (0x00189082, 0x00180081), 0.001),
    "RepetitionTime": (_TIMING, (0x00180080,), 0.001),
    "InversionTime": (_MODIFIER, (0x00180082,), 0.001),
    "FlipAngle": (_TIMING, (0x00181314,), 1),
    "EchoTrainLength": (_TIMING, (0x00180091,), 1),
    "PercentPhaseFOV": (_GEOMETRY, (0x00180094,), 1),
    "PercentSampling": (_GEOMETRY, (0x00180093,), 1),
    "PixelBandwidth": (_MODIFIER, (0x00180095,), 1),
}
_IMAGE_TYPE, _ACQUISITION_TIME, _ACQUISITION_DATE_TIME = 0x00080008, 0x00080032, 0x0008002A
_PHASE_DIRECTION = 0x00181312
_POSITIVE_ZERO_OMITTED = frozenset({"InversionTime", "SAR", "SpacingBetweenSlices"})


def sidecar(path: Path, stack: Stack) -> bytes:
    """The JSON for a volume whose first slice is in the file `path`. Raises DataSetError, OSError."""
    with Opened(path) as (_, ds):
        return (json.dumps(_model(ds, stack), indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _model(ds: DataSet, stack: Stack) -> dict[str, Any]:
    groups, number = Groups(ds), stack.first.number
    model: dict[str, Any] = {}
    for name, tag in _TEXTS.items():
        text = "\\".join(ds.texts(tag))
        if text:
            model[name] = text
    image_type = [part for part in ds.texts(_IMAGE_TYPE) if part]
    if image_type:
        model["ImageType"] = image_type
    time = _time(ds)
    if time:
        model["AcquisitionTime"] = time
    for name, (macro, tags, factor) in _NUMBERS.items():
        for tag in tags:
            values = groups.floats(number, macro, tag)
            if values and (values[0] or name not in _POSITIVE_ZERO_OMITTED):
                model[name] = _short(values[0] * factor)
                break
    model.update(_encoding(ds, groups, stack))
    timing = _slice_timing(ds, stack)
    if timing:
        model["SliceTiming"] = timing
    plane = stack.first.plane
    if plane is not None and stack.in_patient:
        model["ImageOrientationPatientDICOM"] = [_short(value) for value in (*plane.row, *plane.column)]
    model["ConversionSoftware"] = "Gantry"
    model["ConversionSoftwareVersion"] = gantry.__version__
    return model


def _short(value: float) -> float | int:
    rounded = float(f"{value:.9g}")
    return int(rounded) if rounded.is_integer() else rounded


def _time(ds: DataSet) -> str:
    """HH:MM:SS.ffffff (PS3.5 6.2, TM); empty where it is not there or is no time."""
    text = ds.text(_ACQUISITION_TIME) or (ds.text(_ACQUISITION_DATE_TIME) or "")[8:].partition("+")[0]
    whole, _, fraction = text.partition(".")
    if len(whole) != 6 or not (whole + fraction).isdigit():
        return ""
    return f"{whole[:2]}:{whole[2:4]}:{whole[4:]}.{fraction[:6]:0<6}"


def _encoding(ds: DataSet, groups: Groups, stack: Stack) -> dict[str, Any]:
    """Phase encoding: its axis, and where the scanner says, its sign and speed."""
    direction = groups.text(stack.first.number, _GEOMETRY, _PHASE_DIRECTION)
    axis = {"COL": "j", "COLUMN": "j", "ROW": "i"}.get(direction)
    if axis is None:
        return {}
    model: dict[str, Any] = {"InPlanePhaseEncodingDirectionDICOM": "COL" if axis == "j" else "ROW"}
    lines = stack.first.kind.size[0 if axis == "j" else 1]
    positive = csa_numbers(csa_of(ds), "PhaseEncodingDirectionPositive")
    if positive:
        # DICOM counts rows from the top, this volume from the bottom.
        is_minus = (positive[0] > 0) == (axis == "j")
        model["PhaseEncodingDirection"] = axis + ("-" if is_minus else "")
    bandwidth = _private(ds, 0x28)
    if bandwidth and bandwidth[0] > 0:
        spacing = 1 / (bandwidth[0] * lines)
        model["ReconMatrixPE"] = lines
        model["BandwidthPerPixelPhaseEncode"] = _short(bandwidth[0])
        model["EffectiveEchoSpacing"] = _short(spacing)
        model["TotalReadoutTime"] = _short(spacing * (lines - 1))
    return model


def _slice_timing(ds: DataSet, stack: Stack) -> list[float | int]:
    """When each slice of a Siemens mosaic was acquired, in the order of the volume."""
    times = _private(ds, 0x29) or csa_numbers(csa_of(ds), "MosaicRefAcqTimes")
    places = [_tile_number(frame, stack) for frame in stack.frames[0]]
    if not times or any(place is None or place >= len(times) for place in places):
        return []
    return [_short(round(times[place] / 1000, 6)) for place in places if place is not None]


def _tile_number(frame: Frame, stack: Stack) -> int | None:
    if frame.tile is None:
        return None
    across = max(other.tile[1] for other in stack.frames[0] if other.tile) // frame.kind.size[1] + 1
    return frame.tile[0] // frame.kind.size[0] * across + frame.tile[1] // frame.kind.size[1]


def _private(ds: DataSet, element: int) -> list[float]:
    tag = private_tag(ds, 0x0019, _SIEMENS, element)
    return ds.floats(tag) if tag is not None else []
