"""Cells of CSV files that people open in spreadsheets."""

from __future__ import annotations

import re

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_NUMBERS = re.compile(rf"{_NUMBER}(?:\\{_NUMBER})*")
"""Decimal numbers, with a backslash between several: no formula, though they begin with a minus."""


def plain_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula and runs: what begins like one gets an apostrophe."""
    if text.lstrip(" ").startswith(FORMULA) and not _NUMBERS.fullmatch(text):
        return "'" + text
    return text
