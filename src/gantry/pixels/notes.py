"""What is said of an image on its picture, where a client asks for that (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from gantry.dataset.scan import DataSet

_NAME, _ID, _BIRTH_DATE, _SEX, _AGE = 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00101010
_MODALITY, _STUDY_DATE, _STUDY_TIME, _SERIES = 0x00080060, 0x00080020, 0x00080030, 0x0008103E
_SERIES_NUMBER, _IMAGE_NUMBER, _POSITION = 0x00200011, 0x00200013, 0x00200032
_AMOUNTS = (
    (0x00180060, "", "kV"), (0x00181151, "", "mA"), (0x00181152, "", "mAs"), (0x00180050, "", "mm"),
    (0x00180080, "TR", "ms"), (0x00180081, "TE", "ms"), (0x00181314, "flip", "°"),
)  # fmt: skip
_NOTE_CHARS = 64


def patient_lines(ds: DataSet) -> tuple[str, ...]:
    """What annotation=patient shows: name, ID, date of birth, age and sex."""
    name = (ds.text(_NAME) or "").partition("=")[0]
    family, _, given = name.partition("^")
    birth = _date(ds.text(_BIRTH_DATE))
    person = (f"born {birth}" if birth else "", ds.text(_AGE) or "", ds.text(_SEX) or "")
    return _lines(
        _joined(", ", family, given.replace("^", " ")), _labelled("ID", ds.text(_ID)), _joined(", ", *person)
    )


def technique_lines(ds: DataSet) -> tuple[str, ...]:
    """What annotation=technique shows: modality, date, series, image, how it was taken, where it lies."""
    numbers = _labelled("series", ds.text(_SERIES_NUMBER)), _labelled("image", ds.text(_IMAGE_NUMBER))
    taken = (
        _labelled(label, f"{_short(values[0])} {unit}" if unit != "°" else f"{_short(values[0])}°")
        for tag, label, unit in _AMOUNTS
        if (values := ds.floats(tag))
    )
    return _lines(
        _joined(" ", ds.text(_MODALITY) or "", _date(ds.text(_STUDY_DATE)), _time(ds.text(_STUDY_TIME))),
        ds.text(_SERIES) or "",
        _joined(", ", *numbers),
        _joined(", ", *taken),
        _place(ds.floats(_POSITION)),
    )


def _date(text: str | None) -> str:
    digits = (text or "").replace(".", "")
    if len(digits) != 8 or not digits.isdigit():
        return text or ""
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


def _time(text: str | None) -> str:
    digits = (text or "").replace(":", "")
    return f"{digits[:2]}:{digits[2:4]}" if len(digits) >= 4 and digits[:4].isdigit() else ""


def _place(position: list[float]) -> str:
    """Where the first pixel is, by the sides of the patient: to the left, to the back, to the head (LPS)."""
    if len(position) != 3:
        return ""
    sides = (("R", "L"), ("A", "P"), ("F", "H"))
    words = (f"{side[value >= 0]} {_short(abs(value))}" for side, value in zip(sides, position, strict=True))
    return " ".join(words) + " mm"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.3g}"


def _labelled(label: str, text: str | None) -> str:
    return f"{label} {text}".strip() if text else ""


def _joined(between: str, *words: str) -> str:
    return between.join(word for word in words if word)


def _lines(*lines: str) -> tuple[str, ...]:
    tidy = (" ".join(line.split())[:_NOTE_CHARS] for line in lines)
    return tuple(line for line in tidy if line)
