"""C-FIND SCP: what is asked for comes back, in characters the asker understands, and bad queries get a status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientStudyOnlyQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from dcmtk import run
from gantry.archive.outcome import Stored
from gantry.client import sync
from gantry.client.connection import Options, Peer
from gantry.dataset.encode import encode
from gantry.dataset.scan import scan
from gantry.dimse.message import c_cancel_rq, c_find_rq
from gantry.dimse.negotiation import ProposedContext
from gantry.errors import ProtocolError
from gantry.standard import sop_classes as sop
from gantry.standard.query_keys import InformationModel, Level
from gantry.standard.transfer_syntaxes import transfer_syntax
from raw_peer import IMPLICIT, RawPeer
from server.conftest import NewIndex
from serving import ROOT, Served, dataset, part10, served

UMLAUT = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Käthe"}
JAPANESE = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"}


@pytest.fixture(scope="module")
def gantry(tmp_path_factory: pytest.TempPathFactory, new_index: NewIndex) -> Iterator[Served]:
    """Three studies: one of a CT and an MR series, one with an umlaut, one Japanese."""
    objects = [
        *(dataset(n, study=1, series=1, StudyDescription="Head") for n in (1, 2, 3)),
        *(dataset(n, study=1, series=2, StudyDescription="Head", Modality="MR") for n in (1, 2)),
        dataset(1, study=2, StudyDate="20260301", **UMLAUT),
        dataset(1, study=3, StudyDate="20260302", **JAPANESE),
    ]
    with served(tmp_path_factory.mktemp("find") / "data", find_limit=50, index=new_index()) as running:
        for item in objects:
            assert isinstance(running.archive.store([part10(item)]), Stored)
        yield running


def find(running: Served, level: Level, keys: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    return sync.find(Peer("127.0.0.1", running.port, "GANTRY"), level, keys, **options)


def values(answers: list[dict[str, Any]], tag: str) -> list[Any]:
    return sorted(answer[tag]["Value"][0] for answer in answers)


def test_universal_matching_returns_all_studies_and_what_was_asked_for(gantry: Served) -> None:
    keys = {
        "StudyInstanceUID": "", "PatientID": "", "NumberOfStudyRelatedSeries": "",
        "NumberOfStudyRelatedInstances": "", "ModalitiesInStudy": "", "SOPClassesInStudy": "",
        "InstanceAvailability": "", "StudyDescription": "", "InstitutionName": "",
    }  # fmt: skip
    found = {a["0020000D"]["Value"][0]: a for a in find(gantry, Level.STUDY, keys)}
    assert sorted(found) == [f"{ROOT}.{n}" for n in (1, 2, 3)]
    first = found[f"{ROOT}.1"]
    assert first["00201206"]["Value"] == [2]
    assert first["00201208"]["Value"] == [5]
    assert sorted(first["00080061"]["Value"]) == ["CT", "MR"]
    assert first["00080062"]["Value"] == ["1.2.840.10008.5.1.4.1.1.2"]
    assert first["00080056"]["Value"] == ["ONLINE"]
    assert first["00080054"]["Value"] == ["GANTRY"]
    assert first["00080052"]["Value"] == ["STUDY"]
    assert first["00081030"]["Value"] == ["Head"]
    assert "Value" not in first["00080080"]


@pytest.mark.parametrize(
    ("keys", "studies"),
    [
        ({"PatientID": "P1"}, [1]),
        ({"PatientName": "doe*"}, [1]),
        ({"PatientName": "MULLER*"}, [2]),
        ({"PatientName": "jane doe"}, [1]),
        ({"PatientName": "山田*"}, [3]),
        ({"StudyDate": "20260301-"}, [2, 3]),
        ({"StudyDate": "-20260228"}, [1]),
        ({"StudyDate": "20260301-20260301"}, [2]),
        ({"StudyInstanceUID": [f"{ROOT}.1", f"{ROOT}.3", "1.2.3"]}, [1, 3]),
        ({"AccessionNumber": "A?"}, [1, 2, 3]),
        ({"ModalitiesInStudy": "MR"}, [1]),
        ({"StudyDescription": "H*d"}, [1]),
        ({"PatientID": "nobody"}, []),
    ],
    ids=str,
)
def test_matching(gantry: Served, keys: dict[str, Any], studies: list[int]) -> None:
    found = find(gantry, Level.STUDY, {"StudyInstanceUID": "", "SpecificCharacterSet": "ISO_IR 192", **keys})
    assert values(found, "0020000D") == [f"{ROOT}.{n}" for n in studies]


def test_series_and_instances(gantry: Served) -> None:
    study = f"{ROOT}.1"
    series = find(
        gantry,
        Level.SERIES,
        {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": "",
            "Modality": "",
            "NumberOfSeriesRelatedInstances": "",
        },
    )
    assert sorted((s["00080060"]["Value"][0], s["00201209"]["Value"][0]) for s in series) == [
        ("CT", 3),
        ("MR", 2),
    ]
    images = find(
        gantry,
        Level.IMAGE,
        {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": f"{study}.1",
            "SOPInstanceUID": "",
            "InstanceNumber": "2",
        },
    )
    assert values(images, "00080018") == [f"{study}.1.2"]


def test_patient_level_of_patient_root(gantry: Served) -> None:
    keys = {
        "PatientID": "P1", "PatientName": "", "NumberOfPatientRelatedStudies": "",
        "NumberOfPatientRelatedSeries": "", "NumberOfPatientRelatedInstances": "",
    }  # fmt: skip
    [found] = find(gantry, Level.PATIENT, keys, model=InformationModel.PATIENT_ROOT)
    assert found["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
    assert [found[tag]["Value"] for tag in ("00201200", "00201202", "00201204")] == [[1], [2], [5]]


def test_relational_queries_need_no_keys_above_when_negotiated(gantry: Served) -> None:
    keys = {"SOPInstanceUID": f"{ROOT}.1.2.2", "StudyInstanceUID": ""}
    [found] = find(gantry, Level.IMAGE, keys)
    assert found["0020000D"]["Value"] == [f"{ROOT}.1"]
    with pytest.raises(ProtocolError, match="A900H"):
        find(gantry, Level.IMAGE, keys, options=Options())


# Characters


def _raw_find(running: Served, model: dict[str, Any], level: str = "STUDY") -> list[tuple[int, bytes]]:
    contexts = (ProposedContext(sop.STUDY_ROOT_FIND, (IMPLICIT,)),)
    identifier = encode({"00080052": {"vr": "CS", "Value": [level]}, **model}, transfer_syntax(IMPLICIT))
    answers = []
    with RawPeer(running.port, contexts=contexts) as peer:
        peer.associate()
        peer.send(peer.message(1, study_request(), identifier))
        while True:
            command, data = peer.response()
            answers.append((command.status or 0, data))
            if command.is_final:
                return answers


def study_request() -> Any:
    return c_find_rq(1, sop.STUDY_ROOT_FIND)


def test_answer_in_the_query_s_character_set_when_it_holds_the_values(gantry: Served) -> None:
    query = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Mü*"}]},
    }
    (status, data), _ = _raw_find(gantry, query)
    assert status == 0xFF00
    ds = scan(data, transfer_syntax(IMPLICIT))
    assert ds.charset == ("ISO_IR 100",)
    assert ds.raw(0x00100010).rstrip() == "Müller^Käthe".encode("latin-1")


def test_answer_in_utf_8_when_the_query_s_character_set_does_not_hold_them(gantry: Served) -> None:
    query = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00100010": {"vr": "PN"},
        "00100020": {"vr": "LO", "Value": ["P3"]},
    }
    (_, data), _ = _raw_find(gantry, query)
    ds = scan(data, transfer_syntax(IMPLICIT))
    assert ds.charset == ("ISO_IR 192",)
    assert ds.text(0x00100010) == JAPANESE["PatientName"]


def test_plain_answers_name_no_character_set(gantry: Served) -> None:
    (_, data), _ = _raw_find(gantry, {"00100010": {"vr": "PN"}, "00100020": {"vr": "LO", "Value": ["P1"]}})
    assert 0x00080005 not in scan(data, transfer_syntax(IMPLICIT))


# Statuses


def test_a_key_that_cannot_be_answered_is_ff01(gantry: Served) -> None:
    keys: dict[str, Any] = {"0020000D": {"vr": "UI"}, "00180050": {"vr": "DS", "Value": [5]}}
    statuses = [status for status, _ in _raw_find(gantry, keys)]
    assert statuses == [0xFF01] * 3 + [0]


def test_known_keys_are_ff00_although_empty(gantry: Served) -> None:
    statuses = [
        status for status, _ in _raw_find(gantry, {"00080090": {"vr": "PN"}, "0020000D": {"vr": "UI"}})
    ]
    assert statuses == [0xFF00] * 3 + [0]


@pytest.mark.parametrize("view", ["CLASSIC", "ENHANCED"])
def test_query_retrieve_view_is_understood(gantry: Served, view: str) -> None:
    statuses = [s for s, _ in _raw_find(gantry, {"00080053": {"vr": "CS", "Value": [view]}})]
    assert statuses == [0xFF00] * 3 + [0]


def test_more_than_the_limit_says_so(tmp_path: Path, new_index: NewIndex) -> None:
    with served(tmp_path / "data", find_limit=4, index=new_index()) as running:
        for number in range(1, 7):
            running.archive.store([part10(dataset(study=number))])
        answers = _raw_find(running, {"0020000D": {"vr": "UI"}})
        assert [s for s, _ in answers] == [0xFF00] * 4 + [0xA700]
        four = [s for s, _ in _raw_find(running, {"00100020": {"vr": "LO", "Value": ["P1"]}})]
        assert four == [0xFF00, 0]


def test_cancel_ends_with_fe00(tmp_path: Path, new_index: NewIndex) -> None:
    contexts = (ProposedContext(sop.STUDY_ROOT_FIND, (IMPLICIT,)),)
    identifier = encode(
        {"00080052": {"vr": "CS", "Value": ["STUDY"]}, "0020000D": {"vr": "UI"}}, transfer_syntax(IMPLICIT)
    )
    with served(tmp_path / "data", index=new_index()) as running:
        for number in range(1, 40):
            running.archive.store([part10(dataset(study=number))])
        with RawPeer(running.port, contexts=contexts) as peer:
            peer.associate()
            request = peer.message(1, c_find_rq(7, sop.STUDY_ROOT_FIND), identifier)
            peer.send(request + peer.message(1, c_cancel_rq(7)))
            statuses = []
            while not statuses or statuses[-1] in (0xFF00, 0xFF01):
                statuses.append(peer.response()[0].status)
            assert statuses[-1] == 0xFE00


def test_b25_cancel_of_an_unknown_message_is_ignored(gantry: Served) -> None:
    with RawPeer(gantry.port, contexts=(ProposedContext(sop.STUDY_ROOT_FIND, (IMPLICIT,)),)) as peer:
        peer.associate()
        peer.send(peer.message(1, c_cancel_rq(99)))
        identifier = encode({"00080052": {"vr": "CS", "Value": ["STUDY"]}}, transfer_syntax(IMPLICIT))
        peer.send(peer.message(1, study_request(), identifier))
        assert peer.response()[0].status in (0xFF00, 0xFF01)


@pytest.mark.parametrize(
    "model",
    [
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "*" * 63 + "a"}]}},
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "?" * 64}]}},
        {"00080020": {"vr": "DA", "Value": ["-"]}},
        {"00080020": {"vr": "DA", "Value": ["99999999"]}},
        {"00080020": {"vr": "DA", "Value": ["20261399-abc"]}},
    ],
    ids=["stars", "question marks", "dash", "no date", "no range"],
)
def test_b71_hard_and_broken_keys(gantry: Served, model: dict[str, Any]) -> None:
    """Answered or refused at once, never matched by accident."""
    *_, (status, _) = _raw_find(gantry, model)
    assert status == 0 or status & 0xF000 in (0xA000, 0xC000)


def test_b71_a_list_of_a_hundred_thousand_uids(gantry: Served) -> None:
    uids = [f"1.2.{n}" for n in range(100_000)] + [f"{ROOT}.2"]
    *_, (status, _) = _raw_find(gantry, {"0020000D": {"vr": "UI", "Value": uids}})
    assert status == 0 or status & 0xF000 in (0xA000, 0xC000)


def test_b71_a_sequence_a_hundred_deep(gantry: Served) -> None:
    inner = b""
    for _ in range(100):
        item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
        inner = b"\x40\x00\x75\x02" + len(item).to_bytes(4, "little") + item
    level = b"\x08\x00\x52\x00\x06\x00\x00\x00STUDY "
    with RawPeer(gantry.port, contexts=(ProposedContext(sop.STUDY_ROOT_FIND, (IMPLICIT,)),)) as peer:
        peer.associate()
        peer.send(peer.message(1, study_request(), level + inner))
        status = peer.response()[0].status or 0
    assert status & 0xF000 in (0xA000, 0xC000)


@pytest.mark.parametrize(
    ("model", "level"),
    [
        ({"0020000D": {"vr": "UI"}}, "PATIENT"),
        ({"0020000D": {"vr": "UI"}}, "FRAME"),
        ({"0020000D": {"vr": "UI"}}, ""),
        ({"0020000E": {"vr": "UI"}}, "SERIES"),
        ({"0020000D": {"vr": "UI", "Value": ["1.*"]}}, "SERIES"),
        ({"0020000D": {"vr": "UI", "Value": ["1.2"]}, "00080018": {"vr": "UI"}}, "IMAGE"),
        ({"00080053": {"vr": "CS", "Value": ["SIDEWAYS"]}}, "STUDY"),
    ],
    ids=["other root", "no level", "empty level", "no study", "wildcard study", "no series", "no view"],
)
def test_b72_level_and_unique_keys(gantry: Served, model: dict[str, Any], level: str) -> None:
    [(status, _)] = _raw_find(gantry, model, level)
    assert status == 0xA900


def test_a_broken_identifier_gets_a_status_and_the_association_goes_on(gantry: Served) -> None:
    with RawPeer(gantry.port, contexts=(ProposedContext(sop.STUDY_ROOT_FIND, (IMPLICIT,)),)) as peer:
        peer.associate()
        peer.send(peer.message(1, c_find_rq(1, sop.STUDY_ROOT_FIND), b"\x08\x00\x52\x00\xff\xff\x00\x00ST"))
        command, _ = peer.response()
        assert (command.status or 0) & 0xF000 == 0xC000
        assert command.error_comment
        peer.send(peer.message(1, c_find_rq(2, sop.PATIENT_ROOT_FIND), b""))
        assert peer.status() == 0x0122


# Other people's programs


@pytest.mark.peer
@pytest.mark.parametrize(
    ("option", "level", "key"),
    [
        ("-S", "STUDY", "StudyInstanceUID"),
        ("-P", "PATIENT", "PatientID"),
        ("-O", "STUDY", "StudyInstanceUID"),
    ],
)
@pytest.mark.parametrize("syntax", ["-xe", "-xb", "-xi"])
def test_findscu(gantry: Served, tmp_path: Path, option: str, level: str, key: str, syntax: str) -> None:
    keys = ["-k", f"QueryRetrieveLevel={level}", "-k", key, "-k", "PatientName"]
    if option in ("-P", "-O") and level != "PATIENT":
        keys += ["-k", "PatientID=P1"]
    done = run(
        "findscu", option, syntax, *keys, "-X", "-od", tmp_path, "-aec", "GANTRY", "127.0.0.1", gantry.port
    )
    assert done.returncode == 0, done.stderr
    answers = list(tmp_path.glob("*.dcm"))
    assert len(answers) == (1 if option == "-O" else 3)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("model", "level"),
    [
        (StudyRootQueryRetrieveInformationModelFind, "STUDY"),
        (PatientRootQueryRetrieveInformationModelFind, "PATIENT"),
        (PatientStudyOnlyQueryRetrieveInformationModelFind, "PATIENT"),
    ],
)
def test_pynetdicom_finds(gantry: Served, model: str, level: str) -> None:
    ae = AE()
    ae.add_requested_context(model)
    association = ae.associate("127.0.0.1", gantry.port)
    query = Dataset()
    query.QueryRetrieveLevel = level
    query.PatientName = "Doe*"
    query.PatientID = ""
    answers = list(association.send_c_find(query, model))
    association.release()
    assert [status.Status for status, _ in answers] == [0xFF00, 0]
    assert answers[0][1].PatientID == "P1"
