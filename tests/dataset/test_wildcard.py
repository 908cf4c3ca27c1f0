"""Wildcards against the standard library's matcher, and their caps."""

from __future__ import annotations

import fnmatch
import sqlite3
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dataset.wildcard import (
    MAX_PATTERN,
    MAX_WILDCARDS,
    check_pattern,
    glob,
    has_wildcards,
    like_pattern,
)
from gantry.errors import QueryError

PATTERNS = st.text("abB*?^%_\\é", max_size=10)
TEXTS = st.text("abB^%_\\é*?", max_size=14)


@given(PATTERNS, TEXTS)
def test_glob_is_what_fnmatch_says(pattern: str, text: str) -> None:
    assert glob(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@given(TEXTS.filter(lambda text: not has_wildcards(text)))
def test_a_text_matches_itself_and_a_star(text: str) -> None:
    assert glob(text, text)
    assert glob("*", text)
    assert glob("*" + text + "*", text)
    assert glob("?" * len(text), text)
    assert not glob("?" * (len(text) + 1), text)


@given(PATTERNS, TEXTS)
def test_sql_says_the_same(pattern: str, text: str) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("PRAGMA case_sensitive_like = ON")
        row = connection.execute("SELECT ? LIKE ? ESCAPE '\\'", (text, like_pattern(pattern))).fetchone()
    finally:
        connection.close()
    assert bool(row[0]) == glob(pattern, text)


@pytest.mark.parametrize("pattern", ["a" * (MAX_PATTERN - 1) + "*", "*" * MAX_WILDCARDS, "????*???"])
def test_a_pattern_within_the_caps_passes(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["a" * MAX_PATTERN + "*", "*" * (MAX_WILDCARDS + 1), "?" * 9, "*****?????"]
)
def test_b71_a_pattern_above_the_caps_is_refused(pattern: str) -> None:
    with pytest.raises(QueryError, match=r"wildcards|characters"):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["*a?" * 3 + "b*c", "*a*a*a*a*a*a*a*b", "?a*?a*?a*?b"])
def test_b71_the_worst_pattern_takes_time_in_proportion_to_the_text(pattern: str) -> None:
    text = "a" * 200_000
    started = time.process_time()
    assert not glob(pattern, text)
    assert time.process_time() - started < 2.0
