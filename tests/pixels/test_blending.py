"""Two images in one picture, and the subtraction of a mask (PS3.3 C.11.13, C.11.14, PS3.4 N.2.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from gantry.errors import DataSetError
from gantry.pixels.blending import blended, blending_sets, relative_opacity
from gantry.pixels.image import Window
from gantry.pixels.plane import Plane, nearest, read_plane, resampled
from gantry.pixels.presented import Coded, presented, superimposed
from gantry.pixels.subtraction import Subtraction, subtraction_of
from gantry.toolkit.presentation_state import Look, Superimposed, write_presentation_state
from image_values import image_object
from state_values import MADE, changed, palette, scanned, shown, state_for, table

SPACE = {"FrameOfReferenceUID": "1.2.3", "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "SliceThickness": 2}
UP = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)  # 0 to 98
OVER = np.full((40, 60), 255, np.uint8)
OVER[:, :30] = 0


def below(**attributes: Any) -> bytes:
    plain = {"ImagePositionPatient": [0, 0, 5], "PixelSpacing": [1, 1]}
    return image_object(UP[None], **(SPACE | plain | attributes))


def above(pixels: np.ndarray = OVER, **attributes: Any) -> bytes:
    plain = {"ImagePositionPatient": [0, 0, 5], "PixelSpacing": [1, 1], "SOPInstanceUID": "1.2.3.4.5"}
    return image_object(pixels[None], **(SPACE | plain | attributes))


def blend(first: bytes, second: bytes, opacity: float = 0.25) -> bytes:
    full = Window(128, 256)
    return write_presentation_state(
        [scanned(first)],
        Look(window=full),
        made=MADE,
        superimposed=Superimposed([scanned(second)], Look(window=full), palette(), opacity),
    )


def expected(over: np.ndarray, opacity: float) -> np.ndarray:
    """PS3.4 N.2.4.3, written out."""
    rgb = np.stack([over, over, 255 - over], axis=-1).astype(float)
    return rgb * opacity + UP[..., None].astype(float) * (1 - opacity)


@pytest.mark.parametrize("opacity", [0.0, 0.25, 1.0])
def test_gray_below_and_colour_above(opacity: float) -> None:
    first, second = below(), above()
    picture = shown(first, blend(first, second, opacity), above=second)
    assert np.abs(picture - expected(OVER, opacity)).max() <= 2  # the profile of the state costs one


def test_images_of_one_size_that_say_not_where_they_lie() -> None:
    first = image_object(UP[None])
    second = image_object(OVER[None], SOPInstanceUID="1.2.3.4.5")
    picture = shown(first, blend(first, second), above=second)
    assert np.abs(picture - expected(OVER, 0.25)).max() <= 2
    small = image_object(OVER[None, :20], SOPInstanceUID="1.2.3.4.5")
    with pytest.raises(DataSetError, match="different sizes"):
        shown(first, blend(first, small), above=small)


def test_what_lies_elsewhere_is_brought_to_its_place() -> None:
    """Above: half of the resolution, 10 mm to the right and 4 down."""
    coarse = np.arange(10 * 20, dtype=np.uint8).reshape(10, 20)
    first = below()
    second = above(coarse, PixelSpacing=[2, 2], ImagePositionPatient=[10.5, 4.5, 5.5])
    picture = shown(first, blend(first, second, 1.0), above=second).astype(int)
    assert (picture[:4] == UP[:4, :, None]).all()
    assert (picture[:, :10] == UP[:, :10, None]).all()
    assert (picture[24:] == UP[24:, :, None]).all()
    assert (picture[:, 50:] == UP[:, 50:, None]).all()
    # The centre of a coarse pixel is the corner of four fine ones.
    inner = picture[5:23, 11:49, 0].reshape(9, 2, 19, 2).mean(axis=(1, 3))
    middle = (coarse[:-1, :-1] + coarse[1:, 1:].astype(float)) / 2
    assert np.abs(inner - middle).max() <= 2


def test_turned_images_are_laid_on_each_other() -> None:
    first = below()
    turned = np.ascontiguousarray(OVER[:, ::-1])
    second = above(turned, ImageOrientationPatient=[-1, 0, 0, 0, 1, 0], ImagePositionPatient=[59, 0, 5])
    picture = shown(first, blend(first, second), above=second)
    assert np.abs(picture - expected(OVER, 0.25)).max() <= 2


def test_padding_above_lets_what_is_below_be_seen() -> None:
    first, second = below(), above(PixelPaddingValue=0)
    picture = shown(first, blend(first, second, 1.0), above=second)
    assert (picture[:, :29] == UP[:, :29, None]).all()
    assert (picture[:, 31:, 0] >= 254).all()


def test_the_slice_that_is_near_enough_is_found() -> None:
    first = below()
    others = [
        above(ImagePositionPatient=[0, 0, z], SOPInstanceUID=f"1.2.3.{z + 100}") for z in (-9, 4, 7, 90)
    ]
    state = blend(first, others[0])
    plan = presented(Coded(scanned(first), "1.2.840.10008.1.2.1"), scanned(state))
    found = superimposed(plan, [read_plane(scanned(other), 1) for other in others])
    assert found == 1
    assert superimposed(plan, [read_plane(scanned(others[3]), 1)]) is None
    sagittal = above(ImageOrientationPatient=[0, 1, 0, 0, 0, 1])
    assert superimposed(plan, [read_plane(scanned(sagittal), 1)]) is None
    assert superimposed(plan, [None]) == 0
    assert superimposed(plan, [None, None]) is None


def test_planes_that_cannot_be_laid_on_each_other() -> None:
    one = Plane("1", (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), 1.0)
    for other in (
        Plane("2", one.position, one.along_row, one.along_column, 1.0),
        Plane("1", one.position, one.along_row, (0.0, 0.0, 1.0), 1.0),
    ):
        with pytest.raises(DataSetError, match="parallel"):
            resampled(OVER, other, one, (4, 4))
        assert nearest(one, [other, None]) is None
    assert nearest(one, []) is None


@pytest.mark.parametrize(
    "attributes",
    [
        {"PixelSpacing": [0, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImageOrientationPatient": [1, 0, 0]},
        {"ImagePositionPatient": []},
    ],
)
def test_b58_a_plane_that_is_none(attributes: dict[str, Any]) -> None:
    assert read_plane(scanned(below(**attributes)), 1) is None


def test_b58_a_blending_state_without_its_sets() -> None:
    first, second = below(), above()
    state = blend(first, second)
    below_set, above_set = blending_sets(scanned(state))
    assert [one.sop_instance_uid for one in (*below_set, *above_set)][1:] == ["1.2.3.4.5"]
    one_set = changed(state, lambda ds: ds.BlendingSequence.pop())
    with pytest.raises(DataSetError, match="two sets"):
        blending_sets(scanned(one_set))
    with pytest.raises(DataSetError, match="other images"):
        shown(first, one_set, above=second)
    opaque = changed(state, lambda ds: ds.__delitem__("RelativeOpacity"))
    with pytest.raises(DataSetError, match="Relative Opacity"):
        relative_opacity(scanned(opaque))


def test_the_same_image_in_both_sets() -> None:
    first = below()
    picture = shown(first, blend(first, first, 0.5), above=first)
    assert np.abs(picture - expected(UP, 0.5)).max() <= 2


def test_blended_takes_gray_and_colour() -> None:
    gray, rgb = np.full((2, 2), 100, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    covers = np.array([[True, False], [False, True]])
    assert blended(gray, rgb, 0.5, covers)[..., 0].tolist() == [[150, 100], [100, 150]]
    assert blended(rgb, gray, 0.1)[0, 0].tolist() == [190, 190, 190]


# --- mask subtraction ---------------------------------------------------------------------------------------

RUN = np.stack([UP, UP, UP, UP]).astype(np.uint8)
RUN[2, 10:20, 10:20] += 100
RUN[3, 20:30, 20:30] += 50


def angiogram(**mask: Any) -> tuple[bytes, bytes]:
    file = image_object(RUN)

    def add(ds: Dataset) -> None:
        item = Dataset()
        for keyword, value in ({"MaskOperation": "AVG_SUB"} | mask).items():
            setattr(item, keyword, value)
        ds.MaskSubtractionSequence = [item]
        ds.RecommendedViewingMode = "SUB"

    return file, state_for(file, Look(window=Window(0, 200)), add)


def test_what_was_there_before_is_subtracted() -> None:
    file, state = angiogram(MaskFrameNumbers=[1, 2])
    picture = shown(file, state, 3).astype(int)
    assert np.abs(picture[10:20, 10:20] - 255).max() <= 1
    picture[10:20, 10:20] = 128
    assert np.abs(picture - 128).max() <= 1


def test_without_a_window_no_contrast_is_middle_gray() -> None:
    file = image_object(RUN)
    _, state = angiogram(MaskFrameNumbers=[1])
    state = changed(state, lambda ds: ds.__delitem__("SoftcopyVOILUTSequence"))
    picture = shown(file, state, 3).astype(int)
    assert abs(picture[0, 0] - 128) <= 1
    assert abs(picture[15, 15] - 128 - 50) <= 1


def test_each_frame_less_the_one_before() -> None:
    file, state = angiogram(MaskOperation="TID", TIDOffset=1)
    assert np.abs(shown(file, state, 2).astype(int) - 128).max() <= 1
    fourth = shown(file, state, 4).astype(int)
    assert fourth[15, 15] <= 1
    assert abs(fourth[25, 25] - 128 - 64) <= 1
    assert subtraction_of(scanned(state), 1) is None


def test_a_mask_is_moved_down_and_right() -> None:
    file, state = angiogram(MaskFrameNumbers=[3], MaskSubPixelShift=[2.0, 0.5])
    picture = shown(file, state, 1).astype(float)
    # Of the mask the box has moved, and the ramp is lower by two rows and half a column.
    assert abs(picture[5, 40] - (128 + 2.5 * 255 / 199)) <= 1.5
    dark = np.argwhere(picture < 60)
    assert dark.min(axis=0).tolist() == [12, 11]
    assert dark.max(axis=0).tolist() == [21, 19]


@pytest.mark.parametrize(
    ("mask", "frame", "found"),
    [
        ({"MaskFrameNumbers": [1, 2], "ApplicableFrameRange": [3, 4]}, 3, Subtraction((1, 2))),
        ({"MaskFrameNumbers": [1, 2], "ApplicableFrameRange": [3, 4]}, 2, None),
        ({"MaskFrameNumbers": [1, 2], "ApplicableFrameRange": [1, 1, 4, 4]}, 4, Subtraction((1, 2))),
        ({"MaskOperation": "NONE"}, 1, None),
        ({"MaskOperation": "REV_TID"}, 1, None),
        ({"MaskOperation": "TID", "TIDOffset": -1}, 2, Subtraction((3,))),
        ({"MaskOperation": "TID", "TIDOffset": 0}, 2, None),
        ({"MaskFrameNumbers": [0]}, 2, None),
        ({}, 2, None),
    ],
)
def test_which_frames_are_subtracted(mask: dict[str, Any], frame: int, found: Subtraction | None) -> None:
    assert subtraction_of(scanned(angiogram(**mask)[1]), frame) == found


def test_b58_a_mask_past_the_end_is_left_out() -> None:
    file, state = angiogram(MaskFrameNumbers=[9])
    assert presented(Coded(scanned(file), "1.2.840.10008.1.2.1"), scanned(state), 3).subtraction is None
    assert shown(file, state, 3).shape == UP.shape


def test_a_table_of_the_state_is_before_the_subtraction() -> None:
    file = image_object(RUN)
    _, plain = angiogram(MaskFrameNumbers=[1])
    tag = scanned(plain)
    assert tag.sequence(0x00286100)

    def add(ds: Dataset) -> None:
        item = Dataset()
        item.MaskOperation, item.MaskFrameNumbers = "AVG_SUB", [1]
        ds.MaskSubtractionSequence = [item]

    squares = table(0, 16, np.arange(256) ** 2)
    state = state_for(file, Look(modality_lut=squares, window=Window(0, 20000)), add)
    difference = RUN[2].astype(float) ** 2 - RUN[0].astype(float) ** 2
    assert np.abs(shown(file, state, 3) - np.clip((difference + 0.5) / 19999 + 0.5, 0, 1) * 255).max() <= 1
