"""`gantry compress`: smaller by rules, without loss, and back again bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Gantry
from gantry.archive.archive import Archive, Options
from gantry.archive.records import InstanceKey
from gantry.cli.main import run as run_command
from gantry.pixels.codecs.registry import NAMES
from gantry.settings import CompressRule
from image_values import decoded, image_object, made
from serving import ROOT, dataset, part10
from support import shared_data

RULE = "to=htj2k-lossless originals=let-go"


def smooth(number: int, modality: str = "CT", size: int = 96) -> bytes:
    """An image that becomes smaller when it is compressed."""
    rows = np.add.outer(np.arange(size), np.arange(size)).astype(np.uint16) * 7 % 4096
    return image_object(
        rows[None], Modality=modality, SOPInstanceUID=f"{ROOT}.1.1.{number}", BitsStored=12, HighBit=11
    )


def noise(number: int) -> bytes:
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 65536, (1, 64, 64), np.uint16)
    return image_object(pixels, SOPInstanceUID=f"{ROOT}.1.1.{number}")


def key(number: int) -> InstanceKey:
    return InstanceKey(f"{ROOT}.1", f"{ROOT}.1.1", f"{ROOT}.1.1.{number}")


def opened(data: Path) -> Archive:
    return Archive.open(data, Options(reserve_bytes=0))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with opened(tmp_path / "data") as archive:
        for file in (smooth(1), smooth(2, "MR"), noise(3), part10(without_pixels(4))):
            archive.store([file])
    return tmp_path / "data"


def without_pixels(number: int):  # type: ignore[no-untyped-def]
    ds = dataset(number)
    del ds.PixelData
    return ds


def size_of(data: Path) -> int:
    return sum(
        path.stat().st_size
        for name in ("objects", "acts")
        for path in (data / name).rglob("*")
        if path.is_file()
    )


def test_what_fits_becomes_smaller_and_the_saving_is_told(gantry: Gantry, data: Path) -> None:
    before = size_of(data)
    ended = gantry("compress", "--data", data, "--rule", RULE, "--jobs", 2, "--json")
    assert ended.code == 0, ended.err
    *objects, total = ended.json
    assert {(o["sopInstanceUid"][-1], o["result"]) for o in objects} == {
        ("1", "compressed"), ("2", "compressed"), ("3", "kept as they are"),
    }  # fmt: skip
    assert "instead of" in next(o["message"] for o in objects if o["result"] == "kept as they are")
    assert total["bytesAfter"] < total["bytesBefore"] / 4
    assert size_of(data) < before - 0.9 * (total["bytesFreed"] - total["bytesAdded"]) + 4096
    with opened(data) as archive:
        for number, original in ((1, smooth(1)), (2, smooth(2, "MR"))):
            (location,) = archive.locate(sop_uid=key(number).sop_uid)
            assert (location.number, location.transfer_syntax_uid) == (2, NAMES["htj2k-lossless"])
            assert (decoded(archive.read(location))[0] == decoded(original)[0]).all()
            assert archive.versions(key(number))[1].origin.via == "compress"
        assert archive.conflicts() == []
        assert archive.verify().is_clean
        archive.reindex()
        assert archive.verify().is_clean
    again = gantry("compress", "--data", data, "--rule", RULE)
    assert again.lines == ["1 kept as they are"]


@pytest.mark.slow
def test_undo_makes_every_original_again_bit_for_bit(gantry: Gantry, data: Path) -> None:
    gantry("compress", "--data", data, "--rule", RULE)
    ended = gantry("compress", "--data", data, "--undo")
    assert ended.code == 0, ended.err
    assert ended.lines[0] == "2 made again"
    with opened(data) as archive:
        for number, original in ((1, smooth(1)), (2, smooth(2, "MR")), (3, noise(3))):
            (location,) = archive.locate(sop_uid=key(number).sop_uid)
            assert archive.read(location, check=True) == original
        assert archive.verify().is_clean
    assert gantry("compress", "--data", data, "--undo").lines == ["nothing that a rule is for"]


@pytest.mark.slow
def test_undo_gives_kept_originals_their_place_again(gantry: Gantry, data: Path) -> None:
    assert gantry("compress", "--data", data, "--rule", "to=htj2k-lossless").code == 0
    ended = gantry("compress", "--data", data, "--undo")
    assert (ended.code, ended.lines) == (0, ["2 made current again"])
    with opened(data) as archive:
        for number, original in ((1, smooth(1)), (2, smooth(2, "MR"))):
            (location,) = archive.locate(sop_uid=key(number).sop_uid)
            assert archive.read(location, check=True) == original
        assert archive.verify().is_clean
    assert gantry("compress", "--data", data, "--undo").lines == ["nothing that a rule is for"]


@pytest.mark.slow
def test_a_dry_run_only_says_what_would_be_saved(gantry: Gantry, data: Path) -> None:
    before = size_of(data)
    ended = gantry("compress", "--data", data, "--rule", RULE, "--dry-run")
    assert "2 would be compressed" in ended.out
    assert "% less" in ended.out
    assert size_of(data) == before
    with opened(data) as archive:
        assert archive.stats().versions == 4


@pytest.mark.slow
def test_originals_are_kept_unless_a_rule_lets_them_go_and_may_be_let_go_later(
    gantry: Gantry, data: Path
) -> None:
    gantry("compress", "--data", data, "--rule", "to=htj2k-lossless modality=MR")
    with opened(data) as archive:
        assert archive.read(archive.versions(key(2))[0].location) == smooth(2, "MR")
        assert archive.versions(key(1))[-1].number == 1
    ended = gantry("compress", "--data", data, "--rule", "to=htj2k-lossless modality=MR originals=let-go")
    assert ended.lines[0].startswith("1 let go")
    with opened(data) as archive:
        assert archive.versions(key(2))[0].location.made_from == 2
        assert archive.verify().is_clean


@pytest.mark.slow
def test_rules_go_by_modality_size_and_age_and_the_first_that_fits_counts(gantry: Gantry, data: Path) -> None:
    (data.parent / "gantry.toml").write_text(
        'compress = ["to=jpeg-ls modality=MR|PT", "to=rle larger=1M", "to=rle older=30d", "to=jpeg2000-lossless modality=CT"]\n'
    )
    ended = gantry("compress", "--data", data, "--config", data.parent / "gantry.toml")
    assert ended.code == 0, ended.err
    with opened(data) as archive:
        syntaxes = {one.key.sop_uid[-1]: one.transfer_syntax_uid for one in archive.locate()}
    assert syntaxes["1"] == NAMES["jpeg2000-lossless"]
    assert syntaxes["2"] == NAMES["jpeg-ls"]
    assert syntaxes["3"] == NAMES["explicit"]


@pytest.mark.slow
def test_a_jpeg_becomes_a_jpeg_xl_and_comes_back(gantry: Gantry, data: Path) -> None:
    waves = 128 + 100 * np.sin(np.add.outer(np.arange(256) ** 1.3, np.arange(256)) / 9)
    pixels = np.repeat(waves.astype(np.uint8)[None], 2, 0)
    jpeg, _ = made(image_object(pixels, SOPInstanceUID=f"{ROOT}.1.1.8"), "jpeg")
    with opened(data) as archive:
        sop_uid = archive.store([jpeg]).key.sop_uid  # type: ignore[union-attr]
    ended = gantry("compress", "--data", data, "--rule", "to=jpegxl-jpeg originals=let-go")
    assert ended.lines[0].startswith("3 kept as they are, 1 compressed"), ended
    with opened(data) as archive:
        (location,) = archive.locate(sop_uid=sop_uid)
        assert location.transfer_syntax_uid == NAMES["jpegxl-jpeg"]
    gantry("compress", "--data", data, "--undo")
    with opened(data) as archive:
        assert archive.read(archive.locate(sop_uid=sop_uid)[0]) == jpeg


def test_what_loses_something_is_refused(gantry: Gantry, data: Path) -> None:
    ended = gantry("compress", "--data", data, "--rule", "to=jpeg2000")
    assert ended.code == 2
    assert "loses something" in ended.err
    assert gantry("compress", "--data", data).code == 2  # no rules


@pytest.mark.slow
def test_a_damaged_original_is_never_the_source_of_anything(gantry: Gantry, data: Path) -> None:
    with opened(data) as archive:
        (location,) = archive.locate(sop_uid=key(1).sop_uid)
        path = data / location.path
    spoiled = bytearray(path.read_bytes())
    spoiled[-100] ^= 1
    path.write_bytes(spoiled)
    ended = gantry("compress", "--data", data, "--rule", RULE)
    assert ended.code == 1
    assert "does not hold the bytes that were acknowledged" in ended.err
    with opened(data) as archive:
        assert len(archive.versions(key(1))) == 1
        assert len(archive.versions(key(2))) == 2


@pytest.mark.slow
def test_undo_makes_originals_current_that_were_kept_or_are_there_again(gantry: Gantry, data: Path) -> None:
    gantry("compress", "--data", data, "--rule", f"{RULE} modality=CT")
    gantry("compress", "--data", data, "--rule", "to=htj2k-lossless modality=MR")
    with opened(data) as archive:
        archive.bring_back(key(1), 1, smooth(1))  # as an undo does that is killed then
    ended = gantry("compress", "--data", data, "--undo")
    assert (ended.code, ended.lines[0]) == (0, "2 made current again"), ended
    with opened(data) as archive:
        for number, original in ((1, smooth(1)), (2, smooth(2, "MR"))):
            assert archive.read(archive.locate(sop_uid=key(number).sop_uid)[0], check=True) == original
        assert archive.verify().is_clean
    assert gantry("compress", "--data", data, "--undo").lines == ["nothing that a rule is for"]


def test_acts_stay_small_where_headers_are_large(
    gantry: Gantry, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantry.toolkit.compress.LET_GO_BYTES_AT_ONCE", 500)
    gantry("compress", "--data", data, "--rule", RULE)
    assert len(list((data / "acts").iterdir())) == 2
    with opened(data) as archive:
        assert [archive.versions(key(n))[0].location.made_from for n in (1, 2)] == [2, 2]
        assert archive.verify().is_clean


@pytest.mark.slow
def test_one_original_that_is_not_what_it_was_keeps_no_other_from_being_let_go(
    gantry: Gantry, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(data) as archive:
        (location,) = archive.locate(sop_uid=key(1).sop_uid)
        path = data / location.path
    spoiled = bytearray(path.read_bytes())
    spoiled[5] ^= 1  # in the preamble
    path.write_bytes(spoiled)
    ended = gantry("compress", "--data", data, "--rule", RULE)
    assert ended.code == 1
    assert "does not hold the bytes that were acknowledged" in caplog.text
    with opened(data) as archive:
        assert archive.versions(key(1))[0].location.made_from == 0
        assert archive.versions(key(2))[0].location.made_from == 2
    assert path.read_bytes() == spoiled


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("to=rle", CompressRule("rle")),
        ("older=1.5d to=rle larger=2M modality=ct|mr originals=keep", CompressRule("rle", ("CT", "MR"), 1.5, 2_000_000)),
        ("to=1.2.3 originals=let-go", CompressRule("1.2.3", lets_go=True)),
    ],
)  # fmt: skip
def test_a_rule_is_read_and_written(text: str, rule: CompressRule) -> None:
    assert CompressRule.parse(text) == rule
    assert CompressRule.parse(str(rule)) == rule


@pytest.mark.parametrize("text", ["", "rle", "to=", "to=rle to=rle", "to=rle older=soon", "to=rle larger=-1", "to=rle larger=k", "to=rle originals=burn", "to=rle age=3"])  # fmt: skip
def test_a_rule_that_cannot_be_read_says_why(gantry: Gantry, data: Path, text: str) -> None:
    assert gantry("compress", "--data", data, "--rule", text).code == 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_shared_data_become_smaller_and_come_back_bit_for_bit(tmp_path: Path, gantry: Gantry) -> None:
    folders = [sorted((shared_data() / name).rglob("*.dcm")) for name in ("ct", "mr", "us")]
    files = [file for folder in folders for file in folder[:40]]
    kept: dict[tuple[InstanceKey, int], bytes] = {}
    with opened(tmp_path / "data") as archive:
        for file in files:
            content = file.read_bytes()
            outcome = archive.store([content])
            if hasattr(outcome, "number"):
                kept[outcome.key, outcome.number] = content
    before = size_of(tmp_path / "data")
    assert run_command(["compress", "--data", str(tmp_path / "data"), "--rule", RULE]) in (0, 1)
    assert size_of(tmp_path / "data") < before
    with opened(tmp_path / "data") as archive:
        assert archive.verify().is_clean
        gone = [
            row for row in archive.index.all_versions() if row.location is not None and row.location.made_from
        ]
        assert len(gone) > 10
    assert gantry("compress", "--data", tmp_path / "data", "--undo").code == 0
    with opened(tmp_path / "data") as archive:
        for (instance, number), content in kept.items():
            (row,) = [row for row in archive.versions(instance) if row.number == number]
            assert row.location is not None
            assert archive.read(row.location, check=True) == content
        assert archive.verify().is_clean
