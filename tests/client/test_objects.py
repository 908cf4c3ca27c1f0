"""What is sent, where what arrives is put, and query keys as people write them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dataset_bytes import explicit
from gantry.client.keys import keys_model
from gantry.client.native import as_native
from gantry.client.objects import (
    Outgoing,
    StoreResult,
    contexts_for,
    groups_for_association,
    outgoing,
    outgoing_bytes,
)
from gantry.client.sinks import Arriving, FolderSink, MemorySink, Verdict
from gantry.dataset.part10 import encode_file_meta
from gantry.dimse.limits import MAX_CONTEXTS
from gantry.errors import DataSetError, QueryError
from gantry.standard.uids import uid_name
from serving import CT, MR, dataset, dataset_bytes, part10

ARRIVING = Arriving(CT, "1.2.3", "1.2.840.10008.1.2.1")


@pytest.mark.parametrize("size", [256, 3 << 20])
def test_a_file_and_its_bytes_are_the_same_object(tmp_path: Path, size: int) -> None:
    file = part10(dataset(size=size))
    (tmp_path / "one.dcm").write_bytes(file)
    on_disk, in_memory = outgoing(tmp_path / "one.dcm"), outgoing_bytes(file)
    assert b"".join(on_disk.read()) == b"".join(in_memory.read()) == dataset_bytes(file)
    assert on_disk.size == in_memory.size == len(dataset_bytes(file))
    assert (on_disk.sop_class_uid, on_disk.sop_instance_uid) == (CT, str(dataset().SOPInstanceUID))
    assert b"".join(on_disk.read()) == dataset_bytes(file)
    assert outgoing(on_disk) is on_disk


def test_what_is_no_part_10_file_is_refused() -> None:
    with pytest.raises(DataSetError):
        outgoing_bytes(b"x" * 200)


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
@pytest.mark.parametrize("size", [256, 3 << 20])
def test_what_was_edited_is_announced_as_what_it_is(tmp_path: Path, syntax: str, size: int) -> None:
    file = part10(dataset(1, size=size), syntax)
    read = dcmread(BytesIO(file))
    read.file_meta.MediaStorageSOPClassUID = MR
    read.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    read.save_as(tmp_path / "edited.dcm")
    own = (CT, str(dataset(1).SOPInstanceUID))
    for one in (outgoing(tmp_path / "edited.dcm"), outgoing_bytes((tmp_path / "edited.dcm").read_bytes())):
        assert (one.sop_class_uid, one.sop_instance_uid) == own


@pytest.mark.parametrize("value", [b"", b"not a UID ", b"1." * 40])
def test_a_data_set_that_does_not_tell_is_announced_as_its_meta_information_says(value: bytes) -> None:
    meta = encode_file_meta(
        sop_class_uid=CT, sop_instance_uid="1.2.3.4", transfer_syntax_uid=ExplicitVRLittleEndian
    )
    one = outgoing_bytes(meta + explicit(0x00080018, "UI", value) + explicit(0x00100010, "PN", b"Doe^Jane"))
    assert (one.sop_class_uid, one.sop_instance_uid) == (CT, "1.2.3.4")


def test_what_tells_in_neither_place_is_refused() -> None:
    meta = encode_file_meta(sop_class_uid="", sop_instance_uid="", transfer_syntax_uid=ExplicitVRLittleEndian)
    with pytest.raises(DataSetError, match="lacks SOP Class UID and SOP Instance UID"):
        outgoing_bytes(meta + explicit(0x00100010, "PN", b"Doe^Jane"))
    told = explicit(0x00080016, "UI", CT.encode()) + explicit(0x00080018, "UI", b"1.2.3.4\0")
    assert outgoing_bytes(meta + told).sop_instance_uid == "1.2.3.4"


def test_one_context_for_each_class_and_syntax() -> None:
    implicit = "1.2.840.10008.1.2"
    files = [
        part10(dataset(1)),
        part10(dataset(2)),
        part10(dataset(3, sop_class=MR)),
        part10(dataset(4), implicit),
    ]
    contexts = contexts_for(map(outgoing_bytes, files))
    assert [(c.abstract_syntax, c.transfer_syntaxes) for c in contexts] == [
        (CT, ("1.2.840.10008.1.2.1",)),
        (MR, ("1.2.840.10008.1.2.1",)),
        (CT, (implicit,)),
    ]


@given(st.lists(st.integers(0, 300), max_size=600))
def test_groups_keep_the_order_and_fit_into_an_association(classes: list[int]) -> None:
    objects = [Outgoing(f"1.2.{n}", f"1.{i}", "1.2.840.10008.1.2", 0, tuple) for i, n in enumerate(classes)]
    groups = list(groups_for_association(objects, lambda o: contexts_for([o])))
    assert [o for group in groups for o in group] == objects
    assert all(len(contexts_for(group)) <= MAX_CONTEXTS for group in groups)


def test_native_syntaxes_convert_there_and_back() -> None:
    original = outgoing_bytes(part10(dataset(size=4096)))
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2"):
        there = as_native(original, syntax)
        assert there.transfer_syntax_uid == syntax
        assert b"".join(there.read()) != b"".join(original.read())
        back = as_native(there, original.transfer_syntax_uid)
        assert b"".join(back.read()) == b"".join(original.read())


@pytest.mark.parametrize(
    ("status", "ok"),
    [(0, True), (0xB000, True), (0xB007, True), (0xA700, False), (0xC000, False), (None, False)],
)
def test_a_result_is_ok_when_the_object_is_kept(status: int | None, ok: bool) -> None:
    assert StoreResult("", "", status).ok is ok


# Sinks


def test_folder_sink_writes_whole_files_named_by_uid(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "out")
    reception = sink.begin(ARRIVING)
    assert not isinstance(reception, Verdict)
    file = part10(dataset())
    reception.write(file[:100])
    assert not list((tmp_path / "out").glob("*.dcm"))
    reception.write(memoryview(file)[100:])
    assert reception.finish().status == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == [f"{dataset().SOPInstanceUID}.dcm"]
    assert sink.paths[0].read_bytes() == file


@pytest.mark.parametrize("content", [b"", b"no DICOM at all"])
def test_folder_sink_keeps_nothing_that_is_no_dicom(tmp_path: Path, content: bytes) -> None:
    reception = FolderSink(tmp_path).begin(ARRIVING)
    assert not isinstance(reception, Verdict)
    reception.write(content)
    assert reception.finish().status == 0xC000
    assert not list(tmp_path.iterdir())


def test_an_aborted_reception_leaves_nothing(tmp_path: Path) -> None:
    reception = FolderSink(tmp_path).begin(ARRIVING)
    assert not isinstance(reception, Verdict)
    reception.write(bytes(3 << 20))
    reception.abort()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_out_of_resources(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    verdict = FolderSink(tmp_path / "file" / "below").begin(ARRIVING)
    assert isinstance(verdict, Verdict)
    assert verdict.status == 0xA700


def test_memory_sink_keeps_whole_files_only() -> None:
    sink = MemorySink()
    for finish in (True, False):
        reception = sink.begin(ARRIVING)
        assert not isinstance(reception, Verdict)
        reception.write(b"abc")
        if finish:
            reception.finish()
        else:
            reception.abort()
    assert sink.files == [b"abc"]


@given(st.text(max_size=100))
def test_no_name_leaves_its_folder(uid: str) -> None:
    name = uid_name(uid)
    assert "/" not in name
    assert "\\" not in name
    assert name.strip(".")
    assert len(name) <= 64
    assert name.isascii()


# Keys


def test_keys_by_keyword_and_tag_with_their_vr() -> None:
    assert keys_model(
        {
            "PatientName": "Doe*",
            "0020000D": ["1.2", "1.3"],
            "SeriesNumber": 7,
            "StudyDate": None,
            "ModalitiesInStudy": "",
            "RequestAttributesSequence": {"ScheduledProcedureStepID": "1"},
            "ReferencedStudySequence": None,
            "Rows": {"vr": "US", "Value": [5]},
        }
    ) == {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe*"}]},
        "0020000D": {"vr": "UI", "Value": ["1.2", "1.3"]},
        "00200011": {"vr": "IS", "Value": [7]},
        "00080020": {"vr": "DA"},
        "00080061": {"vr": "CS"},
        "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["1"]}}]},
        "00081110": {"vr": "SQ", "Value": [{}]},
        "00280010": {"vr": "US", "Value": [5]},
    }


@pytest.mark.parametrize("keys", [{"NoSuchKeyword": ""}, {"SeriesNumber": "seven"}])
def test_keys_that_make_no_sense_are_query_errors(keys: dict[str, str]) -> None:
    with pytest.raises(QueryError):
        keys_model(keys)
