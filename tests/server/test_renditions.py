from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from gantry.server.renditions import FOLDER, Renditions


def files(data: Path) -> list[str]:
    return sorted(path.name for path in (data / FOLDER).rglob("*") if path.is_file())


def test_a_rendition_is_there_for_the_next_run(tmp_path: Path) -> None:
    Renditions(tmp_path).put("ab12", b"picture")
    assert Renditions(tmp_path).get("ab12") == b"picture"
    assert Renditions(tmp_path).get("ab13") is None


@pytest.mark.parametrize("left", [b"", b"pict", b"pixture\0\0\0\0", bytes(11)])
def test_what_a_power_cut_left_is_not_served(tmp_path: Path, left: bytes) -> None:
    kept = Renditions(tmp_path)
    kept.put("ab12", b"picture")
    (tmp_path / FOLDER / "ab" / "ab12").write_bytes(left)
    assert kept.get("ab12") is None
    assert files(tmp_path) == []
    kept.put("ab12", b"picture")
    assert kept.get("ab12") == b"picture"


def test_those_used_longest_ago_go_first(tmp_path: Path) -> None:
    kept = Renditions(tmp_path, max_bytes=40)
    for key in ("aa1", "bb2", "cc3"):
        kept.put(key, b"x" * 6)  # 10 with its checksum
    assert kept.get("aa1")
    kept.put("dd4", b"x" * 16)
    assert files(tmp_path) == ["aa1", "cc3", "dd4"]
    few = Renditions(tmp_path, max_files=1)
    few.put("ee5", b"y")
    assert files(tmp_path) == ["ee5"]


def test_a_large_one_is_written_in_place_and_then_named(tmp_path: Path) -> None:
    kept = Renditions(tmp_path)
    place = kept.temporary()
    place.write_bytes(b"movie")
    assert kept.find("ff6") is None
    assert kept.adopt(place, "ff6").read_bytes() == b"movie"
    found = Renditions(tmp_path).find("ff6")
    assert found is not None
    assert found.read_bytes() == b"movie"


def test_what_an_earlier_run_left_half_done_is_removed(tmp_path: Path) -> None:
    kept = Renditions(tmp_path)
    kept.temporary().write_bytes(b"half")
    kept.put("aa1", b"whole")
    assert len(files(tmp_path)) == 2
    Renditions(tmp_path).put("bb2", b"whole")
    assert files(tmp_path) == ["aa1", "bb2"]


def test_the_reserve_of_the_disk_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 95, 5))
    kept = Renditions(tmp_path, keep_free=10)
    kept.put("aa1", b"x")
    assert files(tmp_path) == []
    with pytest.raises(OSError) as caught:
        kept.temporary()
    assert caught.value.errno == errno.ENOSPC
    Renditions(tmp_path, keep_free=5).put("aa1", b"x")
    assert files(tmp_path) == ["aa1"]


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    kept = Renditions(tmp_path)
    kept.put("aa1", b"x")
    assert kept.get("aa1") is None
