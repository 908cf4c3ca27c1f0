"""Query keys: which attribute belongs to which level, and which of them each information model asks for.

PS3.4 C.3 and C.6 (Patient Root, Study Root and the retired Patient/Study Only models), PS3.18 10.6.3
(what a QIDO-RS answer holds unasked), edition 2026c. PS3.4 leaves the optional keys open ("all other
attributes at ... level"); here an attribute belongs to the level of the module that PS3.3 puts it in, and
everything that is not named below belongs to the instance.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from gantry.standard.dictionary import keyword_of, vr_of


class Level(IntEnum):
    """The four levels of PS3.4 C.3, from the outside in."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    IMAGE = 3


class KeyType(Enum):
    """PS3.4 C.2.2.1: what an SCP must do with a key."""

    UNIQUE = "U"
    REQUIRED = "R"
    OPTIONAL = "O"


class InformationModel(Enum):
    """PS3.4 C.6; Patient/Study Only is retired and still asked by old devices."""

    PATIENT_ROOT = "Patient Root"
    STUDY_ROOT = "Study Root"
    PATIENT_STUDY_ONLY = "Patient/Study Only"


@dataclass(frozen=True, slots=True)
class QueryKey:
    """An attribute that can be asked for at a level."""

    tag: int
    vr: str
    keyword: str
    type: KeyType


QUERY_RETRIEVE_LEVEL = 0x00080052

# How (0008,0052) spells the levels
LEVEL_NAMES: dict[str, Level] = {
    "PATIENT": Level.PATIENT,
    "STUDY": Level.STUDY,
    "SERIES": Level.SERIES,
    "IMAGE": Level.IMAGE,
}

UNIQUE_KEYS: dict[Level, int] = {
    Level.PATIENT: 0x00100020,
    Level.STUDY: 0x0020000D,
    Level.SERIES: 0x0020000E,
    Level.IMAGE: 0x00080018,
}

MODEL_LEVELS: dict[InformationModel, tuple[Level, ...]] = {
    InformationModel.PATIENT_ROOT: (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE),
    InformationModel.STUDY_ROOT: (Level.STUDY, Level.SERIES, Level.IMAGE),
    InformationModel.PATIENT_STUDY_ONLY: (Level.PATIENT, Level.STUDY),
}

_REQUIRED: dict[Level, tuple[int, ...]] = {
    Level.PATIENT: (0x00100010,),
    Level.STUDY: (0x00080020, 0x00080030, 0x00080050, 0x00200010),
    Level.SERIES: (0x00080060, 0x00200011),
    Level.IMAGE: (0x00200013,),
}

# Answered from the index rather than from the objects (PS3.4 C.3.4, C.6.1.1; PS3.18 10.6.3)
RETRIEVE_AE_TITLE = 0x00080054
INSTANCE_AVAILABILITY = 0x00080056
MODALITIES_IN_STUDY = 0x00080061
SOP_CLASSES_IN_STUDY = 0x00080062
RETRIEVE_URL = 0x00081190
NUMBER_OF_PATIENT_RELATED_STUDIES = 0x00201200
NUMBER_OF_PATIENT_RELATED_SERIES = 0x00201202
NUMBER_OF_PATIENT_RELATED_INSTANCES = 0x00201204
NUMBER_OF_STUDY_RELATED_SERIES = 0x00201206
NUMBER_OF_STUDY_RELATED_INSTANCES = 0x00201208
NUMBER_OF_SERIES_RELATED_INSTANCES = 0x00201209

COMPUTED_KEYS: dict[int, Level] = {
    MODALITIES_IN_STUDY: Level.STUDY,
    SOP_CLASSES_IN_STUDY: Level.STUDY,
    NUMBER_OF_PATIENT_RELATED_STUDIES: Level.PATIENT,
    NUMBER_OF_PATIENT_RELATED_SERIES: Level.PATIENT,
    NUMBER_OF_PATIENT_RELATED_INSTANCES: Level.PATIENT,
    NUMBER_OF_STUDY_RELATED_SERIES: Level.STUDY,
    NUMBER_OF_STUDY_RELATED_INSTANCES: Level.STUDY,
    NUMBER_OF_SERIES_RELATED_INSTANCES: Level.SERIES,
}

# PS3.3 C.2.2, C.2.3, C.7.1.1, C.7.1.3: Patient Identification, Demographic, Patient, Clinical Trial Subject
_PATIENT_TAGS = (
    0x00081120, 0x00100010, 0x00100020, 0x00100021, 0x00100022, 0x00100024, 0x00100026, 0x00100027,
    0x00100030, 0x00100032, 0x00100033, 0x00100034, 0x00100035, 0x00100040, 0x00100050, 0x00100101,
    0x00100200, 0x00100212, 0x00100213, 0x00100214, 0x00100215, 0x00100216, 0x00100217, 0x00100218,
    0x00100219, 0x00100221, 0x00100222, 0x00100223, 0x00101000, 0x00101001, 0x00101002, 0x00101005,
    0x00101040, 0x00101060, 0x00101080, 0x00101081, 0x00101090, 0x00101100, 0x00102150, 0x00102152,
    0x00102154, 0x00102155, 0x00102160, 0x00102161, 0x001021F0, 0x00102201, 0x00102202, 0x00102210,
    0x00102292, 0x00102293, 0x00102294, 0x00102295, 0x00102296, 0x00102297, 0x00102298, 0x00102299,
    0x00104000, 0x00120010, 0x00120020, 0x00120021, 0x00120030, 0x00120031, 0x00120040, 0x00120042,
    0x00120062, 0x00120063, 0x00120064,
)  # fmt: skip

# PS3.3 C.7.2.1, C.7.2.2, C.7.2.3 and Visit: General Study, Patient Study, Clinical Trial Study
_STUDY_TAGS = (
    0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080063, 0x00080090, 0x00080092, 0x00080094,
    0x00080096, 0x0008009C, 0x0008009D, 0x00081030, 0x00081032, 0x00081048, 0x00081049, 0x00081060,
    0x00081062, 0x00081080, 0x00081084, 0x00081110, 0x00101010, 0x00101020, 0x00101021, 0x00101022,
    0x00101023, 0x00101024, 0x00101030, 0x00102000, 0x00102110, 0x00102180, 0x001021A0, 0x001021B0,
    0x001021C0, 0x001021D0, 0x00102203, 0x00120050, 0x00120051, 0x00120083, 0x0020000D, 0x00200010,
    0x0032000A, 0x0032000C, 0x00321032, 0x00321033, 0x00321034, 0x00321060, 0x00321064, 0x00324000,
    0x00380010, 0x00380014, 0x00380060, 0x00380062, 0x00380064, 0x00380500, 0x00401012,
)  # fmt: skip

# PS3.3 C.7.3.1, C.7.3.2, C.7.4.1, C.7.5.1: General Series, Trial Series, Frame of Reference, Equipment
_SERIES_TAGS = (
    0x00080021, 0x00080031, 0x00080060, 0x00080068, 0x00080070, 0x00080080, 0x00080081, 0x00080082,
    0x00081010, 0x0008103E, 0x0008103F, 0x00081040, 0x00081041, 0x00081050, 0x00081052, 0x00081070,
    0x00081072, 0x00081090, 0x00081111, 0x00081250, 0x00120060, 0x00120071, 0x00120072, 0x00180015,
    0x00181000, 0x00181002, 0x00181008, 0x0018100A, 0x00181020, 0x00181030, 0x00181050, 0x00181200,
    0x00181201, 0x00185100, 0x0020000E, 0x00200011, 0x00200052, 0x00200060, 0x00201040, 0x00280108,
    0x00280109, 0x00400241, 0x00400242, 0x00400243, 0x00400244, 0x00400245, 0x00400250, 0x00400251,
    0x00400252, 0x00400253, 0x00400254, 0x00400255, 0x00400260, 0x00400275, 0x00400280, 0x00540081,
    0x300600B6,
)  # fmt: skip

LEVEL_OF_TAG: dict[int, Level] = {
    **dict.fromkeys(_PATIENT_TAGS, Level.PATIENT),
    **dict.fromkeys(_STUDY_TAGS, Level.STUDY),
    **dict.fromkeys(_SERIES_TAGS, Level.SERIES),
    **COMPUTED_KEYS,
}


def level_of(tag: int) -> Level:
    """The level an attribute belongs to; the instance for everything that no module above it holds."""
    return LEVEL_OF_TAG.get(tag, Level.IMAGE)


def _key(tag: int, key_type: KeyType) -> QueryKey:
    return QueryKey(tag, vr_of(tag), keyword_of(tag), key_type)


def _keys_at(level: Level, *extra_required: int) -> tuple[QueryKey, ...]:
    unique = UNIQUE_KEYS[level]
    required = (*_REQUIRED[level], *extra_required)
    taken = {unique, *required}
    optional = [tag for tag, owner in sorted(LEVEL_OF_TAG.items()) if owner is level and tag not in taken]
    if level is Level.IMAGE:
        optional = [0x00080016, 0x0008001A, 0x00080056, 0x0040A043]  # PS3.4 Table C.6-4
    return (
        _key(unique, KeyType.UNIQUE),
        *(_key(tag, KeyType.REQUIRED) for tag in required),
        *(_key(tag, KeyType.OPTIONAL) for tag in optional),
    )


def _study_root_study_keys() -> tuple[QueryKey, ...]:
    # PS3.4 Table C.6-5: the patient's attributes are keys of the study level; name and ID are required there
    patient = tuple(
        _key(tag, KeyType.OPTIONAL)
        for tag, owner in sorted(LEVEL_OF_TAG.items())
        if owner is Level.PATIENT and tag not in (0x00100010, 0x00100020)
    )
    return _keys_at(Level.STUDY, 0x00100010, 0x00100020) + patient


_PATIENT_ROOT_KEYS = {level: _keys_at(level) for level in Level}

QUERY_KEYS: dict[InformationModel, dict[Level, tuple[QueryKey, ...]]] = {
    InformationModel.PATIENT_ROOT: _PATIENT_ROOT_KEYS,
    InformationModel.STUDY_ROOT: {
        Level.STUDY: _study_root_study_keys(),
        Level.SERIES: _PATIENT_ROOT_KEYS[Level.SERIES],
        Level.IMAGE: _PATIENT_ROOT_KEYS[Level.IMAGE],
    },
    InformationModel.PATIENT_STUDY_ONLY: {
        Level.PATIENT: _PATIENT_ROOT_KEYS[Level.PATIENT],
        Level.STUDY: _PATIENT_ROOT_KEYS[Level.STUDY],
    },
}

# What a QIDO-RS answer holds without being asked: PS3.18 Tables 10.6.3-3, -4 and -5
DEFAULT_ANSWERS: dict[Level, tuple[int, ...]] = {
    Level.PATIENT: (0x00080005, 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00201200),
    Level.STUDY: (
        0x00080005, 0x00080020, 0x00080030, 0x00080050, 0x00080056, 0x00080061, 0x00080090, 0x00080201,
        0x00081190, 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x0020000D, 0x00200010, 0x00201206,
        0x00201208,
    ),
    Level.SERIES: (
        0x00080005, 0x00080056, 0x00080060, 0x00080201, 0x0008103E, 0x00081190, 0x0020000E, 0x00200011,
        0x00201209, 0x00400244, 0x00400245, 0x00400275,
    ),
    Level.IMAGE: (
        0x00080005, 0x00080016, 0x00080018, 0x00080056, 0x00080201, 0x00081190, 0x00200013, 0x00280008,
        0x00280010, 0x00280011, 0x00280100,
    ),
}  # fmt: skip
