"""Status codes of DIMSE responses (0000,0900): what kind of answer each is, and its words.

PS3.7 Annex C lays down the ranges and the codes common to all services; PS3.4 B.2.3 (storage), C.4.1.1.4
(C-FIND), C.4.2.1.5 (C-MOVE) and C.4.3.1.4 (C-GET) add their own. The same code means different things to
different services (B000 is a coercion for storage and failed sub-operations for C-MOVE), so look it up with
the service; its `Category` alone never depends on the service.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Category(Enum):
    """PS3.7 Annex C: the five kinds of answer."""

    SUCCESS = "Success"
    PENDING = "Pending"
    CANCEL = "Cancel"
    WARNING = "Warning"
    FAILURE = "Failure"


class Service(Enum):
    """The services that give codes a meaning of their own."""

    STORE = "C-STORE"
    FIND = "C-FIND"
    MOVE = "C-MOVE"
    GET = "C-GET"
    NORMALIZED = "DIMSE-N"


@dataclass(frozen=True, slots=True)
class Status:
    """A status code with its category and its words in the standard."""

    code: int
    category: Category
    text: str


SUCCESS = 0x0000
PENDING = 0xFF00
PENDING_OPTIONAL_KEYS_NOT_SUPPORTED = 0xFF01
CANCEL = 0xFE00

NO_SUCH_ATTRIBUTE = 0x0105
INVALID_ATTRIBUTE_VALUE = 0x0106
ATTRIBUTE_LIST_ERROR = 0x0107
PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
NO_SUCH_SOP_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
NO_SUCH_ARGUMENT = 0x0114
INVALID_ARGUMENT_VALUE = 0x0115
ATTRIBUTE_VALUE_OUT_OF_RANGE = 0x0116
INVALID_OBJECT_INSTANCE = 0x0117
NO_SUCH_SOP_CLASS = 0x0118
CLASS_INSTANCE_CONFLICT = 0x0119
MISSING_ATTRIBUTE = 0x0120
MISSING_ATTRIBUTE_VALUE = 0x0121
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORIZED = 0x0124
DUPLICATE_TRANSACTION_UID = 0x0131
DUPLICATE_INVOCATION = 0x0210
UNRECOGNIZED_OPERATION = 0x0211
MISTYPED_ARGUMENT = 0x0212
RESOURCE_LIMITATION = 0x0213

OUT_OF_RESOURCES = 0xA700
UNABLE_TO_CALCULATE_MATCHES = 0xA701
UNABLE_TO_PERFORM_SUB_OPERATIONS = 0xA702
MOVE_DESTINATION_UNKNOWN = 0xA801
DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS = 0xA900
CANNOT_UNDERSTAND = 0xC000
UNABLE_TO_PROCESS = 0xC000
COERCION_OF_DATA_ELEMENTS = 0xB000
SUB_OPERATIONS_COMPLETE_WITH_FAILURES = 0xB000
ELEMENTS_DISCARDED = 0xB006
DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING = 0xB007

# PS3.7 Annex C.3 to C.5
_COMMON: dict[int, tuple[Category, str]] = {
    SUCCESS: (Category.SUCCESS, "Success"),
    0x0001: (Category.WARNING, "Requested optional Attributes are not supported"),
    NO_SUCH_ATTRIBUTE: (Category.FAILURE, "No such Attribute"),
    INVALID_ATTRIBUTE_VALUE: (Category.FAILURE, "Invalid Attribute Value"),
    ATTRIBUTE_LIST_ERROR: (Category.WARNING, "Attribute list error"),
    PROCESSING_FAILURE: (Category.FAILURE, "Processing failure"),
    DUPLICATE_SOP_INSTANCE: (Category.FAILURE, "Duplicate SOP Instance"),
    NO_SUCH_SOP_INSTANCE: (Category.FAILURE, "No such SOP Instance"),
    NO_SUCH_EVENT_TYPE: (Category.FAILURE, "No such event type"),
    NO_SUCH_ARGUMENT: (Category.FAILURE, "No such argument"),
    INVALID_ARGUMENT_VALUE: (Category.FAILURE, "Invalid argument value"),
    ATTRIBUTE_VALUE_OUT_OF_RANGE: (Category.WARNING, "Attribute Value out of range"),
    INVALID_OBJECT_INSTANCE: (Category.FAILURE, "Invalid object Instance"),
    NO_SUCH_SOP_CLASS: (Category.FAILURE, "No such SOP Class"),
    CLASS_INSTANCE_CONFLICT: (Category.FAILURE, "Class-Instance conflict"),
    MISSING_ATTRIBUTE: (Category.FAILURE, "Missing Attribute"),
    MISSING_ATTRIBUTE_VALUE: (Category.FAILURE, "Missing Attribute Value"),
    SOP_CLASS_NOT_SUPPORTED: (Category.FAILURE, "Refused: SOP Class not supported"),
    NO_SUCH_ACTION: (Category.FAILURE, "No such action"),
    NOT_AUTHORIZED: (Category.FAILURE, "Refused: not authorized"),
    DUPLICATE_INVOCATION: (Category.FAILURE, "Duplicate invocation"),
    UNRECOGNIZED_OPERATION: (Category.FAILURE, "Unrecognized operation"),
    MISTYPED_ARGUMENT: (Category.FAILURE, "Mistyped argument"),
    RESOURCE_LIMITATION: (Category.FAILURE, "Resource limitation"),
    CANCEL: (Category.CANCEL, "Terminated due to Cancel request"),
    PENDING: (Category.PENDING, "Pending"),
    PENDING_OPTIONAL_KEYS_NOT_SUPPORTED: (
        Category.PENDING,
        "Pending: one or more Optional Keys were not supported",
    ),
}

_OF_SERVICE: dict[Service, dict[int, str]] = {
    Service.STORE: {  # PS3.4 Table B.2-1
        OUT_OF_RESOURCES: "Refused: out of resources",
        DATA_SET_DOES_NOT_MATCH_SOP_CLASS: "Error: Data Set does not match SOP Class",
        CANNOT_UNDERSTAND: "Error: cannot understand",
        COERCION_OF_DATA_ELEMENTS: "Warning: coercion of Data Elements",
        ELEMENTS_DISCARDED: "Warning: Elements discarded",
        DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING: "Warning: Data Set does not match SOP Class",
    },
    Service.FIND: {  # PS3.4 Table C.4-1
        OUT_OF_RESOURCES: "Refused: out of resources",
        IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: "Error: Identifier does not match SOP Class",
        UNABLE_TO_PROCESS: "Error: unable to process",
        CANCEL: "Matching terminated due to Cancel request",
        PENDING: "Matches are continuing, current match is supplied",
        PENDING_OPTIONAL_KEYS_NOT_SUPPORTED: (
            "Matches are continuing, one or more Optional Keys were not supported"
        ),
    },
    Service.MOVE: {  # PS3.4 Table C.4-2
        UNABLE_TO_CALCULATE_MATCHES: "Refused: out of resources, unable to calculate number of matches",
        UNABLE_TO_PERFORM_SUB_OPERATIONS: "Refused: out of resources, unable to perform sub-operations",
        MOVE_DESTINATION_UNKNOWN: "Refused: move destination unknown",
        IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: "Error: Identifier does not match SOP Class",
        UNABLE_TO_PROCESS: "Error: unable to process",
        SUB_OPERATIONS_COMPLETE_WITH_FAILURES: (
            "Warning: sub-operations complete, one or more failures or warnings"
        ),
        CANCEL: "Sub-operations terminated due to Cancel indication",
        PENDING: "Sub-operations are continuing",
    },
    Service.GET: {  # PS3.4 Table C.4-3
        UNABLE_TO_CALCULATE_MATCHES: "Refused: out of resources, unable to calculate number of matches",
        UNABLE_TO_PERFORM_SUB_OPERATIONS: "Refused: out of resources, unable to perform sub-operations",
        IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: "Error: Identifier does not match SOP Class",
        UNABLE_TO_PROCESS: "Error: unable to process",
        SUB_OPERATIONS_COMPLETE_WITH_FAILURES: (
            "Warning: sub-operations complete, one or more failures or warnings"
        ),
        CANCEL: "Sub-operations terminated due to Cancel indication",
        PENDING: "Sub-operations are continuing",
    },
    Service.NORMALIZED: {},
}

# Where a service names a range (A7xx, A9xx, Cxxx), a code inside it takes the words of the range's first
_RANGES = ((0xF000, 0xC000), (0xFF00, 0xA700), (0xFF00, 0xA900))

_CATEGORY_TEXT = {
    Category.WARNING: "Warning without further meaning in the standard",
    Category.FAILURE: "Failure without further meaning in the standard",
}


def category(code: int) -> Category:
    """The category of any code. One outside every range of PS3.7 Annex C counts as a failure."""
    common = _COMMON.get(code)
    if common is not None:
        return common[0]
    return Category.WARNING if code & 0xF000 == 0xB000 else Category.FAILURE


def status(service: Service, code: int) -> Status:
    """What a code in the answer of this service means; a code of nobody's gets words that say so."""
    texts = _OF_SERVICE[service]
    text = texts.get(code)
    if text is None:
        text = next(
            (texts[first] for mask, first in _RANGES if code & mask == first and first in texts), None
        )
    kind = category(code)
    if text is None:
        common = _COMMON.get(code)
        text = common[1] if common is not None else _CATEGORY_TEXT[kind]
    return Status(code, kind, text)


def statuses(service: Service) -> tuple[Status, ...]:
    """All codes that a service lists, its own and the common ones, in order."""
    codes = sorted({*_COMMON, *_OF_SERVICE[service]})
    if service is not Service.FIND:
        codes.remove(PENDING_OPTIONAL_KEYS_NOT_SUPPORTED)
    return tuple(status(service, code) for code in codes)
