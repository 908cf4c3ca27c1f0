"""The SCU verbs with DCMTK's storescp on the other side."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import MPEG2MPML, ImplicitVRLittleEndian

from dcmtk import free_port, storescp
from gantry.client import sync
from gantry.client.connection import Options, Peer
from gantry.client.objects import StoreResult
from gantry.dataset.part10 import read_file_meta
from gantry.dimse.user_information import AsyncWindow
from gantry.errors import ConnectError
from serving import dataset, dataset_bytes, part10, series

pytestmark = pytest.mark.peer


def test_echo(tmp_path: Path) -> None:
    with storescp(tmp_path) as port:
        assert sync.echo(Peer("127.0.0.1", port, "STORESCP")) == 0


@pytest.mark.parametrize("max_pdu", [4096, 16384, 131072])
def test_store_sends_the_data_set_bit_for_bit(tmp_path: Path, max_pdu: int) -> None:
    files = series(3, size=65536)
    with storescp(tmp_path, "+xa", "+B", "--max-pdu", str(max_pdu)) as port:
        results = sync.store(Peer("127.0.0.1", port, "STORESCP"), files)
    assert [r.status for r in results] == [0, 0, 0]
    received = {dataset_bytes(p.read_bytes()) for p in tmp_path.iterdir()}
    assert received == {dataset_bytes(f) for f in files}


def test_store_of_several_transfer_syntaxes_proposes_each(tmp_path: Path) -> None:
    implicit = part10(dataset(2), ImplicitVRLittleEndian)
    explicit = part10(dataset(1))
    with storescp(tmp_path, "+xa", "+B") as port:
        results = sync.store(Peer("127.0.0.1", port, "STORESCP"), [explicit, implicit])
    assert all(r.ok for r in results)
    syntaxes = {read_file_meta(p.read_bytes()).transfer_syntax_uid for p in tmp_path.iterdir()}
    assert syntaxes == {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}


def test_an_object_without_context_fails_and_the_next_is_sent(tmp_path: Path) -> None:
    fragment = b"\xff\xd8\xff\xd9"
    compressed = dataset(1)
    compressed.PixelData = (
        b"\xfe\xff\x00\xe0" + bytes(4) + b"\xfe\xff\x00\xe0" + len(fragment).to_bytes(4, "little") + fragment
        + b"\xfe\xff\xdd\xe0" + bytes(4)
    )  # fmt: skip
    compressed["PixelData"].VR = "OB"
    compressed["PixelData"].is_undefined_length = True
    first = part10(compressed, MPEG2MPML)
    with storescp(tmp_path, "+xi") as port:
        peer = Peer("127.0.0.1", port, "STORESCP")
        results = sync.store(peer, [first, part10(dataset(2), ImplicitVRLittleEndian)])
    assert [r.status for r in results] == [0x0122, 0]
    assert len(list(tmp_path.iterdir())) == 1


def test_store_on_four_associations(tmp_path: Path) -> None:
    told: list[StoreResult] = []
    with storescp(tmp_path, "+xa", "--fork") as port:
        results = sync.store(
            Peer("127.0.0.1", port, "STORESCP"), series(20), associations=4, progress=told.append
        )
    assert len(results) == len(told) == 20
    assert all(r.ok for r in results)
    assert len(list(tmp_path.iterdir())) == 20


def test_sources_that_are_no_dicom_are_results_and_not_errors(tmp_path: Path) -> None:
    good = tmp_path / "good.dcm"
    good.write_bytes(part10(dataset()))
    (tmp_path / "bad.dcm").write_bytes(b"no DICOM")
    with storescp(tmp_path / "in", "+xa") as port:
        results = sync.store(
            Peer("127.0.0.1", port, "STORESCP"), [tmp_path / "bad.dcm", tmp_path / "missing.dcm", good]
        )
    by_label = {Path(r.label).name: r for r in results}
    assert by_label["good.dcm"].ok
    assert by_label["bad.dcm"].status is None
    assert "DICM" in by_label["bad.dcm"].comment
    assert by_label["missing.dcm"].status is None


def test_a_window_that_the_peer_does_not_answer_is_not_used(tmp_path: Path) -> None:
    options = Options(async_window=AsyncWindow(8, 1))
    with storescp(tmp_path, "+xa") as port:
        results = sync.store(Peer("127.0.0.1", port, "STORESCP"), series(10), options=options)
    assert all(r.ok for r in results)


def test_a_rejected_association_is_told_in_words(tmp_path: Path) -> None:
    with storescp(tmp_path, "--refuse") as port, pytest.raises(ConnectError, match="rejected"):
        sync.echo(Peer("127.0.0.1", port, "STORESCP"))


def test_a_peer_that_aborts_while_storing_leaves_results_without_status(tmp_path: Path) -> None:
    with storescp(tmp_path, "--abort-after") as port:
        results = sync.store(Peer("127.0.0.1", port, "STORESCP"), series(3))
    assert len(results) == 3
    assert any(r.status is None and not r.ok for r in results)


def test_nobody_listening_is_a_connect_error() -> None:
    with pytest.raises(ConnectError, match="127"):
        sync.echo(Peer("127.0.0.1", free_port(), "NOBODY"))


def test_what_arrived_can_be_read_by_pydicom(tmp_path: Path) -> None:
    with storescp(tmp_path, "+xa") as port:
        sync.store(Peer("127.0.0.1", port, "STORESCP"), [part10(dataset(PatientName="Ünsal^Ömer"))])
    [path] = tmp_path.iterdir()
    assert dcmread(path).StudyInstanceUID == dataset().StudyInstanceUID
