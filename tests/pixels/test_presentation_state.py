"""Presentation states show what PS3.3 C.10, C.11 and PS3.4 N.2 say, and what is written comes back the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from gantry.errors import DataSetError
from gantry.pixels.display.cielab import cielab_to_rgb, rgb_to_cielab
from gantry.pixels.display.overlay import Overlay
from gantry.pixels.display.shutter import Shutter
from gantry.pixels.image import ImageHeader, Rendering, Window
from gantry.pixels.states.presentation import Presentation, Shadow
from gantry.pixels.states.presentation_state import applied, referenced_images
from gantry.toolkit.presentation_state import Look
from image_values import image_object
from state_values import (
    COLUMNS,
    CT_LIKE,
    GREEN,
    RED,
    ROWS,
    TWELVE,
    VALUES,
    WHITE,
    WINDOW,
    changed,
    graphic,
    header_by,
    line,
    palette,
    scanned,
    shown,
    state_for,
    table,
    text,
)
from support import shared_data

PLAIN = state_for(CT_LIKE, Look(window=WINDOW))
BITS = np.packbits((VALUES % 7 == 0).ravel(), bitorder="little").tobytes()
FLAT = image_object(np.full((1, ROWS, COLUMNS), 100, np.uint8))


def placed(**presentation: Any) -> np.ndarray:
    return shown(CT_LIKE, state_for(CT_LIKE, Look(window=WINDOW, presentation=Presentation(**presentation))))


# --- what a state says takes the place of what the image says -----------------------------------------------


def test_what_a_state_does_not_have_is_the_identity_whatever_the_image_says() -> None:
    file = image_object(
        VALUES[None], **TWELVE, RescaleSlope=3, RescaleIntercept=-7, WindowCenter=1, WindowWidth=1,
        PresentationLUTShape="INVERSE", ShutterShape="CIRCULAR", CenterOfCircularShutter=[1, 1],
        RadiusOfCircularShutter=1, PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip

    def without(ds: Dataset) -> None:
        for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType", "PresentationLUTShape"):
            del ds[keyword]

    picture = shown(file, state_for(file, Look(), without))
    assert np.abs(picture - VALUES / 4095 * 255).max() <= 0.51


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_polarity_is_that_of_the_state(photometric: str) -> None:
    file = image_object(VALUES[None], **TWELVE, PhotometricInterpretation=photometric)
    identity, inverse = (
        shown(file, state_for(file, Look(window=Window(2048, 4096), inverse=inverse)))
        for inverse in (False, True)
    )
    assert identity[0, 0] < identity[-1, -1]
    assert (identity.astype(int) + inverse == 255).mean() > 0.99


def test_each_image_and_frame_has_the_window_of_its_item() -> None:
    pixels = np.stack([VALUES] * 3)
    file = image_object(pixels, **TWELVE)

    def by_frame(ds: Dataset) -> None:
        uid, kind = str(scanned(file).text(0x00080018)), str(scanned(file).text(0x00080016))
        items = []
        for frames, center in (([2], 1000), ([1, 3], 3000)):
            one, reference = Dataset(), Dataset()
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = kind, uid
            reference.ReferencedFrameNumber = frames
            one.ReferencedImageSequence = [reference]
            one.WindowCenter, one.WindowWidth = center, 100
            items.append(one)
        other, reference = Dataset(), Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = kind, "1.2.3"
        other.ReferencedImageSequence = [reference]
        other.WindowCenter, other.WindowWidth = 7, 7
        ds.SoftcopyVOILUTSequence = [other, *items]

    state = state_for(file, Look(window=WINDOW), by_frame)
    windows = [header_by(file, state, frame).windows for frame in (1, 2, 3)]
    assert windows == [(Window(3000, 100),), (Window(1000, 100),), (Window(3000, 100),)]


def test_modality_voi_and_presentation_lut_of_the_state() -> None:
    steps = np.arange(4096)
    look = Look(
        modality_lut=table(0, 16, steps * 16),
        voi_lut=table(0, 16, np.arange(65536)[::-1]),
        presentation_lut=table(0, 16, np.arange(256) ** 2),
    )
    picture = shown(CT_LIKE, state_for(CT_LIKE, look))
    share = 1 - VALUES * 16 / 65535
    # 65025 is the largest entry, of 16 bits.
    assert np.abs(picture - np.round(share * 255) ** 2 / 65535 * 255).max() <= 0.51


def test_a_client_may_still_ask_for_another_window() -> None:
    asked = Rendering(window=Window(0, 2))
    picture = shown(CT_LIKE, PLAIN, wanted=asked)
    assert (picture == np.where(VALUES.astype(int) - 1000 > -0.5, 255, 0)).all()


# --- where it lies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_the_image_is_turned_clockwise_and_then_flipped(rotation: int, flip: bool) -> None:
    upright = placed()
    expected = np.rot90(upright, -rotation // 90)
    assert (placed(rotation=rotation, flip=flip) == (expected[:, ::-1] if flip else expected)).all()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_the_displayed_area_is_that_part_of_the_image(rotation: int, flip: bool) -> None:
    part = np.rot90(placed()[5:45, 10:40], -rotation // 90)
    found = placed(area=(10.0, 5.0, 30.0, 40.0), rotation=rotation, flip=flip)
    assert (found == (part[:, ::-1] if flip else part)).all()


def test_an_area_beyond_the_image_is_black_there() -> None:
    picture = placed(area=(-10.0, -5.0, 100.0, 100.0))
    assert picture.shape == (100, 100)
    assert (picture[5:65, 10:90] == placed()).all()
    picture = picture.copy()
    picture[5:65, 10:90] = 0
    assert not picture.any()


def test_an_area_fits_the_viewport_and_a_magnified_one_is_cut_by_it() -> None:
    state = state_for(CT_LIKE, Look(window=WINDOW, presentation=Presentation(area=(0.0, 0.0, 40.0, 20.0))))
    assert shown(CT_LIKE, state, wanted=Rendering(width=200, height=200)).shape == (100, 200)
    state = state_for(CT_LIKE, Look(window=WINDOW, presentation=Presentation(magnification=3.0)))
    assert shown(CT_LIKE, state).shape == (ROWS * 3, COLUMNS * 3)
    whole = shown(CT_LIKE, state)
    cut = shown(CT_LIKE, state, wanted=Rendering(width=60, height=90))
    assert cut.shape == (90, 60)
    assert np.abs(cut.astype(int) - whole[45:135, 90:150]).mean() < 1


def test_pixels_that_are_not_square_are_shown_as_the_state_says() -> None:
    assert placed(pixel_aspect=(2.0, 1.0)).shape == (ROWS * 2, COLUMNS)
    assert placed(pixel_aspect=(2.0, 1.0), rotation=90).shape == (COLUMNS, ROWS * 2)


# --- what is drawn ------------------------------------------------------------------------------------------


def drawn(*graphics: Any, words: tuple[Any, ...] = (), **look: Any) -> np.ndarray:
    presentation = Presentation(graphics=graphics, texts=words, **look.pop("presentation", {}))
    return shown(FLAT, state_for(FLAT, Look(presentation=presentation, **look)))


def test_a_line_goes_from_point_to_point_of_the_image() -> None:
    picture = drawn(line((10.5, 20.5), (70.5, 20.5)))
    assert picture.ndim == 2  # a white layer leaves a gray picture gray
    assert (picture[20, 12:69] == 255).all()
    assert (picture[20, :8] == 100).all()
    assert (picture[[15, 25]] == 100).all()
    assert picture[21, 40] < 100  # the dark edge


def test_a_line_turns_with_the_image() -> None:
    picture = drawn(line((10.5, 20.5), (70.5, 20.5)), presentation={"rotation": 90})
    assert (picture[12:69, ROWS - 21] == 255).all()


def test_display_units_count_in_the_displayed_area_however_it_is_turned() -> None:
    picture = drawn(
        line((0.0, 0.25), (1.0, 0.25), units="DISPLAY"),
        presentation={"rotation": 90, "area": (0.0, 0.0, 40.0, 20.0)},
    )
    assert picture.shape == (40, 20)
    assert picture[9:11].max(axis=0).min() > 150


def test_circles_and_ellipses() -> None:
    circle = drawn(graphic("CIRCLE", (40.5, 30.5), (60.5, 30.5)))
    assert min(circle[30, 60], circle[30, 20], circle[10, 40], circle[50, 40]) > 200
    assert (circle[20:40, 30:50] == 100).all()
    ellipse = drawn(graphic("ELLIPSE", (20.0, 30.0), (60.0, 30.0), (40.0, 20.0), (40.0, 40.0), filled=True))
    assert (ellipse[25:35, 30:50] == 255).all()
    assert ellipse[12, 40] == 100


def test_an_interpolated_line_goes_through_its_points() -> None:
    points = ((10.5, 10.5), (30.5, 50.5), (50.5, 10.5), (70.5, 50.5))
    picture = drawn(graphic("INTERPOLATED", *points))
    for x, y in points[1:-1]:
        assert picture[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].max() > 200


def test_an_open_line_is_not_filled_and_a_closed_one_is() -> None:
    corners = ((10.0, 10.0), (60.0, 10.0), (60.0, 50.0))
    assert drawn(line(*corners, filled=True))[20, 50] == 100
    assert drawn(line(*corners, corners[0], filled=True))[20, 50] == 255


def test_a_fill_has_a_colour_and_opacity_of_its_own() -> None:
    box = line((10.5, 10.5), (60.5, 10.5), (60.5, 50.5), (10.5, 50.5), (10.5, 10.5), filled=True)
    picture = drawn(replace(box, color=RED, fill=GREEN, fill_opacity=0.5))
    assert np.abs(picture[30, 30].astype(int) - [50, 178, 50]).max() <= 1
    assert picture[10, 30, 0] > 200


def test_layers_are_drawn_in_their_order() -> None:
    first = line((10.5, 20.5), (70.5, 20.5), color=RED, order=2, thickness=5.0)
    second = line((40.5, 5.5), (40.5, 50.5), color=GREEN, order=1, thickness=5.0)
    assert np.abs(drawn(first, second)[20, 40].astype(int) - RED).max() <= 1
    assert np.abs(drawn(replace(first, order=0), second)[20, 40].astype(int) - GREEN).max() <= 1


def test_dashes_shadows_and_opacity() -> None:
    path = ((5.0, 20.5), (75.0, 20.5))
    dashed = drawn(line(*path, dashed=True))[20]
    assert (dashed == 255).any()
    assert (dashed == 100).any()
    shadow = Shadow((0, 0, 0), 1.0, (0.0, 4.0))
    assert (drawn(line(*path, shadow=shadow))[24, 10:70] == 0).all()
    assert (drawn(line(*path, shadow=replace(shadow, outlined=True)))[[17, 24], 40] == 0).all()
    faint = drawn(line(*path, opacity=0.5))[20, 40]
    assert 120 < faint < 200


@pytest.mark.parametrize(
    ("justification", "columns"), [("LEFT", range(20)), ("CENTER", range(26, 54)), ("RIGHT", range(60, 80))]
)
def test_words_stand_in_their_box(justification: str, columns: range) -> None:
    words = text("Abc", box=((0.0, 10.0), (80.0, 40.0)), justification=justification)
    bright = np.argwhere(drawn(words=(words,)) > 200)
    assert len(bright)
    assert bright[:, 0].min() >= 10
    assert set(bright[:, 1]) <= set(columns)


def test_an_anchor_is_shown_where_it_is_asked_for() -> None:
    seen = text("x", anchor=(70.0, 50.0), anchor_visible=True)
    assert drawn(words=(seen,))[49:51, 69:71].min() > 200
    assert drawn(words=(replace(seen, anchor_visible=False),))[49:51, 69:71].max() == 100


def test_words_for_a_part_that_is_not_shown_are_not_shown() -> None:
    words = text("far away", box=((60.0, 40.0), (79.0, 59.0)))
    assert (drawn(words=(words,), presentation={"area": (0.0, 0.0, 30.0, 30.0)}) == 100).all()


# --- overlays and shutters ----------------------------------------------------------------------------------


def with_plane(file: bytes, group: int, bits: bytes, layer: str | None = None) -> bytes:
    def add(ds: Dataset) -> None:
        for element, vr, value in (
            (0x0010, "US", ROWS), (0x0011, "US", COLUMNS), (0x0040, "CS", "G"), (0x0050, "SS", [1, 1]),
            (0x0100, "US", 1), (0x0102, "US", 0), (0x3000, "OW", bits),
        ):  # fmt: skip
            ds.add_new(group << 16 | element, vr, value)
        if layer is not None:
            ds.add_new(group << 16 | 0x1001, "CS", layer)

    return changed(file, add)


PLANE = Overlay(0x6000, ROWS, COLUMNS, (1, 1), BITS)
MASK = VALUES % 7 == 0


def activated(layer: str, group: int = 0x6000) -> Any:
    def add(ds: Dataset) -> None:
        ds.add_new(group << 16 | 0x1001, "CS", layer)
        one = Dataset()
        one.GraphicLayer, one.GraphicLayerOrder = "IT", 1
        one.GraphicLayerRecommendedDisplayCIELabValue = list(rgb_to_cielab(GREEN))
        ds.GraphicLayerSequence = [one]

    return add


def test_an_overlay_of_the_image_is_shown_where_the_state_activates_it() -> None:
    file = with_plane(FLAT, 0x6000, BITS)
    assert (shown(file, state_for(file, Look())) == 100).all()
    assert (shown(file, state_for(file, Look(), activated(""))) == 100).all()
    picture = shown(file, state_for(file, Look(), activated("IT")))
    assert np.abs(picture[MASK].astype(int) - GREEN).max() <= 1
    assert (picture[~MASK] == 100).all()


def test_an_overlay_of_the_state_takes_the_place_of_the_image_s_in_the_same_group() -> None:
    file = with_plane(FLAT, 0x6000, bytes(len(BITS)))
    picture = shown(file, state_for(file, Look(overlays=(PLANE,))))
    assert ((picture == 255) == MASK).all()


def test_a_bitmap_shutter_covers_and_is_no_overlay() -> None:
    shutter = Shutter(overlay_group=0x6000, color=(128, 128, 128))
    picture = shown(FLAT, state_for(FLAT, Look(overlays=(PLANE,), shutter=shutter)))
    assert ((picture == 128) == MASK).all()
    assert (picture[~MASK] == 100).all()


def test_annotations_are_seen_on_the_shutter() -> None:
    look = Look(
        overlays=(PLANE,),
        shutter=Shutter(edges=(20, 60, 20, 40)),
        presentation=Presentation(graphics=(line((0.0, 5.5), (80.0, 5.5)),)),
    )
    picture = shown(FLAT, state_for(FLAT, look))
    assert (picture[5, 2:78] == 255).all()
    assert (picture[10:19] == np.where(MASK[10:19], 255, 0)).all()


def test_the_shutter_of_the_state_has_a_colour_in_a_state_of_colour() -> None:
    shutter = Shutter(circle=(30, 40, 10), color=(0, 60, 200))
    look = Look(shutter=shutter, presentation=Presentation(palette=palette()))
    picture = shown(FLAT, state_for(FLAT, look))
    assert np.abs(picture[0, 0].astype(int) - (0, 60, 200)).max() <= 1
    assert header_by(FLAT, state_for(FLAT, Look(shutter=shutter))).shutter == replace(
        shutter, color=(58,) * 3
    )


# --- colour -------------------------------------------------------------------------------------------------


def test_pseudo_color_comes_after_the_window() -> None:
    look = Look(
        window=Window(2048, 4096), rescale=(1.0, 0.0, "US"), presentation=Presentation(palette=palette())
    )
    picture = shown(CT_LIKE, state_for(CT_LIKE, look)).astype(int)
    gray = np.round(VALUES / 4095 * 255)
    assert np.abs(picture[..., 0] - gray).max() <= 2
    assert np.abs(picture[..., 2] - (255 - gray)).max() <= 2


def test_a_color_state_turns_and_brings_its_profile() -> None:
    rgb = np.random.default_rng(3).integers(0, 255, (1, ROWS, COLUMNS, 3), np.uint8)
    file = image_object(rgb)
    picture = shown(file, state_for(file, Look(presentation=Presentation(rotation=180))))
    # The profile is sRGB: what a browser takes a picture for.
    assert np.abs(picture.astype(int) - rgb[0, ::-1, ::-1]).max() <= 2
    assert header_by(file, state_for(file, Look())).icc_profile[12:20] == b"scnrRGB "


@pytest.mark.parametrize(
    "color", [(0, 0, 0), WHITE, RED, GREEN, (0, 60, 200), (127, 127, 127), (255, 255, 0)]
)
def test_colours_survive_cielab(color: tuple[int, int, int]) -> None:
    assert np.abs(np.subtract(cielab_to_rgb(rgb_to_cielab(color)), color)).max() <= 1


# --- which images -------------------------------------------------------------------------------------------


def test_a_state_tells_its_images_and_frames() -> None:
    file = image_object(np.stack([VALUES] * 3), **TWELVE)
    found = referenced_images(scanned(state_for(file, Look(), frames=[1, 3])))
    assert [(one.sop_instance_uid, one.frames) for one in found] == [(scanned(file).text(0x00080018), (1, 3))]
    assert [found[0].includes(frame) for frame in (1, 2, 3)] == [True, False, True]


def test_a_state_is_not_applied_to_what_it_is_not_for() -> None:
    file = image_object(np.stack([VALUES] * 3), **TWELVE)
    state = state_for(file, Look(), frames=[1, 3])
    with pytest.raises(DataSetError, match="other images or frames"):
        header_by(file, state, 2)
    other = image_object(VALUES[None], **TWELVE, SOPInstanceUID="1.2.3")
    with pytest.raises(DataSetError, match="other images"):
        header_by(other, state)
    with pytest.raises(DataSetError, match="no presentation state"):
        header_by(file, file)


def test_a_state_of_one_image_is_the_same_for_all_of_its_frames() -> None:
    file = image_object(np.stack([VALUES, VALUES[::-1]]), **TWELVE)
    state = state_for(file, Look(window=Window(2048, 4096)))
    assert (shown(file, state, 1) == shown(file, state, 2)[::-1]).all()


# --- what only some kinds of states have --------------------------------------------------------------------


def reference(file: bytes, *frames: int) -> Dataset:
    one = Dataset()
    one.ReferencedSOPClassUID = scanned(file).text(0x00080016)
    one.ReferencedSOPInstanceUID = scanned(file).text(0x00080018)
    if frames:
        one.ReferencedFrameNumber = list(frames)
    return one


def test_each_frame_has_a_modality_lut_of_its_own() -> None:
    file = image_object(np.stack([VALUES] * 2), **TWELVE)

    def variable(ds: Dataset) -> None:
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.12"
        del ds.RescaleSlope, ds.RescaleIntercept
        items = []
        for frame, slope in ((1, 2), (2, 3)):
            one = Dataset()
            one.ReferencedImageSequence = [reference(file, frame)]
            one.RescaleSlope, one.RescaleIntercept, one.RescaleType = slope, -5, "US"
            items.append(one)
        ds.VariableModalityLUTSequence = items

    state = state_for(file, Look(window=WINDOW), variable)
    assert [header_by(file, state, frame).rescale_slope for frame in (1, 2)] == [2, 3]
    assert header_by(file, state).rescale_intercept == -5


def test_each_frame_has_a_shutter_of_its_own_in_an_xa_xrf_state() -> None:
    file = image_object(np.stack([VALUES] * 3), **TWELVE)

    def angiographic(ds: Dataset) -> None:
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.5"
        ds.ShutterPresentationValue = 0x8080
        items = []
        for frame, radius in ((1, 10), (2, 20)):
            one = Dataset()
            one.ReferencedImageSequence = [reference(file, frame)]
            one.ShutterShape, one.CenterOfCircularShutter = "CIRCULAR", [5, 6]
            one.RadiusOfCircularShutter = radius
            items.append(one)
        items[1].ShutterPresentationValue = 0xFFFF
        ds.FrameDisplayShutterSequence = items

    state = state_for(file, Look(window=WINDOW), angiographic)
    assert [header_by(file, state, frame).shutter for frame in (1, 2, 3)] == [
        Shutter(circle=(5, 6, 10), color=(128, 128, 128)), Shutter(circle=(5, 6, 20), color=WHITE), None,
    ]  # fmt: skip


@pytest.mark.parametrize("told", [True, False])
def test_matrix_units_are_told_from_the_corner_of_the_tile(told: bool) -> None:
    """Six tiles, three by two, of which the fifth is in the middle of the lower row."""
    file = image_object(np.stack([VALUES] * 6), **TWELVE)

    def tiled(ds: Dataset) -> None:
        ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows = 3 * COLUMNS - 5, 2 * ROWS
        if told:
            ds.PerFrameFunctionalGroupsSequence = []
            for row in range(2):
                for column in range(3):
                    group, plane = Dataset(), Dataset()
                    plane.ColumnPositionInTotalImagePixelMatrix = column * COLUMNS + 1
                    plane.RowPositionInTotalImagePixelMatrix = row * ROWS + 1
                    group.PlanePositionSlideSequence = [plane]
                    ds.PerFrameFunctionalGroupsSequence.append(group)

    file = changed(file, tiled)
    look = Look(
        presentation=Presentation(
            graphics=(line((100.0, 70.0), (90.0, 80.0), units="MATRIX"), line((1.0, 2.0), (3.0, 4.0))),
            texts=(text("x", box_units="MATRIX", anchor=(81.0, 61.0), anchor_units="MATRIX"),),
        )
    )
    found = header_by(file, state_for(file, look), 5).presentation
    assert found is not None
    assert [one.points for one in found.graphics] == [((20.0, 10.0), (10.0, 20.0)), ((1.0, 2.0), (3.0, 4.0))]
    assert {one.units for one in found.graphics} == {"PIXEL"}
    assert found.texts[0].anchor == (1.0, 1.0)
    assert found.texts[0].box == ((-75.0, -55.0), (-40.0, -40.0))


def test_the_area_of_a_whole_slide_is_not_that_of_a_tile() -> None:
    def slide(ds: Dataset) -> None:
        ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows = 8 * COLUMNS, 8 * ROWS

    file = changed(CT_LIKE, slide)
    look = Look(presentation=Presentation(area=(0.0, 0.0, 8.0 * COLUMNS, 8.0 * ROWS)))
    change = only("DisplayedAreaSelectionSequence", "PixelOriginInterpretation", "VOLUME")
    assert shown(file, state_for(file, look, change)).shape == (ROWS, COLUMNS)


def test_an_area_counted_from_zero_is_the_whole_image() -> None:
    change = _area(DisplayedAreaTopLeftHandCorner=[0, 0], DisplayedAreaBottomRightHandCorner=[COLUMNS, ROWS])
    assert shown(CT_LIKE, state_for(CT_LIKE, Look(window=WINDOW), change)).shape == (ROWS, COLUMNS)


def test_words_have_the_colour_of_their_style() -> None:
    def styled(ds: Dataset) -> None:
        style = Dataset()
        style.TextColorCIELabValue = list(rgb_to_cielab(RED))
        ds.GraphicAnnotationSequence[0].TextObjectSequence[0].TextStyleSequence = [style]

    found = header_by(FLAT, state_for(FLAT, ANNOTATED, styled)).presentation
    assert found is not None
    assert np.abs(np.subtract(found.texts[0].color, RED)).max() <= 1
    assert found.graphics[0].color == WHITE


def test_a_layer_of_no_colour_is_yellow() -> None:
    def bare(ds: Dataset) -> None:
        for layer in ds.GraphicLayerSequence:
            del layer.GraphicLayerRecommendedDisplayGrayscaleValue

    found = header_by(FLAT, state_for(FLAT, ANNOTATED, bare)).presentation
    assert found is not None
    assert found.graphics[0].color == (255, 255, 0)


def test_a_palette_of_the_state_takes_the_place_of_the_image_s() -> None:
    def indexed(ds: Dataset) -> None:
        ds.PhotometricInterpretation = "PALETTE COLOR"
        for color in ("Red", "Green", "Blue"):
            setattr(ds, f"{color}PaletteColorLookupTableDescriptor", [256, 0, 16])
            setattr(ds, f"{color}PaletteColorLookupTableData", bytes(512))
            ds[f"{color}PaletteColorLookupTableDescriptor"].VR = "US"

    gray = np.arange(256, dtype=np.uint8).repeat(4).reshape(1, 16, 64)
    file = changed(image_object(gray), indexed)
    look = Look(presentation=Presentation(palette=palette()))
    picture = shown(file, state_for(file, look)).astype(int)
    assert np.abs(picture[..., 0] - gray[0]).max() <= 2


# --- written and read again ---------------------------------------------------------------------------------

FULL = Look(
    window=Window(40.25, 399.5, "soft"),
    voi_function="SIGMOID",
    rescale=(0.1, -3.1415926535898, "US"),
    presentation_lut=table(0, 12, np.linspace(0, 4095, 300)),
    shutter=Shutter((1, 2, 3, 4), (5, 6, 7), ((8, 9), (10, 11), (12, 20)), 0x6002, (128, 128, 128)),
    overlays=(PLANE, replace(PLANE, group=0x6002, origin=(-3, 5), is_region=True)),
    presentation=Presentation(
        area=(-3.0, 4.0, 20.0, 30.0),
        rotation=270,
        flip=True,
        magnification=1.5,
        pixel_aspect=(0.5, 0.25),
        graphics=(
            graphic("CIRCLE", (1.0, 2.0), (3.0, 4.5), order=2),
            line((0.25, 0.5), (0.75, 0.5), (0.25, 0.5), units="DISPLAY", filled=True, color=(9, 9, 9), order=3,
                 thickness=2.5, dashed=True, opacity=0.5, fill=(4, 4, 4), fill_opacity=0.25,
                 shadow=Shadow((7, 7, 7), 0.75, (1.5, -2.0), True)),
            graphic("POINT", (5.0, 5.0), color=(9, 9, 9), order=3),
        ),
        texts=(text("two\nlines: ü ² 日本", anchor=(1.0, 2.0), anchor_visible=True, order=2),),
    ),
)  # fmt: skip


def test_what_is_written_is_read_again() -> None:
    header = header_by(CT_LIKE, state_for(CT_LIKE, FULL))
    assert header.windows == (FULL.window,)
    assert header.voi_lut_function == "SIGMOID"
    assert (header.rescale_slope, header.rescale_intercept) == (0.1, -3.1415926535898)
    assert header.presentation_lut == FULL.presentation_lut
    assert header.shutter == FULL.shutter
    assert {overlay.origin: overlay.is_region for overlay in header.overlays} == {
        (1, 1): False,
        (-3, 5): True,
    }
    found, wanted = header.presentation, FULL.presentation
    assert found is not None
    assert found.texts == (replace(wanted.texts[0], text="two\r\nlines: ü ² 日本"),)
    assert [one.points for one in found.graphics] == [one.points for one in wanted.graphics]
    orders = [one.order for one in found.graphics]
    assert orders == sorted(orders)
    bare = replace(wanted, texts=(), graphics=tuple(replace(one, order=0) for one in wanted.graphics))
    again = replace(found, texts=(), graphics=tuple(replace(one, order=0) for one in found.graphics))
    assert again == bare


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("count", [1, 255, 40000, 65536])
def test_tables_of_any_length_come_back(count: int, signed: bool) -> None:
    file = image_object(VALUES.astype(np.int16 if signed else np.uint16)[None])
    made = table(-100 if signed else 60000, 16, np.arange(count))
    header = header_by(file, state_for(file, Look(voi_lut=made)))
    assert header.voi_luts == (made,)


def test_a_table_of_few_bits_is_the_same_gray_in_sixteen() -> None:
    made = table(-1000, 12, np.linspace(0, 4095, 4096))
    direct = np.round(np.clip(VALUES, 0, 4095) / 4095 * 255)
    assert np.abs(shown(CT_LIKE, state_for(CT_LIKE, Look(voi_lut=made))) - direct).max() <= 1


# --- bad input ----------------------------------------------------------------------------------------------


def only(sequence: str, keyword: str, value: Any, deeper: str = "") -> Any:
    """Change one attribute of the first Item of a sequence."""

    def change(ds: Dataset) -> None:
        holder = ds[sequence].value[0]
        if deeper:
            holder = holder[deeper].value[0]
        if value is None:
            del holder[keyword]
        else:
            setattr(holder, keyword, value)

    return change


ANNOTATED = Look(
    presentation=Presentation(graphics=(line((5.0, 5.0), (60.0, 50.0)),), texts=(text("words"),))
)
LEFT_OUT = {
    "odd": ("GraphicData", [1.0, 2.0, 3.0]),
    "fewer than told": ("NumberOfGraphicPoints", 3),
    "no points": ("GraphicData", None),
    "not a number": ("GraphicData", [float("nan"), 1.0, 2.0, 3.0]),
    "endless": ("GraphicData", [float("inf"), 1.0, 2.0, 3.0]),
    "an unknown kind": ("GraphicType", "STAR"),
    "an ellipse of two points": ("GraphicType", "ELLIPSE"),
    "three dimensions": ("GraphicDimensions", 3),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_b58_a_graphic_that_breaks_its_rules_is_left_out(name: str) -> None:
    keyword, value = LEFT_OUT[name]
    change = only("GraphicAnnotationSequence", keyword, value, "GraphicObjectSequence")
    header = header_by(FLAT, state_for(FLAT, ANNOTATED, change))
    assert header.presentation is not None
    assert header.presentation.graphics == ()
    assert [one.text for one in header.presentation.texts] == ["words"]


def test_b58_a_scribble_of_many_thousand_points_is_drawn_with_steps() -> None:
    points = [((n * 7919) % 79 + 0.5, (n * 104729) % 59 + 0.5) for n in range(20_000)]
    picture = drawn(line(*points, dashed=True))
    assert (picture == 255).mean() > 0.9


def test_long_lines_have_no_seams() -> None:
    file = image_object(np.full((1, 300, 300), 100, np.uint8))
    graphics = (
        line((10.5, 150.5), (290.5, 150.5)),
        graphic("CIRCLE", (150.5, 150.5), (280.5, 150.5), opacity=0.5),
    )
    picture = shown(file, state_for(file, Look(presentation=Presentation(graphics=graphics))))
    assert (picture[150, 12:289][np.r_[0:6, 20:250]] == 255).all()
    # All around, what is seen of the circle is of one brightness.
    angles = np.linspace(0, 2 * np.pi, 2000)
    ring = [
        picture[round(150 + 130 * np.sin(a)), round(150 + 130 * np.cos(a))]
        for a in angles
        if abs(np.sin(a)) > 0.1
    ]
    assert max(ring) <= 180
    assert min(ring) > 60


@pytest.mark.parametrize("far", [1e5, 1e9, 1e30, 3e38])
@pytest.mark.parametrize("kind", ["POLYLINE", "INTERPOLATED", "CIRCLE", "POINT"])
def test_b58_points_at_the_end_of_the_world_cost_nothing(kind: str, far: float) -> None:
    points = ((-far, 30.0), (far, 30.0), (-far, 30.0))[: {"CIRCLE": 2, "POINT": 1}.get(kind)]
    assert drawn(graphic(kind, *points, filled=True, dashed=True)).shape[:2] == (ROWS, COLUMNS)


def test_b58_a_text_of_megabytes_is_cut() -> None:
    change = only("GraphicAnnotationSequence", "UnformattedTextValue", "W" * 3_000_000, "TextObjectSequence")

    def long(ds: Dataset) -> None:
        change(ds)
        ds["GraphicAnnotationSequence"].value[0]["TextObjectSequence"].value[0][
            "UnformattedTextValue"
        ].VR = "UT"

    state = state_for(FLAT, ANNOTATED, long)
    presentation = header_by(FLAT, state).presentation
    assert presentation is not None
    assert {len(one.text) for one in presentation.texts} <= {1024}
    assert shown(FLAT, state).shape == (ROWS, COLUMNS)


def test_b58_thousands_of_annotations_stop_at_the_limit() -> None:
    def many(ds: Dataset) -> None:
        items = ds.GraphicAnnotationSequence[0].GraphicObjectSequence
        ds.GraphicAnnotationSequence[0].GraphicObjectSequence = [items[0]] * 5000

    presentation = header_by(FLAT, state_for(FLAT, ANNOTATED, many)).presentation
    assert presentation is not None
    assert len(presentation.graphics) == 2000


REFUSED: dict[str, tuple[Any, str]] = {
    "a turn of 45 degrees": (lambda ds: setattr(ds, "ImageRotation", 45), "Image Rotation is 45"),
    "no images": (lambda ds: setattr(ds, "ReferencedSeriesSequence", []), "other images"),
    "empty series": (only("ReferencedSeriesSequence", "ReferencedImageSequence", []), "other images"),
    "another class": (
        lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.11.8"),
        "no presentation",
    ),
    "another frame": (
        only("ReferencedSeriesSequence", "ReferencedFrameNumber", 9, "ReferencedImageSequence"),
        "other images or frames",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_b58_what_cannot_be_shown_as_meant_is_refused(name: str) -> None:
    change, message = REFUSED[name]
    with pytest.raises(DataSetError, match=message):
        header_by(CT_LIKE, state_for(CT_LIKE, Look(window=WINDOW), change))


def _area(**values: Any) -> Any:
    def change(ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds.DisplayedAreaSelectionSequence[0], keyword, value)

    return change


@pytest.mark.parametrize(
    "values",
    [
        {
            "DisplayedAreaTopLeftHandCorner": [-(2**31), -(2**31)],
            "DisplayedAreaBottomRightHandCorner": [2**31 - 1] * 2,
        },
        {"PresentationSizeMode": "MAGNIFY", "PresentationPixelMagnificationRatio": 1e9},
        {"PresentationPixelAspectRatio": ["1", "1000000000"]},
    ],
)
def test_b58_an_area_of_the_size_of_a_city_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(DataSetError, match="limit"):
        shown(CT_LIKE, state_for(CT_LIKE, Look(window=WINDOW), _area(**values)))


SHRUGGED: dict[str, Any] = {
    "empty areas": lambda ds: setattr(ds, "DisplayedAreaSelectionSequence", []),
    "an area of one corner": _area(DisplayedAreaTopLeftHandCorner=[]),
    "a ratio of nothing": _area(PresentationPixelAspectRatio=["0", "0"]),
    "a magnification of nothing": _area(PresentationSizeMode="MAGNIFY", PresentationPixelMagnificationRatio=0.0),
    "empty VOI": lambda ds: setattr(ds, "SoftcopyVOILUTSequence", []),
    "an empty VOI Item": lambda ds: setattr(ds, "SoftcopyVOILUTSequence", [Dataset()]),
    "no shape": lambda ds: ds.__delitem__("PresentationLUTShape"),
    "empty layers": lambda ds: setattr(ds, "GraphicLayerSequence", []),
    "a shutter of no shape": lambda ds: setattr(ds, "ShutterShape", "RECTANGULAR"),
    "an empty annotation": lambda ds: setattr(ds, "GraphicAnnotationSequence", [Dataset()]),
    "a bitmap that is not there": lambda ds: [
        setattr(ds, "ShutterShape", "BITMAP"), ds.add_new(0x00181623, "US", 0x6004),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SHRUGGED)
def test_b58_what_is_missing_is_passed_over(name: str) -> None:
    picture = shown(CT_LIKE, state_for(CT_LIKE, Look(window=WINDOW), SHRUGGED[name]))
    assert picture.shape == (ROWS, COLUMNS)
    if "VOI" not in name:
        assert (picture == shown(CT_LIKE, PLAIN)).all()


@pytest.mark.parametrize("count", [0, 1, 10, 4095, 5000])
def test_b57_a_table_that_lies_about_its_length(count: int) -> None:
    def lie(ds: Dataset) -> None:
        entry = ds.SoftcopyVOILUTSequence[0].VOILUTSequence[0]
        entry.LUTDescriptor = [count, -1000, 16]

    state = state_for(CT_LIKE, Look(voi_lut=table(-1000, 16, np.arange(4096) * 16)), lie)
    assert shown(CT_LIKE, state).shape == (ROWS, COLUMNS)


def test_every_truncation_of_a_state_is_read_or_refused() -> None:
    state = state_for(CT_LIKE, replace(FULL, overlays=(), shutter=None))
    image = scanned(CT_LIKE)
    header = ImageHeader.from_dataset(image)
    for length in range(400, len(state), 97):
        try:
            applied(header, image, scanned(state[:length]))
        except DataSetError as error:
            assert error.cause


@pytest.mark.slow
def test_flipped_bits_of_a_state_are_shown_or_refused() -> None:
    state = state_for(CT_LIKE, FULL)
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(600):
        broken = bytearray(state)
        for place in rng.integers(300, len(state), 3):
            broken[place] = rng.integers(0, 256)
        try:
            shown(CT_LIKE, bytes(broken), wanted=Rendering(width=200, height=200))
        except DataSetError as error:
            assert error.cause
            refused += 1
    assert 0 < refused < 500


def test_a_state_of_the_shared_data_has_its_drawing_and_words() -> None:
    root = shared_data()
    image, state = (scanned((root / "pr" / name).read_bytes()) for name in ("CR000000.dcm", "PR000000.dcm"))
    header = applied(ImageHeader.from_dataset(image), image, state)
    assert header.presentation is not None
    assert [one.kind for one in header.presentation.graphics] == ["ELLIPSE"]
    assert header.presentation.texts[0].text.startswith("Mean: 2651.41")
    assert "cm²" in header.presentation.texts[0].text
