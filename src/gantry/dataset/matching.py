"""Attribute matching of PS3.4 C.2.2.2: does what is stored fit what was asked.

Keys and stored attributes are both in the DICOM JSON Model (PS3.18 F.2). `conditions_from_keys` reads a
query once, refuses what cannot be answered, and turns each key into a `Condition` in which everything is
normalised; `matches` then compares. A condition says its `Kind` and carries literals, bounds, patterns and
words in the same normal forms that an index can keep in columns, so that the same condition can become SQL.

Rules worth knowing, where the standard leaves a choice:

- a stored attribute with several values matches if any of them does;
- an absent attribute matches nothing but universal matching and empty value matching;
- ``*`` alone is universal matching for every VR, dates and numbers included: old devices send it;
- a key with several values matches any of them, whichever the VR (PS3.4 has this for UIDs, and for others as
  multiple value matching); ``\\`` divides them, in UIDs also ``,``, and in others ``,`` where asked for;
- case counts except in person names (see `person_name`); padding never does;
- a time or date-time of less precision stands for the span it leaves open (see `date_time`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from math import isfinite
from typing import Any

from gantry.dataset import date_time
from gantry.dataset.date_time import Span
from gantry.dataset.person_name import name_groups, name_tokens, phonetic, search_forms, words
from gantry.dataset.wildcard import check_pattern, glob, has_wildcards
from gantry.errors import QueryError
from gantry.standard.dictionary import is_private_creator, keyword_of, tag_of

MAX_CONDITIONS = 1_000  # the dictionary has 5,000 attributes; worklist queries, the longest in use, have 60
MAX_DEPTH = 8  # sequences within sequences in a query; worklists need 3
MAX_ALTERNATIVES = 10_000  # UIDs in one key: a study of 10,000 instances asked for by name
MAX_LITERAL = 1_024  # characters in one value of a key: what an index keeps of a text

WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})  # PS3.4 C.2.2.2.4
NUMBER_VRS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
UNMATCHABLE_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_UNDIVIDED_VRS = frozenset({"LT", "ST", "UT", "UR"})  # PS3.5 6.4: the backslash is a character of the text

# Keys that steer the query instead of asking for a value: character set, level, view, time zone
CONTROL_TAGS = frozenset({0x00080005, 0x00080052, 0x00080053, 0x00080201})

EMPTY_VALUE = '""'

Model = Mapping[str, Any]


class Kind(Enum):
    """How a key is compared (PS3.4 C.2.2.2)."""

    UNIVERSAL = auto()  # no value: everything matches
    SINGLE = auto()  # `literals[0]`, compared as text
    LIST = auto()  # any of `literals`: list of UID matching, or several plain values
    WILDCARD = auto()  # `pattern`
    RANGE = auto()  # `span`, in the sortable form of the VR
    DATE_TIME_RANGE = auto()  # `span` of date-times over `tag` (a date) and `time_tag`
    NUMBER = auto()  # `number`
    PERSON_NAME = auto()  # `names`
    SEQUENCE = auto()  # all of `conditions` inside one Item
    ANY_OF = auto()  # any of `conditions`, all on the same tag
    EMPTY = auto()  # the attribute is absent or has no value
    UNSUPPORTED = auto()  # a key that cannot be compared: answered as universal, PS3.4 C.4.1.1.4 FF01


@dataclass(frozen=True, slots=True)
class NameQuery:
    """One component group of a person name key, normalised. Where `wild`, there are wildcards in it."""

    text: str
    words: tuple[str, ...]
    wild: bool
    sounds: tuple[str, ...] = ()


NO_SPAN = Span("", "")


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of a query, ready to compare. Which fields count follows from `kind`."""

    tag: int
    vr: str
    kind: Kind
    literals: tuple[str, ...] = ()
    pattern: str = ""
    span: Span = NO_SPAN
    time_tag: int = 0
    number: float | int = 0
    names: tuple[NameQuery, ...] = ()
    conditions: tuple[Condition, ...] = ()
    fuzzy: bool = False

    @property
    def key(self) -> str:
        """The tag as the DICOM JSON Model writes it."""
        return f"{self.tag:08X}"


@dataclass(frozen=True, slots=True)
class MatchingOptions:
    """What was negotiated or asked for beyond plain matching (PS3.4 C.5.1.1, PS3.18 8.3.4)."""

    fuzzy: bool = False
    combined_date_time: bool = False
    empty_value: bool = False
    multiple_values: bool = False


PLAIN = MatchingOptions()


def conditions_from_keys(keys: Model, options: MatchingOptions = PLAIN) -> list[Condition]:
    """The conditions of a query; keys of universal matching leave none.

    Raises QueryError, naming the key, for what cannot be answered: a broken date or range, text for a number,
    too many wildcards, values or levels.
    """
    conditions = _conditions(keys, options, depth=1)
    if _count(conditions) > MAX_CONDITIONS:
        raise QueryError(f"a query may have {MAX_CONDITIONS} keys with a value")
    return conditions


def _count(conditions: Iterable[Condition]) -> int:
    return sum(1 + _count(c.conditions) for c in conditions if c.kind is not Kind.ANY_OF)


def _conditions(keys: Model, options: MatchingOptions, depth: int) -> list[Condition]:
    if depth > MAX_DEPTH:
        raise QueryError(f"a query may have {MAX_DEPTH} levels of sequences")
    if len(keys) > MAX_CONDITIONS:
        raise QueryError(f"a query may have {MAX_CONDITIONS} keys")
    found = []
    for key, element in keys.items():
        tag = int(key, 16)
        if tag in CONTROL_TAGS or tag & 0xFFFF == 0 or is_private_creator(tag):
            continue
        condition = _classify(tag, element, options, depth)
        if condition.kind is not Kind.UNIVERSAL:
            found.append(condition)
    return _combine_dates_and_times(found) if options.combined_date_time else found


def classify(tag: int, element: Model, options: MatchingOptions = PLAIN) -> Condition:
    """The condition that one key stands for. Raises QueryError as `conditions_from_keys` does."""
    return _classify(tag, element, options, depth=1)


def _classify(tag: int, element: Model, options: MatchingOptions, depth: int) -> Condition:
    vr = element["vr"]
    if vr == "SQ":
        return _sequence_condition(tag, element, options, depth)
    if vr in UNMATCHABLE_VRS:
        kind = (
            Kind.UNSUPPORTED if element.keys() & {"Value", "InlineBinary", "BulkDataURI"} else Kind.UNIVERSAL
        )
        return Condition(tag, vr, kind)
    values = _divided(vr, element.get("Value") or (), options)
    if not values:
        return Condition(tag, vr, Kind.UNIVERSAL)
    if len(values) > MAX_ALTERNATIVES:
        raise QueryError(f"{_name(tag)}: a key may have {MAX_ALTERNATIVES} values, not {len(values)}")
    conditions = [_one(tag, vr, value, options) for value in values]
    if any(condition.kind is Kind.UNIVERSAL for condition in conditions):
        return Condition(tag, vr, Kind.UNIVERSAL)
    if len(conditions) == 1:
        return conditions[0]
    if all(condition.kind is Kind.SINGLE for condition in conditions):
        literals = dict.fromkeys(condition.literals[0] for condition in conditions)
        return Condition(tag, vr, Kind.LIST, tuple(literals))
    return Condition(tag, vr, Kind.ANY_OF, conditions=tuple(conditions))


def _name(tag: int) -> str:
    keyword = keyword_of(tag)
    place = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return f"{keyword} {place}" if keyword else place


def _divided(vr: str, values: Sequence[Any], options: MatchingOptions) -> list[Any]:
    """The values of a key that are not empty, those written as one string taken apart."""
    found: list[Any] = []
    for value in values:
        if not isinstance(value, str):
            found += [] if value is None else [value]
            continue
        parts = [value] if vr in _UNDIVIDED_VRS else value.split("\\")
        if vr == "UI" or options.multiple_values:
            parts = list(chain.from_iterable(part.split(",") for part in parts))
        found += [part for part in parts if part.strip(" \0")]
    return found


def _one(tag: int, vr: str, value: Any, options: MatchingOptions) -> Condition:
    """The condition for one value of a key."""
    if vr == "PN" and not isinstance(value, str):
        value = _joined_groups(tag, value)
    if vr in NUMBER_VRS and isinstance(value, (int, float)):
        return Condition(tag, vr, Kind.NUMBER, number=value)
    if not isinstance(value, str):
        raise QueryError(f"{_name(tag)}: a {vr} key is text, not {type(value).__name__}")
    text = value.strip(" \0")
    if len(text) > MAX_LITERAL:
        raise QueryError(f"{_name(tag)}: a value may have {MAX_LITERAL} characters, not {len(text)}")
    if text == "*" or not text:
        return Condition(tag, vr, Kind.UNIVERSAL)
    if options.empty_value and text == EMPTY_VALUE:
        return Condition(tag, vr, Kind.EMPTY)
    if vr == "PN":
        return _name_condition(tag, text, options)
    if vr in NUMBER_VRS:
        return Condition(tag, vr, Kind.NUMBER, number=_number(tag, text))
    if vr in ("DA", "TM", "DT"):
        return _moment_condition(tag, vr, text)
    if vr in WILDCARD_VRS and has_wildcards(text):
        _check(tag, text)
        return Condition(tag, vr, Kind.WILDCARD, pattern=text)
    return Condition(tag, vr, Kind.SINGLE, (text.upper() if vr == "AT" else text,))


def _check(tag: int, pattern: str) -> None:
    try:
        check_pattern(pattern)
    except QueryError as error:
        raise QueryError(f"{_name(tag)}: {error}") from None


def _number(tag: int, text: str) -> float | int:
    # PS3.5 6.2: an IS has 12 characters, a DS 16; a little more is let pass, a megabyte of digits is not
    if len(text) <= 64 and text.isascii() and "_" not in text:
        try:
            return int(text)
        except ValueError:
            pass
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if isfinite(number):
            return number
    raise QueryError(f"{_name(tag)}: {text[:32]!r} is not a number")


# Person names


def _joined_groups(tag: int, value: Any) -> str:
    if not isinstance(value, Mapping) or not all(isinstance(group, str) for group in value.values()):
        raise QueryError(f"{_name(tag)}: a person name has text in Alphabetic, Ideographic or Phonetic")
    return "=".join(value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")


def _name_condition(tag: int, text: str, options: MatchingOptions) -> Condition:
    names = []
    for group in name_groups(text):
        parts = tuple(words(group))
        if not parts or all(part == "*" for part in parts):
            continue
        wild = has_wildcards(group)
        if wild:
            _check(tag, group)
        sounds = (
            tuple("" if has_wildcards(part) else phonetic(part) for part in parts) if options.fuzzy else ()
        )
        names.append(NameQuery(" ".join(parts), parts, wild, sounds))
    if not names:
        return Condition(tag, "PN", Kind.UNIVERSAL)
    return Condition(tag, "PN", Kind.PERSON_NAME, names=tuple(names), fuzzy=options.fuzzy)


def _group_matches(query: NameQuery, group: str) -> bool:
    """Whether one component group of a stored name is what was asked for, in either order of its parts."""
    if not query.wild:
        return sorted(query.words) == sorted(words(group))
    # "Doe^*" asks for a family name and anything, nothing included
    open_end = query.text.endswith(" *")
    return any(
        glob(query.text, form) or (open_end and glob(query.text, form + " ")) for form in search_forms(group)
    )


def _sounds_like(query: NameQuery, tokens: Sequence[str]) -> bool:
    """Whether each word asked for is, or sounds like, one of the name's words."""
    codes = {phonetic(token) for token in tokens}
    return all(
        sound in codes if sound else any(glob(word, token) for token in tokens)
        for word, sound in zip(query.words, query.sounds, strict=True)
    )


def _name_matches(condition: Condition, name: Any) -> bool:
    if not isinstance(name, (str, Mapping)):
        return False
    groups = name_groups(name)
    if all(any(_group_matches(query, group) for group in groups) for query in condition.names):
        return True
    if not condition.fuzzy:
        return False
    tokens = name_tokens(name)
    return all(_sounds_like(query, tokens) for query in condition.names)


# Dates and times


def _span_of(vr: str, text: str) -> Span | None:
    if vr == "DA":
        day = date_time.date(text)
        return None if day is None else Span(day, day)
    return date_time.time(text) if vr == "TM" else date_time.date_time(text)


def _ranges(vr: str, text: str) -> Iterator[Span]:
    """Every way to read a text as a range. DT has ``-`` for offsets as well, so that there can be several."""
    for place, sign in enumerate(text):
        if sign != "-" or text == "-":
            continue
        before, after = text[:place].strip(), text[place + 1 :].strip()
        low = _span_of(vr, before) if before else NO_SPAN
        high = _span_of(vr, after) if after else NO_SPAN
        if low is not None and high is not None and (not before or not after or low.low <= high.high):
            yield Span(low.low, high.high)


def _moment_condition(tag: int, vr: str, text: str) -> Condition:
    if len(text) > 64:  # two DT values with offsets have 53
        raise QueryError(f"{_name(tag)}: a {vr} key of {len(text)} characters")
    span = next(_ranges(vr, text), None)
    if span is None:
        span = _span_of(vr, text)
        if span is not None and vr == "DA":
            return Condition(tag, vr, Kind.SINGLE, (span.low,), span=span)
    if span is None:
        raise QueryError(f"{_name(tag)}: {text!r} is neither a {vr} value nor a range of two in order")
    return Condition(tag, vr, Kind.RANGE, span=span)


def _is_within(span: Span, moment: str) -> bool:
    return span.low <= moment and (not span.high or moment <= span.high)


def _combine_dates_and_times(conditions: list[Condition]) -> list[Condition]:
    """PS3.4 C.2.2.2.5.1: ranges of dates and of times that belong together become one of date-times."""
    times = {c.tag: c for c in conditions if c.vr == "TM" and c.kind is Kind.RANGE}
    combined: list[Condition] = []
    taken: set[int] = set()
    for condition in conditions:
        time = times.get(time_tag_of(condition.tag)) if condition.vr == "DA" else None
        if condition.kind is not Kind.RANGE or time is None:
            combined.append(condition)
            continue
        low = condition.span.low and condition.span.low + (time.span.low or "000000000000")
        high = condition.span.high and condition.span.high + (time.span.high or "235959999999")
        if low and high and low > high:
            raise QueryError(f"{_name(condition.tag)}: the range of date and time runs backwards")
        taken.add(time.tag)
        combined.append(
            Condition(condition.tag, "DA", Kind.DATE_TIME_RANGE, span=Span(low, high), time_tag=time.tag)
        )
    return [condition for condition in combined if condition.tag not in taken]


def time_tag_of(date_tag: int) -> int:
    """The time attribute that belongs to a date attribute (StudyTime to StudyDate); 0 where there is none."""
    keyword = keyword_of(date_tag)
    if not keyword.endswith("Date"):
        return 0
    return tag_of(keyword.removesuffix("Date") + "Time") or 0


# Sequences


def _sequence_condition(tag: int, element: Model, options: MatchingOptions, depth: int) -> Condition:
    items = [item for item in element.get("Value") or () if item]
    if len(items) > 1:
        raise QueryError(f"{_name(tag)}: a sequence key has one Item, not {len(items)}")  # PS3.4 C.2.2.2.6
    if items and not isinstance(items[0], Mapping):
        if items[0] == EMPTY_VALUE and options.empty_value:
            return Condition(tag, "SQ", Kind.EMPTY)
        raise QueryError(f"{_name(tag)}: a sequence key has an Item with keys in it")
    conditions = _conditions(items[0], options, depth + 1) if items else []
    kind = Kind.SEQUENCE if conditions else Kind.UNIVERSAL
    return Condition(tag, "SQ", kind, conditions=tuple(conditions))


# Comparing


def matches(model: Model, condition: Condition) -> bool:
    """Whether the attributes in `model` fit the condition. Never raises, whatever is stored."""
    kind = condition.kind
    if kind is Kind.UNIVERSAL or kind is Kind.UNSUPPORTED:
        return True
    element = model.get(condition.key)
    if kind is Kind.EMPTY:
        return element is None or not _has_value(element)
    if element is None:
        return False
    if kind is Kind.ANY_OF:
        return any(matches(model, alternative) for alternative in condition.conditions)
    if kind is Kind.DATE_TIME_RANGE:
        return _date_time_matches(model, element, condition)
    return any(_value_matches(condition, value) for value in element.get("Value") or () if value is not None)


def matches_all(model: Model, conditions: Iterable[Condition]) -> bool:
    """Whether the attributes in `model` fit every condition."""
    return all(matches(model, condition) for condition in conditions)


def _has_value(element: Model) -> bool:
    if "InlineBinary" in element or "BulkDataURI" in element:
        return True
    return any(value not in (None, "", {}) for value in element.get("Value") or ())


def _value_matches(condition: Condition, value: Any) -> bool:
    kind = condition.kind
    if kind is Kind.PERSON_NAME:
        return _name_matches(condition, value)
    if kind is Kind.SEQUENCE:
        return isinstance(value, Mapping) and matches_all(value, condition.conditions)
    if kind is Kind.NUMBER:
        return _number_matches(condition.number, value)
    text = str(value).strip(" \0")
    if condition.vr in ("DA", "TM", "DT"):
        return _moment_matches(condition, text)
    if kind is Kind.WILDCARD:
        return glob(condition.pattern, text)
    return (text.upper() if condition.vr == "AT" else text) in condition.literals


def _moment_matches(condition: Condition, text: str) -> bool:
    if condition.kind is Kind.LIST:
        return date_time.date(text) in condition.literals
    stored = _span_of(condition.vr, text)
    return stored is not None and _is_within(condition.span, stored.low)


def _number_matches(number: float | int, value: Any) -> bool:
    try:
        return bool(float(value) == number)
    except (TypeError, ValueError, OverflowError):
        return False


def _date_time_matches(model: Model, element: Model, condition: Condition) -> bool:
    times = (model.get(f"{condition.time_tag:08X}") or {}).get("Value") or ()
    for day_text, time_text in zip(
        element.get("Value") or (), chain(times, [None] * MAX_LITERAL), strict=False
    ):
        day = date_time.date(str(day_text))
        time = date_time.time(str(time_text)) if time_text is not None else Span("000000000000", "")
        if day and time is not None and _is_within(condition.span, day + time.low):
            return True
    return False
