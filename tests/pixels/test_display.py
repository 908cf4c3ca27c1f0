"""The display pipeline step by step: defaults, padding, LUT sequences, functional groups, overlays, shutters, colour."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image, ImageCms
from pydicom.dataset import Dataset

from gantry.dataset.part10 import read_part10
from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.cielab import cielab_to_rgb
from gantry.pixels.decode import decode
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.functional_groups import FRAME_VOI_LUT, PIXEL_MEASURES, FunctionalGroups
from gantry.pixels.geometry import place
from gantry.pixels.icc import NAMED, converted, profile
from gantry.pixels.image import ImageHeader, Rendering, Window
from gantry.pixels.picture_format import animated, encode
from gantry.pixels.pnm import from_pnm
from gantry.pixels.render import render, to_picture
from gantry.pixels.transcode import stored_frame
from gantry.pixels.voi import default_window
from image_values import header, image_object

RAMP = np.arange(4096, dtype=np.uint16).reshape(1, 64, 64)
TWELVE = {"BitsStored": 12, "HighBit": 11}


def scanned(pixels: np.ndarray = RAMP, **attributes: Any) -> DataSet:
    return read_part10(image_object(pixels, **attributes))[1]


def picture(ds: DataSet, frame: int = 1, wanted: Rendering | None = None) -> np.ndarray:
    """What is shown of a frame of a native object."""
    table = frame_table(ds)
    assert table is not None
    image = ImageHeader.from_dataset(ds, frame)
    found = decode(stored_frame(ds, table, frame - 1), "1.2.840.10008.1.2.1", image)
    return to_picture(
        found.pixels, found.header.photometric_interpretation, found.header, wanted or Rendering()
    )


def item(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


# --- windows -----------------------------------------------------------------------------------------------


def test_a_window_is_chosen_by_name_and_by_number() -> None:
    ds = scanned(
        **TWELVE, WindowCenter=[100, 3000], WindowWidth=[50, 50], WindowCenterWidthExplanation=["LOW", "HIGH"]
    )
    low, high = picture(ds), picture(ds, wanted=Rendering(voi_name="high"))
    assert low[2, 0] == 255  # stored value 128
    assert high[2, 0] == 0
    assert (picture(ds, wanted=Rendering(voi_number=2)) == high).all()
    assert (picture(ds, wanted=Rendering(voi_name="none such")) == low).all()
    assert (picture(ds, wanted=Rendering(voi_number=9)) == low).all()


@pytest.mark.parametrize(
    ("values", "given", "shown"),
    [
        ([0, 4095], {"modality": "CT", "hounsfield": True, "bits_stored": None}, (Window(40, 400), "LINEAR")),
        ([3, 90], {"modality": "OT", "hounsfield": False, "bits_stored": 8}, (Window(128, 256), "LINEAR")),
        (
            [0, 1],
            {"modality": "SEG", "hounsfield": False, "bits_stored": None},
            (Window(0.5, 1), "LINEAR_EXACT"),
        ),
        (
            [7, 7],
            {"modality": "MR", "hounsfield": False, "bits_stored": 12},
            (Window(7.5, 1), "LINEAR_EXACT"),
        ),
        (
            [np.nan],
            {"modality": "MR", "hounsfield": False, "bits_stored": None},
            (Window(0.5, 1), "LINEAR_EXACT"),
        ),
    ],
)
def test_b56_the_default_window(
    values: list[float], given: dict[str, Any], shown: tuple[Window, str]
) -> None:
    assert default_window(np.array(values), **given) == shown


def test_positron_emission_begins_at_zero_and_one_hot_pixel_does_not_darken_it() -> None:
    values = np.linspace(2, 50, 10_000)
    values[0] = 1e6
    window, function = default_window(values, modality="PT", hounsfield=False, bits_stored=None)
    assert function == "LINEAR_EXACT"
    assert window.center - window.width / 2 == 0
    assert 49 < window.width < 60


def test_a_map_of_fractions_with_a_window_of_one_is_a_ramp() -> None:
    image = header(rows=1, columns=3, bits_allocated=32, pixel_vr="OF", windows=(Window(0.5, 1.0),))
    shown = to_picture(np.array([[0, 0.5, 1]], np.float32), "MONOCHROME2", image, Rendering())
    assert shown[0].tolist() == [0, 128, 255]


def test_padding_is_black_whatever_the_polarity_and_does_not_count_for_the_window() -> None:
    pixels = np.full((1, 8, 8), -2000, np.int16)
    pixels[0, 2:6, 2:6] = np.arange(1000, 1016).reshape(4, 4)
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        shown = picture(
            scanned(pixels, PhotometricInterpretation=photometric, PixelPaddingValue=-2000, Modality="MR")
        )
        assert not shown[:2].any()
        assert shown[2:6, 2:6].max() > 240
        assert np.unique(shown[2:6, 2:6]).size > 8


def test_a_range_of_padding() -> None:
    ds = scanned(**TWELVE, PixelPaddingValue=10, PixelPaddingRangeLimit=20, WindowCenter=2, WindowWidth=4)
    assert picture(ds)[0, 9:22].tolist() == [255, *[0] * 11, 255]


# --- lookup tables -----------------------------------------------------------------------------------------


def lut(first: int, bits: int, entries: Any, **more: Any) -> Dataset:
    table = item(**more)
    table.add_new(0x00283002, "US", [len(entries) & 0xFFFF, first, bits])
    table.add_new(0x00283006, "OW", np.asarray(entries, "<u2").tobytes())
    return table


def test_a_presentation_lut_is_spread_over_what_the_window_gives() -> None:
    ds = scanned(
        **TWELVE,
        WindowCenter=2048,
        WindowWidth=4096,
        PresentationLUTSequence=[lut(0, 8, np.arange(256)[::-1])],
    )
    plain = scanned(**TWELVE, WindowCenter=2048, WindowWidth=4096)
    assert np.abs(picture(ds).astype(int) + picture(plain) - 255).max() <= 1


def test_voi_tables_are_found_by_name_before_windows() -> None:
    tables = [lut(0, 12, np.arange(4096)), lut(0, 12, np.arange(4096)[::-1], LUTExplanation="REVERSED")]
    ds = scanned(**TWELVE, VOILUTSequence=tables, WindowCenter=1, WindowWidth=2)
    shown = picture(ds)
    assert (shown[0, 0], shown[-1, -1]) == (0, 255)
    assert picture(ds, wanted=Rendering(voi_name="REVERSED"))[0, 0] == 255


def test_a_supplemental_palette_colours_only_values_from_its_first_on() -> None:
    tables = {}
    for n, color in enumerate(("Red", "Green", "Blue")):
        tables[f"{color}PaletteColorLookupTableDescriptor"] = [16, 4000, 16]
        tables[f"{color}PaletteColorLookupTableData"] = np.full(16, (0xFF00, 0x8000, 0)[n], "<u2").tobytes()
    ds = scanned(**TWELVE, PixelPresentation="COLOR", WindowCenter=2048, WindowWidth=4096, **tables)
    shown = picture(ds)
    assert shown.reshape(-1, 3)[4000].tolist() == [0xFF, 0x80, 0]
    assert len(set(shown.reshape(-1, 3)[3999].tolist())) == 1


# --- functional groups -------------------------------------------------------------------------------------


def enhanced() -> DataSet:
    """Three frames: shared rescale and spacing; each frame's own window but the last's."""
    pixels = np.stack([RAMP[0]] * 3)
    shared = item(
        PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=-100, RescaleType="HU")],
        PixelMeasuresSequence=[item(PixelSpacing=[2, 1])],
        FrameVOILUTSequence=[item(WindowCenter=7, WindowWidth=70)],
    )
    frames = [
        item(FrameVOILUTSequence=[item(WindowCenter=100, WindowWidth=10)]),
        item(FrameVOILUTSequence=[item(WindowCenter=200, WindowWidth=20)]),
        item(),
    ]
    return scanned(
        pixels, **TWELVE, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=frames
    )


def test_a_frame_has_its_own_groups_then_the_shared_ones() -> None:
    ds = enhanced()
    groups = FunctionalGroups(ds)
    assert groups.is_enhanced
    centers = [groups.attributes(frame, FRAME_VOI_LUT).text(0x00281050) for frame in (3, 1, 2)]
    assert centers == ["7.0", "100.0", "200.0"]
    second = ImageHeader.from_dataset(ds, 2, groups)
    assert (second.windows, second.rescale_slope, second.pixel_aspect) == (
        (Window(200, 20),),
        2.0,
        (2.0, 1.0),
    )
    assert not (picture(ds, 1) == picture(ds, 2)).all()


def test_b54_frames_without_an_item_of_their_own_and_objects_without_groups() -> None:
    ds = enhanced()
    assert FunctionalGroups(ds).frame(9) is None
    assert FunctionalGroups(ds).frame(0) is None
    assert ImageHeader.from_dataset(ds, 9).windows == (Window(7, 70),)
    plain = scanned()
    assert not FunctionalGroups(plain).is_enhanced
    assert FunctionalGroups(plain).attributes(1, PIXEL_MEASURES) is plain


# --- overlays and shutters ---------------------------------------------------------------------------------


def with_overlay(pixels: np.ndarray, bits: bytes, **elements: Any) -> DataSet:
    ds = pydicom.dcmread(io.BytesIO(image_object(pixels, **TWELVE, WindowCenter=5000, WindowWidth=2)))
    plane = {"rows": 8, "columns": 8, "origin": [1, 1], "frames": None, "first": None} | elements
    ds.add_new(0x60000010, "US", plane["rows"])
    ds.add_new(0x60000011, "US", plane["columns"])
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", plane["origin"])
    ds.add_new(0x60000100, "US", 1)
    ds.add_new(0x60000102, "US", 0)
    ds.add_new(0x60003000, "OW", bits)
    if plane["frames"]:
        ds.add_new(0x60000015, "IS", plane["frames"])
        ds.add_new(0x60000051, "US", plane["first"])
    out = io.BytesIO()
    ds.save_as(out)
    return read_part10(out.getvalue())[1]


DIAGONAL = bytes(1 << n for n in range(8))


@pytest.mark.parametrize("origin", [(1, 1), (10, 20), (-3, 61), (62, -3), (-90, 1), (500, 500)])
def test_a_plane_lies_where_its_origin_says_and_is_cut_at_the_edges(origin: tuple[int, int]) -> None:
    shown = picture(with_overlay(RAMP, DIAGONAL, origin=list(origin)))
    expected = {
        (origin[0] - 1 + n, origin[1] - 1 + n)
        for n in range(8)
        if 0 <= origin[0] - 1 + n < 64 and 0 <= origin[1] - 1 + n < 64
    }
    assert {(int(y), int(x)) for y, x in np.argwhere(shown == 255)} == expected


def test_planes_of_several_frames_lie_over_theirs() -> None:
    pixels = np.stack([RAMP[0]] * 4)
    ds = with_overlay(pixels, DIAGONAL + bytes(7) + b"\x80", frames=2, first=2)
    assert [int((picture(ds, frame) == 255).sum()) for frame in (1, 2, 3, 4)] == [0, 8, 1, 0]


def test_b58_a_plane_shorter_than_its_rows_and_columns() -> None:
    shown = picture(with_overlay(RAMP, DIAGONAL[:4]))
    assert int((shown == 255).sum()) == 4


def test_embedded_overlays_are_burned_and_do_not_change_the_values() -> None:
    marked = RAMP | np.where(RAMP % 100 == 0, 0x1000, 0).astype(np.uint16)
    ds = pydicom.dcmread(io.BytesIO(image_object(marked, **TWELVE, WindowCenter=5000, WindowWidth=2)))
    for element, vr, value in (
        (0x10, "US", 64), (0x11, "US", 64), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 16), (0x102, "US", 12),
    ):  # fmt: skip
        ds.add_new(0x60000000 | element, vr, value)
    out = io.BytesIO()
    ds.save_as(out)
    shown = picture(read_part10(out.getvalue())[1])
    assert (np.flatnonzero(shown == 255) % 100 == 0).all()
    assert int((shown == 255).sum()) == 41


SHUTTERS: dict[str, tuple[dict[str, Any], Callable[[int, int], bool]]] = {
    "rectangular": (
        {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 10, "ShutterRightVerticalEdge": 50,
         "ShutterUpperHorizontalEdge": 20, "ShutterLowerHorizontalEdge": 40},
        lambda row, column: 20 <= row <= 40 and 10 <= column <= 50,  # the edges are not outside
    ),
    "circular": (
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [32, 30], "RadiusOfCircularShutter": 15},
        lambda row, column: (row - 32) ** 2 + (column - 30) ** 2 <= 225,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHUTTERS)
def test_what_lies_outside_of_a_shutter_is_covered(name: str) -> None:
    attributes, is_open = SHUTTERS[name]
    ds = scanned(**TWELVE, WindowCenter=-10, WindowWidth=2, ShutterPresentationValue=0x8080, **attributes)
    shown = picture(ds)
    for row in range(1, 65):
        for column in range(1, 65):
            assert shown[row - 1, column - 1] == (255 if is_open(row, column) else 128), (row, column)


def test_a_polygon_and_a_rectangle_both_must_let_a_pixel_through() -> None:
    ds = scanned(
        **TWELVE, WindowCenter=-10, WindowWidth=2, ShutterShape=["POLYGONAL", "RECTANGULAR"],
        VerticesOfThePolygonalShutter=[1, 1, 1, 64, 64, 1], ShutterLeftVerticalEdge=0, ShutterRightVerticalEdge=20,
        ShutterUpperHorizontalEdge=0, ShutterLowerHorizontalEdge=65,
    )  # fmt: skip
    shown = picture(ds)
    assert shown[5, 5] == 255
    assert shown[5, 30] == 0  # right of the rectangle
    assert shown[60, 10] == 0  # outside of the triangle


@pytest.mark.parametrize(
    "attributes",
    [
        {"ShutterShape": "RECTANGULAR"},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [5]},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 2, 3]},
        {"ShutterShape": "STAR"},
    ],
)
def test_b58_a_shutter_without_a_whole_shape_covers_nothing(attributes: dict[str, Any]) -> None:
    assert (picture(scanned(**TWELVE, WindowCenter=-10, WindowWidth=2, **attributes)) == 255).all()


# --- colour ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photometric", "sample", "expected"),
    [
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("YBR_FULL", (76, 85, 255), (254, 0, 0)),
        ("YBR_ICT", (150, 44, 21), (0, 255, 1)),
        ("YBR_PARTIAL_420", (235, 128, 128), (255, 255, 255)),
        ("YBR_PARTIAL_422", (16, 128, 128), (0, 0, 0)),
    ],
)
def test_colour_comes_out_as_rgb(
    photometric: str, sample: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    image = header(rows=1, columns=1, bits_allocated=8, bits_stored=8, samples_per_pixel=3)
    shown = to_picture(np.array([[sample]], np.uint8), photometric, image, Rendering())
    assert np.abs(shown[0, 0].astype(int) - expected).max() <= 1


def test_the_reversible_transform_is_undone_exactly() -> None:
    image = header(rows=1, columns=1, samples_per_pixel=3, bits_stored=8)
    red, green, blue = 200, 13, 99
    ybr = np.array([[[(red + 2 * green + blue) >> 2, blue - green, red - green]]], np.int16)
    assert to_picture(ybr, "YBR_RCT", image, Rendering())[0, 0].tolist() == [red, green, blue]


@pytest.mark.parametrize("photometric", ["CMYK", "HSV", "ARGB"])
def test_retired_colour_is_refused_by_name(photometric: str) -> None:
    image = header(rows=1, columns=1, bits_allocated=8, bits_stored=8, samples_per_pixel=4)
    with pytest.raises(DataSetError, match=photometric):
        to_picture(np.zeros((1, 1, 4), np.uint8), photometric, image, Rendering())


def test_16_bit_colour_keeps_its_high_bits() -> None:
    image = header(rows=1, columns=1, samples_per_pixel=3)
    assert to_picture(np.array([[[0xFFFF, 0x8000, 0x00FF]]], np.uint16), "RGB", image, Rendering())[
        0, 0
    ].tolist() == [255, 128, 0]


@pytest.mark.parametrize(
    ("encoded", "rgb"), [((65535, 32896, 32896), (255, 255, 255)), ((0, 32896, 32896), (0, 0, 0))]
)
def test_cielab_white_and_black(encoded: tuple[int, int, int], rgb: tuple[int, int, int]) -> None:
    assert np.abs(np.array(cielab_to_rgb(encoded)) - rgb).max() <= 1


@pytest.mark.parametrize("space", NAMED)
def test_the_profiles_that_are_made_open_elsewhere_and_white_stays_white(space: str) -> None:
    ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile(space))))
    white = np.full((2, 2, 3), 255, np.uint8)
    assert converted(white, profile(space), "srgb")[0].min() >= 254
    there = converted(np.full((1, 1, 3), (200, 30, 60), np.uint8), b"", space)[0]
    back = converted(there, profile(space), "")[0]
    assert np.abs(back.astype(int) - (200, 30, 60)).max() <= 3


def test_our_srgb_is_the_librarys_srgb() -> None:
    theirs = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rng = np.random.default_rng(1)
    colors = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    shown, embedded = converted(colors, theirs, "srgb")
    assert np.abs(shown.astype(int) - colors).max() <= 1
    assert embedded == profile("srgb")


@pytest.mark.parametrize(
    "bad", [b"no profile", bytes(200), bytes(16) + b"RGB " + bytes(300), bytes(16) + b"CMYK" * 60]
)
def test_b58_a_profile_that_is_none_counts_as_srgb(bad: bytes) -> None:
    colors = np.full((2, 2, 3), (10, 20, 30), np.uint8)
    assert (converted(colors, bad, "")[0] == colors).all()
    assert converted(colors, bad, "yes")[1] == profile("srgb")


# --- place and format --------------------------------------------------------------------------------------


def test_a_region_a_viewport_and_flips() -> None:
    shown = np.arange(100, dtype=np.uint8).reshape(10, 10)
    image = header(rows=10, columns=10)
    part, placement = place(shown, image, Rendering(region=(2, 3, 4, 5)))
    assert (part == shown[3:8, 2:6]).all()
    assert placement.from_image((2, 3)) == (0, 0)
    flipped, _ = place(shown, image, Rendering(flip_horizontal=True, flip_vertical=True))
    assert (flipped == shown[::-1, ::-1]).all()
    small, _ = place(shown, image, Rendering(width=5, height=9))
    assert small.shape == (5, 5)
    beyond, _ = place(shown, image, Rendering(region=(-5, -5, 20, 20)))
    assert (beyond[5:15, 5:15] == shown).all()
    assert not beyond[:5].any()


@pytest.mark.parametrize("region", [(0, 0, 0, 5), (0, 0, -1, 5), (float("nan"), 0, 5, 5), (0, 0, 1e9, 1e9)])
def test_b54_regions_that_are_empty_or_without_end(region: tuple[float, float, float, float]) -> None:
    with pytest.raises(DataSetError):
        place(np.zeros((10, 10), np.uint8), header(rows=10, columns=10), Rendering(region=region))


@pytest.mark.parametrize(
    ("aspect", "size"), [((2.0, 1.0), (20, 10)), ((1.0, 2.0), (10, 20)), ((1.0, 1.0), (10, 10))]
)
def test_pixels_that_are_not_square_come_out_true(aspect: tuple[float, float], size: tuple[int, int]) -> None:
    shown, _ = place(
        np.zeros((10, 10), np.uint8), header(rows=10, columns=10, pixel_aspect=aspect), Rendering()
    )
    assert shown.shape == size


FORMATS = ["image/jpeg", "image/png", "image/gif", "image/jp2", "image/jxl", "image/x-portable-anymap"]


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize("color", [False, True])
def test_every_format_opens_elsewhere_and_holds_the_picture(media_type: str, color: bool) -> None:
    y, x = np.mgrid[0:48, 0:64]
    shown = (x * 3 + y).astype(np.uint8)
    shown = np.stack([shown, 255 - shown, shown // 2], axis=-1) if color else shown
    data = encode(shown, media_type, quality=95)
    if media_type == "image/jxl":
        back = imagecodecs.jpegxl_decode(data)
    elif media_type == "image/x-portable-anymap":
        back = from_pnm(data)
    else:
        back = np.asarray(Image.open(io.BytesIO(data)).convert("RGB" if color else "L"))
    assert back.shape == shown.shape
    assert np.abs(back.astype(int) - shown).mean() < 6


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/jp2"])
def test_the_profile_asked_for_is_in_the_file(media_type: str) -> None:
    image = header(rows=8, columns=8, bits_allocated=8, bits_stored=8, samples_per_pixel=3)
    pixels = np.full((8, 8, 3), 90, np.uint8)
    wanted = Rendering(media_type=media_type, icc_profile="displayp3")
    data = render(pixels, "RGB", image, wanted)
    assert profile("displayp3") in data or Image.open(io.BytesIO(data)).info["icc_profile"] == profile(
        "displayp3"
    )
    assert b"acsp" not in render(pixels, "RGB", image, Rendering(media_type=media_type))


def test_a_long_profile_goes_into_several_segments_of_a_jpeg() -> None:
    long = profile("srgb") + bytes(100_000)
    data = encode(np.zeros((8, 8, 3), np.uint8), "image/jpeg", profile=long)
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == long


def test_a_moving_gif_has_all_frames_and_their_time() -> None:
    frames = [np.full((8, 8), n * 50, np.uint8) for n in range(5)]
    with Image.open(io.BytesIO(animated(frames, 40))) as image:
        assert image.n_frames == 5
        assert image.info["duration"] == 40
        image.seek(3)
        assert np.asarray(image.convert("L"))[0, 0] == 150
