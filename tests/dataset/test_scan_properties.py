"""Laws of scanning: any bytes in, a value or a DataSetError out; a cut Data Set is never taken for a whole one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataset_bytes import (
    BIG,
    CONTENT,
    EXPLICIT,
    IDENTIFIER,
    IMPLICIT,
    JPEG,
    NAME,
    UNDEFINED,
    encapsulated,
    end_of_sequence,
    explicit,
    implicit,
    item,
    long,
    short,
    undefined_item,
    undefined_sequence,
)
from gantry.dataset.part10 import encode_file_meta, guess_syntax, read_file_meta, read_part10
from gantry.dataset.scan import DataSet, beginning, scan
from gantry.errors import DataSetError
from gantry.pixels.encapsulation import frame_table
from gantry.standard.transfer_syntaxes import TransferSyntax
from support import examples

SYNTAXES = (EXPLICIT, IMPLICIT, BIG, JPEG)

# bytes that look like Data Sets get further than arbitrary ones
PIECES = st.sampled_from(
    [
        NAME,
        IDENTIFIER,
        item(b""),
        item(NAME),
        item(b"", UNDEFINED),
        undefined_item(NAME),
        end_of_sequence(),
        implicit(0xFFFEE00D, b""),
        long(CONTENT, "SQ", b"", UNDEFINED),
        long(CONTENT, "SQ", item(NAME)),
        long(0x00091001, "UN", b"", UNDEFINED),
        long(0x7FE00010, "OB", b"", UNDEFINED),
        short(0x00280010, "US", b"\x02\x00"),
        short(0x00280008, "IS", b"99999999"),
        short(0x00080005, "CS", b"ISO 2022 IR 87"),
        short(0x00100010, "ZZ", b"ab"),
        implicit(0x00100010, b"ab"),
        implicit(CONTENT, b"", UNDEFINED),
        explicit(0x00100010, "PN", b"Doe^Jane", order=">"),
        bytes(8),
    ]
) | st.binary(max_size=12)
LIKELY = st.lists(PIECES, max_size=12).map(b"".join)


def use(ds: DataSet, depth: int = 0) -> None:
    """Reads everything that can be asked of a Data Set."""
    frame_table(ds)
    for tag in ds.elements:
        ds.raw(tag)
        ds.text(tag)
        ds.ints(tag)
        ds.floats(tag)
        for one in ds.items(tag):
            use(one, depth + 1)


@given(data=st.binary(max_size=200) | LIKELY, syntax=st.sampled_from(SYNTAXES))
@example(data=bytes(8), syntax=EXPLICIT)
@examples(1500)
def test_any_bytes_are_a_data_set_or_refused(data: bytes, syntax: TransferSyntax) -> None:
    try:
        ds = scan(data, syntax)
    except DataSetError as error:
        assert error.cause
        assert error.offset is None or 0 <= error.offset <= len(data)
        return
    use(ds)


@given(data=st.binary(max_size=300) | LIKELY)
@examples(800)
def test_any_bytes_are_a_file_or_refused(data: bytes) -> None:
    guess_syntax(data)
    head = bytes(128) + b"DICM"
    for candidate in (data, head + data):
        for tolerate in (False, True):
            try:
                read_file_meta(candidate, tolerate_missing_preamble=tolerate)
                _, ds = read_part10(candidate, tolerate_missing_preamble=tolerate)
            except DataSetError:
                continue
            use(ds)


def _sample(order: str = "<") -> Iterator[bytes]:
    """Elements of every shape, in ascending order, one by one."""
    yield explicit(0x00080005, "CS", b"ISO_IR 192", order=order)
    yield explicit(
        0x00081140, "SQ", item(explicit(0x00081150, "UI", b"1.2\0", order=order), order=order), order=order
    )
    yield explicit(0x00100010, "PN", b"Doe^Jane", order=order)
    yield explicit(0x00100020, "LO", b"", order=order)
    yield explicit(0x00204000, "LT", b"a line\r\n", order=order)
    yield explicit(0x00280010, "US", b"\x02\x00", order=order)
    inner = undefined_item(explicit(0x00100020, "LO", b"4711", order=order), order=order)
    yield undefined_sequence(CONTENT, inner + undefined_item(b"", order=order), order=order)
    yield explicit(0x60003000, "OW", b"abcd", order=order)


def _implicit_sample() -> Iterator[bytes]:
    yield implicit(0x00080005, b"ISO_IR 192")
    yield implicit(0x00100010, b"Doe^Jane")
    yield implicit(0x00100020, b"")
    yield (
        implicit(CONTENT, undefined_item(implicit(0x00100020, b"4711")) + item(b""), UNDEFINED)
        + end_of_sequence()
    )
    yield implicit(0x60003000, b"abcd")


SAMPLES = [
    (EXPLICIT, list(_sample())),
    (BIG, list(_sample(">"))),
    (IMPLICIT, list(_implicit_sample())),
    (JPEG, [NAME, encapsulated(b"\0\0\0\0", b"\xff\xd8ab\xff\xd9", b"\xff\xd8abcd\xff\xd9")]),
]


@pytest.mark.parametrize(("syntax", "elements"), SAMPLES, ids=["explicit", "big", "implicit", "jpeg"])
def test_b43_a_data_set_cut_at_any_byte_is_refused_unless_between_elements(
    syntax: TransferSyntax, elements: list[bytes]
) -> None:
    data = b"".join(elements)
    boundaries = {sum(map(len, elements[:n])): n for n in range(len(elements) + 1)}
    for cut in range(len(data) + 1):
        if cut in boundaries:
            assert len(scan(data[:cut], syntax)) == boundaries[cut]
        else:
            with pytest.raises(DataSetError):
                scan(data[:cut], syntax)
            with pytest.raises(DataSetError):  # also where the buffer goes on
                scan(data, syntax, end=cut)


@pytest.mark.parametrize(("syntax", "elements"), SAMPLES, ids=["explicit", "big", "implicit", "jpeg"])
def test_the_beginning_of_a_data_set_is_read_as_far_as_it_is_there(
    syntax: TransferSyntax, elements: list[bytes]
) -> None:
    data, behind = b"".join(elements), b"meta"
    whole = scan(data, syntax)
    ends = [sum(map(len, elements[: n + 1])) for n in range(len(elements))]
    for cut in range(len(data) + 1):
        known = {}
        for (tag, _, _, _, undefined), end in zip(whole.elements.values(), ends, strict=True):
            if undefined or end > cut:
                break
            known[tag] = whole.raw(tag)
        assert beginning(behind + data[:cut], syntax, 0xFFFFFFFF, offset=len(behind)) == known
    first = next(iter(whole.elements))
    assert list(beginning(data, syntax, first)) == [first]
    assert beginning(data, syntax, first - 1) == {}


@given(data=st.binary(max_size=200) | LIKELY, syntax=st.sampled_from(SYNTAXES))
@example(data=short(0x00010001, "PN", bytes(8)) + implicit(0x00010001, bytes(2)), syntax=EXPLICIT)
@example(data=NAME + IDENTIFIER + NAME, syntax=EXPLICIT)
@example(data=NAME + NAME[:-8] + b"Roe^Jean", syntax=EXPLICIT)
@examples(800)
def test_any_bytes_have_a_beginning(data: bytes, syntax: TransferSyntax) -> None:
    told = beginning(data, syntax, 0x00100010)
    assert list(told) == sorted(told)
    assert sum(map(len, told.values())) <= len(data)
    assert all(tag <= 0x00100010 for tag in told)
    try:
        ds = scan(data, syntax)
    except DataSetError:
        return
    end = 0
    for tag, value in told.items():
        end += 8 + len(value)
        # What counts of a tag that comes again is the last, which may lie behind what is read
        assert value == ds.raw(tag) or ds.elements[tag][2] >= end


def _mutated(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out))
        match rng.randrange(4):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at : at + 4] = rng.choice(
                    [b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff", bytes(4), b"\xfe\xff\r\xe0"]
                )
            case 2:
                del out[at : at + rng.randint(1, 12)]
            case _:
                out[at:at] = out[rng.randrange(len(out)) :][: rng.randint(1, 40)]
        if not out:
            return b""
    return bytes(out)


def _fuzz(seed: int, rounds: int) -> int:
    rng = random.Random(seed)
    samples = [(syntax, b"".join(elements)) for syntax, elements in SAMPLES]
    read = 0
    for _ in range(rounds):
        syntax, data = rng.choice(samples)
        try:
            ds = scan(_mutated(data, rng), syntax)
        except DataSetError:
            continue
        use(ds)
        read += 1
    return read


def test_seeded_mutations_are_read_or_refused() -> None:
    read = _fuzz(seed=20260101, rounds=4000)
    assert 200 < read < 3800  # both outcomes are met


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(20))
def test_many_seeded_mutations_are_read_or_refused(seed: int) -> None:
    _fuzz(seed, rounds=50_000)


def test_mutated_meta_information_is_read_or_refused() -> None:
    rng = random.Random(7)
    file = (
        encode_file_meta(sop_class_uid="1.2", sop_instance_uid="1.2.3", transfer_syntax_uid=EXPLICIT.uid)
        + NAME
    )
    for _ in range(2000):
        at = rng.randrange(140, len(file))
        data = file[:132] + _mutated(file[132:at], rng) + file[at:]
        try:
            read_part10(data)
        except DataSetError:
            continue
