"""What commands print: results on standard output, words for the person on standard error.

Texts come out of Data Sets, file names and peers' messages. None of them reaches the terminal as a command:
control characters, direction marks and what else hides is written as an escape, and a cell of a CSV file
never begins like a formula.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

import click

SAMPLE_ROWS = 100
"""Rows that are held back to see how wide the columns must be; the rest comes as it is found."""

MAX_CELL = 100
"""Characters of a cell that a table shows; `--json` has them all."""


def shown(text: str) -> str:
    """`text` with everything that a terminal would act upon, or that hides, written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def result(text: str) -> None:
    """One line of a result."""
    click.echo(shown(text))


def counted(number: int, one: str, many: str = "") -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def note(text: str) -> None:
    """One line for the person: what went wrong, what was counted."""
    click.echo(shown(text), err=True)


def json_text(value: Any, *, ascii_only: bool = False) -> str:
    """JSON on one line in which what is not printable is an escape."""
    text = json.dumps(value, ensure_ascii=ascii_only, default=str)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def print_json(value: Any) -> None:
    """One JSON value on one line of standard output."""
    encoding = (sys.stdout.encoding or "utf-8").lower().replace("-", "")
    click.echo(json_text(value, ascii_only=encoding != "utf8"))


class Table:
    """Rows for people in columns as wide as the first rows need; used as a context."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._held: list[list[str]] | None = []
        self._widths = [0] * len(names)

    def __enter__(self) -> Table:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._let_go()

    def row(self, cells: Sequence[str]) -> None:
        """Print a row, now or when enough are there."""
        texts = [_short(shown(cell)) for cell in cells]
        if self._held is None:
            self._print(texts)
            return
        self._held.append(texts)
        if len(self._held) == SAMPLE_ROWS:
            self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if not held:
            return
        lines = [self._names, *held]
        self._widths = [max(_columns(line[i]) for line in lines) for i in range(len(self._names))]
        for line in lines:
            self._print(line)

    def _print(self, texts: Sequence[str]) -> None:
        padded = (t + " " * (w - _columns(t)) for t, w in zip(texts, self._widths, strict=True))
        click.echo("  ".join(padded).rstrip())


class CsvTable:
    """Rows as CSV with a header, safe to be opened in a spreadsheet; used as a context."""

    def __init__(self, names: Sequence[str]) -> None:
        self._print(names)

    def __enter__(self) -> CsvTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        return None

    def row(self, cells: Sequence[str]) -> None:
        """Print a row."""
        self._print([csv_cell(cell) for cell in cells])

    def _print(self, texts: Sequence[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(texts)
        click.echo(line.getvalue())


def csv_cell(text: str) -> str:
    """A cell that no spreadsheet takes as a formula, and no terminal as a command."""
    from gantry.toolkit.spreadsheet import plain_cell  # only tables need it: starting a command loads little

    return shown(plain_cell(text))


def _short(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes: East Asian characters take two, marks none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    marks = sum(unicodedata.combining(c) != 0 for c in text)
    return len(text) + wide - marks
