"""Whole objects in other transfer syntaxes: what is lossless stays, what is lossy says so (PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pydicom
import pytest

from gantry.dataset.part10 import read_part10
from gantry.errors import CallerError, DataSetError
from gantry.pixels import transcode as subject
from gantry.pixels.codecs.codec import Compression
from gantry.pixels.codecs.registry import NAMES, is_lossy_encoder
from gantry.pixels.transcode import transcode
from image_values import NEW_UID, color, decoded, gray, image_object, made, reading
from real_files import packaged_files

SYNTAXES = [
    "explicit",
    "big-endian",
    "deflated",
    "rle",
    "jpeg-lossless",
    "jpeg-ls",
    "jpeg2000-lossless",
    "htj2k-rpcl",
]


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(SYNTAXES, 2)))
def test_lossless_to_lossless_keeps_every_value_and_attribute(first: str, second: str) -> None:
    pixels = gray(2)
    original = image_object(pixels)
    there, _ = made(original, first)
    back, found = made(there, second)
    assert (decoded(back)[0] == pixels).all()
    assert not found.lossy
    plain, _ = made(back, "explicit")
    before, after = reading(original), reading(plain)
    assert after.PixelData == before.PixelData
    before.pop("PixelData"), after.pop("PixelData")
    assert after.to_json_dict() == before.to_json_dict()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"jpeg-extended"}))
def test_photometric_interpretation_and_planar_configuration_are_true(name: str) -> None:
    file, found = made(image_object(color()), name)
    ds = reading(file)
    expected = {
        "jpeg": "YBR_FULL_422", "jpegxl-jpeg": "YBR_FULL_422", "jpegxl": "XYB", "jpeg2000": "YBR_ICT",
        "htj2k": "YBR_ICT", "jpeg2000-lossless": "YBR_RCT", "htj2k-lossless": "YBR_RCT", "htj2k-rpcl": "YBR_RCT",
    }.get(name, "RGB")  # fmt: skip
    assert (ds.PhotometricInterpretation, ds.PlanarConfiguration) == (expected, 0)
    assert found.lossy == is_lossy_encoder(NAMES[name])


def test_what_loses_something_is_a_derived_image() -> None:
    file = image_object(
        gray(bits=8), LossyImageCompressionRatio="3", LossyImageCompressionMethod="ISO_14495_1"
    )
    data, found = made(file, "jpeg")
    ds, original = reading(data), reading(file)
    assert found.lossy
    assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID == NEW_UID
    assert ds.ImageType == ["DERIVED", "PRIMARY"]
    assert ds.LossyImageCompression == "01"
    assert ds.LossyImageCompressionMethod == ["ISO_14495_1", "ISO_10918_1"]
    fragment = next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))
    assert float(ds.LossyImageCompressionRatio[1]) == pytest.approx(1024 / len(fragment), rel=0.02)
    assert "JPEG Baseline" in ds.DerivationDescription
    (source,) = ds.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == original.SOPInstanceUID
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    assert ds.DerivationCodeSequence[0].CodeValue == "113040"
    lossier, _ = made(data, "jpeg-ls-near")
    assert reading(lossier).SourceImageSequence[-1].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    again, _ = made(data, "explicit")
    assert reading(again).LossyImageCompression == "01"
    assert reading(again).SOPInstanceUID == NEW_UID


def test_what_loses_something_needs_an_identity_of_its_own() -> None:
    _, ds = read_part10(image_object(gray(bits=8)))
    with pytest.raises(CallerError, match="SOP Instance UID of its own"):
        transcode(ds, NAMES["jpeg"])


def test_pixels_that_a_syntax_cannot_carry_are_refused_with_the_reason() -> None:
    _, ds = read_part10(image_object(gray()))
    with pytest.raises(CallerError, match="16 bits are stored, 8 is the most"):
        transcode(ds, NAMES["jpeg"], new_sop_instance_uid=NEW_UID)


def test_baseline_jpeg_becomes_jpeg_xl_and_back_bit_for_bit() -> None:
    jpeg, _ = made(image_object(color()), "jpeg")
    xl, found = made(jpeg, "jpegxl-jpeg")
    assert not found.lossy
    back, _ = made(xl, "jpeg")
    assert reading(back).PixelData == reading(jpeg).PixelData
    assert reading(back).SOPInstanceUID == reading(jpeg).SOPInstanceUID


@pytest.mark.parametrize(
    ("first", "second"), [("jpeg-lossless", "jpeg-lossless-57"), ("htj2k-rpcl", "htj2k")]
)
def test_streams_that_fit_as_they_are_are_not_decoded(first: str, second: str) -> None:
    there, _ = made(image_object(gray()), first)
    back, found = made(there, second)
    assert not found.lossy
    assert reading(back).PixelData == reading(there).PixelData


def test_a_basic_offset_table_tells_where_frames_begin() -> None:
    file, _ = made(image_object(gray(3)), "rle")
    ds = reading(file)
    offsets = pydicom.encaps.parse_basic_offsets(ds.PixelData)
    assert len(offsets) == 3
    assert offsets[0] == 0 < offsets[1] < offsets[2]
    assert "ExtendedOffsetTable" not in ds


def test_beyond_32_bits_there_is_an_extended_offset_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MAX_BASIC_OFFSET", 100)
    pixels = gray(3)
    file, _ = made(image_object(pixels), "htj2k-lossless")
    ds = reading(file)
    assert pydicom.encaps.parse_basic_offsets(ds.PixelData) == []
    assert len(ds.ExtendedOffsetTable) == len(ds.ExtendedOffsetTableLengths) == 24
    tables = (ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths)
    frames = list(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=3, extended_offsets=tables))
    assert len(frames) == 3
    assert (decoded(file)[0] == pixels).all()


def test_single_bits_share_bytes_between_frames() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (3, 5, 7), dtype=np.uint8)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    file = image_object(
        bits, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed + b"\0" * (len(packed) % 2)
    )
    for name in ("rle", "deflated-frames", "jpeg2000-lossless", "encapsulated"):
        there, _ = made(file, name)
        assert (decoded(there)[0] == bits).all()
        back, _ = made(there, "explicit")
        assert reading(back).PixelData == reading(file).PixelData


def test_frames_pass_one_by_one_and_native_output_needs_no_more_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, _ = made(image_object(gray(5)), "rle")
    done: list[int] = []
    _, ds = read_part10(file)
    pieces = transcode(ds, NAMES["explicit"], on_frame=done.append).pieces
    for piece in pieces:
        if len(piece) == 32 * 32 * 2:
            break
    assert done == [1]


def test_elements_behind_the_pixels_stay_but_padding_and_signatures_do_not() -> None:
    file = image_object(gray(), DataSetTrailingPadding=b"\0" * 10)
    ds = reading(file)
    ds.add_new(0x7FE10010, "LO", "GANTRY TEST")
    ds.add_new(0x7FE11001, "LO", "behind")
    out = io.BytesIO()
    ds.save_as(out)
    after = reading(made(out.getvalue(), "jpeg-ls")[0])
    assert after[0x7FE11001].value in ("behind", b"behind")
    assert "DataSetTrailingPadding" not in after


def test_an_icon_that_is_compressed_is_left_out_with_a_word() -> None:
    inside, _ = made(image_object(gray(bits=8)), "rle")
    ds = reading(inside)
    icon = pydicom.Dataset()
    for keyword in (
        "Rows",
        "Columns",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "BitsAllocated",
        "BitsStored",
    ):
        setattr(icon, keyword, getattr(ds, keyword))
    icon.HighBit, icon.PixelRepresentation = 7, 0
    icon.add(ds["PixelData"])
    ds.IconImageSequence = [icon]
    out = io.BytesIO()
    ds.save_as(out)
    file, found = made(out.getvalue(), "jpeg-lossless")
    assert "IconImageSequence" not in reading(file)
    assert any("(0088,0200) is left out" in note for note in found.notes)


def test_objects_without_pixels_have_their_headers_written_anew() -> None:
    ds = reading(image_object(gray()))
    del ds.PixelData
    out = io.BytesIO()
    ds.save_as(out)
    for name in ("implicit", "rle", "deflated"):
        after = reading(made(out.getvalue(), name)[0])
        assert after.to_json_dict() == ds.to_json_dict()


@pytest.mark.slow
def test_files_of_pydicom_go_through_every_lossless_syntax() -> None:
    count = 0
    for file in packaged_files():
        if "PixelData" not in file.reading or len(file.data) > 300_000:
            continue
        try:
            before, _ = decoded(file.data)
        except DataSetError:
            continue  # video, and files that are broken on purpose
        for name in ("explicit", "rle", "jpeg-lossless", "jpeg-ls", "jpeg2000-lossless", "htj2k-lossless"):
            try:
                after, _ = decoded(made(file.data, name)[0])
            except CallerError as error:
                assert "cannot carry these pixels" in str(error)
                continue
            except DataSetError as error:
                assert "frames where" in str(error) or "belongs to no" in str(error), (file.name, name)
                continue
            assert (after == before).all(), (file.name, name)
            count += 1
    assert count > 100


def test_a_2_gb_multi_frame_needs_little_memory(tmp_path: Path) -> None:
    """Of a sparse file, mapped; only some of its frames, since the time of all would be spent on zeros."""
    import mmap
    import tracemalloc

    head = image_object(np.zeros((1, 1024, 1024), np.uint16), NumberOfFrames=1000)
    head = head[: -2 * 1024 * 1024]
    length = 1000 * 2 * 1024 * 1024
    path = tmp_path / "big.dcm"
    with path.open("wb") as file:
        file.write(head[:-4] + length.to_bytes(4, "little"))
        file.truncate(len(head) + length)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _, ds = read_part10(data)
        planned = subject.plan(ds, NAMES["rle"], Compression())
        assert planned.frames == 1000
        tracemalloc.start()
        with (tmp_path / "spool").open("w+b") as spool:
            assembly = subject.Assembly(planned, spool)
            for index in range(20):
                assembly.add(subject.transcode_frame(planned.frame(index), planned.job)[0])
            assert tracemalloc.get_traced_memory()[1] < 40 << 20
        tracemalloc.stop()
        del ds, planned, assembly
