"""Damage is found while the archive works, refused from then on, and healed by whole bytes only (N14)."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gantry.archive.archive import Archive
from gantry.archive.let_go import Superseded
from gantry.archive.outcome import NewVersion
from gantry.archive.records import Location
from gantry.archive.sim import PowerCut
from gantry.dataset.part10 import encode_file_meta, read_file_meta
from gantry.errors import Corrupt, GantryError, StorageError
from gantry.standard.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from stored_objects import CT_IMAGE, SCANNER, SMALL, Simulation, key_of, part10, simulated, uid


def on(_size: int) -> bool:
    return True


def look_at_all(archive: Archive) -> dict[str, str | None]:
    """What is wrong with each object that has a file."""
    found: dict[str, str | None] = {}
    place = 0
    while rows := archive.versions_after(place):
        place = rows[-1][0]
        for _, row in rows:
            if row.location is not None and not row.location.made_from:
                found[row.location.path] = archive.look_at(row.location, on)
    return found


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated() as simulation:
        for study in (1, 2):
            for instance in (1, 2, 3):
                simulation.store(part10(study, 1, instance, pixels=bytes(300)))
        simulation.store(part10(1, 1, 1, comment="again", pixels=bytes(300)))
        simulation.archive.settle()
        yield simulation


def one(simulation: Simulation, instance: int = 2) -> Location:
    (location,) = simulation.archive.locate(sop_uid=uid(1, 1, instance))
    return location


def offered(simulation: Simulation, data: bytes) -> Path:
    """A file elsewhere; on a simulated disk that is a name that is not the archive's own."""
    root = simulation.disk
    for folder in ("", "/elsewhere"):
        if folder and not root.exists("elsewhere"):
            root.make_folder("elsewhere")
    if root.exists("elsewhere/offer"):
        root.unlink("elsewhere/offer")
    file = root.create("elsewhere/offer")
    file.write([data])
    file.close()
    return Path("elsewhere/offer")


def test_n14_a_sound_archive_has_no_damage(simulation: Simulation) -> None:
    found = look_at_all(simulation.archive)
    assert set(found.values()) == {""}
    assert len(found) == 7
    assert simulation.archive.damaged() == {}
    assert simulation.archive.damage_state == 0


def test_n14_any_flipped_bit_is_found_in_one_round_and_not_served(simulation: Simulation) -> None:
    archive, dice = simulation.archive, random.Random(14)
    for _ in range(40):
        location = dice.choice(archive.locate())
        bit = dice.randrange(location.file_size * 8)
        simulation.disk.flip_bit(location.path, bit)
        found = look_at_all(archive)
        assert {path for path, why in found.items() if why} == {location.path} == set(archive.damaged())
        for read in (archive.read, archive.header, archive.refuse_damaged, archive.real_path):
            with pytest.raises(Corrupt):
                read(location)
        simulation.disk.flip_bit(location.path, bit)
        assert set(look_at_all(archive).values()) == {""}
        assert archive.damaged() == {}
        archive.read(location, check=True)


@pytest.mark.parametrize("size", [0, 10, 10_000])
def test_n14_a_file_cut_grown_or_gone_is_found(simulation: Simulation, size: int) -> None:
    location = one(simulation)
    simulation.disk.unlink(location.path)
    assert look_at_all(simulation.archive)[location.path] == "missing file"
    file = simulation.disk.create(location.path)
    file.write([bytes(size)])
    file.close()
    assert look_at_all(simulation.archive)[location.path] == f"wrong size: {size}"


def test_damage_is_known_to_the_next_start_and_told_by_the_identity(simulation: Simulation) -> None:
    location = one(simulation)
    identities = [location.identity]
    assert identities == [location.dataset_sha256]
    simulation.disk.flip_bit(location.path, 4000)
    for _ in range(2):
        look_at_all(simulation.archive)
    assert simulation.archive.damage_state == 1
    identities.append(one(simulation).identity)
    assert [found.path for found in simulation.archive.damaged_objects()] == [location.path]
    simulation.restart()
    assert list(simulation.archive.damaged()) == [location.path]
    with pytest.raises(Corrupt):
        simulation.archive.read(location)
    assert one(simulation).identity == identities[1]
    simulation.disk.flip_bit(location.path, 4000)
    look_at_all(simulation.archive)
    identities.append(one(simulation).identity)
    assert len(set(identities)) == 3  # what was made of it in between is not taken for what it is
    simulation.restart()
    assert one(simulation).identity == identities[2]
    assert one(simulation, 3).identity == one(simulation, 3).dataset_sha256


def test_what_an_earlier_release_knew_to_be_damaged_is_known(simulation: Simulation) -> None:
    path = one(simulation).path
    simulation.restart()
    file = simulation.disk.create("damaged.json")
    file.write([b'{"%b":"wrong digest: 00"}' % path.encode()])
    file.close()
    assert dict(simulation.archive.damaged()) == {path: "wrong digest: 00"}
    assert look_at_all(simulation.archive)[path] == ""
    assert simulation.archive.damaged() == {}


def test_damage_that_cannot_be_noted_is_refused_all_the_same(simulation: Simulation) -> None:
    location = one(simulation)
    simulation.disk.flip_bit(location.path, 4000)
    calls = simulation.disk.calls
    simulation.archive.look_at(location, on)
    noting = simulation.disk.calls - calls - 2
    simulation.disk.flip_bit(location.path, 4000)
    simulation.archive.look_at(location, on)
    told = 0
    for k in range(1, noting + 1):
        simulation.disk.flip_bit(location.path, 4000)
        simulation.disk.fail(2 + k, errno.EIO)
        try:
            simulation.archive.look_at(location, on)
        except StorageError:
            told += 1
        with pytest.raises(Corrupt):
            simulation.archive.read(location)
        simulation.disk.heal()
        simulation.disk.flip_bit(location.path, 4000)
        assert simulation.archive.look_at(location, on) == ""
    assert told > noting // 2


def test_a_read_that_fails_once_says_nothing_and_one_that_fails_twice_does(simulation: Simulation) -> None:
    location = one(simulation)
    simulation.disk.fail(1, errno.EIO)
    assert simulation.archive.look_at(location, on) == ""
    simulation.disk.fail(1, errno.EIO)
    simulation.disk.fail(2, errno.EIO)
    found = simulation.archive.look_at(location, on)
    assert found is not None and "unreadable" in found
    assert simulation.archive.look_at(location, on) == ""
    assert simulation.archive.damaged() == {}


def test_a_look_ends_when_it_is_told_to(simulation: Simulation) -> None:
    seen: list[int] = []
    location = one(simulation)
    assert simulation.archive.look_at(location, lambda size: bool(seen.append(size))) is None
    assert seen == [location.file_size]


def test_what_was_let_go_meanwhile_is_no_damage(simulation: Simulation) -> None:
    archive, location = simulation.archive, one(simulation)
    form = archive.replace(location, [part10(1, 1, 2, comment="form", pixels=bytes(300))], SCANNER)
    assert isinstance(form, NewVersion)
    archive.let_go([Superseded(key_of(1, 1, 2), 1, form.number)], "a rule", SCANNER)
    assert archive.look_at(location, on) is None
    assert archive.damaged() == {}


# --- heal ----------------------------------------------------------------------------------------------


def spoiled(simulation: Simulation, *bits: int) -> Location:
    location = one(simulation)
    for bit in bits:
        simulation.disk.flip_bit(location.path, bit)
    assert simulation.archive.look_at(location, on)
    return location


IN_HEAD, IN_DATA_SET = 200 * 8, -8


def other_head(data: bytes) -> bytes:
    """The same Data Set as another archive would have it from another sender."""
    meta = encode_file_meta(
        sop_class_uid=CT_IMAGE,
        sop_instance_uid=uid(1, 1, 2),
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        source_aet="ELSEWHERE",
    )
    return meta + data[read_file_meta(data).dataset_offset :]


@pytest.mark.parametrize(
    ("bits", "offer", "healed"),
    [
        ((IN_DATA_SET,), lambda data: data, True),
        ((IN_HEAD,), lambda data: data, True),
        ((IN_HEAD, IN_DATA_SET), lambda data: data, True),
        ((IN_DATA_SET,), other_head, True),
        ((IN_HEAD,), other_head, False),  # its own head is nowhere
        ((IN_HEAD, IN_DATA_SET), other_head, False),
        ((IN_HEAD,), lambda data: data[:-1] + b"\xff", True),  # the Data Set of its own is whole
        ((IN_DATA_SET,), lambda data: data[:-1] + b"\xff", False),
        ((IN_DATA_SET,), lambda data: data[:-2], False),
        ((IN_DATA_SET,), lambda data: data + b"\0\0", False),
        ((IN_DATA_SET,), lambda data: b"no DICOM file at all", False),
        ((IN_DATA_SET,), lambda data: b"", False),
        ((IN_DATA_SET,), lambda data: part10(1, 1, 3, pixels=bytes(300)), False),
    ],
)
def test_n14_only_whole_bytes_take_the_place(simulation: Simulation, bits, offer, healed: bool) -> None:  # type: ignore[no-untyped-def]
    size = one(simulation).file_size
    location = spoiled(simulation, *(bit % (size * 8) for bit in bits))
    rotten = simulation.disk.read(location.path)
    whole = part10(1, 1, 2, pixels=bytes(300))
    before = simulation.archive.damage_state
    assert simulation.archive.heal(location, offered(simulation, offer(whole))) is healed
    aside = [n for n in simulation.disk.file_names() if n.startswith("lost-found/")]
    if healed:
        assert simulation.archive.damage_state > before
        assert simulation.archive.read(location, check=True) == whole
        assert [simulation.disk.read(name) for name in aside] == [rotten]
        assert simulation.archive.verify().is_clean
    else:
        assert aside == []
        assert simulation.disk.read(location.path) == rotten
        with pytest.raises(Corrupt):
            simulation.archive.read(location)
    assert not [n for n in simulation.disk.file_names() if n.startswith("incoming/")]


def test_a_missing_file_is_healed_though_its_folder_is_gone(simulation: Simulation) -> None:
    simulation.store(part10(5, 1, 1, pixels=bytes(100)))
    (location,) = simulation.archive.locate(uid(5))
    simulation.disk.unlink(location.path)
    folder = location.path.rpartition("/")[0]
    simulation.disk.remove_folder(folder)
    assert simulation.archive.look_at(location, on) == "missing file"
    assert simulation.archive.heal(location, offered(simulation, part10(5, 1, 1, pixels=bytes(100))))
    assert simulation.archive.verify().is_clean
    simulation.power_cut()
    assert simulation.archive.read(location, check=True) == part10(5, 1, 1, pixels=bytes(100))


def test_what_was_let_go_meanwhile_is_not_brought_back(simulation: Simulation) -> None:
    archive, location = simulation.archive, one(simulation)
    whole = simulation.disk.read(location.path)
    form = archive.replace(location, [part10(1, 1, 2, comment="form", pixels=bytes(300))], SCANNER)
    assert isinstance(form, NewVersion)
    archive.let_go([Superseded(key_of(1, 1, 2), 1, form.number)], "a rule", SCANNER)
    assert not archive.heal(location, offered(simulation, whole))
    assert archive.verify().is_clean


def test_what_is_not_ours_is_looked_at_and_never_written(tmp_path: Path) -> None:
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(part10(pixels=b"abcd"))
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(outside.read_bytes())
    with Archive.open(tmp_path / "data", SMALL) as archive:
        archive.reference(outside, SCANNER)
        (location,) = archive.locate()
        outside.write_bytes(part10(pixels=b"abce"))
        found = archive.look_at(location, on)
        assert found is not None and "digest" in found
        with pytest.raises(Corrupt):
            archive.read(location)
        assert archive.damaged_objects() == []
        assert not archive.heal(location, copy)
        assert outside.read_bytes() == part10(pixels=b"abce")
        outside.write_bytes(copy.read_bytes())
        assert archive.look_at(location, on) == ""
        assert archive.read(location) == copy.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_n14_power_may_go_while_an_object_is_healed(seed: int) -> None:
    dice = random.Random(seed)
    whole = part10(1, 1, 2, pixels=bytes(300))
    for k in range(1, 40, 2):
        with simulated(seed + k) as simulation:
            simulation.store(whole)
            simulation.archive.settle()
            location = spoiled(simulation, dice.randrange(one(simulation).file_size * 8))
            offer = offered(simulation, whole)
            simulation.disk.sync_folder("elsewhere")
            simulation.disk.sync_folder("")
            simulation.disk.cut_at(k)
            try:
                simulation.archive.heal(location, offer)
            except PowerCut:
                simulation.power_cut()
            simulation.disk.heal()
            archive = simulation.archive
            try:
                assert archive.read(location) == whole
            except Corrupt:  # refused, as before; never others bytes than those that were acknowledged
                if archive.look_at(location, on):
                    assert archive.heal(location, offered(simulation, whole))
            assert archive.read(location, check=True) == whole
            assert archive.verify().is_clean


@pytest.mark.parametrize("kind", [errno.EIO, errno.ENOSPC])
def test_n05_any_call_may_fail_while_an_object_is_healed(kind: int) -> None:
    whole = part10(1, 1, 2, pixels=bytes(300))
    for k in range(1, 40):
        with simulated() as simulation:
            simulation.store(whole)
            simulation.archive.settle()
            location = spoiled(simulation, 4000)
            offer = offered(simulation, whole)
            simulation.disk.fail(k, kind)
            try:
                simulation.archive.heal(location, offer)
            except GantryError as error:
                assert isinstance(error, StorageError)
            simulation.disk.heal()
            if simulation.archive.read_only:
                simulation.kill()
            archive = simulation.archive
            try:
                assert archive.read(location) == whole
            except Corrupt:
                assert archive.heal(location, offered(simulation, whole))
            archive.look_at(location, on)
            assert archive.read(location, check=True) == whole
            assert archive.verify().is_clean, k
