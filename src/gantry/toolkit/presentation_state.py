"""Softcopy presentation states written: how images are to be seen, as an object of its own (PS3.3 A.33).

    look = Look(window=Window(40, 400), presentation=Presentation(rotation=90))
    file = write_presentation_state([image], look, made=datetime.now())

What is written and read again by `gantry.pixels.states.presentation_state` shows the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydicom.dataset import Dataset

from gantry import __version__
from gantry.dataset.scan import DataSet
from gantry.errors import CallerError
from gantry.pixels.display.cielab import rgb_to_cielab
from gantry.pixels.display.icc import SRGB, profile
from gantry.pixels.display.lut import LookupTable
from gantry.pixels.display.overlay import Overlay
from gantry.pixels.display.palette import Palette
from gantry.pixels.display.shutter import Shutter
from gantry.pixels.image import ImageHeader, Window
from gantry.pixels.states.presentation import Color, Graphic, Presentation, Shadow, Text
from gantry.pixels.states.presentation_state import BLENDING, COLOR, GRAYSCALE, PSEUDO_COLOR
from gantry.toolkit.writing import PATIENT_AND_STUDY, character_set, decimal, new_item, new_uid, part10

MAX_TEXT_CHARS = 1024
"""What Unformatted Text Value can hold."""

_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
_EDGE_TAGS = (
    "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge", "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How images are to be seen.

    `window`, or `voi_lut`; neither shows all values that there can be. `rescale` is slope, intercept and type
    (HU, US and others of PS3.3 C.11.1.1.2); without it and `modality_lut` that of the first image. `palette`
    in `presentation` makes a pseudo-color state. `icc_profile` is for states of colour, sRGB where it is
    empty. Overlays lie in the image pixel for pixel; the group of one is given by its place in the tuple.
    """

    window: Window | None = None
    voi_function: str = "LINEAR"
    voi_lut: LookupTable | None = None
    rescale: tuple[float, float, str] | None = None
    modality_lut: LookupTable | None = None
    presentation_lut: LookupTable | None = None
    inverse: bool = False
    shutter: Shutter | None = None
    overlays: tuple[Overlay, ...] = ()
    presentation: Presentation = field(default_factory=Presentation)
    icc_profile: bytes = b""


@dataclass(frozen=True, slots=True)
class About:
    """What a state says of itself. `label` is a code of 16 characters; a UID is made where there is none."""

    label: str = "PRESENTATION"
    description: str = ""
    creator: str = ""
    series_uid: str = ""
    series_number: int = 1
    instance_number: int = 1
    sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class Superimposed:
    """The second set of images of a blending state; the palette of its look colours them.

    `opacity` is from 0, where they are not seen, to 1, where nothing else is.
    """

    images: Sequence[DataSet]
    look: Look
    palette: Palette
    opacity: float = 0.5


def write_presentation_state(
    images: Sequence[DataSet],
    look: Look,
    about: About | None = None,
    *,
    made: datetime,
    frames: Sequence[int] = (),
    superimposed: Superimposed | None = None,
) -> bytes:
    """A Part 10 file of a presentation state for images of one study, Explicit VR Little Endian.

    Grayscale; color for images of three samples or with a palette; pseudo-color where the look has a palette;
    blending where there is a `superimposed` set. `frames`, from 1, limits it to those of its images. Raises
    CallerError for what the standard does not allow.
    """
    _check(images, look, frames)
    about = about or About()
    first = ImageHeader.from_dataset(images[0])
    ds = Dataset()
    ds.SOPClassUID = _kind(first, look, superimposed)
    _identify(ds, images[0], about, made)
    if superimposed is None:
        _relate(ds, images, frames)
    else:
        _blend(ds, images, frames, look, superimposed)
    if ds.SOPClassUID in (GRAYSCALE, PSEUDO_COLOR):
        _transform_values(ds, images[0], look)
    if ds.SOPClassUID == GRAYSCALE:
        _transform_to_p_values(ds, look)
    else:
        ds.ICCProfile = look.icc_profile or _input_profile()
        ds.ICCProfile += bytes(len(ds.ICCProfile) % 2)
    palette = superimposed.palette if superimposed else look.presentation.palette
    if palette is not None:
        _add_palette(ds, palette)
    layers: list[Dataset] = []
    _add_overlays(ds, look, layers)
    _add_shutter(ds, look.shutter, len(look.overlays))
    _add_area(ds, first, look.presentation)
    _annotate(ds, look.presentation, layers)
    if layers:
        ds.GraphicLayerSequence = layers
    letters = character_set(ds)
    if letters:
        ds.SpecificCharacterSet = letters
    return part10(ds)


def _check(images: Sequence[DataSet], look: Look, frames: Sequence[int]) -> None:
    if not images:
        raise CallerError("a presentation state is for one image or more")
    if len({image.text(0x0020000D) for image in images}) > 1:
        raise CallerError("the images of a presentation state are of one study")
    if any(frame < 1 for frame in frames):
        raise CallerError("frames count from 1")
    if look.window is not None and not look.window.is_usable:
        raise CallerError("a window has a width of more than nothing")
    if look.presentation.rotation not in (0, 90, 180, 270):
        raise CallerError("images are turned by 0, 90, 180 or 270 degrees")
    if len(look.overlays) + (look.shutter is not None) > len(_OVERLAY_GROUPS):
        raise CallerError("there are sixteen groups of overlays")


def _kind(header: ImageHeader, look: Look, superimposed: Superimposed | None) -> str:
    if superimposed is not None:
        return BLENDING
    if look.presentation.palette is not None:
        return PSEUDO_COLOR
    is_color = header.samples_per_pixel > 1 or header.photometric_interpretation == "PALETTE COLOR"
    return COLOR if is_color else GRAYSCALE


def _identify(ds: Dataset, image: DataSet, about: About, made: datetime) -> None:
    label = about.label.upper()[:16]
    if not label or not all(letter.isascii() and (letter.isalnum() or letter in " _") for letter in label):
        raise CallerError("a content label has letters, digits, spaces and underscores")
    for tag, keyword in PATIENT_AND_STUDY:
        setattr(ds, keyword, image.text(tag) or "")
    ds.SOPInstanceUID = about.sop_instance_uid or new_uid()
    ds.SeriesInstanceUID = about.series_uid or new_uid()
    ds.SeriesNumber, ds.InstanceNumber = about.series_number, about.instance_number
    ds.Modality, ds.Laterality = "PR", ""
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "Gantry", "Gantry", __version__
    ds.ContentLabel = label
    ds.ContentDescription, ds.ContentCreatorName = about.description[:64], about.creator[:64]
    ds.PresentationCreationDate = made.strftime("%Y%m%d")
    ds.PresentationCreationTime = made.strftime("%H%M%S")


def _relate(ds: Dataset, images: Sequence[DataSet], frames: Sequence[int]) -> None:
    series: dict[str, Dataset] = {}
    for image in images:
        uid = image.text(0x0020000E) or ""
        if uid not in series:
            series[uid] = new_item(SeriesInstanceUID=uid, ReferencedImageSequence=[])
        reference = new_item(
            ReferencedSOPClassUID=image.text(0x00080016) or "",
            ReferencedSOPInstanceUID=image.text(0x00080018) or "",
        )
        if frames:
            reference.ReferencedFrameNumber = list(frames)
        series[uid].ReferencedImageSequence.append(reference)
    ds.ReferencedSeriesSequence = list(series.values())


def _blend(
    ds: Dataset, images: Sequence[DataSet], frames: Sequence[int], look: Look, over: Superimposed
) -> None:
    _check(over.images, over.look, ())
    if not 0 <= over.opacity <= 1:
        raise CallerError("opacity is from 0 to 1")
    sets = []
    for position, members, chosen, its_look in (
        ("UNDERLYING", images, frames, look),
        ("SUPERIMPOSED", over.images, (), over.look),
    ):
        item = new_item(BlendingPosition=position, StudyInstanceUID=members[0].text(0x0020000D) or "")
        _relate(item, members, chosen)
        _transform_values(item, members[0], its_look)
        sets.append(item)
    ds.BlendingSequence = sets
    ds.RelativeOpacity = over.opacity


def _transform_values(ds: Dataset, image: DataSet, look: Look) -> None:
    """Modality LUT and Softcopy VOI LUT."""
    header = ImageHeader.from_dataset(image)
    table = look.modality_lut or (header.modality_lut if look.rescale is None else None)
    if table is not None:
        if table.bits not in (8, 16):
            raise CallerError("a Modality LUT has entries of 8 or 16 bits")
        item = _table(table, signed=header.signed)
        item.ModalityLUTType = header.rescale_type or "US"
        ds.ModalityLUTSequence = [item]
    else:
        slope, intercept, kind = look.rescale or (
            header.rescale_slope, header.rescale_intercept, header.rescale_type,
        )  # fmt: skip
        ds.RescaleSlope, ds.RescaleIntercept = decimal(slope), decimal(intercept)
        ds.RescaleType = kind or ("HU" if header.modality == "CT" else "US")
    if look.voi_lut is not None:
        signed = header.signed or header.rescale_intercept < 0
        ds.SoftcopyVOILUTSequence = [
            new_item(VOILUTSequence=[_table(_of_16_bits(look.voi_lut), signed=signed)])
        ]
    elif look.window is not None:
        window = look.window
        item = new_item(WindowCenter=decimal(window.center), WindowWidth=decimal(window.width))
        if window.explanation:
            item.WindowCenterWidthExplanation = window.explanation[:64].replace("\\", "/")
        if look.voi_function != "LINEAR":
            item.VOILUTFunction = look.voi_function
        ds.SoftcopyVOILUTSequence = [item]


def _transform_to_p_values(ds: Dataset, look: Look) -> None:
    if look.presentation_lut is not None:
        ds.PresentationLUTSequence = [_table(look.presentation_lut, signed=False)]
    else:
        ds.PresentationLUTShape = "INVERSE" if look.inverse else "IDENTITY"


def _table(table: LookupTable, *, signed: bool) -> Dataset:
    """An Item of a LUT sequence. The first mapped value may be negative, the others of its descriptor not."""
    item = new_item()
    first = table.first_mapped if signed else table.first_mapped & 0xFFFF
    item.add_new(0x00283002, "SS" if signed else "US", [table.count & 0xFFFF, first, table.bits])
    if table.explanation:
        item.LUTExplanation = table.explanation[:64]
    item.add_new(0x00283006, "OW", _entries(table))
    return item


def _entries(table: LookupTable) -> bytes:
    """Entries of 8 bits lie two in a word (PS3.3 C.11.1.1.1)."""
    if table.bits > 8:
        return table.data
    data = table.entries().astype("u1").tobytes()
    return data + bytes(len(data) % 2)


def _of_16_bits(table: LookupTable) -> LookupTable:
    """The same gray in 16 bits, for modules that have 8 and 16 only."""
    if table.bits in (8, 16):
        return table
    entries = (table.entries().astype("u4") * 0xFFFF // table.top).astype("<u2")
    return replace(table, bits=16, data=entries.tobytes())


def _add_palette(ds: Dataset, palette: Palette) -> None:
    """Presentation states have palettes of 16 bits (PS3.3 A.33.3, A.33.4)."""
    for color, table in zip(("Red", "Green", "Blue"), palette, strict=True):
        data = table.data
        if table.bits <= 8:
            data = (table.entries() * 0x0101).astype("<u2").tobytes()
        descriptor = [table.count & 0xFFFF, table.first_mapped & 0xFFFF, 16]
        setattr(ds, f"{color}PaletteColorLookupTableDescriptor", descriptor)
        setattr(ds, f"{color}PaletteColorLookupTableData", data)
        ds[f"{color}PaletteColorLookupTableDescriptor"].VR = "US"
        ds[f"{color}PaletteColorLookupTableData"].VR = "OW"


def _add_overlays(ds: Dataset, look: Look, layers: list[Dataset]) -> None:
    bitmap = look.shutter.overlay_group if look.shutter else None
    for group, overlay in zip(_OVERLAY_GROUPS, look.overlays, strict=False):
        if not overlay.bits:
            raise CallerError("an overlay of a state has its bits, not those of an image")
        for element, vr, value in (
            (0x0010, "US", overlay.rows), (0x0011, "US", overlay.columns),
            (0x0040, "CS", "R" if overlay.is_region else "G"), (0x0050, "SS", list(overlay.origin)),
            (0x0100, "US", 1), (0x0102, "US", 0),
            (0x3000, "OW", overlay.bits + bytes(len(overlay.bits) % 2)),
        ):  # fmt: skip
            ds.add_new(group << 16 | element, vr, value)
        if overlay.group != bitmap:
            ds.add_new(group << 16 | 0x1001, "CS", _new_layer(layers, overlay.color))
    if bitmap is not None:
        found = [n for n, overlay in enumerate(look.overlays) if overlay.group == bitmap]
        if not found:
            raise CallerError("the shutter's bitmap is none of the overlays")
        ds.ShutterOverlayGroup = _OVERLAY_GROUPS[found[0]]


def _new_layer(layers: list[Dataset], color: Color) -> str:
    name = f"LAYER{len(layers) + 1}"
    layer = new_item(GraphicLayer=name, GraphicLayerOrder=len(layers) + 1)
    layer.GraphicLayerRecommendedDisplayGrayscaleValue = _p_value(color)
    if len(set(color)) > 1:
        layer.GraphicLayerRecommendedDisplayCIELabValue = list(rgb_to_cielab(color))
    layers.append(layer)
    return name


def _p_value(color: Color) -> int:
    """The gray of a colour, which a gray one has exactly."""
    return round((0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]) * 257)


def _add_shutter(ds: Dataset, shutter: Shutter | None, overlays: int) -> None:
    if shutter is None:
        return
    shapes = []
    if shutter.edges is not None:
        shapes.append("RECTANGULAR")
        for keyword, value in zip(_EDGE_TAGS, shutter.edges, strict=True):
            setattr(ds, keyword, value)
    if shutter.circle is not None:
        shapes.append("CIRCULAR")
        ds.CenterOfCircularShutter = list(shutter.circle[:2])
        ds.RadiusOfCircularShutter = shutter.circle[2]
    if shutter.vertices:
        shapes.append("POLYGONAL")
        ds.VerticesOfThePolygonalShutter = [value for vertex in shutter.vertices for value in vertex]
    if shutter.overlay_group is not None:
        shapes.append("BITMAP")
    ds.ShutterShape = shapes
    ds.ShutterPresentationValue = _p_value(shutter.color)
    if ds.SOPClassUID != GRAYSCALE:  # which has gray only
        ds.ShutterPresentationColorCIELabValue = list(rgb_to_cielab(shutter.color))


def _add_area(ds: Dataset, header: ImageHeader, state: Presentation) -> None:
    left, top, width, height = state.area or (0.0, 0.0, float(header.columns), float(header.rows))
    if width < 1 or height < 1 or not all(float(side).is_integer() for side in (left, top, width, height)):
        raise CallerError("a displayed area is of whole pixels")
    xs, ys = (int(left) + 1, int(left + width)), (int(top) + 1, int(top + height))
    # The corners are told as they lie after turning and flipping: which pixel comes to be at the top left.
    quarter = state.rotation // 90
    x_first = (quarter in (2, 3)) != (state.flip and quarter % 2 == 0)
    y_first = (quarter in (1, 2)) != (state.flip and quarter % 2 == 1)
    item = new_item(
        DisplayedAreaTopLeftHandCorner=[xs[x_first], ys[y_first]],
        DisplayedAreaBottomRightHandCorner=[xs[not x_first], ys[not y_first]],
        PresentationSizeMode="SCALE TO FIT" if state.magnification is None else "MAGNIFY",
    )
    tall, wide = state.pixel_aspect or header.pixel_aspect
    if (tall, wide) == (1.0, 1.0):
        item.PresentationPixelAspectRatio = [1, 1]
    else:
        item.PresentationPixelSpacing = [decimal(tall), decimal(wide)]
    if state.magnification is not None:
        item.PresentationPixelMagnificationRatio = state.magnification
    ds.DisplayedAreaSelectionSequence = [item]
    if state.rotation or state.flip:
        ds.ImageRotation = state.rotation
        ds.ImageHorizontalFlip = "Y" if state.flip else "N"


def _annotate(ds: Dataset, state: Presentation, layers: list[Dataset]) -> None:
    """One layer for all annotations of one order and colour: layers keep both."""
    items: dict[tuple[int, Color], Dataset] = {}
    annotations: list[Graphic | Text] = [*state.graphics, *state.texts]
    for one in sorted(annotations, key=lambda one: one.order):
        item = items.get((one.order, one.color))
        if item is None:
            item = items[one.order, one.color] = new_item(GraphicLayer=_new_layer(layers, one.color))
        keyword = "GraphicObjectSequence" if isinstance(one, Graphic) else "TextObjectSequence"
        if keyword not in item:
            setattr(item, keyword, [])
        getattr(item, keyword).append(_graphic(one) if isinstance(one, Graphic) else _text(one))
    if items:
        ds.GraphicAnnotationSequence = list(items.values())


def _graphic(graphic: Graphic) -> Dataset:
    item = new_item(
        GraphicAnnotationUnits=graphic.units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(graphic.points),
        GraphicData=[part for point in graphic.points for part in point],
        GraphicType=graphic.kind,
    )
    if graphic.kind in ("CIRCLE", "ELLIPSE") or graphic.points[0] == graphic.points[-1]:
        item.GraphicFilled = "Y" if graphic.filled else "N"
    plain = (graphic.thickness, graphic.dashed, graphic.opacity, graphic.shadow) == (1.0, False, 1.0, None)
    if not plain:
        item.LineStyleSequence = [_line_style(graphic)]
    if graphic.fill is not None:
        item.FillStyleSequence = [
            new_item(
                PatternOnColorCIELabValue=list(rgb_to_cielab(graphic.fill)),
                PatternOnOpacity=graphic.fill_opacity,
                PatternOffOpacity=0.0,
                FillMode="SOLID",
            )
        ]
    return item


def _line_style(graphic: Graphic) -> Dataset:
    shadow = graphic.shadow or Shadow((0, 0, 0), 0.0, (0.0, 0.0))
    style = "OFF" if graphic.shadow is None else "OUTLINED" if shadow.outlined else "NORMAL"
    item = new_item(
        PatternOnColorCIELabValue=list(rgb_to_cielab(graphic.color)),
        PatternOnOpacity=graphic.opacity,
        LineThickness=graphic.thickness,
        LineDashingStyle="DASHED" if graphic.dashed else "SOLID",
        ShadowStyle=style,
        ShadowOffsetX=shadow.offset[0],
        ShadowOffsetY=shadow.offset[1],
        ShadowColorCIELabValue=list(rgb_to_cielab(shadow.color)),
        ShadowOpacity=shadow.opacity,
    )
    if graphic.dashed:
        item.LinePattern, item.PatternOffOpacity = 0x00FF, 0.0
    return item


def _text(text: Text) -> Dataset:
    item = new_item(UnformattedTextValue=text.text[:MAX_TEXT_CHARS].replace("\n", "\r\n"))
    if text.box is None and text.anchor is None:
        raise CallerError("a text has a box or an anchor")
    if text.box is not None:
        item.BoundingBoxAnnotationUnits = text.box_units
        item.BoundingBoxTopLeftHandCorner, item.BoundingBoxBottomRightHandCorner = map(list, text.box)
        item.BoundingBoxTextHorizontalJustification = text.justification
    if text.anchor is not None:
        item.AnchorPointAnnotationUnits = text.anchor_units
        item.AnchorPoint = list(text.anchor)
        item.AnchorPointVisibility = "Y" if text.anchor_visible else "N"
    return item


def _input_profile() -> bytes:
    """sRGB as the class of profiles that objects have (PS3.3 C.11.15.1.1)."""
    display = profile(SRGB)
    return display[:12] + b"scnr" + display[16:]
