"""The information panel: all attributes of what is shown, found, folded, copied, whatever stands in them."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from chromium import PHONE, Page
from image_values import image_object, reading
from serving import ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.7"
LONG = "A long text. " * 900_000
"""More than ten million characters, as Structured Reports and vendors' logs have them."""
SCRIPT = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"


def item(**attributes: object) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def ct() -> bytes:
    pixels = np.arange(64 * 64, dtype=np.int16).reshape(64, 64)
    made = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID="1.2.3.4")
    file = ct_image(
        pixels,
        STUDY,
        1,
        1,
        PatientName="Doe^Jane",
        ImageComments=SCRIPT,
        SeriesDescription="needle in this haystack",
        ReferencedImageSequence=Sequence([made, made]),
        ICCProfile=bytes(3000),
        TextValue=LONG,
    )
    ds = reading(file)
    ds.private_block(0x0011, "GANTRY TEST", create=True).add_new(1, "LO", "of a vendor")
    written = io.BytesIO()
    ds.save_as(written)
    return written.getvalue()


def enhanced() -> bytes:
    frames = np.random.default_rng(1).integers(0, 200, (3, 32, 32)).astype(np.uint16)
    per_frame = [
        item(FrameContentSequence=Sequence([item(FrameAcquisitionNumber=7, DimensionIndexValues=[n])]))
        for n in (11, 12, 13)
    ]
    return image_object(
        frames,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.2",
        SOPInstanceUID=f"{STUDY}.2.1",
        Modality="CT",
        SeriesNumber=2,
        InstanceNumber=1,
        PerFrameFunctionalGroupsSequence=Sequence(per_frame),
        SharedFunctionalGroupsSequence=Sequence(
            [item(PixelMeasuresSequence=Sequence([item(PixelSpacing=[1, 1])]))]
        ),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), [ct(), enhanced()]) as address:
        yield address


def open_panel(page: Page, server: str, series: int = 1) -> None:
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    page.command(
        "Input.dispatchKeyEvent", type="keyDown", key="I", code="KeyI", windowsVirtualKeyCode=73, modifiers=8
    )
    page.command("Input.dispatchKeyEvent", type="keyUp", key="I", code="KeyI", modifiers=8)
    page.wait_until("document.activeElement?.closest('.info-search')")
    page.wait_until(
        "document.querySelector('.info-row')?.innerText.includes('Specific Character Set')"
        " || document.querySelector('.info-row.part')"
    )


ROWS = "[...document.querySelectorAll('.info-row')].map((row) => row.innerText.replace(/\\n/g, ' | ').trim())"


def search(page: Page, words: str) -> list[str]:
    """What is listed once one row at least holds what was typed."""
    page.evaluate(
        "(() => { const f = document.querySelector('.info-search input'); f.focus(); f.select(); })()"
    )
    page.type(words)
    page.wait_until("document.querySelector('.info-rows').getAttribute('aria-busy') === 'false'")
    return list(page.evaluate(ROWS))


def choose(page: Page, words: str) -> str:
    """The value of the first row that a search finds, as it is shown below."""
    search(page, words)
    page.key("ArrowDown")
    page.key("End")
    page.wait_until("document.querySelector('.attribute-value')")
    return str(page.evaluate("document.querySelector('.attribute-value').innerText"))


def test_every_attribute_is_listed_by_name_and_the_head_of_the_file_too(page: Page, server: str) -> None:
    open_panel(page, server)
    page.wait_until("[...document.querySelectorAll('.info-row.part')].length === 2")
    rows = page.evaluate(ROWS)
    assert rows[0].startswith("File")
    assert any("0008,0016" in row and "SOP Class UID" in row for row in rows)
    page.screenshot(ARTIFACTS / "information-desk.png")
    assert "1.2.840.10008.1.2.1" in " ".join(search(page, "Transfer Syntax UID"))


def test_what_is_typed_is_found_by_name_tag_keyword_and_value(page: Page, server: str) -> None:
    open_panel(page, server)
    for words in ("patient's name", "PatientName", "(0010,0010)", "00100010", "doe^jane"):
        assert any("Doe^Jane" in row for row in search(page, words)), words
    assert any("Series Description" in row for row in search(page, "needle hay"))
    found = search(page, "1.2.3.4")
    assert [row.split(" | ")[-1] for row in found if row.startswith("Item")] == ["2 attributes"] * 2
    search(page, "no such thing at all")
    page.wait_until("document.querySelector('.info-note').innerText === 'No attribute fits.'")


def test_private_attributes_say_whose_they_are(page: Page, server: str) -> None:
    open_panel(page, server)
    (row,) = [row for row in search(page, "of a vendor") if "vendor" in row]
    assert "Private, of GANTRY TEST" in row


def test_binary_values_are_said_by_their_size(page: Page, server: str) -> None:
    open_panel(page, server)
    assert "Binary, kept apart" in " ".join(search(page, "ICCProfile"))
    choose(page, "ICCProfile")
    page.wait_until("document.querySelector('.attribute-value').innerText.includes('3,000 bytes')")


def test_sequences_fold_by_key_and_by_hand(page: Page, server: str) -> None:
    open_panel(page, server)
    search(page, " ")
    page.key("ArrowDown")
    page.key("Home")
    page.key("ArrowDown")
    at = "document.querySelector('.info-row[aria-selected=true]')"
    page.wait_until(f"{at}?.innerText.includes('Object')")
    page.key("ArrowLeft")
    page.wait_until("document.querySelectorAll('.info-row').length === 2")
    page.key("ArrowRight")
    page.wait_until("document.querySelectorAll('.info-row').length > 10")
    for _ in range(60):
        page.key("ArrowDown")
        if "Referenced Image" in page.evaluate(f"{at}.innerText"):
            break
    page.wait_until(f"{at}.innerText.includes('2 items')")
    page.key("ArrowRight")
    page.wait_until(f"{at}.getAttribute('aria-expanded') === 'true'")
    page.wait_until(f"{ROWS}.filter((row) => row.startsWith('Item')).length === 2")
    page.key("ArrowLeft")
    page.wait_until(f"{ROWS}.filter((row) => row.startsWith('Item')).length === 0")


def test_a_value_of_ten_megabytes_is_cut_and_shown_further_on_request(page: Page, server: str) -> None:
    open_panel(page, server)
    choose(page, "Text Value")
    shown = "document.querySelector('.attribute-value pre').textContent.length"
    page.wait_until(f"{shown} === 2000")
    more = "document.querySelector('.attribute-value footer button')"
    for length in (20_000, 200_000):
        page.evaluate(f"{more}.click()")
        page.wait_until(f"{shown} === {length}")
    page.wait_until(f"!{more}")
    assert "of 11,700,000 characters" in page.evaluate("document.querySelector('.attribute-value').innerText")
    # The page answers: what is typed is found.
    assert any("Doe^Jane" in row for row in search(page, "doe^jane"))


def test_a_script_in_a_value_is_text(page: Page, server: str) -> None:
    open_panel(page, server)
    assert SCRIPT in choose(page, "Image Comments")
    assert page.evaluate("document.querySelector('.info-panel img, .info-panel script')") is None
    assert page.evaluate("document.title") != "ran"


def test_a_value_is_copied(page: Page, server: str) -> None:
    page.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    open_panel(page, server)
    choose(page, "Patient's Name")
    page.key("Enter")
    page.wait_until(
        "document.querySelector('.attribute-value .copy').getAttribute('aria-label') === 'Copied'"
    )
    assert page.evaluate("navigator.clipboard.readText()") == "Doe^Jane"


def test_the_functional_groups_of_the_frame_follow_the_frame(page: Page, server: str) -> None:
    open_panel(page, server, 2)
    assert page.evaluate(ROWS)[0].startswith("Frame 1")
    assert any(row.endswith("11") for row in search(page, "Dimension Index Values"))
    page.evaluate("document.querySelector('main.stage').focus()")
    page.key("ArrowDown")
    page.wait_until(f"{ROWS}.some((row) => row.endsWith('12'))")
    page.wait_until("document.querySelector('.info-row').innerText.includes('Frame 2')")


def test_the_panel_is_at_home_on_a_phone(page: Page, server: str) -> None:
    page.size(*PHONE, touch=True)
    open_panel(page, server)
    page.wait_until(f"{ROWS}.length > 5")
    height = "document.querySelector('.info-row').getBoundingClientRect().height"
    assert page.evaluate(height) >= 44
    choose(page, "Image Comments")
    page.screenshot(ARTIFACTS / "information-phone.png")
    page.key("Escape")
    page.wait_until("!document.querySelector('.info-panel')")
