"""Dates as people type them, read as beginnings of DICOM dates (PS3.5 6.2, DA)."""

from __future__ import annotations

import re
from datetime import date

_SIGNS = "[-./]"
_YEAR_FIRST = re.compile(rf"(\d{{4}})(?:{_SIGNS}(\d{{1,2}})(?:{_SIGNS}(\d{{1,2}}))?)?{_SIGNS}?", re.ASCII)
_RUN = re.compile(r"(\d{4})(\d\d)(\d\d)?", re.ASCII)
_YEAR_LAST = re.compile(r"(?:(\d{1,2})([-./]))?(\d{1,2})[-./](\d{4})", re.ASCII)


def date_beginnings(word: str) -> list[str]:
    """What dates begin with that the word may mean; none if it is no date.

    A year ("2026"), a month ("2026-03", "202603", "03.2026") or a day ("2026-03-12", "20260312",
    "12.03.2026"). Of a day and a month divided by "/" or "-" either may stand first, where both are dates.
    """
    if found := _YEAR_FIRST.fullmatch(word) or _RUN.fullmatch(word):
        year, month, day = found.groups()
        return _beginning(year, month, day)
    if found := _YEAR_LAST.fullmatch(word):
        first, sign, second, year = found.groups()
        meant = _beginning(year, second, first)
        if first and sign != ".":
            meant += [other for other in _beginning(year, first, second) if other not in meant]
        return meant
    return []


def _beginning(year: str, month: str | None, day: str | None) -> list[str]:
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return []
    return [f"{year}{month:0>2}{day:0>2}" if month and day else f"{year}{month:0>2}" if month else year]
