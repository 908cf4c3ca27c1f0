"""A real archive with its DICOM listener on a port of the system's choice, and small objects to send to it."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gantry.archive.archive import Archive
from gantry.archive.archive import Options as ArchiveOptions
from gantry.archive.index_files import index_files_for
from gantry.server.listener import DicomServer, DimseOptions
from gantry.settings import Address

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ROOT = "1.2.826.0.1.3680043.10.1"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Served:
    """A running listener; `call` runs a coroutine on its loop and waits for it."""

    archive: Archive
    server: DicomServer
    call: Callable[[Coroutine[Any, Any, Any]], Any]

    @property
    def port(self) -> int:
        return self.server.address.port

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait, turn by turn of the server's loop, until something is so; fails after `timeout_s`."""

        async def watch() -> None:
            async with asyncio.timeout(timeout_s):
                while not condition():  # noqa: ASYNC110 - a server's state has no event of its own
                    await asyncio.sleep(0.001)

        self.call(watch())


@contextmanager
def served(
    folder: Path,
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
    reserve_bytes: int = 0,
    max_object_bytes: int = 8 << 30,
    same_uid: str = "newest",
    index: str = "",
    **options: Any,
) -> Iterator[Served]:
    """Serve an archive in `folder`, with its index there or at a URL; `options` are those of `DimseOptions`."""
    loop = loop_factory()
    thread = threading.Thread(target=loop.run_forever, name="served")
    thread.start()

    def call(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    archive = Archive.open(
        folder,
        ArchiveOptions(same_uid=same_uid, reserve_bytes=reserve_bytes, max_object_bytes=max_object_bytes),
        index_files=index_files_for(folder, index, 4),
    )
    server = DicomServer(
        archive,
        DimseOptions(address=Address("127.0.0.1", 0), max_object_bytes=max_object_bytes, **options),
    )
    try:
        call(server.start())
        yield Served(archive, server, call)
    finally:
        call(server.drain(2.0))
        archive.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def dataset(
    number: int = 1,
    *,
    study: int = 1,
    series: int = 1,
    size: int = 128,
    sop_class: str = CT,
    **attributes: Any,
) -> Dataset:
    """A CT slice of `size` pixel bytes whose UIDs follow from the numbers; `attributes` by keyword."""
    ds = Dataset()
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    ds.StudyInstanceUID = f"{ROOT}.{study}"
    ds.SeriesInstanceUID = f"{ROOT}.{study}.{series}"
    ds.StudyDate = "20260102"
    ds.StudyTime = "101112"
    ds.AccessionNumber = f"A{study}"
    ds.Modality = "CT"
    ds.PatientName = "Doe^Jane"
    ds.PatientID = f"P{study}"
    ds.StudyID = str(study)
    ds.SeriesNumber = series
    ds.InstanceNumber = number
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Columns = 64 if size < 1 << 20 else 1024
    ds.Rows = size // (2 * ds.Columns)
    ds.BitsAllocated = 16
    ds.BitsStored = 12
    ds.HighBit = 11
    ds.PixelRepresentation = 0
    ds.PixelData = bytes(i & 0x0F if i & 1 else (number * 7 + i) & 0xFF for i in range(256)) * (size // 256)
    ds.PixelData += bytes(size - len(ds.PixelData))
    ds["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def part10(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """`ds` as the bytes of a file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def series(count: int, **attributes: Any) -> list[bytes]:
    """`count` files of one series."""
    return [part10(dataset(number, **attributes)) for number in range(1, count + 1)]


def dataset_bytes(file: bytes) -> bytes:
    """What a C-STORE carries of a file: all behind its meta information."""
    from gantry.dataset.part10 import read_file_meta

    return file[read_file_meta(file).dataset_offset :]
