"""Cutting a message into PDUs: nothing is lost, nothing is copied, nothing is longer than the peer accepts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimse_pair import pdus
from gantry.dimse.limits import WRITE_BATCH_BYTES
from gantry.dimse.pdata import fragment, heads
from gantry.dimse.pdu import PDataTF, PresentationDataValue

COMMAND = bytes(range(100))


def values_of(raw: bytes) -> list[list[PresentationDataValue]]:
    """Per PDU its presentation data values."""
    found = pdus(raw)
    assert all(isinstance(pdu, PDataTF) for pdu in found)
    return [list(pdu.values) for pdu in found if isinstance(pdu, PDataTF)]


def joined(batches: Iterator[list[bytes | memoryview]]) -> bytes:
    return b"".join(buffer for batch in batches for buffer in batch)


@given(
    command=st.binary(min_size=1, max_size=400).map(lambda raw: raw[: len(raw) & ~1] or b"ab"),
    chunks=st.none() | st.lists(st.binary(max_size=300).map(lambda raw: raw[: len(raw) & ~1]), max_size=6),
    max_pdu=st.integers(14, 500),
)
def test_the_fragments_are_the_message(command: bytes, chunks: list[bytes] | None, max_pdu: int) -> None:
    raw = joined(fragment(5, command, chunks, max_pdu))
    values = [value for pdu in values_of(raw) for value in pdu]
    assert all(value.context_id == 5 for value in values)
    commands = [value for value in values if value.is_command]
    data = [value for value in values if not value.is_command]
    assert values == commands + data
    assert b"".join(value.data for value in commands) == command
    assert [value.is_last for value in commands] == [False] * (len(commands) - 1) + [True]
    assert b"".join(value.data for value in data) == b"".join(chunks or [])
    assert [value.is_last for value in data] == ([] if chunks is None else [False] * (len(data) - 1) + [True])
    assert all(len(value.data) % 2 == 0 for value in values)
    position = 0
    while position < len(raw):
        length = int.from_bytes(raw[position + 2 : position + 6], "big")
        assert length <= max_pdu
        position += 6 + length


@given(
    st.lists(st.binary(min_size=2, max_size=64).map(lambda raw: raw[: len(raw) & ~1]), min_size=1, max_size=6)
)
def test_no_fragment_is_empty_where_there_is_data(chunks: list[bytes]) -> None:
    raw = joined(fragment(1, COMMAND, chunks, 40))
    assert all(value.data for pdu in values_of(raw) for value in pdu)


def test_a_small_message_is_one_pdu_in_one_write() -> None:
    batches = list(fragment(1, COMMAND, [b"abcd"], 16384))
    assert len(batches) == 1
    assert [[value.is_command for value in pdu] for pdu in values_of(joined(iter(batches)))] == [
        [True, False]
    ]


def test_every_pdu_but_the_last_is_full() -> None:
    raw = joined(fragment(1, COMMAND, [bytes(1000), bytes(100_000)], 4096))
    lengths = [sum(6 + len(value.data) for value in pdu) for pdu in values_of(raw)]
    assert lengths[:-1] == [4096] * (len(lengths) - 1)


def test_an_empty_data_set_is_one_last_fragment() -> None:
    raw = joined(fragment(1, COMMAND, [], 4096))
    assert [(v.is_command, v.is_last, len(v.data)) for pdu in values_of(raw) for v in pdu] == [
        (True, True, 100),
        (False, True, 0),
    ]


def test_the_data_set_is_not_copied() -> None:
    data = bytes(300_000)
    views = [b for batch in fragment(1, COMMAND, [data], 65536) for b in batch if isinstance(b, memoryview)]
    assert sum(map(len, views)) == len(data)
    assert all(view.obj is data for view in views)


def test_small_pdus_go_out_together() -> None:
    batches = list(fragment(1, COMMAND, [bytes(1_000_000)], 16384))
    assert len(batches) <= 1_000_000 // WRITE_BATCH_BYTES + 1


def test_what_is_not_yet_needed_is_not_yet_asked_for() -> None:
    asked = []

    def source() -> Iterator[bytes]:
        for number in range(100):
            asked.append(number)
            yield bytes(65536)

    batches = fragment(1, COMMAND, source(), 131072)
    next(batches)
    assert len(asked) < 10


@pytest.mark.parametrize("kind", [bytearray, memoryview, lambda raw: memoryview(raw).cast("H")])
def test_any_kind_of_buffer_will_do(kind: type) -> None:
    raw = joined(fragment(1, COMMAND, [kind(b"abcdefgh")], 1000))
    assert values_of(raw)[0][1].data == b"abcdefgh"


@given(
    command=st.binary(min_size=1, max_size=400).map(lambda raw: raw[: len(raw) & ~1] or b"ab"),
    dataset=st.binary(min_size=2, max_size=2000).map(lambda raw: raw[: len(raw) & ~1]),
    max_pdu=st.integers(14, 500),
)
def test_heads_before_a_data_set_that_lies_elsewhere_make_the_same_bytes(
    command: bytes, dataset: bytes, max_pdu: int
) -> None:
    raw, at = b"", 0
    for head, length in heads(5, command, len(dataset), max_pdu):
        raw += head + dataset[at : at + length]
        at += length
    assert raw == joined(fragment(5, command, [dataset], max_pdu))
