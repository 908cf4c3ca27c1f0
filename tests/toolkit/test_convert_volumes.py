"""Volumes as files: voxels, affines, scales, times, colours, and what stands beside them."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from gantry.toolkit.convert import convert
from gantry.toolkit.convert_options import Converted, Options, Values
from image_values import color, gray, image_object, made
from serving import ROOT, part10
from volume_values import numbered, series_of, slice_object, written

Array = np.ndarray[Any, Any]


def converted(files: list[bytes], to: str, folder: Path, **options: Any) -> list[Converted]:
    given = written(folder / "in", files)
    return convert(given, folder / "out", to, options=Options(**options))


def only(done: list[Converted]) -> Converted:
    (one,) = done
    assert one.path is not None, one.error
    return one


def nifti(path: Path | None) -> tuple[Array, Array, Any]:
    """Voxels as stored, affine, header."""
    image: Any = nibabel.Nifti1Image.from_bytes(_plain(path))
    return (
        np.asarray(image.dataobj.get_unscaled()),
        image.affine,
        nibabel.Nifti1Header.from_fileobj(io.BytesIO(_plain(path))),
    )


def _plain(path: Path | None) -> bytes:
    assert path is not None
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def upright(volume: Array) -> Array:
    """(slices, rows, columns) as NIfTI has them: columns, rows from the last, slices."""
    return np.asarray(volume[:, ::-1].transpose(2, 1, 0))


def nrrd(path: Path | None) -> tuple[dict[str, str], bytes]:
    """Fields and data of a NRRD file, by its documentation."""
    assert path is not None
    head, _, data = path.read_bytes().partition(b"\n\n")
    lines = head.decode("ascii").splitlines()
    assert lines[0] == "NRRD0004"
    fields = dict(line.split(": ", 1) for line in lines[1:] if not line.startswith("#"))
    return fields, gzip.decompress(data) if fields["encoding"] == "gzip" else data


# --- NIfTI


@pytest.mark.parametrize("to", ["nii", "nii.gz"])
def test_voxels_affine_and_scale(to: str, tmp_path: Path) -> None:
    volume = numbered(5, 6, 7)
    files = series_of(volume, BitsStored=12, HighBit=11, RescaleSlope="2", RescaleIntercept="-1024")
    done = only(converted(files, to, tmp_path))
    voxels, affine, header = nifti(done.path)
    assert voxels.dtype == np.int16
    assert (voxels == upright(volume)).all()
    assert np.allclose(affine, [[-0.75, 0, 0, 10], [0, 0.5, 0, -22.5], [0, 0, 2, -30], [0, 0, 0, 1]])
    assert (float(header["scl_slope"]), float(header["scl_inter"])) == (2, -1024)


def test_many_slices_in_several_gzip_members_are_one_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantry.toolkit import convert_volumes

    monkeypatch.setattr(convert_volumes, "_MEMBER_BYTES", 200)
    volume = numbered(23, 6, 7)
    assert (nifti(only(converted(series_of(volume), "nii.gz", tmp_path)).path)[0] == upright(volume)).all()


@pytest.mark.parametrize(
    ("kind", "bits", "left"),
    [
        ("u1", 8, "u1"),
        ("i2", 16, "i2"),
        ("i2", 12, "i2"),
        ("u2", 16, "u2"),
        ("u2", 12, "i2"),
        ("u4", 32, "u4"),
    ],
)
def test_types_of_stored_values(kind: str, bits: int, left: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)
    volume = generator.integers(low, high, (3, 4, 5), endpoint=True).astype(kind)
    volume.flat[0], volume.flat[1] = low, high
    files = series_of(volume, BitsStored=bits, HighBit=bits - 1)
    voxels, _, _ = nifti(only(converted(files, "nii", tmp_path)).path)
    assert voxels.dtype == np.dtype(left)
    assert (voxels == upright(volume)).all()


@pytest.mark.parametrize("signed", [False, True])
def test_bits_around_a_value_are_left_out(signed: bool, tmp_path: Path) -> None:
    """Overlays once lived there: (0028,0102) High Bit below the last, or above Bits Stored."""
    kind = "i2" if signed else "u2"
    values = np.arange(-30, 30).reshape(3, 4, 5) if signed else np.arange(60).reshape(3, 4, 5)
    words = ((values << 2).astype("u2") & 0x3FFC) | 0xC001
    files = series_of(words.view(kind), BitsStored=12, HighBit=13)
    voxels, _, _ = nifti(only(converted(files, "nii", tmp_path)).path)
    assert (voxels == upright(values)).all()


def test_slices_whose_bits_lie_elsewhere_are_read_by_their_own_headers(tmp_path: Path) -> None:
    volume = numbered(2, 2, 2)
    files = [
        slice_object(volume[0], 1, (0, 0, 0), BitsStored=12, HighBit=11),
        slice_object(volume[1] << 4, 2, (0, 0, 1), BitsStored=12, HighBit=15),
    ]
    assert (nifti(only(converted(files, "nii", tmp_path)).path)[0] == upright(volume)).all()


def test_slices_that_are_scaled_differently_are_rescaled(tmp_path: Path) -> None:
    volume = numbered(3, 2, 2)
    files = [
        slice_object(pixels, n + 1, (0, 0, n), RescaleSlope=str(n + 1), RescaleIntercept="0.5")
        for n, pixels in enumerate(volume)
    ]
    voxels, _, header = nifti(only(converted(files, "nii", tmp_path)).path)
    assert voxels.dtype == np.float32
    assert np.isnan(header["scl_slope"]) or float(header["scl_slope"]) == 1
    assert np.allclose(voxels, upright(volume * np.array([1, 2, 3]).reshape(3, 1, 1) + 0.5))


def test_rescaled_values_on_demand(tmp_path: Path) -> None:
    volume = numbered(2, 2, 2)
    files = series_of(volume, RescaleSlope="1", RescaleIntercept="-1024")
    voxels, _, _ = nifti(only(converted(files, "nii", tmp_path, values=Values.RESCALED)).path)
    assert (voxels == upright(volume.astype(int) - 1024)).all()


def test_float_pixels_stay_what_they_are(tmp_path: Path) -> None:
    volume = np.array([[[0.5, -1e20], [3.25, np.nan]]], "<f4")
    ds = pydicom.dcmread(io.BytesIO(slice_object(np.zeros((2, 2), "u4"), 1, (0, 0, 0))))
    del ds.PixelData, ds.BitsStored, ds.HighBit
    ds.FloatPixelData = volume.tobytes()
    voxels, _, _ = nifti(only(converted([part10(ds)], "nii", tmp_path)).path)
    assert voxels.dtype == np.float32
    assert np.array_equal(voxels, upright(volume), equal_nan=True)


def test_single_bits_of_frames_that_begin_inside_a_byte(tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 3, 5), np.uint8)
    ds = pydicom.dcmread(io.BytesIO(image_object(np.zeros((3, 3, 5), np.uint8))))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes() + b"\0"
    done = only(converted([part10(ds)], "nii", tmp_path))
    assert (nifti(done.path)[0] == upright(bits)).all()
    assert "do not say where in the patient" in done.notes[0]


def test_colours_are_rgb(tmp_path: Path) -> None:
    pixels = color()
    file = image_object(
        pixels,
        ImagePositionPatient=[0, 0, 0],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[1, 1],
    )
    voxels, _, _ = nifti(only(converted([file], "nii", tmp_path)).path)
    read = np.stack([voxels[name] for name in "RGB"], axis=-1)
    assert (read[:, ::-1, 0].transpose(1, 0, 2) == pixels[0]).all()


@pytest.mark.parametrize("name", ["jpeg-ls", "rle", "big-endian", "deflated", "htj2k-lossless"])
def test_every_transfer_syntax_gives_the_same_voxels(name: str, tmp_path: Path) -> None:
    volume = gray(3)
    files = [made(file, name)[0] for file in series_of(volume)]
    assert (nifti(only(converted(files, "nii", tmp_path)).path)[0] == upright(volume)).all()


def test_times_are_the_fourth_axis(tmp_path: Path) -> None:
    volume = numbered(6, 2, 3)
    files = [
        slice_object(
            pixels, n + 1, (0, 0, n % 3), AcquisitionNumber=n // 3 + 1, Modality="MR", RepetitionTime="2500"
        )
        for n, pixels in enumerate(volume)
    ]
    voxels, _, header = nifti(only(converted(files, "nii", tmp_path)).path)
    assert voxels.shape == (3, 2, 3, 2)
    assert float(header["pixdim"][4]) == 2.5
    for time in range(2):
        assert (voxels[..., time] == upright(volume[3 * time : 3 * time + 3])).all()


def test_series_become_files_of_their_own(tmp_path: Path) -> None:
    files = series_of(numbered(2, 2, 2), SeriesNumber=3)
    files += [
        slice_object(pixels, n + 10, (0, 0, n), SeriesNumber=3, SeriesInstanceUID=f"{ROOT}.77")
        for n, pixels in enumerate(numbered(2, 2, 2))
    ]
    done = converted(files, "nii", tmp_path)
    assert sorted(one.path.name for one in done if one.path) == ["series0003-2.nii", "series0003.nii"]


def test_a_slice_that_is_missing_is_told(tmp_path: Path) -> None:
    files = series_of(numbered(5, 2, 2))
    (done,) = converted(files[:2] + files[3:], "nii", tmp_path)
    assert "1 slice may be missing there" in done.error
    (tmp_path / "b").mkdir()
    assert (
        "mean distance" in only(converted(files[:2] + files[3:], "nii", tmp_path / "b", uneven=True)).notes[0]
    )


@pytest.mark.parametrize("frames", [5, 2_000_000_000])
def test_frames_that_are_not_there_are_no_volume(frames: int, tmp_path: Path) -> None:
    (done,) = converted([image_object(gray(2), NumberOfFrames=frames)], "nii", tmp_path)
    assert f"2 of {frames} frames are there" in done.error


def test_a_frame_that_is_cut_is_no_volume(tmp_path: Path) -> None:
    file = image_object(gray(2), PixelData=gray(2).tobytes()[:-10])
    (done,) = converted([file], "nii", tmp_path)
    assert "frame 2 is not all there" in done.error
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_volume_over_the_limit_is_refused_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantry.toolkit import convert_volumes

    monkeypatch.setattr(convert_volumes, "MAX_VOLUME_BYTES", 1000)
    for to in ("nii", "nii.gz", "nrrd", "npy", "npz"):
        folder = tmp_path / to
        folder.mkdir()
        (done,) = converted(series_of(numbered(3, 16, 16)), to, folder)
        assert "a volume of 16x16x3x1 is 1,536 bytes, more than the 1,000" in done.error
        assert not list((folder / "out").iterdir())


def test_a_corrupt_slice_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    files = [made(file, "jpeg-ls")[0] for file in series_of(gray(3))]
    broken = bytearray(files[1])
    place = broken.find(b"\xff\xd8\xff\xf7")
    broken[place + 9 : place + 11] = b"\xff\xff"
    (done,) = converted([files[0], bytes(broken), files[2]], "nii.gz", tmp_path)
    assert ".dcm, frame 1: the stream holds" in done.error
    assert not list((tmp_path / "out").iterdir())


def test_a_stream_whose_values_do_not_fit_the_header_is_refused(tmp_path: Path) -> None:
    """JPEG 2000 says that its samples have a sign; the header says that they have none."""
    pixels = np.array([[[-5, 5], [7, -7]]], np.int16)
    file = made(image_object(np.repeat(np.repeat(pixels, 8, 1), 8, 2)), "jpeg2000-lossless")[0]
    ds = pydicom.dcmread(io.BytesIO(file))
    ds.PixelRepresentation = 0
    done = converted([part10(ds, ds.file_meta.TransferSyntaxUID)], "npy", tmp_path, values=Values.STORED)
    assert "do not fit what the header says" in done[0].error


# --- beside


def diffusion_series() -> list[bytes]:
    files = []
    for n in range(4):
        time, place = divmod(n, 2)
        ds = pydicom.dcmread(
            io.BytesIO(
                slice_object(
                    numbered(4, 2, 2)[n],
                    n + 1,
                    (0, 0, 3 * place),
                    Modality="MR",
                    AcquisitionNumber=time + 1,
                    EchoTime="85",
                    RepetitionTime="3000",
                    MagneticFieldStrength="3",
                    InPlanePhaseEncodingDirection="COL",
                    Manufacturer="Maker",
                    FlipAngle="90",
                )
            )
        )
        ds.DiffusionBValue = 1000.0 * time
        if time:
            ds.DiffusionGradientOrientation = [0.6, 0.8, 0.0]
        files.append(part10(ds))
    return files


def test_b_values_and_vectors_stand_beside(tmp_path: Path) -> None:
    done = only(converted(diffusion_series(), "nii.gz", tmp_path))
    assert sorted(path.name for path in done.beside) == [
        "series0001.bval", "series0001.bvec", "series0001.json",
    ]  # fmt: skip
    out = tmp_path / "out"
    assert (out / "series0001.bval").read_text() == "0 1000\n"
    vectors = np.loadtxt(out / "series0001.bvec")
    assert vectors.shape == (3, 2)
    # y of the patient grows along the rows; the second axis of the volume runs against them
    assert np.allclose(vectors[:, 1], (0.6, -0.8, 0))


def test_the_sidecar_of_mr_says_how_it_was_acquired(tmp_path: Path) -> None:
    done = only(converted(diffusion_series(), "nii.gz", tmp_path))
    assert done.path is not None
    told = json.loads(done.path.with_name("series0001.json").read_text())
    assert told["Modality"] == "MR"
    assert (told["EchoTime"], told["RepetitionTime"], told["FlipAngle"]) == (0.085, 3, 90)
    assert (told["MagneticFieldStrength"], told["Manufacturer"]) == (3, "Maker")
    assert told["InPlanePhaseEncodingDirectionDICOM"] == "COL"
    assert "Doe" not in json.dumps(told)
    (tmp_path / "b").mkdir()
    assert {path.suffix for path in only(converted(diffusion_series(), "nii", tmp_path / "b", sidecar=False)).beside} == {
        ".bval", ".bvec",
    }  # fmt: skip


def test_ct_has_nothing_beside(tmp_path: Path) -> None:
    assert only(converted(series_of(numbered(2, 2, 2)), "nii", tmp_path)).beside == ()


# --- NumPy and NRRD


def test_a_numpy_array_is_in_units_of_the_modality(tmp_path: Path) -> None:
    volume = numbered(3, 4, 5)
    files = series_of(volume, RescaleSlope="1", RescaleIntercept="-1024", BitsStored=12, HighBit=11)
    path = only(converted(files, "npy", tmp_path)).path
    assert path is not None
    array = np.load(path)
    assert array.dtype == np.int16
    assert (array == volume.astype(int) - 1024).all()


def test_a_numpy_archive_holds_where_it_is_too(tmp_path: Path) -> None:
    volume = numbered(3, 4, 5)
    files = series_of(volume, RescaleSlope="2", RescaleIntercept="1")
    path = only(converted(files, "npz", tmp_path, values=Values.STORED)).path
    assert path is not None
    with np.load(path) as archive:
        assert (archive["voxels"] == volume).all()
        assert (archive["slope"], archive["intercept"]) == (2, 1)
        assert np.allclose(
            archive["affine"], [[0.75, 0, 0, -10], [0, 0.5, 0, 20], [0, 0, 2, -30], [0, 0, 0, 1]]
        )


def test_nrrd_is_in_dicoms_own_coordinates(tmp_path: Path) -> None:
    volume = numbered(3, 4, 5)
    fields, data = nrrd(only(converted(series_of(volume), "nrrd", tmp_path)).path)
    assert (np.frombuffer(data, "<u2").reshape(3, 4, 5) == volume).all()
    assert fields["type"] == "uint16"
    assert fields["sizes"] == "5 4 3"
    assert fields["space"] == "left-posterior-superior"
    assert fields["space directions"] == "(0.75,0.0,0.0) (0.0,0.5,0.0) (0.0,0.0,2.0)"
    assert fields["space origin"] == "(-10.0,20.0,-30.0)"


def test_nrrd_of_times_and_colours(tmp_path: Path) -> None:
    files = [
        slice_object(pixels, n + 1, (0, 0, n % 2), AcquisitionNumber=n // 2 + 1)
        for n, pixels in enumerate(numbered(4, 2, 3))
    ]
    fields, data = nrrd(only(converted(files, "nrrd", tmp_path)).path)
    assert (fields["sizes"], fields["kinds"]) == ("3 2 2 2", "domain domain domain list")
    assert (np.frombuffer(data, "<u2") == np.arange(24)).all()
    (tmp_path / "b").mkdir()
    pixels = color()
    fields, data = nrrd(only(converted([image_object(pixels)], "nrrd", tmp_path / "b")).path)
    assert (fields["type"], fields["sizes"]) == ("uint8", "3 32 24 1")
    assert data == pixels.tobytes()


def test_a_modality_lut_that_is_not_applied_is_said(tmp_path: Path) -> None:
    ds = pydicom.dcmread(io.BytesIO(slice_object(numbered(1, 2, 2)[0], 1, (0, 0, 0))))
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [4, 0, 16], "US", [0, 10, 20, 30]
    ds.ModalityLUTSequence = [table]
    ds["ModalityLUTSequence"][0]["LUTDescriptor"].VR = "US"
    ds["ModalityLUTSequence"][0]["LUTData"].VR = "US"
    assert "not applied" in only(converted([part10(ds)], "npy", tmp_path)).notes[0]
