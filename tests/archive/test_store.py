"""What becomes of an object that is handed in."""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Iterator

import pytest

from gantry.archive.archive import Options
from gantry.archive.incoming import MEMORY_LIMIT
from gantry.archive.index import ChangeKind, ConflictKind, VersionKind
from gantry.archive.outcome import NewVersion, Outcome, Reason, Refused, Stored, Unchanged
from gantry.dataset.part10 import encode_file_meta
from gantry.errors import NotFound, OutOfSpace
from stored_objects import (
    CT_IMAGE,
    SCANNER,
    SMALL,
    Simulation,
    key_of,
    padded,
    part10,
    simulated,
    uid,
)

DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated() as simulation:
        yield simulation


def refused(outcome: Outcome) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome


def nothing_kept(simulation: Simulation) -> bool:
    files = [n for n in simulation.disk.file_names() if n.startswith(("objects/", "incoming/"))]
    return not files and not simulation.archive.locate() and simulation.archive.stats().versions == 0


def test_n02_an_object_is_given_back_bit_for_bit(simulation: Simulation) -> None:
    data = part10(pixels=bytes(range(256)) * 4)
    assert simulation.store(data) == Stored(key_of(), 1, CT_IMAGE, "1.2.840.10008.1.2.1")
    (location,) = simulation.archive.locate(sop_uid=uid(1, 1, 1))
    assert simulation.archive.read(location, check=True) == data
    assert b"".join(simulation.archive.blocks(location)) == data
    assert simulation.archive.read_range(location, 130, 4) == data[130:134]
    assert simulation.archive.read_range(location, len(data) - 3, 99) == data[-3:]
    assert simulation.archive.read_frame(location, 1) == bytes(range(256)) * 4
    assert simulation.archive.frames(location).count == 1
    assert simulation.archive.header(location)["00100020"]["Value"] == ["P1"]


def test_a_frame_or_pixels_that_are_not_there_are_not_found(simulation: Simulation) -> None:
    simulation.store(part10(1))
    simulation.store(part10(2, pixels=b"1234"))
    (bare,), (image,) = simulation.archive.locate(uid(1)), simulation.archive.locate(uid(2))
    with pytest.raises(NotFound):
        simulation.archive.frames(bare)
    for frame in (0, -1, 2, 2**63):
        with pytest.raises(NotFound):
            simulation.archive.read_frame(image, frame)


@pytest.mark.parametrize("size", [1, MEMORY_LIMIT - 600, MEMORY_LIMIT, 3 * MEMORY_LIMIT + 7])
def test_n16_large_objects_are_spooled_and_kept_the_same(simulation: Simulation, size: int) -> None:
    data = part10(pixels=b"\x5a" * (size + size % 2))
    incoming = simulation.archive.begin(SCANNER, len(data))
    for start in range(0, len(data), 99_991):
        incoming.write(memoryview(data)[start : start + 99_991])
    assert incoming.is_spooled == (len(data) > MEMORY_LIMIT)
    assert isinstance(incoming.finish(), Stored)
    (location,) = simulation.archive.locate()
    assert b"".join(simulation.archive.blocks(location)) == data
    assert not [n for n in simulation.disk.file_names() if n.startswith("incoming/")]


def test_the_path_is_made_of_the_uids(simulation: Simulation) -> None:
    simulation.store(part10())
    simulation.store(part10(comment="other"))
    paths = [row.location.path for row in simulation.archive.versions(key_of()) if row.location]
    folder = paths[0].rpartition("/")[0]
    assert folder.endswith(f"/{uid(1)}/{uid(1, 1)}")
    assert paths == [f"{folder}/{uid(1, 1, 1)}.dcm", f"{folder}/{uid(1, 1, 1)}.v2.dcm"]


def test_version_two_and_a_longer_uid_do_not_meet(simulation: Simulation) -> None:
    simulation.store(part10())
    simulation.store(part10(comment="other"))
    longer = {0x00080018: padded(uid(1, 1, 1, 2), b"\0")}
    meta = encode_file_meta(
        sop_class_uid=CT_IMAGE, sop_instance_uid=uid(1, 1, 1, 2), transfer_syntax_uid="1.2.840.10008.1.2.1"
    )
    assert isinstance(simulation.store(part10(replaced=longer, meta=meta)), Stored)
    assert simulation.archive.stats().instances == 2
    assert simulation.archive.verify().is_clean


# --- versions ------------------------------------------------------------------------------------


def test_n09_same_bytes_again_change_nothing(simulation: Simulation) -> None:
    simulation.store(part10())
    simulation.archive.settle()
    written = [c for c in simulation.disk.log if c.startswith("create")]
    assert simulation.store(part10()) == Unchanged(key_of(), 1, CT_IMAGE, "1.2.840.10008.1.2.1")
    assert [c for c in simulation.disk.log if c.startswith("create")] == written
    assert simulation.archive.stats().versions == 1


def test_the_meta_information_does_not_make_another_object(simulation: Simulation) -> None:
    simulation.store(part10())
    meta = encode_file_meta(
        sop_class_uid=CT_IMAGE, sop_instance_uid=uid(1, 1, 1), transfer_syntax_uid="1.2.840.10008.1.2.1"
    )
    assert isinstance(simulation.store(part10(meta=meta)), Unchanged)


def test_n09_other_bytes_become_the_current_version_and_a_conflict(simulation: Simulation) -> None:
    first, second = part10(), part10(comment="second")
    simulation.store(first)
    assert simulation.store(second) == NewVersion(key_of(), 2, CT_IMAGE, "1.2.840.10008.1.2.1", current=True)
    archive = simulation.archive
    assert archive.read(archive.locate()[0]) == second
    assert archive.read(archive.locate(version=1)[0]) == first
    assert [c.kind for c in archive.conflicts()] == [ConflictKind.VERSION]
    assert [c.kind for c in archive.changes()] == [ChangeKind.STORED, ChangeKind.NEW_VERSION]


def test_n09_bytes_of_an_earlier_version_bring_it_back_without_a_copy(simulation: Simulation) -> None:
    first, second = part10(), part10(comment="second")
    for data in (first, second, first, second, first):
        simulation.store(data)
    archive = simulation.archive
    assert archive.read(archive.locate()[0]) == first
    rows = archive.versions(key_of())
    assert [row.kind for row in rows] == [VersionKind.OBJECT] * 2 + [VersionKind.RESTORE] * 3
    assert [row.restores for row in rows] == [0, 0, 1, 2, 1]
    assert archive.verify().is_clean


def test_n09_policy_first_keeps_other_bytes_aside() -> None:
    with simulated(options=Options("first", 0)) as simulation:
        first, second = part10(), part10(comment="second")
        simulation.store(first)
        outcome = simulation.store(second)
        assert isinstance(outcome, NewVersion)
        assert not outcome.current
        assert isinstance(simulation.store(second), Unchanged)
        archive = simulation.archive
        assert archive.read(archive.locate()[0]) == first
        (aside,) = archive.locate(version=2)
        assert aside.path.endswith(".v2.aside.dcm")
        assert archive.read(aside) == second
        archive.restore_version(key_of(), 2)
        assert archive.read(archive.locate()[0]) == second
        assert archive.verify().is_clean
        archive.delete(*key_of())
        assert isinstance(simulation.store(second), Unchanged)
        assert archive.read(archive.locate()[0]) == second


def test_n09_what_lies_aside_does_not_come_forward_by_a_delete_and_a_restore() -> None:
    with simulated(options=Options("first", 0)) as simulation:
        simulation.store(part10())
        simulation.store(part10(comment="second"))
        simulation.archive.delete(*key_of())
        simulation.archive.restore(*key_of())
        assert simulation.archive.read(simulation.archive.locate()[0]) == part10()


def test_n09_policy_reject_keeps_nothing_else() -> None:
    with simulated(options=Options("reject", 0)) as simulation:
        simulation.store(part10())
        outcome = refused(simulation.store(part10(comment="second")))
        assert outcome.reason is Reason.CONFLICT
        assert outcome.key == key_of()
        assert isinstance(simulation.store(part10()), Unchanged)
        assert simulation.archive.stats().versions == 1
        assert len([n for n in simulation.disk.file_names() if n.startswith("objects/")]) == 1


def test_b77_eight_senders_of_the_same_bytes_make_one_object(simulation: Simulation) -> None:
    outcomes = race(simulation, [part10()] * 8)
    assert Counter(type(o) for o in outcomes) == {Stored: 1, Unchanged: 7}
    assert simulation.archive.stats().versions == 1
    assert simulation.archive.verify().is_clean


def test_n09_b77_eight_senders_of_other_bytes_make_eight_versions(simulation: Simulation) -> None:
    data = [part10(comment=f"sender {n}") for n in range(8)]
    outcomes = race(simulation, data)
    assert Counter(type(o) for o in outcomes) == {Stored: 1, NewVersion: 7}
    archive = simulation.archive
    kept = {archive.read(r.location) for r in archive.versions(key_of()) if r.location is not None}
    assert kept == set(data)
    assert len(archive.conflicts()) == 1
    assert archive.verify().is_clean


def race(simulation: Simulation, data: list[bytes]) -> list[Outcome]:
    """Store all at once, one thread each; outcomes in the order of `data`."""
    archive = simulation.archive
    together = threading.Barrier(len(data))
    outcomes: dict[int, Outcome] = {}

    def send(n: int) -> None:
        together.wait()
        outcomes[n] = archive.store([data[n]], SCANNER)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(len(data))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcomes[n] for n in range(len(data))]


def test_several_objects_share_one_commit(simulation: Simulation) -> None:
    arrivals = [simulation.archive.begin(SCANNER) for _ in range(5)]
    contents = [
        part10(instance=1),
        part10(instance=2),
        b"junk",
        part10(instance=1),
        part10(instance=2, comment="x"),
    ]
    for incoming, data in zip(arrivals, contents, strict=True):
        incoming.write(data)
    calls = simulation.disk.log
    outcomes = simulation.archive.store_many(arrivals)
    assert [type(o) for o in outcomes] == [Stored, Stored, Refused, Unchanged, NewVersion]
    # What was new, and then the version that had to wait for it
    assert calls.count("sync log/0") == 1
    assert calls.count("index apply") == 2
    assert simulation.archive.verify().is_clean


def test_n10_one_study_under_two_patients_is_kept_and_flagged(simulation: Simulation) -> None:
    simulation.store(part10(instance=1, patient="P1"))
    simulation.store(part10(instance=2, patient="P2"))
    assert [c.kind for c in simulation.archive.conflicts()] == [ConflictKind.PATIENT]
    assert len(simulation.archive.locate(uid(1))) == 2


def test_n10_one_series_in_two_studies_is_kept_and_flagged(simulation: Simulation) -> None:
    series = padded(uid(9, 9), b"\0")
    simulation.store(part10(1, 1, 1, replaced={0x0020000E: series}))
    simulation.store(part10(2, 1, 1, replaced={0x0020000E: series}))
    assert ConflictKind.SERIES in {c.kind for c in simulation.archive.conflicts()}
    assert len(simulation.archive.locate(series_uid=uid(9, 9))) == 2


def test_n10_one_instance_in_two_series_is_kept_and_flagged(simulation: Simulation) -> None:
    for series in (1, 2):
        data = part10(1, series, 1, replaced={0x00080018: padded(uid(7), b"\0")}, meta=meta_of(uid(7)))
        assert isinstance(simulation.store(data), Stored)
    assert ConflictKind.INSTANCE in {c.kind for c in simulation.archive.conflicts()}
    assert len(simulation.archive.locate(sop_uid=uid(7))) == 2


def meta_of(sop_uid: str, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    return encode_file_meta(sop_class_uid=CT_IMAGE, sop_instance_uid=sop_uid, transfer_syntax_uid=syntax)


# --- deleted, restored ---------------------------------------------------------------------------


def test_a_deleted_study_is_hidden_and_comes_back(simulation: Simulation) -> None:
    data = [part10(instance=n) for n in (1, 2, 3)]
    for one in data:
        simulation.store(one)
    archive = simulation.archive
    assert len(archive.delete(uid(1), origin=SCANNER)) == 3
    assert archive.locate() == []
    assert archive.stats().studies == 0
    assert archive.read(archive.locate(version=1)[0]) == data[0]
    with pytest.raises(NotFound):
        archive.delete(uid(1))
    assert len(archive.restore(uid(1))) == 3
    assert len(archive.locate()) == 3
    with pytest.raises(NotFound):
        archive.restore(uid(1))
    with pytest.raises(NotFound):
        archive.restore_version(key_of(), 9)
    assert [r.kind for r in archive.versions(key_of())] == [
        VersionKind.OBJECT, VersionKind.TOMBSTONE, VersionKind.RESTORE
    ]  # fmt: skip
    assert archive.verify().is_clean


def test_one_instance_or_one_series_can_be_deleted(simulation: Simulation) -> None:
    for series in (1, 2):
        for instance in (1, 2):
            simulation.store(part10(1, series, instance))
    archive = simulation.archive
    archive.delete(uid(1), uid(1, 1), uid(1, 1, 1))
    assert len(archive.locate()) == 3
    archive.delete(uid(1), uid(1, 2))
    assert [location.key for location in archive.locate()] == [key_of(1, 1, 2)]
    archive.restore(uid(1))
    assert len(archive.locate()) == 4


def test_what_is_sent_again_after_it_was_deleted_is_visible_again(simulation: Simulation) -> None:
    simulation.store(part10())
    simulation.archive.delete(uid(1))
    outcome = simulation.store(part10())
    assert isinstance(outcome, Unchanged)
    assert outcome.restored
    assert len(simulation.archive.locate()) == 1
    simulation.archive.delete(uid(1))
    assert isinstance(simulation.store(part10(comment="new")), NewVersion)
    assert simulation.archive.read(simulation.archive.locate()[0]) == part10(comment="new")
    assert simulation.archive.verify().is_clean


# --- refused -------------------------------------------------------------------------------------


def test_b29_the_announced_instance_must_come(simulation: Simulation) -> None:
    incoming = simulation.archive.begin(SCANNER, expect_sop_instance=uid(9))
    incoming.write(part10())
    outcome = refused(incoming.finish())
    assert outcome.reason is Reason.SOP_INSTANCE_MISMATCH
    assert outcome.tag == 0x00080018
    assert nothing_kept(simulation)


def test_b29_announcement_file_meta_and_data_set_must_name_one_object(simulation: Simulation) -> None:
    other_class = encode_file_meta(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid=uid(1, 1, 1),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    for meta, reason in (
        (meta_of(uid(9)), Reason.SOP_INSTANCE_MISMATCH),
        (other_class, Reason.SOP_CLASS_MISMATCH),
    ):
        incoming = simulation.archive.begin(
            SCANNER, expect_sop_class=CT_IMAGE, expect_sop_instance=uid(1, 1, 1)
        )
        incoming.write(part10(meta=meta))
        assert refused(incoming.finish()).reason is reason
    assert nothing_kept(simulation)


def test_a_file_that_comes_unannounced_is_what_its_data_set_says(simulation: Simulation) -> None:
    data = part10(meta=meta_of(uid(9)))
    assert simulation.store(data) == Stored(key_of(), 1, CT_IMAGE, "1.2.840.10008.1.2.1")
    assert simulation.archive.read(simulation.archive.locate()[0]) == data


def test_b30_the_announced_class_must_come(simulation: Simulation) -> None:
    incoming = simulation.archive.begin(SCANNER, expect_sop_class="1.2.840.10008.5.1.4.1.1.4")
    incoming.write(part10())
    assert refused(incoming.finish()).reason is Reason.SOP_CLASS_MISMATCH
    assert nothing_kept(simulation)


@pytest.mark.parametrize("tag", [0x00080016, 0x00080018, 0x0020000D, 0x0020000E])
@pytest.mark.parametrize("value", [None, b"", b"\0\0", b"  "])
def test_b31_a_missing_uid_is_refused_never_made_up(
    simulation: Simulation, tag: int, value: bytes | None
) -> None:
    outcome = refused(simulation.store(part10(replaced={tag: value})))
    assert (outcome.reason, outcome.tag) == (Reason.MISSING_UID, tag)
    assert nothing_kept(simulation)


@pytest.mark.parametrize("text", ["1.2.03.4", "1..2", ".1", "1.2.", "0", "1.2.840.00"])
def test_b32_uids_that_devices_get_slightly_wrong_are_kept(simulation: Simulation, text: str) -> None:
    meta = meta_of(text)
    outcome = simulation.store(part10(replaced={0x00080018: padded(text, b"\0")}, meta=meta))
    assert isinstance(outcome, Stored)
    assert outcome.key.sop_uid == text
    (location,) = simulation.archive.locate(sop_uid=text)
    name = location.path.rpartition("/")[2]
    strict = text in ("1.2.03.4", "0", "1.2.840.00")
    assert name == f"{text}.dcm" if strict else name.startswith("x-")
    assert simulation.archive.verify().is_clean


@pytest.mark.parametrize("pad", [b" ", b"\0"])
def test_b32_padding_of_either_kind_is_no_part_of_a_uid(simulation: Simulation, pad: bytes) -> None:
    text = "1.2.3" if len("1.2.3") % 2 else "1.2.34"
    outcome = simulation.store(part10(replaced={0x00080018: text.encode() + pad}, meta=meta_of(text)))
    assert isinstance(outcome, Stored)
    assert outcome.key.sop_uid == text


@pytest.mark.parametrize(
    "text", ["1" * 65, "1." * 150 + "1", "1.2.a", "1.2 .3", "1.2\0.3", "1,2", "1.2\\1.3", ".", "..", "٣"]
)
def test_b32_uids_beyond_tolerance_are_refused(simulation: Simulation, text: str) -> None:
    raw = text.encode() + b"\0" * (len(text.encode()) % 2)
    outcome = refused(simulation.store(part10(replaced={0x00080018: raw})))
    assert (outcome.reason, outcome.tag) == (Reason.BAD_UID, 0x00080018)
    assert nothing_kept(simulation)


@pytest.mark.parametrize("tag", [0x00080018, 0x0020000D, 0x0020000E])
@pytest.mark.parametrize(
    "text",
    ["../../etc/x", "..\\..\\x", "/abs", "%2e%2e", "1.2\0/../x", "../../../../../../tmp/gantry-was-here"],
)
def test_b33_no_uid_reaches_outside(simulation: Simulation, tag: int, text: str) -> None:
    before = simulation.archive and simulation.disk.file_names()
    raw = text.encode() + b"\0" * (len(text) % 2)
    assert refused(simulation.store(part10(replaced={tag: raw}))).reason is Reason.BAD_UID
    assert simulation.disk.file_names() == before
    assert nothing_kept(simulation)


def test_b34_b35_b36_names_are_kept_verbatim(simulation: Simulation) -> None:
    for n, name in enumerate(
        ["'; DROP TABLE studies;--", "%_*\\", "<script>alert(1)</script>", "{{7*7}}", "a\r\nb\x1b"]
    ):
        data = part10(study=n + 1, name=name, patient=name.replace("\\", ""))
        assert isinstance(simulation.store(data), Stored)
        (location,) = simulation.archive.locate(uid(n + 1))
        assert simulation.archive.read(location) == data
    assert simulation.archive.stats().instances == 5


def test_b38_a_megabyte_in_a_short_text_is_kept_and_more_is_refused(simulation: Simulation) -> None:
    kept = 0xFFFE
    assert isinstance(simulation.store(part10(replaced={0x00104000: b"x" * kept})), Stored)
    # A longer one needs a VR with a 32-bit length, or Implicit VR.
    implicit = implicit_object({0x00104000: b"x" * (1 << 20), 0x00100010: b"Doe^J "})
    assert isinstance(simulation.store(implicit), NewVersion)
    outcome = refused(simulation.store(implicit_object({0x00100010: b"x" * ((1 << 20) + 2)})))
    assert (outcome.reason, outcome.tag) == (Reason.TOO_LARGE, 0x00100010)


def implicit_object(values: dict[int, bytes]) -> bytes:
    key = key_of()
    full = {
        0x00080016: padded(CT_IMAGE, b"\0"),
        0x00080018: padded(key.sop_uid, b"\0"),
        0x0020000D: padded(key.study_uid, b"\0"),
        0x0020000E: padded(key.series_uid, b"\0"),
        **values,
    }
    body = b"".join(
        (tag >> 16).to_bytes(2, "little")
        + (tag & 0xFFFF).to_bytes(2, "little")
        + len(v).to_bytes(4, "little")
        + v
        for tag, v in sorted(full.items())
    )
    return meta_of(key.sop_uid, "1.2.840.10008.1.2") + body


def test_b42_b43_a_cut_data_set_is_refused_wherever_it_is_cut(simulation: Simulation) -> None:
    data = part10(pixels=b"0123456789")
    meta = len(meta_of(uid(1, 1, 1)))
    accepted = 0
    for length in range(0, len(data), 3):
        outcome = simulation.store(data[:length])
        if isinstance(outcome, Refused):
            assert outcome.reason in (Reason.NOT_PART10, Reason.NOT_A_DATA_SET, Reason.MISSING_UID)
            assert length < 132 or outcome.offset is not None or outcome.tag is not None
        else:
            # The cut fell between two elements: what is there is a whole Data Set.
            accepted += 1
            assert length > meta
    assert accepted < 10


def test_b46_file_meta_inside_the_data_set_is_refused(simulation: Simulation) -> None:
    outcome = refused(
        simulation.store(part10(replaced={0x00020010: b"1.2.840.10008.1.2 ", 0x00000002: b"1 "}))
    )
    assert outcome.reason in (Reason.NOT_A_DATA_SET, Reason.NOT_PART10)
    assert nothing_kept(simulation)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"DICM", bytes(128), bytes(128) + b"DICM", bytes(127) + b"DICM" + bytes(50)]
)
def test_b47_what_is_no_dicom_file_is_refused(simulation: Simulation, data: bytes) -> None:
    assert refused(simulation.store(data)).reason is Reason.NOT_PART10
    assert nothing_kept(simulation)


def test_b50_a_file_that_names_no_transfer_syntax_is_refused(simulation: Simulation) -> None:
    outcome = refused(simulation.store(part10(meta=meta_of(uid(1, 1, 1), ""))))
    assert (outcome.reason, outcome.tag) == (Reason.NOT_PART10, 0x00020010)


def test_b50_a_private_transfer_syntax_is_kept_as_it_came(simulation: Simulation) -> None:
    data = part10(syntax="1.2.826.0.1.3680043.8.498.99")
    assert isinstance(simulation.store(data), Stored)
    assert simulation.archive.read(simulation.archive.locate()[0]) == data


def deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(body) + packer.flush()
    return meta_of(uid(1, 1, 1), DEFLATED) + packed + b"\0" * (len(packed) % 2)


@pytest.mark.parametrize("pixels", [b"ab", b"\0\1" * 8_000_000])
def test_b51_a_deflated_object_is_kept_deflated(simulation: Simulation, pixels: bytes) -> None:
    if len(pixels) > 2:
        # Not compressible without bound, or it would be taken for a bomb.
        pixels = b"".join(bytes([n & 255, n >> 8 & 255, n * 7 & 255, n >> 3 & 255]) for n in range(3_000_000))
    body = part10(pixels=pixels[: 65535 * 2])[len(meta_of(uid(1, 1, 1))) + 16 :]
    body = part10(meta=b"", pixels=pixels[:100_000]) if len(pixels) > 2 else part10(meta=b"", pixels=pixels)
    data = deflated(body)
    assert isinstance(simulation.store(data), Stored)
    (location,) = simulation.archive.locate()
    assert simulation.archive.read(location) == data
    assert location.pixel is None
    assert simulation.archive.header(location)["00100020"]["Value"] == ["P1"]


def test_b51_a_deflated_object_larger_than_memory_is_inflated_on_disk(simulation: Simulation) -> None:
    noise = b"".join((n * 2654435761 & 0xFFFFFFFF).to_bytes(4, "little") for n in range(2_500_000))
    data = deflated(part10(meta=b"", replaced={0x00091010: None}, pixels=noise))
    assert isinstance(simulation.store(data), Stored)
    assert not [n for n in simulation.disk.file_names() if n.startswith("incoming/")]


def test_b51_a_broken_deflated_object_is_refused(simulation: Simulation) -> None:
    data = deflated(part10(meta=b"", pixels=bytes(range(200)) * 20))
    for broken in (data[:-20], data[:400] + b"\xff\xff\xff" + data[403:]):
        assert refused(simulation.store(broken)).reason is Reason.NOT_A_DATA_SET
    assert nothing_kept(simulation)


def test_b52_a_deflate_bomb_is_refused(simulation: Simulation) -> None:
    bomb = deflated(part10(meta=b"", pixels=bytes(120_000)) + bytes(80_000_000))
    assert len(bomb) < 200_000
    assert refused(simulation.store(bomb)).reason is Reason.NOT_A_DATA_SET
    assert nothing_kept(simulation)


def test_b64_an_object_sent_into_another_study_is_refused(simulation: Simulation) -> None:
    incoming = simulation.archive.begin(SCANNER, expect_study=uid(2))
    incoming.write(part10())
    outcome = refused(incoming.finish())
    assert (outcome.reason, outcome.tag, outcome.key) == (Reason.STUDY_MISMATCH, 0x0020000D, key_of())
    assert nothing_kept(simulation)


def test_b26_an_object_that_never_ends_is_cut_at_the_limit() -> None:
    with simulated(options=Options("newest", 0, max_object_bytes=3 << 20)) as simulation:
        incoming = simulation.archive.begin(SCANNER)
        incoming.write(part10())
        sent = 0
        while incoming.refusal is None:
            incoming.write(bytes(100_000))
            sent += 100_000
        assert sent <= (3 << 20) + 100_000
        assert incoming.refusal.reason is Reason.TOO_LARGE
        assert refused(incoming.finish()).reason is Reason.TOO_LARGE
        assert nothing_kept(simulation)


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_n11_b27_a_broken_off_object_leaves_nothing(simulation: Simulation, size: int) -> None:
    simulation.store(part10(study=5))
    incoming = simulation.archive.begin(SCANNER)
    incoming.write(part10(pixels=bytes(100))[:300] + bytes(size))
    incoming.abort()
    incoming.abort()
    assert not [n for n in simulation.disk.file_names() if n.startswith("incoming/")]
    assert len(simulation.archive.locate()) == 1


# --- room ----------------------------------------------------------------------------------------


def test_n07_a_full_disk_refuses_before_the_first_byte_and_recovers() -> None:
    with simulated(options=Options("newest", 1 << 20), capacity=4 << 20) as simulation:
        archive = simulation.archive
        stored = []
        with pytest.raises(OutOfSpace):
            for n in range(1, 100):
                incoming = archive.begin(SCANNER, 300_000)
                incoming.write(part10(instance=n, pixels=bytes(65_000) * 4))
                if isinstance(incoming.finish(), Stored):
                    stored.append(n)
        assert 5 < len(stored) < 15
        assert all(archive.read(location) for location in archive.locate())
        simulation.disk.capacity += 2 << 20
        assert isinstance(simulation.store(part10(instance=500)), Stored)


def test_n07_room_promised_to_one_is_not_given_to_another() -> None:
    with simulated(options=Options("newest", 0), capacity=10 << 20) as simulation:
        first = simulation.archive.begin(SCANNER, 8 << 20)
        with pytest.raises(OutOfSpace):
            simulation.archive.begin(SCANNER, 8 << 20)
        first.abort()
        simulation.archive.begin(SCANNER, 8 << 20).abort()


def test_n07_a_disk_that_fills_up_meanwhile_refuses_and_keeps_nothing() -> None:
    with simulated(options=SMALL, capacity=1 << 20) as simulation:
        simulation.archive  # noqa: B018 - opened, so that its folders are there
        small, large = part10(instance=1), part10(instance=2, pixels=bytes(60_000) * 40)
        simulation.store(small)
        outcome = refused(simulation.store(large))
        assert outcome.reason is Reason.OUT_OF_SPACE
        assert simulation.archive.read(simulation.archive.locate()[0]) == small
        assert not [n for n in simulation.disk.file_names() if n.startswith("incoming/")]
        assert isinstance(simulation.store(part10(instance=3)), Stored)
        assert simulation.archive.verify().is_clean
