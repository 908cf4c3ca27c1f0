"""Cells of CSV files that people open in spreadsheets."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def plain_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula and runs: what begins like one gets an apostrophe."""
    return "'" + text if text.lstrip(" ").startswith(FORMULA) else text
