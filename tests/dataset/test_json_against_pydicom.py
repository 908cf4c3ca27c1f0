"""The DICOM JSON Model of real files is the one pydicom makes; it survives JSON and XML and back."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_files

from gantry.dataset.json_model import from_json, to_json, to_json_model
from gantry.dataset.part10 import read_part10
from gantry.dataset.scan import DataSet
from gantry.dataset.xml_model import from_xml, to_xml
from gantry.errors import DataSetError
from gantry.standard.dictionary import PIXEL_DATA
from real_files import OTHERWISE, READ_FURTHER
from support import shared_data

pytestmark = pytest.mark.slow  # more than unit tests may take; make test runs it

LONG = 300_000  # bytes of JSON: XML of more takes seconds and shows nothing new
SMALL = 100_000  # bytes of a file whose Pixel Data is compared as well


def packaged() -> list[Path]:
    root = Path(pydicom.__file__).parent
    return [path for name in get_testdata_files() if root in (path := Path(name)).parents and path.is_file()]


def data_sets(paths: Iterator[Path] | list[Path]) -> Iterator[tuple[Path, bytes, DataSet]]:
    """Every file that can be read at all; which those are is for test_scan_against_pydicom to say."""
    for path in paths:
        data = path.read_bytes()
        try:
            _, ds = read_part10(data)
        except DataSetError:
            continue
        yield path, data, ds


def theirs(data: bytes) -> dict[str, Any] | None:
    """pydicom's model; None where pydicom cannot make one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            ds = pydicom.dcmread(io.BytesIO(data), force=True)
            if len(data) > SMALL and PIXEL_DATA in ds:
                del ds[PIXEL_DATA]
            return ds.to_json_dict()
        except (
            ValueError,
            TypeError,
            OverflowError,
            KeyError,
            AttributeError,
            NotImplementedError,
            IndexError,
        ):
            return None
        finally:
            logging.disable(logging.NOTSET)


def check_against_pydicom(paths: Iterator[Path] | list[Path]) -> int:
    compared = 0
    for path, data, ds in data_sets(paths):
        expected = theirs(data)
        if expected is None or path.name in READ_FURTHER:
            continue
        model = to_json_model(ds, inline_pixel_data=True)
        if len(data) > SMALL:
            model.pop("7FE00010", None)
        for tag in OTHERWISE.get(path.name, ()):
            assert model.pop(tag) != expected.pop(tag), f"{path.name}: {tag} agrees by now"
        assert model == expected, path.name
        compared += 1
    return compared


def check_round_trips(paths: Iterator[Path] | list[Path]) -> None:
    for path, _, ds in data_sets(paths):
        model = to_json_model(ds)
        encoded = to_json(ds)
        assert from_json(encoded) == model, path.name
        if "ctrl_chars" not in path.name and len(encoded) < LONG:  # the former is what XML cannot hold
            assert from_xml(to_xml(model)) == without_group_lengths(model), path.name


def without_group_lengths(model: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {"vr": "SQ", "Value": [without_group_lengths(item) for item in attribute["Value"]]}
        if attribute["vr"] == "SQ"
        else attribute
        for key, attribute in model.items()
        if not key.endswith("0000")
    }


def test_pydicoms_own_files_give_pydicoms_json() -> None:
    assert check_against_pydicom(packaged()) > 60


def test_pydicoms_own_files_survive_json_and_xml() -> None:
    check_round_trips(packaged())


def shared_files() -> Iterator[Path]:
    return (path for path in sorted(shared_data().rglob("*")) if path.is_file())


def test_the_shared_files_give_pydicoms_json() -> None:
    assert check_against_pydicom(shared_files()) > 500


def test_the_shared_files_survive_json_and_xml() -> None:
    check_round_trips(shared_files())


def test_names_of_every_character_set_are_those_expected() -> None:
    root = shared_data() / "synthetic"
    expected = json.loads((root / "charset" / "expected_names.json").read_text(encoding="utf-8"))
    assert expected
    for relative, words in expected.items():
        path = root / relative
        if not path.is_file():
            pytest.fail(f"{relative} is not where expected_names.json says")
        _, ds = read_part10(path.read_bytes())
        model = to_json_model(ds)
        groups = model["00100010"]["Value"][0]
        assert "=".join(groups.values()) == words["PatientName"], relative
        if "StudyDescription" in words:
            assert model["00081030"]["Value"] == [words["StudyDescription"]], relative
