"""The viewer's rooms import only rooms below them (docs/architecture.md, the viewer)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOMS = ("i18n", "dicom", "api", "state", "tools", "render", "ui", "app")
SOURCES = Path(__file__).resolve().parents[2] / "viewer" / "src"

IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""")
FETCH = re.compile(r"\b(?:fetch\(|new XMLHttpRequest|new EventSource|new WebSocket)")


def sources() -> list[Path]:
    if not SOURCES.is_dir():
        pytest.skip("the viewer's sources are not here (an installed package has only what is built)")
    return sorted([*SOURCES.rglob("*.ts"), *SOURCES.rglob("*.tsx")])


def room_of(path: Path) -> str:
    return path.relative_to(SOURCES).parts[0]


def test_rooms_import_only_lower_rooms() -> None:
    wrong = []
    for path in sources():
        for target in IMPORT.findall(path.read_text()):
            room = room_of((path.parent / target).resolve())
            if ROOMS.index(room) > ROOMS.index(room_of(path)):
                wrong.append(f"{path.relative_to(SOURCES)} imports {target}")
    assert wrong == []


def test_only_the_api_room_speaks_to_the_server() -> None:
    speaking = {room_of(path) for path in sources() if FETCH.search(path.read_text())}
    assert speaking == {"api"}


def test_state_and_dicom_know_no_page() -> None:
    knowing = [
        str(path.relative_to(SOURCES))
        for path in sources()
        if room_of(path) in ("dicom", "state") and re.search(r"\b(?:document|window)\.", path.read_text())
    ]
    assert knowing == []
