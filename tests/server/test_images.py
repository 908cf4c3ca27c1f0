"""Headers and frames of stored objects, as rendering reads them; the order in which a series is shown."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from gantry.archive.records import Location
from gantry.errors import NotFound
from gantry.server import images
from gantry.server.images import Images
from gantry.server.order import in_order
from pictured import DEFLATED, enhanced, gray, single_bits
from serving import ROOT, dataset, part10
from support import shared_data
from web_serving import WebServed, web_served


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    report = dataset(1, study=4)
    del report.PixelData
    with web_served(tmp_path_factory.mktemp("archive")) as served:
        files = [part10(enhanced(n)) for n in range(100, 112)]
        files += [part10(gray(1, 2)), part10(single_bits(2)), part10(gray(3, 2), DEFLATED), part10(report)]
        assert served.store(*files).status_code == 200
        yield served


def located(web: WebServed, study: int) -> Location:
    return web.archive.locate(f"{ROOT}.{study}", None, None, None)[0]


def test_how_many_frames_there_are_to_show(web: WebServed) -> None:
    held = Images(web.archive)
    assert [held.frame_count(located(web, study)) for study in (1, 2, 3, 4, 100)] == [2, 4, 2, 0, 3]


def test_costly_objects_stay_open_up_to_a_number(web: WebServed) -> None:
    held = Images(web.archive)
    for _ in range(2):
        for study in range(100, 112):
            for frame in (3, 1):
                window = held.header(located(web, study), frame).windows[0]
                assert window.center == 100 * (frame - 1) + 0.5
    assert len(held._open) == images.MAX_OPEN
    held.header(located(web, 1), 1)
    assert len(held._open) == images.MAX_OPEN  # a plain one is closed at once


def test_many_threads_read_the_same_objects(web: WebServed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_OPEN", 2)
    monkeypatch.setattr(images, "HEADERS_BYTES", 0)
    held = Images(web.archive)
    work = [(study, frame) for _ in range(20) for study in range(100, 112) for frame in (1, 2, 3)]

    def center(one: tuple[int, int]) -> float:
        return held.header(located(web, one[0]), one[1]).windows[0].center

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(center, work)) == [100 * (frame - 1) + 0.5 for _, frame in work]
    assert len(held._open) <= 2


def test_frames_of_each_kind(web: WebServed) -> None:
    held = Images(web.archive)
    assert held.frame(located(web, 1), 2) == gray(1, 2).PixelData[80 * 48 :]
    assert held.frame(located(web, 3), 2) == gray(1, 2).PixelData[80 * 48 :]
    bits = [int.from_bytes(held.frame(located(web, 2), frame), "little") for frame in (1, 2, 3, 4)]
    assert bits == [1, 2, 4, 8]
    for study in (1, 2, 3):
        with pytest.raises(NotFound):
            held.frame(located(web, study), 5)


@pytest.mark.parametrize(
    ("slices", "order"),
    [
        ([{"InstanceNumber": 3}, {"InstanceNumber": 1}, {"InstanceNumber": 2}], [2, 3, 1]),
        (
            [{"InstanceNumber": 1, "z": 9}, {"InstanceNumber": 1, "z": 5}, {"InstanceNumber": 1, "z": 7}],
            [2, 3, 1],
        ),
        ([{"z": 9}, {"z": -5.5}, {"z": 7}], [2, 3, 1]),
        ([{"z": 9}, {}, {"z": 7}], [1, 2, 3]),
        ([{"z": 9}, {"z": 1, "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}], [1, 2]),
    ],
)
def test_the_order_of_a_series(
    tmp_path_factory: pytest.TempPathFactory, slices: list[dict[str, Any]], order: list[int]
) -> None:
    objects = []
    for n, values in enumerate(slices, 1):
        ds = gray(1, instance=n)
        del ds.InstanceNumber
        if "z" in values:
            ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            ds.ImagePositionPatient = [0, 0, values.pop("z")]
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        objects.append(part10(ds))
    with web_served(tmp_path_factory.mktemp("series")) as served:
        assert served.store(*objects).status_code == 200
        found = served.archive.locate(f"{ROOT}.1", None, None, None)
        found.sort(key=lambda location: location.key.sop_uid)
        shown = in_order(Images(served.archive), found)
        assert [int(one.key.sop_uid.rpartition(".")[2]) for one in shown] == order


@pytest.mark.parametrize("name", ["liver_1frame", "seg_image_ct_binary", "seg_image_sm_dots"])
def test_single_bits_of_real_segmentations(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    check_masks(tmp_path_factory, shared_data() / "seg" / f"{name}.dcm")


def test_single_bits_that_begin_inside_of_a_byte_for_real(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """510 by 510 pixels are no whole number of bytes; the same object in RLE pads each frame."""
    padded = shared_data() / "syntax" / "bit1_seg" / "liver_nonbyte_aligned_rle.dcm"
    with web_served(tmp_path_factory.mktemp("segmentation"), pictures=True) as served:
        assert served.store(padded.read_bytes()).status_code == 200
        ds = pydicom.dcmread(padded)
        packed = served.http.get(address(ds), headers={"accept": "application/dicom"})
        native = pydicom.dcmread(io.BytesIO(packed.content))
        first, second = (rendered(served, ds, frame) for frame in (1, 2))
    assert native.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert first.any()
    assert (np.stack([first, second]) == native.pixel_array[:2]).all()
    with web_served(tmp_path_factory.mktemp("native"), pictures=True) as served:
        assert served.store(packed.content).status_code == 200
        assert (rendered(served, ds, 2) == second).all()


def address(ds: Any) -> str:
    where = f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
    return f"{where}/instances/{ds.SOPInstanceUID}"


def rendered(served: WebServed, ds: Any, frame: int) -> Any:
    answer = served.http.get(f"{address(ds)}/frames/{frame}/rendered", headers={"accept": "image/png"})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content))) > 127


def check_masks(tmp_path_factory: pytest.TempPathFactory, file: Path) -> None:
    ds = pydicom.dcmread(file)
    masks = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    with web_served(tmp_path_factory.mktemp("segmentation"), pictures=True) as served:
        assert served.store(file.read_bytes()).status_code == 200
        for frame, mask in list(enumerate(masks, 1))[:8]:
            if 0 < mask.mean() < 1:
                assert (rendered(served, ds, frame) == mask).all()
