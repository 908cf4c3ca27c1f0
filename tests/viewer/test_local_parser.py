"""The page's own reading of DICOM files against the server's: the same metadata for every file, in the browser."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_files

from chromium import Page
from gantry.dataset.json_model import to_json
from gantry.dataset.part10 import read_part10
from gantry.errors import DataSetError
from gantry.toolkit.example import example_study
from image_values import gray, image_object, made
from support import shared_data
from viewing import viewer_files

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).resolve().parents[2]
DIRECTORY = "1.2.840.10008.1.3.10"
PIXELS = ("7FE00008", "7FE00009", "7FE00010")

READ_ALL = """new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, { type: 'module' });
    const files = [...document.getElementById('probe').files].map((file, number) => ({ file, number }));
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage({ task: 1, files, whole: true });
})"""


def read_in_page(page: Page, paths: list[Path]) -> list[dict[str, Any]]:
    """What the program's own worker makes of each file."""
    names = json.loads((viewer_files() / "shell-worker.js").read_text().partition("=")[2].partition(";")[0])
    worker = next(name for name in names if name.startswith("/assets/local-worker-"))
    page.evaluate(
        "(() => { document.getElementById('probe')?.remove(); const input = document.createElement('input');"
        " Object.assign(input, { id: 'probe', type: 'file', multiple: true, hidden: true });"
        " document.body.append(input); })()"
    )
    page.choose_files("#probe", paths)
    answer = page.evaluate(READ_ALL.replace("WORKER", json.dumps(worker)))
    assert "crash" not in answer, answer["crash"]
    assert [one["number"] for one in answer["found"]] == list(range(len(paths)))
    return list(answer["found"])


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Where two models differ. References to bulk data are each side's own; private VRs only the server knows."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if ours.get("vr") == "UN" and theirs.get("vr") != "UN" and _is_private(path):
            return
        for key in sorted(theirs.keys() | ours.keys()):
            if key == "BulkDataURI" and key in theirs and key in ours:
                continue
            if key in theirs and key in ours:
                yield from differences(theirs[key], ours[key], f"{path}/{key}")
            else:
                yield f"{path}/{key} is only {'theirs' if key in theirs else 'ours'}"
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif theirs != ours:
        yield f"{path}: {str(theirs)[:60]!r} here is {str(ours)[:60]!r}"


def _is_private(path: str) -> bool:
    tag = path.rpartition("/")[2]
    return int(tag[:4], 16) % 2 == 1


def server_metadata(data: bytes) -> dict[str, Any] | None:
    """As the server answers it, up to the pixels; None for what it does not read, or is no object of a study."""
    try:
        meta, ds = read_part10(data, tolerate_missing_preamble=True)
        model: dict[str, Any] = json.loads(to_json(ds, bulk_uri=lambda path, _: path))
    except DataSetError:
        return None
    names = [model.get(tag, {}).get("Value") for tag in ("0020000D", "0020000E", "00080018")]
    if meta.media_storage_sop_class_uid == DIRECTORY or not all(_is_uid(value) for value in names):
        return None
    pixels = next((tag for tag in PIXELS if tag in model), "FFFFFFFF")
    model["00083002"] = {"vr": "UI", "Value": [meta.transfer_syntax_uid]}
    return {tag: element for tag, element in model.items() if tag <= pixels}


def _is_uid(value: Any) -> bool:
    return (
        bool(value)
        and isinstance(value[0], str)
        and 0 < len(value[0]) <= 64
        and set(value[0]) <= set("0123456789.")
    )


def compare(page: Page, files: Mapping[str, Path]) -> int:
    """How many files both read; fails where one is read differently, or not at all in the page."""
    found = read_in_page(page, list(files.values()))
    wrong: dict[str, list[str]] = {}
    both = 0
    for name, one in zip(files, found, strict=True):
        theirs = server_metadata(files[name].read_bytes())
        if theirs is None:
            continue
        both += 1
        if "object" not in one:
            wrong[name] = [str(one.get("problem"))]
        elif differing := list(differences(theirs, one["object"])):
            wrong[name] = differing[:4]
    assert wrong == {}
    return both


def test_metadata_of_files_made_here(page: Page, tmp_path: Path) -> None:
    files = {}
    objects = [file for _, file in example_study(size=64, slices=2)]
    native = image_object(gray(3), StudyInstanceUID="1.2.3")
    objects += [
        made(native, name)[0] for name in ("implicit", "deflated", "big-endian", "rle", "jpeg2000-lossless")
    ]
    objects += [objects[0][132:], objects[0][128:]]
    for number, file in enumerate(objects):
        path = files[str(number)] = tmp_path / str(number)
        path.write_bytes(file)
    assert compare(page, files) == len(objects)


def test_metadata_of_the_files_that_pydicom_carries(page: Page) -> None:
    root = Path(pydicom.__file__).parent / "data"
    paths = sorted(Path(name) for name in get_testdata_files())
    files = {str(path): path for path in paths if root in path.parents and path.is_file()}
    assert compare(page, files) > 20


def test_metadata_of_all_shared_files(page: Page) -> None:
    root = shared_data()
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    assert compare(page, {str(path.relative_to(root)): path for path in paths}) > 500


def test_the_table_of_vrs_is_that_of_the_dictionary() -> None:
    tool = REPOSITORY / "tools" / "viewer_dictionary.py"
    if not tool.is_file():
        pytest.skip("the tools are not here (an installed package has only what is built)")
    spec = importlib.util.spec_from_file_location("viewer_dictionary", tool)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text() == module.table()
