"""Query keys: levels, uniqueness, and what each model must answer."""

from __future__ import annotations

import pytest

from gantry.standard.dictionary import keyword_of, tag_of, vr_of
from gantry.standard.query_keys import (
    COMPUTED_KEYS,
    DEFAULT_ANSWERS,
    LEVEL_NAMES,
    LEVEL_OF_TAG,
    MODEL_LEVELS,
    QUERY_KEYS,
    UNIQUE_KEYS,
    InformationModel,
    KeyType,
    Level,
    level_of,
)


def test_levels_go_from_the_patient_inwards() -> None:
    assert list(Level) == [Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE]
    assert Level.PATIENT < Level.IMAGE
    assert {LEVEL_NAMES[name] for name in ("PATIENT", "STUDY", "SERIES", "IMAGE")} == set(Level)


@pytest.mark.parametrize(
    ("keyword", "level"),
    [
        ("PatientName", Level.PATIENT),
        ("IssuerOfPatientID", Level.PATIENT),
        ("StudyInstanceUID", Level.STUDY),
        ("AccessionNumber", Level.STUDY),
        ("PatientAge", Level.STUDY),
        ("ModalitiesInStudy", Level.STUDY),
        ("Modality", Level.SERIES),
        ("StationName", Level.SERIES),
        ("NumberOfSeriesRelatedInstances", Level.SERIES),
        ("SOPInstanceUID", Level.IMAGE),
        ("Rows", Level.IMAGE),
        ("ImageType", Level.IMAGE),
    ],
)
def test_an_attribute_belongs_to_the_level_of_its_module(keyword: str, level: Level) -> None:
    tag = tag_of(keyword)
    assert tag is not None
    assert level_of(tag) is level


def test_a_private_attribute_belongs_to_the_instance() -> None:
    assert level_of(0x00091001) is Level.IMAGE


def test_every_tag_in_the_tables_is_in_the_dictionary() -> None:
    for tag in (*LEVEL_OF_TAG, *COMPUTED_KEYS, *(tag for row in DEFAULT_ANSWERS.values() for tag in row)):
        assert keyword_of(tag), f"{tag:08X}"


def test_each_level_of_each_model_has_one_unique_key() -> None:
    for model, levels in MODEL_LEVELS.items():
        assert set(QUERY_KEYS[model]) == set(levels)
        for level in levels:
            keys = QUERY_KEYS[model][level]
            assert [key.tag for key in keys if key.type is KeyType.UNIQUE] == [UNIQUE_KEYS[level]]
            assert len({key.tag for key in keys}) == len(keys)
            for key in keys:
                assert (key.vr, key.keyword) == (vr_of(key.tag), keyword_of(key.tag))


def test_required_keys_are_those_of_the_standard() -> None:
    def required(model: InformationModel, level: Level) -> set[str]:
        return {key.keyword for key in QUERY_KEYS[model][level] if key.type is KeyType.REQUIRED}

    study = {"StudyDate", "StudyTime", "AccessionNumber", "StudyID"}
    assert required(InformationModel.PATIENT_ROOT, Level.PATIENT) == {"PatientName"}
    assert required(InformationModel.PATIENT_ROOT, Level.STUDY) == study
    assert required(InformationModel.STUDY_ROOT, Level.STUDY) == study | {"PatientName", "PatientID"}
    assert required(InformationModel.STUDY_ROOT, Level.SERIES) == {"Modality", "SeriesNumber"}
    assert required(InformationModel.STUDY_ROOT, Level.IMAGE) == {"InstanceNumber"}


def test_what_a_search_answers_unasked_holds_its_unique_key() -> None:
    for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
        assert UNIQUE_KEYS[level] in DEFAULT_ANSWERS[level]
        assert list(DEFAULT_ANSWERS[level]) == sorted(set(DEFAULT_ANSWERS[level]))
