"""Dates and times as sortable strings, against the calendar of the standard library."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dataset import date_time
from gantry.dataset.date_time import Span

OFFSETS = st.integers(-12 * 60, 14 * 60)


@given(st.dates())
def test_every_date_is_one(day: date) -> None:
    assert date_time.date(f"{day:%Y%m%d}".rjust(8, "0")) == f"{day.year:04}{day.month:02}{day.day:02}"


@given(st.text("0123456789", min_size=8, max_size=8))
def test_what_the_calendar_does_not_have_is_no_date(text: str) -> None:
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        if not text.startswith("0000"):  # the standard library has no year 0
            assert date_time.date(text) is None
    else:
        assert date_time.date(text) == text


@pytest.mark.parametrize(
    "text", ["", "2020", "202001", "2020-01-01", "20200230", "20210229", "99999999", "２０２００１０１"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert date_time.date(text) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("1993.08.22", "19930822"), ("20000229 ", "20000229"), ("20200101\0", "20200101")]
)
def test_old_and_padded_dates(text: str, expected: str) -> None:
    assert date_time.date(text) == expected


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("10", "100000000000", "105959999999"),
        ("1015", "101500000000", "101559999999"),
        ("101530", "101530000000", "101530999999"),
        ("101530.5", "101530500000", "101530599999"),
        ("101530.123456", "101530123456", "101530123456"),
        ("10:15:30", "101530000000", "101530999999"),
        ("235960", "235960000000", "235960999999"),
    ],
)
def test_a_time_stands_for_the_span_it_leaves_open(text: str, low: str, high: str) -> None:
    assert date_time.time(text) == Span(low, high)


@pytest.mark.parametrize(
    "text", ["", "1", "24", "1060", "101561", "10.5", "101530.", "101530.1234567", "abc", "-10"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert date_time.time(text) is None


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2020", "20200101000000000000", "20201231235959999999"),
        ("202002", "20200201000000000000", "20200229235959999999"),
        ("202102", "20210201000000000000", "20210228235959999999"),
        ("2020020310", "20200203100000000000", "20200203105959999999"),
        ("20200203101530.25+0000", "20200203101530250000", "20200203101530259999"),
        ("20200101003000+0100", "20191231233000000000", "20191231233000999999"),
        ("20191231233000-0100", "20200101003000000000", "20200101003000999999"),
        ("99991231235959-0100", "99991231235959000000", "99991231235959999999"),
        ("0000", "00000101000000000000", "00001231235959999999"),
    ],
)
def test_b84_a_date_time_stands_for_the_span_it_leaves_open(text: str, low: str, high: str) -> None:
    assert date_time.date_time(text) == Span(low, high)


@pytest.mark.parametrize(
    "text", ["", "202", "202013", "2020+1500", "2020-1201", "20200101+0060", "2020010124", "x"]
)
def test_what_is_no_date_time_is_none(text: str) -> None:
    assert date_time.date_time(text) is None


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), OFFSETS)
def test_b84_an_offset_is_taken_off(moment: datetime, minutes: int) -> None:
    local = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    text = f"{local.year:04}{local:%m%d%H%M%S}{offset}"
    utc = local.astimezone(UTC)
    assert date_time.date_time(text) == Span(
        f"{utc.year:04}{utc:%m%d%H%M%S}000000", f"{utc.year:04}{utc:%m%d%H%M%S}999999"
    )


@given(st.text(max_size=30))
def test_any_text_is_read_or_none(text: str) -> None:
    day, time, moment = date_time.date(text), date_time.time(text), date_time.date_time(text)
    assert day is None or len(day) == date_time.DATE_LENGTH
    assert time is None or (len(time.low) == len(time.high) == 12 and time.low <= time.high)
    assert moment is None or (len(moment.low) == len(moment.high) == date_time.DATE_TIME_LENGTH)
