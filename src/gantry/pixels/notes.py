"""What is said of an image on its picture, where a client asks for that (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from gantry.dataset.scan import DataSet

_PATIENT = ((0x00100010, ""), (0x00100020, "ID "), (0x00100030, "born "), (0x00100040, ""))
_TECHNIQUE = (
    (0x00080060, ""), (0x00080020, ""), (0x0008103E, ""), (0x00200013, "image "), (0x00180060, "kV "),
    (0x00181151, "mA "), (0x00180050, "mm "), (0x00180080, "TR "), (0x00180081, "TE "), (0x00200032, "at "),
)  # fmt: skip
_NOTE_CHARS = 64


def patient_lines(ds: DataSet) -> tuple[str, ...]:
    """What annotation=patient shows: name, ID, date of birth, sex (PS3.18 8.3.5.1.1)."""
    return _lines(ds, _PATIENT)


def technique_lines(ds: DataSet) -> tuple[str, ...]:
    """What annotation=technique shows: modality, date, series, image number, exposure, position."""
    return _lines(ds, _TECHNIQUE)


def _lines(ds: DataSet, wanted: tuple[tuple[int, str], ...]) -> tuple[str, ...]:
    lines = []
    for tag, label in wanted:
        text = "\\".join(ds.texts(tag))
        if tag == 0x00100010:
            text = text.partition("=")[0].replace("^", " ")
        if text.strip():
            lines.append((label + " ".join(text.split()))[:_NOTE_CHARS])
    return tuple(lines)
