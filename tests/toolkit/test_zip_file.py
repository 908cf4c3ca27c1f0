"""Zip files from strangers (B53): what is well made is read, what is made to harm is refused in words."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gantry.errors import DataSetError
from gantry.toolkit.zip_file import MAX_RATIO, SMALL_BYTES, ZipMembers


def made(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def contents(path: Path) -> dict[str, bytes]:
    members = ZipMembers(path)
    return {member.filename: b"".join(members.pieces(member)) for member in members}


def central_entries(content: bytes) -> list[int]:
    """Where the entries of the central directory begin."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        pos = file.start_dir
        entries = []
        for member in file.infolist():
            entries.append(pos)
            pos += 46 + len(member.filename.encode()) + len(member.extra) + len(member.comment)
    return entries


def patched(path: Path, offset_in_entry: int, value: int, entry: int = 0) -> Path:
    """The zip file with four bytes of an entry of its central directory replaced."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<L", content, central_entries(bytes(content))[entry] + offset_in_entry, value)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_come_as_they_are_and_folders_not_at_all(method: int, tmp_path: Path) -> None:
    members = {"a": b"one", "deep/er/b": bytes(range(256)) * 9000, "empty": b""}
    path = made(tmp_path / "z.zip", {"deep/": b"", **members}, method)
    assert contents(path) == members


def test_pieces_begin_with_as_much_as_was_asked_for(tmp_path: Path) -> None:
    members = ZipMembers(made(tmp_path / "z.zip", {"a": bytes(3 << 20)}, zipfile.ZIP_STORED))
    sizes = [len(piece) for piece in members.pieces(next(iter(members)), first_bytes=1000)]
    assert sizes[0] == 1000
    assert sum(sizes) == 3 << 20


@pytest.mark.slow
def test_b53_a_bomb_is_cut_at_its_ratio(tmp_path: Path) -> None:
    size = 300 << 20
    members = ZipMembers(made(tmp_path / "z.zip", {"bomb": bytes(size)}))
    bomb = next(iter(members))
    taken = 0
    with pytest.raises(DataSetError, match="inflates to more than"):
        for piece in members.pieces(bomb):
            taken += len(piece)
    assert taken <= max(SMALL_BYTES, bomb.compress_size * MAX_RATIO) < size


def test_b53_a_segmentation_of_nothing_compresses_well_and_is_no_bomb(tmp_path: Path) -> None:
    content = {"image": bytes(SMALL_BYTES)}
    assert contents(made(tmp_path / "z.zip", content)) == content


@pytest.mark.parametrize("declared", [1, 0x7FFFFFFF])
def test_b53_forged_sizes_are_not_believed(declared: int, tmp_path: Path) -> None:
    path = patched(made(tmp_path / "z.zip", {"a": bytes(range(256)) * 100}), 24, declared)
    members = ZipMembers(path)
    try:
        content = b"".join(members.pieces(next(iter(members))))
    except DataSetError:
        return
    assert content == bytes(range(256)) * 100


def test_b53_a_forged_compressed_size_reaches_into_nothing(tmp_path: Path) -> None:
    path = patched(made(tmp_path / "z.zip", {"a": b"x" * 1000, "b": b"y" * 1000}), 20, 0x7FFFFFFF)
    members = ZipMembers(path)
    for member in members:
        with pytest.raises(DataSetError, match="shares bytes"):
            b"".join(members.pieces(member))


def test_b53_overlapping_entries_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "z.zip", {"a": b"x" * 1000, "b": b"y" * 1000, "c": b"z" * 1000})
    with zipfile.ZipFile(path) as file:
        first = file.infolist()[0].header_offset
    members = ZipMembers(patched(path, 42, first, entry=1))
    refused = []
    for member in members:
        try:
            b"".join(members.pieces(member))
        except DataSetError:
            refused.append(member.filename)
    assert refused == ["a", "b"]


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_b53_decoders_that_cannot_be_stopped_are_not_started(method: int, tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="only Deflate"):
        contents(made(tmp_path / "z.zip", {"a": bytes(1000)}, method))


def test_b53_an_encrypted_member_is_told(tmp_path: Path) -> None:
    content = bytearray(made(tmp_path / "z.zip", {"a": b"secret"}).read_bytes())
    content[central_entries(bytes(content))[0] + 8] |= 1
    content[6] |= 1
    (tmp_path / "z.zip").write_bytes(content)
    with pytest.raises(DataSetError, match="encrypted"):
        contents(tmp_path / "z.zip")


def test_a_member_whose_bytes_changed_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "z.zip", {"a": b"x" * 1000}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataSetError, match="CRC"):
        contents(path)


def test_cut_anywhere_it_is_refused(tmp_path: Path) -> None:
    content = made(tmp_path / "z.zip", {"a": b"x" * 100, "b": b"y" * 100}).read_bytes()
    for size in range(len(content)):
        (tmp_path / "cut.zip").write_bytes(content[:size])
        with pytest.raises(DataSetError):
            contents(tmp_path / "cut.zip")


@given(noise=st.binary(max_size=400), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, noise: bytes, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", b"x" * 100)
    content = bytearray(buffer.getvalue())
    at = data.draw(st.integers(0, len(content)))
    content[at : at + len(noise)] = noise
    (tmp_path / "any.zip").write_bytes(content)
    with contextlib.suppress(DataSetError):
        contents(tmp_path / "any.zip")


def test_members_may_be_read_in_several_threads_at_once(tmp_path: Path) -> None:
    expected = {f"{n}": bytes([n]) * 200_000 for n in range(40)}
    members = ZipMembers(made(tmp_path / "z.zip", expected))
    read: dict[str, bytes] = {}

    def work(share: list[zipfile.ZipInfo]) -> None:
        for member in share:
            read[member.filename] = b"".join(members.pieces(member, 100))

    listed = list(members)
    threads = [threading.Thread(target=work, args=(listed[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == expected
