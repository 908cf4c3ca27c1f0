"""What is found in folders, zip files and file-sets, and what each candidate is."""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from gantry.dataset.part10 import read_part10
from gantry.errors import CallerError, DataSetError
from gantry.toolkit.sources import HEAD_BYTES, Kind, kind_of, objects_in, opened, with_meta
from serving import dataset, dataset_bytes, part10
from support import shared_data

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"


def found(*paths: Path) -> dict[str, Kind | str]:
    """Name of each candidate, and its kind or why it cannot be read."""
    kinds: dict[str, Kind | str] = {}
    for source in objects_in(paths):
        try:
            kinds[source.name] = opened(source)[0]
        except (DataSetError, OSError) as error:
            kinds[source.name] = str(error)
    return kinds


def file_set(folder: Path, file_ids: list[list[str] | None], in_use: int = 0xFFFF) -> Path:
    """A DICOMDIR whose records refer to these File IDs."""
    records = []
    for file_id in file_ids:
        record = Dataset()
        record.RecordInUseFlag = in_use
        record.DirectoryRecordType = "IMAGE" if file_id else "SERIES"
        if file_id:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom tells of File IDs that are as wrong as we want them
                record.ReferencedFileID = file_id
        records.append(record)
    ds = Dataset()
    ds.FileSetID = "TEST"
    ds.DirectoryRecordSequence = records
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = DIRECTORY_CLASS
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    path = folder / "DICOMDIR"
    ds.save_as(path, enforce_file_format=True)
    return path


def test_a_folder_is_walked_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/2.dcm", "b/10.dcm", "a/x", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"hello" if name.endswith("txt") else part10(dataset()))
    assert found(tmp_path) == {
        str(tmp_path / "notes.txt"): Kind.OTHER,
        str(tmp_path / "a" / "x"): Kind.OBJECT,
        str(tmp_path / "b" / "10.dcm"): Kind.OBJECT,
        str(tmp_path / "b" / "2.dcm"): Kind.OBJECT,
    }
    assert list(found(tmp_path))[1:] == sorted(list(found(tmp_path))[1:])


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="no file or folder"):
        list(objects_in([tmp_path / "none"]))


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.dcm").write_bytes(part10(dataset()))
    given = tmp_path / "given"
    given.mkdir()
    (given / "file").symlink_to(elsewhere / "a.dcm")
    (given / "folder").symlink_to(elsewhere)
    (given / "loop").symlink_to(given)
    (given / "nowhere").symlink_to(tmp_path / "none")
    assert set(found(given).values()) == {Kind.LINK}
    assert len(found(given)) == 4


def test_pipes_and_sockets_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert found(tmp_path) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_a_candidate_that_fails(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "file").chmod(0)
    assert len([what for what in found(tmp_path).values() if "denied" in str(what)]) == 2


def test_all_bytes_of_a_file_come(tmp_path: Path) -> None:
    content = part10(dataset(size=3 << 20))
    (tmp_path / "a.dcm").write_bytes(content)
    [source] = objects_in([tmp_path])
    kind, pieces = opened(source)
    assert (kind, b"".join(pieces)) == (Kind.OBJECT, content)


def test_members_of_a_zip_file(tmp_path: Path) -> None:
    content = part10(dataset())
    path = tmp_path / "disc.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../../../etc/passwd", content)
        file.writestr("/abs", content)
        file.writestr("readme", "hello")
        file.writestr("inner.zip", b"PK\x03\x04" + bytes(100))
    assert found(tmp_path) == {
        f"{path}!../../../etc/passwd": Kind.OBJECT,
        f"{path}!/abs": Kind.OBJECT,
        f"{path}!readme": Kind.OTHER,
        f"{path}!inner.zip": Kind.ZIP,
    }
    assert all(source.path is None for source in objects_in([path]))
    assert [path] == list(tmp_path.iterdir())


def test_a_broken_zip_file_is_one_candidate_that_fails(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "b.dcm").write_bytes(part10(dataset()))
    kinds = found(tmp_path)
    assert "broken zip file" in str(kinds[str(tmp_path / "a.zip")])
    assert kinds[str(tmp_path / "b.dcm")] is Kind.OBJECT


def test_b48_a_dicom_file_that_is_a_zip_file_too_is_dicom(tmp_path: Path) -> None:
    path = tmp_path / "both.dcm"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("inside", "hello")
    content = bytearray(part10(dataset()))
    content[:4] = b"PK\x03\x04"
    path.write_bytes(bytes(content) + path.read_bytes())
    assert found(path) == {str(path): Kind.OBJECT}


# --- file-sets


def test_a_dicomdir_gives_the_files_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "IMAGES").mkdir()
    for name in ("IM1", "IM2", "NOTNAMED"):
        (tmp_path / "IMAGES" / name).write_bytes(part10(dataset()))
    path = file_set(tmp_path, [None, ["IMAGES", "IM1"], ["IMAGES", "IM2"]])
    assert found(path) == {str(tmp_path / "IMAGES" / name): Kind.OBJECT for name in ("IM1", "IM2")}


def test_a_folder_with_a_dicomdir_is_walked(tmp_path: Path) -> None:
    (tmp_path / "IM1").write_bytes(part10(dataset()))
    file_set(tmp_path, [])
    assert found(tmp_path) == {str(tmp_path / "DICOMDIR"): Kind.DIRECTORY, str(tmp_path / "IM1"): Kind.OBJECT}


@pytest.mark.parametrize("on_disc", ["im1", "IM1.", "IM1;1", "im1.;1"])
def test_file_ids_are_found_however_the_disc_spells_them(on_disc: str, tmp_path: Path) -> None:
    (tmp_path / on_disc).write_bytes(part10(dataset()))
    assert found(file_set(tmp_path, [["IM1"]])) == {str(tmp_path / on_disc): Kind.OBJECT}


@pytest.mark.parametrize(
    "file_id", [["..", "secret"], [".."], ["", "secret"], ["/etc", "passwd"], ["a/../..", "secret"], ["LINK"]]
)
def test_b33_a_file_id_does_not_lead_out_of_the_file_set(file_id: list[str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(part10(dataset()))
    disc = tmp_path / "disc"
    disc.mkdir()
    (disc / "LINK").symlink_to(tmp_path / "secret")
    [what] = found(file_set(disc, [file_id])).values()
    assert "the file-set has no file" in str(what)


def test_records_that_are_not_in_use_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "IM1").write_bytes(part10(dataset()))
    assert found(file_set(tmp_path, [["IM1"]], in_use=0)) == {}


def test_a_broken_dicomdir_says_what_to_do(tmp_path: Path) -> None:
    path = file_set(tmp_path, [["IM1"]])
    path.write_bytes(path.read_bytes()[:-5])
    [what] = found(path).values()
    assert "name its folder instead" in str(what)


@pytest.mark.parametrize(
    ("name", "objects"),
    [
        ("DICOMDIR", 31), ("DICOMDIR-bigEnd", 31), ("DICOMDIR-implicit", 31), ("DICOMDIR-nopatient", 31),
        ("DICOMDIR-reordered", 31), ("DICOMDIR-empty.dcm", 0),
    ],
)  # fmt: skip
def test_the_shared_file_set_through_each_of_its_directories(name: str, objects: int) -> None:
    kinds = list(found(shared_data() / "dicomdir" / "fileset" / name).values())
    assert kinds == [Kind.OBJECT] * objects


# --- what a file is


def test_kinds_by_their_beginning() -> None:
    assert kind_of(part10(dataset())) is Kind.OBJECT
    assert kind_of(part10(dataset(sop_class=DIRECTORY_CLASS))) is Kind.DIRECTORY
    assert kind_of(bytes(128) + b"DICM" + b"\x02\x00\x01\x00OB\x00\x00\xff\xff\xff\xff") is Kind.OBJECT
    assert kind_of(b"PK\x03\x04") is Kind.ZIP
    for other in (b"", b"D", bytes(2000), b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"{}", b"\x08\x00", b"about it"):
        assert kind_of(other) is Kind.OTHER


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_b47_a_data_set_alone_is_bare_and_becomes_a_file(syntax: str) -> None:
    file = part10(dataset(), syntax)
    bare = dataset_bytes(file)
    assert kind_of(bare[:HEAD_BYTES]) is Kind.BARE
    made = b"".join(with_meta([bare[:100], bare[100:]]))
    meta, ds = read_part10(made)
    assert made[meta.dataset_offset :] == bare
    assert meta.transfer_syntax_uid == syntax
    assert meta.media_storage_sop_instance_uid == ds.text(0x00080018) == dataset().SOPInstanceUID


@pytest.mark.parametrize("cut", [128, 132])
def test_b47_a_file_without_preamble_gets_one(cut: int) -> None:
    file = part10(dataset(), DeflatedExplicitVRLittleEndian)
    assert kind_of(file[cut:][:HEAD_BYTES]) is Kind.BARE
    assert b"".join(with_meta([file[cut:]])) == bytes(128) + file[128:]


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
def test_b47_a_data_set_without_uids_is_not_given_any(keyword: str) -> None:
    ds = dataset()
    file = part10(ds)
    bare = bytearray(dataset_bytes(file))
    uid = str(ds[keyword].value).encode()
    at = bare.index(uid)
    bare[at : at + len(uid)] = bytes(len(uid))
    with pytest.raises(DataSetError, match="missing"):
        list(with_meta([bytes(bare)]))
