"""Files: whole or not there, one bad one beside good ones, and more than can be open at once."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from gantry.dataset.part10 import read_part10
from gantry.errors import CallerError, DataSetError
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.functional_groups import PLANE_POSITION, FunctionalGroups
from gantry.pixels.image import ImageHeader
from gantry.pixels.transcode import stored_frame
from gantry.toolkit import multiframe
from gantry.toolkit.convert import convert
from gantry.toolkit.multiframe import Combined, NotCombined, combine, split
from multiframe_values import content, enhanced_mr, slice_of, with_private
from serving import MR, part10
from support import shared_data

TREES = ("ct/lidc_0314_22_slices", "mr/ge_epi_fmri_45", "mr/siemens_mosaic_epi", "pet/qin_headneck_series")


def series(folder: Path, count: int = 4) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{n}.dcm" for n in range(1, count + 1)]
    for n, path in enumerate(paths, start=1):
        path.write_bytes(part10(with_private(slice_of(n), n)))
    return paths


def objects(paths: list[Path]) -> dict[str | None, object]:
    found = [read_part10(path.read_bytes())[1] for path in paths]
    return {ds.text(0x00080018): content(ds) for ds in found}


def test_there_and_back_again(tmp_path: Path) -> None:
    before = series(tmp_path / "in")
    (made,) = combine(before, tmp_path / "out")
    assert isinstance(made, Combined)
    assert made.sources == tuple(map(str, before))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{made.sop_instance_uid}.dcm"]
    assert objects(list(split(made.file, tmp_path / "back").files)) == objects(before)


def test_split_twice_makes_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "emr.dcm"
    source.write_bytes(part10(enhanced_mr()))
    told: list[None] = []
    one = split(source, tmp_path / "one", on_frame=lambda: told.append(None))
    two = split(source, tmp_path / "deep" / "two")
    assert len(told) == len(one.files) == 4
    assert [f.read_bytes() for f in one.files] == [f.read_bytes() for f in two.files]
    assert [pydicom.dcmread(f).SOPInstanceUID for f in one.files] == list(one.sop_instance_uids)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    ds = enhanced_mr()
    del ds.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence
    source = tmp_path / "emr.dcm"
    source.write_bytes(part10(ds))
    with pytest.raises(DataSetError, match="frame 4"):
        split(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["emr.dcm"]


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "emr.dcm"
    source.write_bytes(part10(enhanced_mr()))
    (tmp_path / "out").mkdir()
    with pytest.raises(CallerError, match="there already"):
        split(source, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_objects_that_cannot_be_combined_are_told_one_by_one(tmp_path: Path) -> None:
    good = series(tmp_path / "in")
    for name, data in {
        "empty": b"",
        "cut": part10(slice_of(8))[:-100],
        "enhanced": part10(enhanced_mr()),
        "other size": part10(slice_of(9, Rows=8)),
        "twice": good[0].read_bytes(),
    }.items():
        (tmp_path / "in" / name).write_bytes(data)
    paths = [*good, *sorted(path for path in (tmp_path / "in").iterdir() if path not in good)]
    outcomes = list(combine([*paths, tmp_path / "missing"], tmp_path / "out"))
    made = [one for one in outcomes if isinstance(one, Combined)]
    left = {Path(one.name).name: one for one in outcomes if isinstance(one, NotCombined)}
    assert [len(one.sources) for one in made] == [4]
    assert {name: one.is_broken for name, one in left.items()} == {
        "empty": True, "cut": True, "enhanced": True, "missing": True, "other size": False, "twice": False,
    }  # fmt: skip
    assert "in Rows" in left["other size"].reason
    assert "No such file" in left["missing"].reason


def test_a_file_that_changes_meanwhile_is_not_taken_for_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = series(tmp_path / "in")
    arranged = multiframe.arranged

    def changed(*arguments: object, **options: object) -> object:
        paths[2].write_bytes(part10(slice_of(3, PatientComments="longer than it was")))
        return arranged(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(multiframe, "arranged", changed)
    outcomes = list(combine(paths, tmp_path / "out"))
    assert all(isinstance(one, NotCombined) and "has changed" in one.reason for one in outcomes)
    assert not list((tmp_path / "out").iterdir())


def test_more_files_than_may_be_open(tmp_path: Path) -> None:
    paths = series(tmp_path / "in", 120)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
    try:
        (made,) = combine(paths, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert isinstance(made, Combined)
    assert len(made.sources) == 120


def volume(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and affine of the only volume in a folder."""
    (made,) = convert(folder, folder.with_name(f"{folder.name}-nifti"), "nifti")
    assert made.path is not None, made.error
    image = nibabel.load(made.path)
    return np.asarray(image.dataobj), np.asarray(image.affine)


def check_same_volume(paths: list[Path], tmp_path: Path) -> tuple[int, ...]:
    """The shape of what is a volume in three forms: as it came, combined, and split again."""
    (tmp_path / "came").mkdir()
    for path in paths:
        shutil.copy(path, tmp_path / "came")
    (made,) = combine(paths, tmp_path / "combined")
    assert isinstance(made, Combined)
    split(made.file, tmp_path / "split")
    voxels, affine = volume(tmp_path / "came")
    for form in ("combined", "split"):
        others, other = volume(tmp_path / form)
        assert (others == voxels).all()
        assert (other == affine).all()
    return voxels.shape


def test_a_series_is_the_same_volume_in_both_forms(tmp_path: Path) -> None:
    paths = []
    for n in range(1, 13):
        paths.append(tmp_path / f"{n}.dcm")
        slope = {"RescaleSlope": str(1 + n % 3), "RescaleIntercept": str(n)}
        paths[-1].write_bytes(part10(slice_of(n, position=4.0 * (n % 4), sop_class=MR, **slope)))
    assert check_same_volume(paths, tmp_path) == (16, 16, 4, 3)


@pytest.mark.parametrize(
    ("tree", "shape"),
    [("mr/ge_epi_fmri_45", (64, 64, 15, 3)), ("pet/qin_headneck_series", (128, 128, 33))],
)
def test_so_are_series_of_real_scanners(tree: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    paths = [p for p in sorted((shared_data() / tree).glob("*.dcm")) if not p.name.startswith("SEG")]
    assert check_same_volume(paths, tmp_path) == shape


ENHANCED_WITHOUT_GROUPS = "emri_small"


def test_frames_of_every_enhanced_file_have_its_pixels_positions_and_values(tmp_path: Path) -> None:
    seen = 0
    for number, path in enumerate(sorted((shared_data() / "enhanced").rglob("*.dcm"))):
        if path.name.startswith(ENHANCED_WITHOUT_GROUPS):
            with pytest.raises(DataSetError, match="no functional groups"):
                split(path, tmp_path / str(number))
            continue
        _, whole = read_part10(path.read_bytes())
        groups, table = FunctionalGroups(whole), frame_table(whole)
        assert table is not None
        for frame, file in enumerate(split(path, tmp_path / str(number)).files, start=1):
            _, one = read_part10(file.read_bytes())
            assert content(one)[1] == stored_frame(whole, table, frame - 1)
            position = groups.attributes(frame, PLANE_POSITION).floats(0x00200032)
            assert one.floats(0x00200032) == position
            theirs, ours = ImageHeader.from_dataset(whole, frame), ImageHeader.from_dataset(one)
            for name in ("rescale_slope", "rescale_intercept", "windows", "pixel_aspect", "bits_stored"):
                assert getattr(ours, name) == getattr(theirs, name), (path.name, name)
            seen += 1
    assert seen > 150


@pytest.mark.parametrize("tree", TREES)
def test_series_of_real_scanners_come_back_bit_for_bit(tree: str, tmp_path: Path) -> None:
    before = [p for p in sorted((shared_data() / tree).glob("*.dcm")) if not p.name.startswith("SEG")]
    (made,) = combine(before, tmp_path / "out", one_frame_of_reference="lidc" in tree)
    assert isinstance(made, Combined), made
    assert objects(list(split(made.file, tmp_path / "back").files)) == objects(before)
