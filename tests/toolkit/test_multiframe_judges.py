"""Other people's programs read what conversion writes, find no error, and see the same volumes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dcmtk import run
from gantry.toolkit.multiframe import Combined, combine, split
from multiframe_values import PET, enhanced_mr, referring, slice_of, slice_pixels
from serving import CT, MR, part10
from support import shared_data

pytestmark = pytest.mark.peer

# What dciodvfy finds in what we write, and why it is right so
NOT_OURS = (
    "Laterality",  # the same is found in the source
    "Trailing character invalid for this VR = '' (0)",  # a null byte in a private LO, as in the source
    "contains invalid data values for Value Representations",
    # MR single frames that refer to others do not tell the series of those (docs/architecture.md)
    "ReferencedImageEvidenceSequence",
    "SourceImageEvidenceSequence",
)


def errors(path: Path) -> list[str]:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    done = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, check=False, errors="replace"
    )
    return [line for line in done.stderr.splitlines() if "Error" in line]


@pytest.mark.parametrize("sop_class", [CT, MR, PET])
def test_no_error_in_a_combined_object(tmp_path: Path, sop_class: str) -> None:
    paths = [tmp_path / f"{n}.dcm" for n in (1, 2, 3)]
    for n, path in enumerate(paths, start=1):
        path.write_bytes(part10(slice_of(n, sop_class=sop_class)))
    (made,) = combine(paths, tmp_path / "out")
    assert isinstance(made, Combined)
    assert errors(made.file) == []


def test_no_error_where_frames_refer_to_one_another(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.dcm" for n in (1, 2, 3)]
    for n, path in enumerate(paths, start=1):
        path.write_bytes(part10(referring(n, 1 + n % 3)))
    (made,) = combine(paths, tmp_path / "out")
    assert isinstance(made, Combined)
    assert errors(made.file) == []


def test_no_error_in_single_frames_of_enhanced_mr(tmp_path: Path) -> None:
    (tmp_path / "emr.dcm").write_bytes(part10(enhanced_mr()))
    for file in split(tmp_path / "emr.dcm", tmp_path / "out").files:
        assert errors(file) == []


def test_dcmtk_reads_both_and_shows_the_frames(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.dcm" for n in (1, 2, 3)]
    for n, path in enumerate(paths, start=1):
        path.write_bytes(part10(slice_of(n)))
    (made,) = combine(paths, tmp_path / "out")
    assert isinstance(made, Combined)
    back = split(made.file, tmp_path / "back").files
    for number, (file, frame) in enumerate([(made.file, 1), (made.file, 3), (back[1], 1)], start=1):
        dumped = run("dcmdump", "+E", file)
        assert dumped.returncode == 0, dumped.stderr
        picture = tmp_path / f"{number}.pgm"
        assert run("dcm2pnm", "+opw", "+Wn", "+F", frame, file, picture).returncode == 0
        assert picture.stat().st_size > 256


@pytest.mark.parametrize("tree", ["ct/lidc_0314_22_slices", "pet/qin_headneck_series", "mr/ge_epi_fmri_45"])
def test_no_new_error_in_series_of_real_scanners(tree: str, tmp_path: Path) -> None:
    paths = [p for p in sorted((shared_data() / tree).glob("*.dcm")) if not p.name.startswith("SEG")]
    (made,) = combine(paths, tmp_path / "out", one_frame_of_reference="lidc" in tree)
    assert isinstance(made, Combined)
    assert [line for line in errors(made.file) if not any(words in line for words in NOT_OURS)] == []


@pytest.mark.parametrize(
    "name",
    [
        "siemens_xa10/6_1.dcm",
        "ct_perfusion_fragments/CT0012.explicit_little_endian.dcm",
        "ct_perfusion_fragments/CT0012.fragmented_no_bot_jpeg_lossless.70.dcm",
        "ct_perfusion_fragments/CT0012.not_fragmented_bot_rle.dcm",
    ],
)
def test_no_error_in_frames_of_real_scanners(name: str, tmp_path: Path) -> None:
    for file in split(shared_data() / "enhanced" / name, tmp_path / "out").files:
        assert errors(file) == []


def volume(folder: Path, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and affine as dcm2niix gives them."""
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not installed")
    out.mkdir()
    subprocess.run(["dcm2niix", "-z", "n", "-b", "n", "-o", out, folder], check=True, capture_output=True)
    (file,) = out.glob("*.nii")
    image = nibabel.load(file)
    return np.asarray(image.dataobj), np.asarray(image.affine)


@pytest.mark.parametrize("name", ["siemens_xa10/6_1.dcm", "agfa_pair/siemens_011-0001.dcm"])
def test_dcm2niix_makes_the_same_volume_of_the_frames(name: str, tmp_path: Path) -> None:
    source = shared_data() / "enhanced" / name
    (tmp_path / "in").mkdir()
    shutil.copy(source, tmp_path / "in")
    split(source, tmp_path / "out")
    (voxels, affine), (others, other) = (
        volume(tmp_path / side, tmp_path / f"{side}-nii") for side in ("in", "out")
    )
    assert (voxels == others).all()
    assert np.allclose(affine, other, atol=1e-5)


@pytest.mark.parametrize("tree", ["pet/qin_headneck_series", "ct/lidc_0314_22_slices"])
def test_dcm2niix_makes_the_same_volume_of_the_combined_object(tree: str, tmp_path: Path) -> None:
    paths = [p for p in sorted((shared_data() / tree).glob("*.dcm")) if not p.name.startswith("SEG")]
    (tmp_path / "in").mkdir()
    for path in paths:
        shutil.copy(path, tmp_path / "in")
    list(combine(paths, tmp_path / "out", one_frame_of_reference="lidc" in tree))
    (voxels, affine), (others, other) = (
        volume(tmp_path / side, tmp_path / f"{side}-nii") for side in ("in", "out")
    )
    assert (voxels == others).all()
    assert np.allclose(affine, other, atol=1e-5)


def test_dcm2niix_makes_the_same_volume_of_slices_made_here(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    paths = [tmp_path / "in" / f"{n}.dcm" for n in range(1, 6)]
    for n, path in enumerate(paths, start=1):
        path.write_bytes(part10(slice_of(n)))
    list(combine(paths, tmp_path / "out"))
    (voxels, affine), (others, other) = (
        volume(tmp_path / side, tmp_path / f"{side}-nii") for side in ("in", "out")
    )
    assert voxels.shape == (*slice_pixels(1).shape, 5)
    assert (voxels == others).all()
    assert np.allclose(affine, other, atol=1e-5)
