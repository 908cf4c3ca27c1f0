"""What is printed: nothing that a stranger wrote commands a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.cli.output import CsvTable, Table, csv_cell, json_text, note, print_json, result, shown

HOSTILE = "\x1b[31mred\x07 \r\nnext \x9b2J \u202egnp.exe\u200b \ud800"
ANYTHING = st.text(st.characters(), max_size=60)


def test_b36_controls_direction_marks_and_surrogates_are_written_as_escapes() -> None:
    assert shown(HOSTILE) == ("\\x1b[31mred\\x07 \\r\\nnext \\x9b2J \\u202egnp.exe\\u200b \\ud800")


@given(ANYTHING)
def test_b36_no_text_brings_a_control_character_to_the_terminal(text: str) -> None:
    assert shown(text).isprintable()


@given(
    st.recursive(
        ANYTHING | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(ANYTHING, inner)
    )
)
def test_b36_json_is_one_printable_line_and_reads_back(value: object) -> None:
    text = json_text(value)
    assert text.isprintable()
    assert json.loads(text) == value


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "%n%s", "Jérôme", "山田"]
)
def test_b35_what_is_only_text_stays_text(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1+1", "-1=A1", "\tx", "\rx"])
def test_b37_a_cell_never_begins_like_a_formula(text: str) -> None:
    assert csv_cell(text).startswith("'")


@pytest.mark.parametrize("text", ["-1", "-87.188", "-1.5e-05", "-1\\0\\-0.25"])
def test_b37_a_number_stays_a_number(text: str) -> None:
    assert csv_cell(text) == text


@given(st.lists(st.lists(ANYTHING, min_size=2, max_size=2), max_size=5))
def test_b37_csv_has_the_cells_it_was_given(rows: list[list[str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        out = io.StringIO()
        patch.setattr("sys.stdout", out)
        with CsvTable(["a", "b"]) as table:
            for row in rows:
                table.row(row)
    lines = list(csv.reader(io.StringIO(out.getvalue())))
    assert lines == [["a", "b"], *([csv_cell(cell) for cell in row] for row in rows)]


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    with Table(["Name", "ID"]) as table:
        table.row(["Doe^Jane", "1"])
        table.row(["山田", "2"])
    assert capsys.readouterr().out == "Name      ID\nDoe^Jane  1\n山田      2\n"


def test_a_table_of_nothing_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Table(["Name"]):
        pass
    assert capsys.readouterr().out == ""


def test_a_long_table_flows(capsys: pytest.CaptureFixture[str]) -> None:
    with Table(["Number"]) as table:
        for number in range(250):
            table.row([str(number)])
        assert len(capsys.readouterr().out.splitlines()) == 251


def test_results_and_notes_have_streams_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    result("result\x1b")
    note("note\x1b")
    print_json({"a": "\x1b"})
    printed = capsys.readouterr()
    assert printed.out == 'result\\x1b\n{"a": "\\u001b"}\n'
    assert printed.err == "note\\x1b\n"


def test_json_for_a_terminal_that_knows_ascii_only(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    print_json({"name": "Jérôme"})
    assert json.loads(raw.getvalue()) == {"name": "Jérôme"}
