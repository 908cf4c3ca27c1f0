"""What frames say of themselves: functional groups, mosaics, diffusion, private attributes."""

from __future__ import annotations

import io
from struct import pack
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from gantry.dataset.part10 import read_part10
from gantry.errors import DataSetError
from gantry.pixels.image import ImageHeader
from gantry.volume.csa import csa_numbers, read_csa
from gantry.volume.diffusion import along_voxels
from gantry.volume.frames import Frame, frames_of, repetition_s
from gantry.volume.plane import Plane
from gantry.volume.private import private_tag
from image_values import image_object
from serving import part10
from volume_values import numbered, slice_object


def read(file: bytes) -> list[Frame]:
    _, ds = read_part10(file)
    header = ImageHeader.from_dataset(ds)
    return frames_of(ds, header, header.number_of_frames)


def changed(file: bytes, change: Any) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(file))
    change(ds)
    return part10(ds, ds.file_meta.TransferSyntaxUID)


def group(**macros: list[Dataset]) -> Dataset:
    item = Dataset()
    for keyword, items in macros.items():
        setattr(item, keyword, items)
    return item


def macro(**attributes: Any) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def enhanced(**top: Any) -> bytes:
    """Three frames, the second elsewhere than its number says; what all share stands once."""
    file = image_object(numbered(3, 2, 2), Modality="MR", **top)
    ds = pydicom.dcmread(io.BytesIO(file))
    ds.SharedFunctionalGroupsSequence = [
        group(
            PlaneOrientationSequence=[macro(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[macro(PixelSpacing=[1, 2], SliceThickness=3)],
            MRTimingAndRelatedParametersSequence=[macro(RepetitionTime=1500)],
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        group(
            PlanePositionSequence=[macro(ImagePositionPatient=[0, 0, z])],
            FrameContentSequence=[macro(StackID="1", TemporalPositionIndex=n + 1)],
            PixelValueTransformationSequence=[macro(RescaleSlope=n + 1, RescaleIntercept=0)],
            MRDiffusionSequence=[
                macro(
                    DiffusionBValue=1000.0,
                    DiffusionDirectionality="DIRECTIONAL",
                    DiffusionGradientDirectionSequence=[macro(DiffusionGradientOrientation=[0, 3, 0])],
                )
            ],
        )
        for n, z in enumerate((0, 6, 3))
    ]
    return part10(ds)


def test_functional_groups_are_looked_for_in_the_frame_then_in_what_all_share() -> None:
    found = read(enhanced())
    assert [frame.plane.position_mm for frame in found if frame.plane] == [(0, 0, 0), (0, 0, 6), (0, 0, 3)]
    assert {frame.plane.spacing_mm for frame in found if frame.plane} == {(1, 2)}
    assert [frame.slope for frame in found] == [1, 2, 3]
    assert {frame.step_mm for frame in found} == {3}
    assert {frame.kind.stack for frame in found} == {"1"}
    weights = {frame.diffusion for frame in found}
    (weight,) = weights
    assert weight is not None
    assert (weight.b_value, weight.gradient) == (1000, (0, 1, 0))


def test_what_stands_at_the_top_counts_where_no_group_has_it() -> None:
    assert repetition_s(read_part10(enhanced())[1]) == 1.5
    assert repetition_s(read_part10(slice_object(numbered(1, 2, 2)[0], 1, (0, 0, 0)))[1]) == 0


# --- Siemens


def csa(**entries: list[str]) -> bytes:
    """A header of the newer form."""
    out = [b"SV10\x04\x03\x02\x01", pack("<II", len(entries), 77)]
    for name, values in entries.items():
        out.append(pack("<64si4siii", name.encode(), 1, b"DS", 0, len(values), 77))
        for value in values:
            text = value.encode() + b"\0"
            out += [pack("<iiii", 0, len(text), 77, 0), text + bytes(-len(text) % 4)]
    return b"".join(out)


def mosaic(slices: int, side: int = 4, *, normal: list[str] | None = None, tiles: int = 2) -> bytes:
    def change(ds: Dataset) -> None:
        block = ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        entries = {"NumberOfImagesInMosaic": [str(slices)]}
        block.add_new(0x10, "OB", csa(**entries, **({"SliceNormalVector": normal} if normal else {})))

    pixels = numbered(1, side * tiles, side * tiles)[0]
    file = slice_object(
        pixels, 1, (0, 0, 0), Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"],
        SpacingBetweenSlices="3",
    )  # fmt: skip
    return changed(file, change)


def test_a_mosaic_is_its_tiles() -> None:
    found = read(mosaic(3))
    assert [frame.tile for frame in found] == [(0, 0), (0, 4), (4, 0)]
    # The header's place is that of a frame as large as the mosaic around the same centre.
    first = (4 / 2 * 0.75, 4 / 2 * 0.5, 0)
    assert [frame.plane.position_mm for frame in found if frame.plane] == [
        (first[0], first[1], z) for z in (0, 3, 6)
    ]
    backwards = read(mosaic(3, normal=["0", "0", "-1"]))
    assert [frame.plane.position_mm[2] for frame in backwards if frame.plane] == [0, -3, -6]


@pytest.mark.parametrize("slices", [0, 5, 9999, 10**9])
def test_a_mosaic_that_lies_is_refused(slices: int) -> None:
    with pytest.raises(DataSetError, match="mosaic"):
        read(mosaic(slices, side=5, tiles=1))


def test_a_csa_header_is_read_and_a_broken_one_ends_where_it_breaks() -> None:
    whole = csa(A=["1", "2.5"], B=["text"])
    assert read_csa(whole) == {"A": ["1", "2.5"], "B": ["text"]}
    assert csa_numbers(read_csa(whole), "A") == [1, 2.5]
    assert csa_numbers(read_csa(whole), "B") == []
    for cut in range(len(whole)):
        assert set(read_csa(whole[:cut])) <= {"A", "B"}
    generator = np.random.default_rng(3)
    for _ in range(500):
        broken = bytearray(whole)
        for place in generator.integers(0, len(broken), 4):
            broken[place] ^= 1 << int(generator.integers(8))
        assert len(read_csa(bytes(broken))) <= 2


# --- Diffusion


def test_diffusion_of_vendors_before_the_standard_had_it() -> None:
    pixels = numbered(1, 2, 2)[0]

    def siemens(ds: Dataset) -> None:
        block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", "700")
        block.add_new(0x0E, "FD", [0.0, 0.6, 0.8])

    def ge(ds: Dataset) -> None:
        ds.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", [1000000800, 0, 0, 0])

    plain = slice_object(pixels, 1, (0, 0, 0), Modality="MR")
    assert read(plain)[0].diffusion is None
    found = read(changed(plain, siemens))[0].diffusion
    assert found is not None
    assert (found.b_value, found.gradient) == (700, (0, 0.6, 0.8))
    found = read(changed(plain, ge))[0].diffusion
    assert found is not None
    assert (found.b_value, found.gradient) == (800, None)
    # Only MR is weighted by diffusion, whatever else an object carries.
    assert read(changed(slice_object(pixels, 1, (0, 0, 0), Modality="CT"), ge))[0].diffusion is None


def test_gradients_are_turned_as_the_axes_of_the_volume_are() -> None:
    plane = Plane((0, 0, 0), (1, 0, 0), (0, 0, -1), (1, 1))  # coronal: rows run to the feet
    assert along_voxels((0.1, 0.2, 0.3), plane) == pytest.approx((0.1, 0.3, 0.2))
    assert along_voxels(None, plane) == (0, 0, 0)


def test_private_attributes_are_found_in_whichever_block_they_are() -> None:
    def change(ds: Dataset) -> None:
        ds.private_block(0x0019, "OTHER", create=True).add_new(0x0C, "IS", "1")
        ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "2")

    _, ds = read_part10(changed(slice_object(numbered(1, 2, 2)[0], 1, (0, 0, 0)), change))
    assert private_tag(ds, 0x0019, "SIEMENS MR HEADER", 0x0C) == 0x0019110C
    assert private_tag(ds, 0x0019, "SIEMENS MR HEADER", 0x0D) is None
    assert private_tag(ds, 0x0019, "NOBODY", 0x0C) is None
