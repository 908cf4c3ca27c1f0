"""dicomweb-client as a peer: another program's idea of PS3.18."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from serving import ROOT, dataset, part10, series
from web_serving import WebServed, web_served

pytestmark = pytest.mark.peer

SERIES = (f"{ROOT}.1", f"{ROOT}.1.1")
INSTANCE = (*SERIES, f"{ROOT}.1.1.1")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    with web_served(tmp_path_factory.mktemp("archive")) as served:
        yield served


@pytest.fixture(scope="module")
def client(web: WebServed) -> DICOMwebClient:
    peer = DICOMwebClient(url=f"http://127.0.0.1:{web.port}/dicom-web")
    answer = peer.store_instances([pydicom.dcmread(io.BytesIO(file)) for file in series(3, size=256)])
    assert len(answer.ReferencedSOPSequence) == 3
    return peer


def test_it_finds(client: DICOMwebClient) -> None:
    (study,) = client.search_for_studies(search_filters={"PatientID": "P1"})
    assert study["0020000D"]["Value"] == [SERIES[0]]
    (found,) = client.search_for_series(SERIES[0])
    assert found["00201209"]["Value"] == [3]
    assert len(client.search_for_instances(*SERIES, limit=2)) == 2
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    fields = client.search_for_instances(*SERIES, fields=["BitsStored"])
    assert fields[0]["00280101"]["Value"] == [12]


def test_it_retrieves(client: DICOMwebClient) -> None:
    assert client.retrieve_instance(*INSTANCE) == pydicom.dcmread(io.BytesIO(part10(dataset(1, size=256))))
    assert len(client.retrieve_series(*SERIES)) == 3
    assert len(list(client.iter_study(SERIES[0]))) == 3
    metadata = client.retrieve_instance_metadata(*INSTANCE)
    assert pydicom.Dataset.from_json(metadata).PatientName == "Doe^Jane"
    assert len(client.retrieve_series_metadata(*SERIES)) == 3
    assert len(client.retrieve_study_metadata(SERIES[0])) == 3


def test_it_retrieves_frames_and_bulk_data(client: DICOMwebClient) -> None:
    pixels = dataset(1, size=256).PixelData
    assert client.retrieve_instance_frames(*INSTANCE, frame_numbers=[1]) == [pixels]
    uri = client.retrieve_instance_metadata(*INSTANCE)["7FE00010"]["BulkDataURI"]
    assert client.retrieve_bulkdata(uri) == [pixels]


def test_it_deletes(web: WebServed, client: DICOMwebClient) -> None:
    web.store(part10(dataset(study=9)))
    client.delete_study(f"{ROOT}.9")
    assert client.search_for_studies(search_filters={"StudyInstanceUID": f"{ROOT}.9"}) == []
