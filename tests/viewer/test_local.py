"""Files on the device read in the page: nothing of them is sent, and every value is the one that is stored."""

from __future__ import annotations

import gc
import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.fileset import FileSet

from chromium import PHONE, Page, open_page
from gantry.dataset.part10 import read_part10
from gantry.pixels.decode import decode
from gantry.pixels.display.color import ybr_full_to_rgb
from gantry.pixels.display.render import Rendering, to_picture
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.image import ImageHeader
from gantry.pixels.transcode import stored_frame
from gantry.toolkit.example import example_study
from image_values import image_object, made, reading
from relay import Relay, relayed
from serving import ROOT, part10
from viewing import ARTIFACTS, NO_LONGER_LOADING, SHOWN, SLICE, ct_image, open_series, probe, serving

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

STUDY = f"{ROOT}.71"
SIDE, SLICES = 64, 6

PIXEL_BYTES = f"{SIDE * SIDE * 2:,}"

READ = "document.querySelector('.local-study') && !document.querySelector('.local-reading')"
FOLDER = "input[aria-label='Folder to read here']"
REMARKS = "document.querySelector('.local-remarks')?.innerText"


def pixels(number: int) -> np.ndarray[Any, Any]:
    """A ramp down and across that differs from image to image; some of it is below zero."""
    ramp = np.add.outer(np.arange(SIDE) * 7, np.arange(SIDE) * 3) + 11 * number
    return (ramp - 400).astype(np.int16)


def slice_of(study: str, number: int, **attributes: Any) -> bytes:
    usual = {
        "PatientName": "Local^Lena",
        "PatientID": "L1",
        "StudyDescription": "Chest",
        "RescaleIntercept": -24,
    }
    return ct_image(pixels(number), study, 1, number + 1, **(usual | attributes))


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of one patient in folders, one file without preamble, and what is no DICOM or broken."""
    root = tmp_path_factory.mktemp("given") / "disc"
    (root / "a" / "b").mkdir(parents=True)
    for n in range(SLICES):
        file = slice_of(STUDY, n, StudyDate="20260102")
        (root / "a" / "b" / f"I{n}").write_bytes(file if n else file[132:])
    (root / "a" / "before.dcm").write_bytes(slice_of(f"{STUDY}.8", 0, StudyDate="20240102"))
    (root / "README.TXT").write_text("not an image\n" * 100)
    (root / "cut.dcm").write_bytes(slice_of(f"{STUDY}.9", 0)[:-900])
    return root


def pressed(element: str) -> str:
    """A condition that presses an element as soon as it is there."""
    return f"(() => {{ const one = {element}; one?.click(); return one; }})()"


def open_files(page: Page, field: str, paths: list[Path]) -> None:
    """Press the button that is seen, and choose files in one of the ways."""
    page.wait_until(pressed("[...document.querySelectorAll('.open-button')].find((one) => one.offsetWidth)"))
    page.wait_until(f"document.querySelector({json.dumps(field)})")
    page.choose_files(field, paths)


def read_folder(page: Page, folder: Path) -> None:
    open_files(page, FOLDER, [folder])
    page.wait_until(READ)


def open_local(page: Page, index: int = 0) -> None:
    page.wait_until(pressed(f"document.querySelectorAll('.local-study')[{index}]"))
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def check_value(page: Page, column: int, row: int, value: float, unit: str = " HU") -> None:
    probe(page, column, row, SIDE, SIDE)
    page.wait_until(
        f"document.querySelector('.probe').innerText.replaceAll(',', '').replaceAll('−', '-')"
        f" === '{column} {row}: {value}{unit}'", 10
    )  # fmt: skip


@pytest.fixture(scope="module")
def relay(server: str) -> Iterator[Relay]:
    with relayed(server) as found:
        yield found


def test_a_folder_is_read_and_nothing_of_it_is_sent(page: Page, relay: Relay, disc: Path) -> None:
    page.go(relay.address)
    page.wait_until("document.querySelector('a.study strong')")
    page.wait_until(
        "performance.getEntriesByType('resource').some(({ name }) => name.includes('/StudyPage-'))"
    )
    # The picture of the archive's own study is the list's, and may come late.
    page.wait_until("document.querySelector('a.study img.shown')")
    asked, bytes_before = len(relay.requests), relay.sent_bytes
    read_folder(page, disc)
    assert page.evaluate("location.pathname") == "/local"
    page.wait_until("document.querySelectorAll('.local-study img.shown').length === 2")
    names = page.evaluate("[...document.querySelectorAll('.local-study strong')].map((one) => one.innerText)")
    assert names == ["Local, Lena"] * 2
    assert page.evaluate(REMARKS) == "1 file passed over: not DICOM"
    problem = page.evaluate("document.querySelector('.local-problems').innerText")
    assert "disc/cut.dcm" in problem and "ends before what it announces" in problem
    page.screenshot(ARTIFACTS / "local-list.png")

    open_local(page)
    assert page.evaluate("location.pathname") == f"/local/{STUDY}"
    assert "Local, not stored" in page.evaluate("document.querySelector('.viewer-head').innerText")
    for n in range(SLICES):
        page.key("Home") if n == 0 else page.key("ArrowDown")
        page.wait_until(f"{SLICE} === '{n + 1} / {SLICES}'")
        for column, row in ((5, 3), (50, 12), (30, 60)):
            check_value(page, column, row, int(pixels(n)[row, column]) - 24)
    page.wait_until("document.querySelector('.rail .thumbnail img.shown')")
    page.screenshot(ARTIFACTS / "local-study.png")

    # The tools: three planes, a measurement, the other study of the patient, all without the server.
    page.key("7")
    page.wait_until(f"{SHOWN}.filter(Boolean).length >= 3")
    page.wait_until(NO_LONGER_LOADING)
    page.screenshot(ARTIFACTS / "local-planes.png")
    page.key("7")
    page.wait_until(f"{SHOWN}.length === 1 && {SLICE}")
    page.evaluate("document.querySelector('.priors-button').click()")
    page.wait_until(
        "document.querySelector('.prior')?.getAttribute('href') === " + json.dumps(f"/local/{STUDY}.8")
    )
    page.evaluate("document.querySelector('.prior').click()")
    page.wait_until(f"location.pathname === '/local/{STUDY}.8' && {SLICE} === '1 image'")

    # All attributes are read, those that lie apart in the file, too.
    letter = {"key": "I", "code": "KeyI", "windowsVirtualKeyCode": 73, "modifiers": 8}
    for kind in ("keyDown", "keyUp"):
        page.command("Input.dispatchKeyEvent", type=kind, **letter)
    page.wait_until("document.querySelectorAll('.info-row').length > 10")
    page.evaluate(
        "(() => { const field = document.querySelector('.info-panel input');"
        " field.value = '7FE0'; field.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    page.wait_until(
        pressed("[...document.querySelectorAll('.info-row')].find((one) => one.innerText.includes('7FE0'))")
    )
    page.wait_until(
        f"document.querySelector('.attribute-value')?.innerText.includes({json.dumps(PIXEL_BYTES)})"
    )

    sent = relay.requests[asked:]
    # The page itself and its worker are kept for times without a network, some seconds after the start.
    # So are the names of attributes, asked for all at once and not by file.
    program = ("GET /assets/", "GET /shell-worker.js", "GET /icon", "GET /manifest", "GET /api/dictionary")
    assert [line for line in sent if line != "GET /" and not line.startswith(program)] == []
    # Heads of requests for the program's own files, and nothing besides.
    assert relay.sent_bytes - bytes_before < 2048 * (len(sent) + 1), sent
    with urlopen(f"{relay.address}/dicom-web/studies?StudyInstanceUID={STUDY}", timeout=30) as answer:
        assert answer.status == 204 or json.load(answer) == []


def test_what_is_measured_stays_on_the_page(page: Page, disc: Path) -> None:
    read_folder(page, disc)
    open_local(page)
    page.key("d")
    page.drag(".viewport", 120, 0)
    page.key("u")
    page.wait_until("document.querySelector('.measure-panel li')")
    panel = page.evaluate("document.querySelector('.measure-panel').innerText")
    assert "Not saved: this study is only on this device" in panel
    assert "Finish" not in panel
    page.screenshot(ARTIFACTS / "local-measured.png")
    asked = "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/drafts')).length"
    assert page.evaluate(asked) == 0
    page.evaluate(
        "document.querySelector('.measure-panel li [aria-label=\"Delete the measurement\"]').click()"
    )


def test_a_reload_forgets_and_says_so(page: Page, disc: Path, server: str) -> None:
    read_folder(page, disc)
    open_local(page)
    page.go(f"{server}/local/{STUDY}")
    page.wait_until(
        "document.querySelector('.local-empty')?.innerText.includes('forgotten when the page is reloaded')"
    )
    page.screenshot(ARTIFACTS / "local-gone.png")
    read_folder(page, disc)
    page.wait_until("document.querySelectorAll('.local-study').length === 2")


def test_back_leads_to_the_files_and_then_to_the_archive(page: Page, disc: Path) -> None:
    read_folder(page, disc)
    open_local(page)
    page.click("[aria-label='Back to studies']")
    page.wait_until(
        "location.pathname === '/local' && document.querySelectorAll('.local-study').length === 2"
    )
    page.click(".local-head [aria-label='Back to studies']")
    page.wait_until(
        "location.pathname === '/' && document.querySelector('.list-head [aria-label=\"On this device\"]')"
    )
    page.click(".list-head [aria-label='On this device']")
    page.wait_until("document.querySelectorAll('.local-study').length === 2")
    page.click("[aria-label='Forget all of this']")
    page.wait_until("document.querySelector('.local-empty')")


def test_a_study_is_stored_afterwards(tab: Page, disc: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "archive") as ready:
        address = f"http://{ready['http']}"
        tab.go(address)
        tab.errors.clear()
        read_folder(tab, disc)
        open_local(tab)
        tab.click(".local-store")
        tab.wait_until(
            f"document.querySelector('.uploads')?.innerText.includes('{SLICES - 1} files in the archive, 1 not')"
        )
        with urlopen(f"{address}/dicom-web/studies/{STUDY}/instances", timeout=30) as answer:
            assert len(json.load(answer)) == SLICES - 1
        # The file without preamble: the archive's own rule, said where it happens.
        assert all("/api/upload" in error for error in tab.errors), tab.errors
        tab.errors.clear()


@pytest.fixture(scope="module")
def fileset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disc with a DICOMDIR that lists the later patient first and one file that is not there."""
    root = tmp_path_factory.mktemp("fileset")
    files = FileSet()
    for study, name in ((1, "Zeta^Zoe"), (2, "Alpha^Ann")):
        for n in range(2):
            file = slice_of(f"{STUDY}.{study}0", n, PatientName=name, PatientID=f"D{study}", StudyID="1")
            files.add(reading(file))
    files.write(root / "CD")
    with warnings.catch_warnings():
        # It leaves its own folder behind for the collector of garbage, which warns of that.
        warnings.simplefilter("ignore", ResourceWarning)
        del files
        gc.collect()
    listed = sorted(path for path in (root / "CD").rglob("*") if path.is_file() and path.name != "DICOMDIR")
    assert len(listed) == 4
    listed[-1].unlink()
    return root / "CD"


def test_a_disc_is_read_in_its_own_order(page: Page, fileset: Path) -> None:
    read_folder(page, fileset)
    names = page.evaluate("[...document.querySelectorAll('.local-study strong')].map((one) => one.innerText)")
    records = dcmread(fileset / "DICOMDIR").DirectoryRecordSequence
    listed = [str(record.PatientName) for record in records if record.DirectoryRecordType == "PATIENT"]
    assert listed != sorted(listed)
    assert names == [name.replace("^", ", ") for name in listed]
    assert page.evaluate(REMARKS) == "1 file on the disc's own list not among those given"


COMPRESSED = (
    "implicit", "explicit", "deflated", "big-endian", "encapsulated", "deflated-frames", "rle", "jpeg-lossless-57",
    "jpeg-lossless", "jpeg-ls", "jpeg2000-lossless", "jpegxl-lossless", "htj2k-lossless", "htj2k-rpcl",
)  # fmt: skip
FRAMES = 3


def test_every_lossless_syntax_gives_the_values_stored(page: Page, tmp_path: Path) -> None:
    stack = np.stack([pixels(n) + 400 for n in range(FRAMES)]).astype(np.uint16)
    usual = {
        "Modality": "CT",
        "RescaleSlope": 1,
        "RescaleIntercept": -10,
        "RescaleType": "HU",
        "StudyInstanceUID": STUDY,
    }
    for series, name in enumerate(COMPRESSED, 1):
        uids = {
            "SeriesInstanceUID": f"{STUDY}.{series}",
            "SOPInstanceUID": f"{STUDY}.{series}.1",
            "SeriesNumber": series,
        }
        native = image_object(stack, SeriesDescription=name, BitsStored=12, HighBit=11, **usual, **uids)
        (tmp_path / name).write_bytes(made(native, name)[0])
    open_files(page, "input[aria-label='Files to read here']", sorted(tmp_path.iterdir()))
    page.wait_until(READ)
    open_local(page)
    for name in COMPRESSED:
        page.wait_until(
            f"(() => {{ const item = [...document.querySelectorAll('.rail-item')]"
            f".find((one) => one.querySelector('strong').innerText === '{name}'); item?.click();"
            f" return item?.getAttribute('aria-current') === 'true'; }})()"
        )
        for n in range(FRAMES):
            page.wait_until(f"document.querySelector('.corner.top-right .strong')?.innerText === '{name}'")
            page.wait_until(f"{SLICE} === '{n + 1} / {FRAMES}'")
            for column, row in ((5, 3), (50, 12), (30, 60)):
                check_value(page, column, row, int(stack[n, row, column]) - 10)
            page.key("ArrowDown")


def colour_cases() -> Iterator[tuple[str, bytes, np.ndarray[Any, Any]]]:
    """What has no place in a texture: a file of each, and the colours that it is to be seen in."""
    rng = np.random.default_rng(7)
    side = 32
    rgb = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
    yield "rgb", image_object(rgb[None]), rgb
    planes = np.ascontiguousarray(np.moveaxis(rgb, 2, 0))
    yield "planes", _with(image_object(rgb[None]), PlanarConfiguration=1, PixelData=planes.tobytes()), rgb
    shades = {"PhotometricInterpretation": "YBR_FULL"}
    of_luminance = image_object(rgb[None], **shades)
    for syntax in ("jpeg2000-lossless", "htj2k-lossless", "htj2k-rpcl"):
        yield f"luminance-{syntax}", made(of_luminance, syntax)[0], ybr_full_to_rgb(rgb)
    deep = rng.integers(0, 65536, (side, side, 3)).astype(np.uint16)
    yield "deep", image_object(deep[None]), (deep >> 8).astype(np.uint8)
    index = rng.integers(0, 256, (side, side)).astype(np.uint8)
    tables = rng.integers(0, 65536, (3, 256)).astype(np.uint16)
    words = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        words[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        words[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    palette = image_object(index[None], **words)
    seen = np.moveaxis((tables >> 8).astype(np.uint8)[:, index], 0, 2)
    yield "palette", palette, seen
    yield "palette-rle", made(palette, "rle")[0], seen
    bits = rng.integers(0, 2, (side, side)).astype(np.uint8)
    packed = np.packbits(bits, bitorder="little").tobytes()
    single = _with(image_object(bits[None]), BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed)
    yield "bits", single, np.repeat(bits[..., None] * 255, 3, axis=2)


def presented_cases() -> Iterator[tuple[str, bytes]]:
    """Files of which a window does not say how they are seen, of 12 bits in 16."""
    y, x = np.mgrid[:40, :40]
    ramp = ((x + y) * 4095 // 78).astype(np.uint16)
    usual: dict[str, Any] = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 2000, "WindowWidth": 3000}

    def one(**more: Any) -> bytes:
        return image_object(ramp[None], **(usual | more))

    curve = [_table([256, 0, 16], (np.linspace(0, 1, 256) ** 2 * 65535).astype("<u2"))]
    eight = [_table([256, 0, 8], np.arange(256)[::-1].astype(np.uint8))]
    voi = [_table([4096, 0, 16], (np.linspace(1, 0, 4096) ** 3 * 65535).astype("<u2"))]
    yield "presentation LUT", one(PresentationLUTSequence=curve)
    yield "presentation LUT of bytes", one(PresentationLUTSequence=eight)
    yield "small is white", one(PresentationLUTSequence=curve, PhotometricInterpretation="MONOCHROME1")
    yield "both tables", one(PresentationLUTSequence=curve, VOILUTSequence=voi)
    yield "sigmoid", one(PresentationLUTSequence=eight, VOILUTFunction="SIGMOID", PixelPaddingValue=0)
    tables = np.random.default_rng(5).integers(0, 65536, (3, 500)).astype("<u2")
    colours: dict[str, Any] = {}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        colours[f"{name}PaletteColorLookupTableDescriptor"] = [500, 3000, 16]
        colours[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    for presentation in ("COLOR", "MIXED"):
        yield f"supplemental, {presentation}", one(PixelPresentation=presentation, **colours)
    rescaled = {"RescaleSlope": 0.5, "RescaleIntercept": -100, "WindowCenter": 700}
    yield "supplemental, rescaled", one(PixelPresentation="MIXED", **rescaled, **colours)
    yield "supplemental, packed", made(one(PixelPresentation="COLOR", **colours), "rle")[0]
    yield "fractions", _fractions(one(PresentationLUTSequence=curve, WindowCenter=300, WindowWidth=400))


def _fractions(file: bytes) -> bytes:
    """The same image in Float Pixel Data, its values divided by seven."""
    ds = reading(file)
    values = np.frombuffer(ds.PixelData, "<u2").astype("<f4") / 7
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(ds, keyword)
    ds.BitsAllocated, ds.FloatPixelData = 32, values.astype("<f4").tobytes()
    return part10(ds)


def _table(descriptor: list[int], entries: np.ndarray[Any, Any]) -> Dataset:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", descriptor)
    table.add_new("LUTData", "OW", entries.tobytes())
    return table


def rendered(file: bytes) -> np.ndarray[Any, Any]:
    """What the server renders of a file, (rows, columns, 3)."""
    meta, ds = read_part10(file)
    header, table = ImageHeader.from_dataset(ds), frame_table(ds)
    assert table is not None
    frame = decode(stored_frame(ds, table, 0), meta.transfer_syntax_uid, header)
    photometric = frame.header.photometric_interpretation
    picture = to_picture(frame.pixels, photometric, frame.header, Rendering())
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def test_what_takes_more_than_a_window_is_seen_as_the_server_renders_it(page: Page, tmp_path: Path) -> None:
    cases = {}
    for series, (name, file) in enumerate(presented_cases(), 1):
        uid = f"{STUDY}.{series}"
        ds = reading(file)
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = STUDY, uid, f"{uid}.1"
        ds.SeriesNumber, ds.SeriesDescription, ds.Modality = series, name, "OT"
        whole = part10(ds, ds.file_meta.TransferSyntaxUID)
        (tmp_path / str(series)).write_bytes(whole)
        cases[name] = rendered(whole)
    open_files(page, "input[aria-label='Files to read here']", sorted(tmp_path.iterdir()))
    page.wait_until(READ)
    open_local(page)
    page.wait_until(f"document.querySelectorAll('.rail img.shown').length === {len(cases)}")
    for name, seen in cases.items():
        drawn = np.array(page.evaluate(THUMBNAIL.replace("NAME", json.dumps(name))), np.uint8)
        away = np.abs(drawn.reshape(*seen.shape[:2], 4)[..., :3].astype(int) - seen)
        assert away.max() <= 1, (name, away.max())
    assert len({seen.tobytes() for seen in cases.values()}) >= len(cases) - 3
    page.screenshot(ARTIFACTS / "local-presented.png")


def _with(file: bytes, **attributes: Any) -> bytes:
    ds = reading(file)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return part10(ds)


THUMBNAIL = """(async () => {
    const item = [...document.querySelectorAll('.rail-item')].find(
        (one) => one.querySelector('strong').innerText === NAME);
    const img = item.querySelector('img.shown');
    await img.decode();
    const canvas = new OffscreenCanvas(img.naturalWidth, img.naturalHeight);
    const context = canvas.getContext('2d');
    context.drawImage(img, 0, 0);
    return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
})()"""


def test_colours_palettes_and_bits_are_drawn_here(page: Page, tmp_path: Path) -> None:
    cases = {}
    for series, (name, file, seen) in enumerate(colour_cases(), 1):
        uids = {
            "SeriesInstanceUID": f"{STUDY}.{series}",
            "SOPInstanceUID": f"{STUDY}.{series}.1",
            "SeriesNumber": series,
        }
        ds = reading(file)
        for keyword, value in {
            "StudyInstanceUID": STUDY,
            "SeriesDescription": name,
            "Modality": "OT",
            **uids,
        }.items():
            setattr(ds, keyword, value)
        (tmp_path / name).write_bytes(part10(ds, ds.file_meta.TransferSyntaxUID))
        cases[name] = seen
    open_files(page, "input[aria-label='Files to read here']", sorted(tmp_path.iterdir()))
    page.wait_until(READ)
    open_local(page)
    page.wait_until(f"document.querySelectorAll('.rail img.shown').length === {len(cases)}")
    for name, seen in cases.items():
        drawn = np.array(page.evaluate(THUMBNAIL.replace("NAME", json.dumps(name))), np.int16)
        apart = np.abs(drawn.reshape(*seen.shape[:2], 4)[..., :3] - seen)
        # Factors of PS3.3 C.7.6.3.1.2 have four digits, and what is made of luminance is rounded.
        assert apart.max() <= name.startswith("luminance"), name


def test_values_go_through_the_lookup_table_of_the_file(page: Page, tmp_path: Path) -> None:
    index = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.ModalityLUTType = "US"
    table.add_new("LUTData", "OW", (1000 + 2 * np.arange(256)).astype("<u2").tobytes())
    file = image_object(index[None], Modality="OT", StudyInstanceUID=STUDY, ModalityLUTSequence=[table])
    (tmp_path / "one").write_bytes(file)
    read_folder(page, tmp_path)
    open_local(page)
    check_value(page, 30, 60, 1000 + 2 * int(index[60, 30]), "")


@pytest.mark.parametrize("form", ["offsets", "extended", "none"])
def test_fragments_are_joined_to_frames(page: Page, tmp_path: Path, form: str) -> None:
    stack = np.stack([pixels(n) + 400 for n in range(FRAMES)]).astype(np.uint16)
    native = image_object(stack, Modality="CT", StudyInstanceUID=STUDY, BitsStored=12, HighBit=11)
    ds = reading(made(native, "jpeg2000-lossless")[0])
    frames = list(generate_frames(ds.PixelData, number_of_frames=FRAMES))
    if form == "extended":
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    else:
        ds.PixelData = encapsulate(frames, fragments_per_frame=3, has_bot=form == "offsets")
    ds["PixelData"].is_undefined_length = True
    (tmp_path / "one").write_bytes(part10(ds, ds.file_meta.TransferSyntaxUID))
    read_folder(page, tmp_path)
    open_local(page)
    page.key("End")
    page.wait_until(f"{SLICE} === '{FRAMES} / {FRAMES}'")
    check_value(page, 30, 60, int(stack[-1, 60, 30]), "")


def test_what_is_cut_shows_what_is_whole_and_says_why(page: Page, tmp_path: Path) -> None:
    stack = np.stack([pixels(n) + 400 for n in range(FRAMES)]).astype(np.uint16)
    native = image_object(stack, Modality="CT", StudyInstanceUID=STUDY, BitsStored=12, HighBit=11)
    packed = made(native, "jpeg-ls")[0]
    (tmp_path / "one").write_bytes(packed[:-40])
    read_folder(page, tmp_path)
    open_local(page)
    check_value(page, 30, 60, int(stack[0, 60, 30]), "")
    page.key("End")
    note = page.wait_until("document.querySelector('.stage-note .note')?.innerText")
    assert f"Image {FRAMES} cannot be shown." in note and "probably not copied to its end" in note
    page.errors.clear()  # Cornerstone repeats the failure on the console


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example study as files: CT, MR, ultrasound, ECG, a PDF and a report."""
    folder = tmp_path_factory.mktemp("example")
    for number, (_, file) in enumerate(example_study(size=128, slices=12)):
        (folder / f"{number:04}").write_bytes(file)
    return folder


def test_documents_reports_and_films_open_too(page: Page, example: Path) -> None:
    read_folder(page, example)
    open_local(page)
    page.evaluate("""(() => { window.opened = []; const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { window.opened.push(blob); return make.call(URL, blob); }; })()""")
    open_series(page, "DOC")
    page.click(".sheet .button")
    page.wait_until("window.opened.some((blob) => blob.type === 'application/pdf')")
    head = page.evaluate("window.opened.find((blob) => blob.type === 'application/pdf').slice(0, 5).text()")
    assert head == "%PDF-"
    open_series(page, "SR")
    page.wait_until("document.querySelector('.report li')")
    open_series(page, "US")
    page.wait_until(f"{SLICE}?.startsWith('1 / ')")
    page.command("Page.bringToFront")


def test_on_a_phone(page: Page, disc: Path) -> None:
    page.size(*PHONE, touch=True)
    page.click(".open-button")
    page.wait_until("document.querySelector('.open-files[open]')")
    page.screenshot(ARTIFACTS / "local-open-phone.png")
    page.evaluate("document.querySelector('.open-files').close()")
    # The page hears of it a moment later, and would take what is opened until then for what was closed
    page.wait_until("!document.querySelector('.open-files')")
    read_folder(page, disc)
    page.wait_until("document.querySelectorAll('.local-study img.shown').length === 2")
    page.screenshot(ARTIFACTS / "local-list-phone.png")
    open_local(page)
    page.screenshot(ARTIFACTS / "local-study-phone.png")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE[0]
    page.size(1440, 900)


def test_the_two_ways_are_said_plainly(page: Page) -> None:
    page.click(".open-button")
    words = page.wait_until("document.querySelector('.open-files[open]')?.innerText")
    assert "Nothing is sent" in words and "Store in the archive" in words
    page.screenshot(ARTIFACTS / "local-open.png")
    page.evaluate("document.querySelector('.open-files').close()")
    drag = """(() => { const data = new DataTransfer(); data.items.add(new File(['x'], 'x'));
        const event = (kind, x) => new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: data, clientX: x});
        const list = document.querySelector('.list-page');
        list.dispatchEvent(event('dragenter', PLACE)); list.dispatchEvent(event('dragover', PLACE)); })()"""
    for x, words in ((100, "Read here"), (1300, "Store in the archive")):
        page.evaluate(drag.replace("PLACE", str(x)))
        assert words in page.wait_until("document.querySelector('.drop-here.aimed')?.innerText")
    page.screenshot(ARTIFACTS / "local-drop.png")
    page.evaluate("document.querySelector('.list-page').dispatchEvent(new DragEvent('dragleave', {bubbles: true}))"
        ".valueOf() && document.querySelector('.list-page').dispatchEvent(new DragEvent('dragleave', {bubbles: true}))")  # fmt: skip


def test_a_folder_dropped_on_the_left_is_read_here(page: Page, tmp_path: Path) -> None:
    """With what is in its folders, however deep, and without what is hidden."""
    for place, number in (("deep/er/one", 0), ("deep/two.dcm", 1), (".hidden/three", 2)):
        file = tmp_path / "dropped" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(slice_of(STUDY, number))
    page.drop({"items": [], "files": [str(tmp_path / "dropped")], "dragOperationsMask": 1}, 50, 450)
    page.wait_until(READ)
    open_local(page)
    page.wait_until(f"{SLICE}.endsWith('/ 2')")
    page.key("Home")
    page.wait_until(f"{SLICE} === '1 / 2'")
    check_value(page, 5, 3, int(pixels(0)[3, 5]) - 24)


def test_a_folder_dropped_on_the_right_is_stored(page: Page, tmp_path: Path) -> None:
    study = f"{STUDY}.28"
    (tmp_path / "folder").mkdir()
    for number in range(3):
        (tmp_path / "folder" / str(number)).write_bytes(slice_of(study, number))
    page.drop({"items": [], "files": [str(tmp_path / "folder")], "dragOperationsMask": 1}, 1300, 450)
    page.wait_until("document.querySelector('.uploads')?.innerText.includes('3 files in the archive')")


def test_without_a_network_files_are_read_all_the_same(tmp_path: Path, disc: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    for series, name in enumerate(("jpeg2000-lossless", "jpeg-ls", "rle", "htj2k-lossless"), 1):
        uid = f"{STUDY}.5.{series}"
        native = image_object((pixels(1) + 400)[None].astype(np.uint16), StudyInstanceUID=f"{STUDY}.5", SeriesInstanceUID=uid,
            SOPInstanceUID=f"{uid}.1", SeriesDescription=name, Modality="CT", BitsStored=12, HighBit=11)  # fmt: skip
        (packed / name).write_bytes(made(native, name)[0])
    with open_page(tmp_path / "profile") as own:
        with serving(tmp_path / "archive") as ready:
            own.go(f"http://{ready['http']}")
            own.wait_until("document.querySelector('.empty')")
            own.wait_until(
                "window.ready || (navigator.serviceWorker.ready.then(() => { window.ready = true; }), false)"
            )
        own.go(f"http://{ready['http']}/local")
        read_folder(own, disc)
        open_local(own)
        check_value(own, 50, 12, int(pixels(SLICES // 2)[12, 50]) - 24)
        own.screenshot(ARTIFACTS / "local-offline.png")
        own.click("[aria-label='Back to studies']")
        open_files(own, FOLDER, [packed])
        own.wait_until("document.querySelectorAll('.local-study').length === 3")
        own.wait_until(
            "[...document.querySelectorAll('.local-study')].some((one) =>"
            " one.innerText.includes('4 series') && (one.click(), true))"
        )
        own.wait_until("document.querySelectorAll('.rail img.shown').length === 4")
        assert own.evaluate("document.querySelectorAll('.stage .note').length") == 0
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)
