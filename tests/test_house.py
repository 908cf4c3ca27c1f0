"""The house stands as docs/architecture.md draws it: imports go down only, pure rooms stay pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gantry

PACKAGE = Path(gantry.__file__).parent

FLOOR = {
    "standard": 0,
    "dataset": 1,
    "pixels": 2,
    "dimse": 2,
    "dicomweb": 2,
    "volume": 3,
    "archive": 3,
    "client": 3,
    "toolkit": 4,
    "workflow": 4,
    "server": 5,
    "cli": 6,
}
BESIDE = {"errors", "settings", "__init__", "__main__"}
RELIABILITY = sorted({*range(1, 21)} - {8})
"""N1 to N20: what Gantry promises about faults, each held by tests that bear its number. N8, storage
commitment, joins them when it is there."""
PURE = {"standard", "dataset", "pixels", "dimse", "dicomweb", "volume"}
IMPURE_MODULES = {
    "asyncio", "datetime.datetime.now", "httpx", "logging.handlers", "os", "pathlib", "random", "selectors",
    "shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request",
}  # fmt: skip


def _imports(source: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}:{node.lineno}: relative import; write it out"
            module = node.module or ""
            yield module, node.lineno
            if module == "gantry":
                for alias in node.names:
                    yield f"gantry.{alias.name}", node.lineno


def _sources() -> Iterator[tuple[str, Path]]:
    for source in sorted(PACKAGE.rglob("*.py")):
        yield source.relative_to(PACKAGE).with_suffix("").parts[0], source


def test_every_room_is_on_the_plan() -> None:
    rooms = {room for room, _ in _sources()}
    assert rooms <= set(FLOOR) | BESIDE


def test_imports_go_down_only() -> None:
    wrong = []
    for room, source in _sources():
        for module, line in _imports(source):
            parts = module.split(".")
            if parts[0] != "gantry" or len(parts) == 1:
                continue
            target = parts[1]
            if target in BESIDE or target == room or target.startswith("_"):
                continue
            if room in {"errors", "settings"} or FLOOR.get(target, 99) >= FLOOR.get(room, 99):
                wrong.append(f"{source.relative_to(PACKAGE)}:{line}: {room} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_pure_rooms_do_no_io_and_read_no_clock() -> None:
    wrong = [
        f"{source.relative_to(PACKAGE)}:{line}: pure room {room} imports {module}"
        for room, source in _sources()
        if room in PURE
        for module, line in _imports(source)
        if module in IMPURE_MODULES
    ]
    assert not wrong, "\n".join(wrong)


def test_no_source_file_has_grown_past_reading() -> None:
    lines = {
        str(source.relative_to(PACKAGE)): len(source.read_text(encoding="utf-8").splitlines())
        for _, source in _sources()
        if "table" not in source.stem
    }
    large = {name: count for name, count in lines.items() if count > 900}
    assert not large, f"one subject a file: {large}"


def test_each_promise_of_reliability_has_a_test_of_its_name() -> None:
    names = {
        name
        for source in Path(__file__).parent.rglob("test_*.py")
        for name in re.findall(r"def (test_(?:[nb]\d+_)+)", source.read_text(encoding="utf-8"))
    }
    short = [name for name in names if re.search(r"_[nb]\d_", name)]
    assert not short, f"two digits, so that all are found by one pattern: {short}"
    missing = [f"N{number}" for number in RELIABILITY if not any(f"_n{number:02}_" in name for name in names)]
    assert not missing, f"no test is named after {missing}"
