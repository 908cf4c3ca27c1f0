"""Serialised answers: cut at the slots, put together in tag order, nothing lost."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gantry.archive.query import Counts, LevelAnswer, PatientCounts, Row, serialise
from gantry.standard.query_keys import DEFAULT_ANSWERS, LEVEL_OF_TAG, Level
from index_records import element

tags = st.sampled_from(
    sorted(
        {tag for level in Level for tag in DEFAULT_ANSWERS[level]}
        | set(LEVEL_OF_TAG)
        | {0x00091001, 0x7FE00010}
    )
).map(lambda tag: f"{tag:08X}")
values = st.one_of(st.text(), st.integers(), st.dictionaries(st.sampled_from(["Alphabetic"]), st.text()))
models = st.dictionaries(tags, st.lists(values, max_size=3).map(lambda found: element("LO", *found)))
levels = st.sampled_from([Level.STUDY, Level.SERIES, Level.IMAGE])

COMPUTED = {"00080005", "00080056", "00080061", "00080062", "00081190"} | {
    f"{tag:08X}" for tag in range(0x00201200, 0x0020120A)
}


@given(levels, models)
def test_serialised_attributes_come_back(level: Level, model: dict[str, Any]) -> None:
    kept = {tag: value for tag, value in model.items() if tag != "00080005"}
    answer = serialise(level, model)
    assert answer.attributes() == kept
    assert answer.sections.count(b"\n") == 3
    assert b"\n" not in answer.more


def row_of(level: Level, model: dict[str, Any]) -> Row:
    answer = serialise(level, model)
    empty = LevelAnswer(b"\n\n\n", b"{}")
    return Row(
        level,
        "P1",
        "1.1",
        "1.2",
        "1.3",
        study=answer if level is Level.STUDY else empty,
        series=answer if level is Level.SERIES else (empty if level > Level.SERIES else None),
        instance=answer if level is Level.IMAGE else None,
        study_counts=Counts(7, 2, ("CT", "MR"), ("1.2.3",), 70),
        series_counts=Counts(3) if level >= Level.SERIES else None,
    )


@given(levels, models, st.one_of(st.none(), st.text(min_size=1)))
def test_an_answer_is_valid_ordered_and_holds_what_the_level_asks_for(
    level: Level, model: dict[str, Any], url: str | None
) -> None:
    model = {tag: value for tag, value in model.items() if tag not in COMPUTED}
    row = row_of(level, model)
    pairs = json.loads(row.json(url), object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert names == sorted(set(names))
    answer = json.loads(row.json(url))
    defaults = {f"{tag:08X}" for tag in DEFAULT_ANSWERS[level]}
    assert set(answer) <= defaults
    assert {tag: value for tag, value in answer.items() if tag not in COMPUTED} == {
        tag: value for tag, value in model.items() if tag in defaults
    }
    assert answer["00080005"]["Value"] == ["ISO_IR 192"]
    assert answer["00080056"]["Value"] == ["ONLINE"]
    assert ("00081190" in answer) == (url is not None)
    if url is not None:
        assert answer["00081190"] == {"vr": "UR", "Value": [url]}
    assert row.answer == row.json()


def test_counts_stand_in_the_answer_of_their_own_level() -> None:
    study = json.loads(row_of(Level.STUDY, {}).answer)
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([2], [7])
    assert study["00080061"]["Value"] == ["CT", "MR"]
    series = json.loads(row_of(Level.SERIES, {}).answer)
    assert series["00201209"]["Value"] == [3]
    assert "00201208" not in series
    assert "00201209" not in json.loads(row_of(Level.IMAGE, {}).answer)


def test_the_model_of_a_row_holds_the_levels_above_and_what_is_computed() -> None:
    model = row_of(Level.IMAGE, {"00200013": element("IS", 4)}).model()
    assert model["00200013"] == element("IS", 4)
    assert model["00201208"] == element("IS", 7)
    assert model["00201209"] == element("IS", 3)
    assert model["00080062"] == element("UI", "1.2.3")
    assert list(model) == sorted(model)


def test_a_study_of_unknown_modality_has_an_empty_list() -> None:
    row = Row(Level.STUDY, "", "1", "", "", serialise(Level.STUDY, {}), study_counts=Counts(1, 1))
    assert json.loads(row.answer)["00080061"] == {"vr": "CS"}
    assert row.computed()["00080062"] == {"vr": "UI"}


def test_a_patient_row_shows_the_patient_only() -> None:
    answer = serialise(Level.STUDY, {"00100020": element("LO", "P1"), "00080050": element("SH", "A1")})
    row = Row(Level.PATIENT, "P1", "", "", "", answer, patient_counts=PatientCounts(1, 2, 3))
    assert "00080050" not in row.model()
    found = json.loads(row.answer)
    assert found["00100020"]["Value"] == ["P1"]
    assert [found[f"0020120{n}"]["Value"][0] for n in (0, 2, 4)] == [1, 2, 3]


def test_attributes_from_the_file_join_the_model() -> None:
    row = row_of(Level.STUDY, {})
    extended = Row(
        **{**{name: getattr(row, name) for name in Row.__slots__}, "extra": {"00180060": element("DS", 80)}}
    )
    assert extended.model()["00180060"] == element("DS", 80)
