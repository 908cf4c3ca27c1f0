"""NIfTI beside NIfTI of others: the references of the shared data, and dcm2niix on series that are made here.

DICOM counts millimetres in LPS and rows from the first; NIfTI counts in RAS, and dcm2niix turns the rows of a
series around, so that the second axis begins with the last row, and runs slices along the normal. Gantry does
the same, so that voxels are equal in their order too. Where a reference has another order, voxels are compared
where they are in the patient.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from gantry.toolkit.convert import convert
from serving import CT
from support import shared_data
from volume_values import slice_object, written

Array = np.ndarray[Any, Any]


@pytest.fixture
def dcm2niix() -> str:
    program = shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed (apt-get install dcm2niix)")
    return program


def read(path: Path) -> tuple[Array, Array, tuple[float, float]]:
    """Voxels as stored, affine, slope and intercept."""
    image: Any = nibabel.load(path)
    raw = np.frombuffer(path.read_bytes()[112:120], "<f4")
    return np.asarray(image.dataobj.get_unscaled()), image.affine, (float(raw[0]), float(raw[1]))


def same_place(voxels: Array, affine: Array, other: Array, tolerance_mm: float = 0.01) -> Array:
    """The voxels in the order of a volume whose affine is `other`.

    Asserts that the grids are one: each axis of one is an axis of the other, perhaps from its other end.
    """
    way = np.linalg.inv(other) @ affine
    turn = np.round(way[:3, :3])
    assert np.abs(way[:3, :3] - turn).max() < 1e-3
    assert (np.abs(turn).sum(axis=0) == 1).all()
    assert (np.abs(turn).sum(axis=1) == 1).all()
    axes = [int(np.argmax(np.abs(turn[n]))) for n in range(3)]
    turned = voxels.transpose(*axes, *range(3, voxels.ndim))
    for n in range(3):
        if turn[n, axes[n]] < 0:
            turned = np.flip(turned, n)
    index = np.zeros(4)
    index[3] = 1
    for n in range(3):
        if turn[n, axes[n]] < 0:
            index[axes[n]] = voxels.shape[axes[n]] - 1
    assert np.abs((affine @ index - other[:, 3])[:3]).max() < tolerance_mm
    return turned


def only_nifti(source: Path, out: Path) -> Path:
    made = convert(source, out, "nii")
    assert [one.error for one in made] == [""] * len(made)
    (path,) = out.glob("*.nii")
    return path


# --- the shared references


@pytest.mark.parametrize("folder", ["mr/ge_epi_fmri_45", "mr/siemens_mosaic_epi", "enhanced/siemens_xa10"])
def test_voxels_and_affine_of_the_reference(folder: str, tmp_path: Path) -> None:
    source = shared_data() / folder
    ours, affine, scale = read(only_nifti(source, tmp_path / "out"))
    (reference,) = (source / "reference").glob("*.nii")
    theirs, their_affine, their_scale = read(reference)
    assert ours.dtype == theirs.dtype
    assert (ours == theirs).all()
    assert np.abs(affine - their_affine).max() < 1e-4
    assert scale == pytest.approx(their_scale)


def test_an_enhanced_object_of_two_kinds_of_frames_in_the_place_of_the_reference(tmp_path: Path) -> None:
    """The reference runs its rows the other way, from the patient's left.

    Of the field map it has the same scale. For the magnitude dcm2niix writes the vendor's private "floating
    point" scale; Gantry the Rescale Slope that the standard names. The voxels are the same.
    """
    source = shared_data() / "enhanced" / "philips_fieldmap"
    convert(source, tmp_path / "out", "nii")
    ours = [read(path) for path in sorted((tmp_path / "out").glob("*.nii"))]
    theirs = [read(path) for path in sorted((source / "reference").glob("*.nii"))]
    assert len(ours) == len(theirs) == 2
    found = 0
    for voxels, affine, scale in ours:
        for their_voxels, their_affine, their_scale in theirs:
            turned = same_place(voxels, affine, their_affine, 0.02)
            if (turned == their_voxels).all():
                found += 1
                if their_scale[1]:
                    assert scale == pytest.approx(their_scale, rel=1e-4)
    assert found == 2


@pytest.mark.parametrize("folder", ["mr/ge_epi_fmri_45", "mr/siemens_mosaic_epi"])
def test_what_both_sidecars_say_is_the_same(folder: str, tmp_path: Path) -> None:
    source = shared_data() / folder
    path = only_nifti(source, tmp_path / "out")
    ours = json.loads(path.with_suffix(".json").read_text())
    (reference,) = (source / "reference").glob("*.json")
    theirs = json.loads(reference.read_text())
    # Its own words for makers, image types with what it concludes, and itself.
    said_otherwise = {"Manufacturer", "ImageType", "ConversionSoftware", "ConversionSoftwareVersion"}
    both = (set(ours) & set(theirs)) - said_otherwise
    assert len(both) > 20
    assert {"EchoTime", "RepetitionTime", "FlipAngle", "ImageOrientationPatientDICOM"} <= both
    for name in sorted(both):
        one, other = ours[name], theirs[name]
        numbers = isinstance(one, (int, float)) or (
            isinstance(one, list) and isinstance(one[0], (int, float))
        )
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6) if numbers else one == other, name


# --- dcm2niix


def body(slices: int, rows: int, columns: int) -> Array:
    """A volume without a symmetry that would hide a turn."""
    z, y, x = np.mgrid[:slices, :rows, :columns]
    return np.asarray((x * 3 + y * 5 + z * 7 + (x * y) % 11) % 4000, np.uint16)


def ct_series(
    volume: Array, orientation: Sequence[float], step: Sequence[float], **attributes: Any
) -> list[bytes]:
    return [
        slice_object(
            pixels,
            n + 1,
            np.array([-90.0, -80.5, 40.0]) + n * np.array(step),
            orientation,
            SOPClassUID=CT,
            Modality="CT",
            Manufacturer="Maker",
            BitsStored=12,
            HighBit=11,
            RescaleSlope="1",
            RescaleIntercept="-1024",
            PatientPosition="HFS",
            SliceThickness="1.25",
            ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
            **attributes,
        )
        for n, pixels in enumerate(volume)
    ]


def peer_made(program: str, source: Path, out: Path) -> tuple[Array, Array, tuple[float, float]]:
    out.mkdir()
    subprocess.run(
        [program, "-z", "n", "-b", "n", "-f", "x", "-o", str(out), str(source)],
        check=True,
        capture_output=True,
    )
    (path,) = out.glob("*.nii")
    return read(path)


@pytest.mark.peer
def test_a_ct_of_250_slices_is_what_dcm2niix_makes_of_it(dcm2niix: str, tmp_path: Path) -> None:
    volume = body(250, 96, 128)
    given = written(tmp_path / "in", ct_series(volume, (1, 0, 0, 0, 1, 0), (0, 0, 1.25)))
    theirs, their_affine, their_scale = peer_made(dcm2niix, given, tmp_path / "theirs")
    ours, affine, scale = read(only_nifti(given, tmp_path / "ours"))
    assert ours.shape == theirs.shape == (128, 96, 250)
    assert ours.dtype == theirs.dtype
    assert (ours == theirs).all()
    assert np.abs(affine - their_affine).max() < 1e-4
    assert scale == their_scale == (1, -1024)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "orientation", "step"),
    [
        ("axial from the head", (1, 0, 0, 0, 1, 0), (0, 0, -1.25)),
        ("coronal", (1, 0, 0, 0, 0, -1), (0, 1.5, 0)),
        ("sagittal", (0, 1, 0, 0, 0, -1), (1.5, 0, 0)),
        ("sagittal from the other side", (0, 1, 0, 0, 0, -1), (-1.5, 0, 0)),
        ("oblique", (0.8, 0.6, 0, 0, 0, -1), (-0.9, 1.2, 0)),
    ],
)
def test_other_orientations_are_what_dcm2niix_makes_of_them(
    dcm2niix: str, name: str, orientation: Sequence[float], step: Sequence[float], tmp_path: Path
) -> None:
    volume = body(12, 10, 14)
    given = written(tmp_path / "in", ct_series(volume, orientation, step))
    theirs, their_affine, _ = peer_made(dcm2niix, given, tmp_path / "theirs")
    ours, affine, _ = read(only_nifti(given, tmp_path / "ours"))
    assert (ours == theirs).all()
    assert np.abs(affine - their_affine).max() < 1e-4
