"""DA, TM and DT values as strings that sort the way time runs.

A date becomes ``YYYYMMDD``, a time ``HHMMSSffffff``, a date-time ``YYYYMMDDHHMMSSffffff``: comparing the
strings compares the moments, in Python and in SQL alike. PS3.5 6.2 lets times and date-times leave out what
is not known from the right; such a value stands for a span, of which `low` fills with the least and `high`
with the most that it can be. The forms of ACR-NEMA and of DICOM before 1993 (``1993.08.22``, ``10:15:30``)
are read too.

An offset from UTC (``&ZZXX``) is taken off, so that two date-times that have one compare as moments; one that
has none is compared as it is written (PS3.4 C.2.2.2.5 leaves that to the archive).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_LEAST = "00000101000000000000"
_MOST = "99991231235959999999"

DATE_LENGTH = 8
DATE_TIME_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` to `high`, both included, in the sortable form of the VR."""

    low: str
    high: str


def _is_date(digits: str) -> bool:
    """Whether the start of a date (4, 6 or 8 digits) names a month and day that there are."""
    if len(digits) >= 6 and not 1 <= int(digits[4:6]) <= 12:
        return False
    if len(digits) < DATE_LENGTH:
        return True
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    if month == 2 and day == 29:
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= day <= _DAYS[month - 1]


def _is_time(digits: str) -> bool:
    """Whether the start of a time (0, 2, 4 or 6 digits) is one; 60 is a leap second."""
    hour, minute, second = digits[:2] or "0", digits[2:4] or "0", digits[4:6] or "0"
    return int(hour) < 24 and int(minute) < 60 and int(second) <= 60


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def date(text: str) -> str | None:
    """A DA value in sortable form; None where it is not a date."""
    digits = text.strip(" \0")
    if len(digits) == 10 and digits[4] == digits[7] == ".":
        digits = digits[:4] + digits[5:7] + digits[8:]
    return digits if len(digits) == DATE_LENGTH and _is_digits(digits) and _is_date(digits) else None


def _fraction(text: str) -> tuple[str, str] | None:
    """Splits digits from the fraction of a second; None where the fraction is not one to six digits."""
    digits, point, fraction = text.partition(".")
    if point and not (0 < len(fraction) <= 6 and _is_digits(fraction)):
        return None
    return digits, fraction


def time(text: str) -> Span | None:
    """A TM value as the span it stands for; None where it is not a time."""
    text = text.strip(" \0").replace(":", "")
    parts = _fraction(text)
    if parts is None:
        return None
    digits, fraction = parts
    if len(digits) not in (2, 4, 6) or not _is_digits(digits) or not _is_time(digits):
        return None
    if fraction and len(digits) != 6:
        return None
    known = digits + fraction
    return Span(known + "000000000000"[len(known) :], known + "235959999999"[len(known) :])


def date_time(text: str) -> Span | None:
    """A DT value as the span it stands for, in UTC where it names an offset; None where it is not one."""
    text = text.strip(" \0")
    offset_minutes = 0
    if len(text) >= 9 and text[-5] in "+-":
        minutes = _offset(text[-5:])
        if minutes is None:
            return None
        offset_minutes, text = minutes, text[:-5]
    parts = _fraction(text)
    if parts is None:
        return None
    digits, fraction = parts
    if len(digits) not in (4, 6, 8, 10, 12, 14) or not _is_digits(digits):
        return None
    if not (_is_date(digits[:DATE_LENGTH]) and _is_time(digits[DATE_LENGTH:])):
        return None
    if fraction and len(digits) != 14:
        return None
    known = digits + fraction
    low = known + _LEAST[len(known) :]
    high = known + _last_of(known)[len(known) :]
    return Span(_shift(low, offset_minutes), _shift(high, offset_minutes))


def _last_of(known: str) -> str:
    """The last moment that starts with `known`, right for the days of each month."""
    if len(known) == 6:
        day = next(day for day in ("31", "30", "29", "28") if _is_date(known + day))
        return known + day + _MOST[DATE_LENGTH:]
    return known + _MOST[len(known) :]


def _offset(text: str) -> int | None:
    """Minutes of ``+HHMM`` or ``-HHMM``; None outside -1200 to +1400 (PS3.5 6.2)."""
    if not _is_digits(text[1:]) or int(text[3:]) > 59:
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    if text[0] == "-":
        minutes = -minutes
    return minutes if -12 * 60 <= minutes <= 14 * 60 else None


def _shift(moment: str, offset_minutes: int) -> str:
    """The moment in UTC. One that would leave the calendar stays at its end; a leap second stays one."""
    if not offset_minutes:
        return moment
    try:
        start = datetime.strptime(moment[:12], "%Y%m%d%H%M")
        shifted = start - timedelta(minutes=offset_minutes)
    except (ValueError, OverflowError):  # the year 0000, or before 0001 or after 9999 once shifted
        return moment
    day = f"{shifted.year:04}{shifted.month:02}{shifted.day:02}"
    return f"{day}{shifted.hour:02}{shifted.minute:02}{moment[12:]}"
