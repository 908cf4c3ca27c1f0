"""The data dictionary (PS3.6 Chapters 6 to 9, PS3.7 Annex E): tag, VR and keyword of each attribute.

The facts are pydicom's; here they are laid out for one plain dict look-up each. Tags are ints,
``0xGGGGEEEE``. Repeating groups (60xx overlays, 50xx curves, 1000,xxx1 and so on) are found by their mask.

A private attribute means something only together with its creator, so `vr_of` answers ``UN`` for it;
`private_vr` asks pydicom's table of private attributes that vendors have published.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from gantry.standard.pydicom_tables import pydicom_table

PIXEL_DATA = 0x7FE00010
FLOAT_PIXEL_DATA = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA = 0x7FE00009
SPECIFIC_CHARACTER_SET = 0x00080005

_Row = tuple[str, str, str, str, str]  # VR, VM, name, "Retired", keyword
_tables = pydicom_table("_dicom_dict")
_ROWS: dict[int, _Row] = _tables.DicomDictionary
_REPEATING: dict[str, _Row] = _tables.RepeatersDictionary


def _one_vr(choice: str) -> str:
    """The VR to use when nothing else decides between those of `choice`."""
    if choice == "OB or OW":
        return "OW"  # PS3.5 A.1: what Implicit VR Little Endian holds
    return "UN" if choice == "NONE" else choice[:2]


_VR: dict[int, str] = {tag: _one_vr(entry[0]) for tag, entry in _ROWS.items()}
VR_OF_TAG: Mapping[int, str] = _VR
"""What `vr_of` answers for attributes with a tag of their own, for loops that cannot afford a call each."""

VR_CHOICES: dict[int, str] = {tag: entry[0] for tag, entry in _ROWS.items() if " or " in entry[0]}
"""The attributes whose VR depends on others, with the dictionary's words, for example ``US or SS``."""

_KEYWORD: dict[int, str] = {tag: entry[4] for tag, entry in _ROWS.items() if entry[4]}
_NAME: dict[int, str] = {tag: entry[2] for tag, entry in _ROWS.items()}
_MULTIPLICITY: dict[int, str] = {tag: entry[1] for tag, entry in _ROWS.items()}
_TAG: dict[str, int] = {keyword: tag for tag, keyword in _KEYWORD.items()}

_TAG_TEXT = re.compile(r"\(?([0-9A-Fa-f]{4})[, ]?([0-9A-Fa-f]{4})\)?")


def _masks() -> tuple[tuple[int, int, str], ...]:
    """(mask, value, row name) for each repeating group, the most precise first."""
    rows = []
    for pattern in _REPEATING:
        mask = int("".join("0" if c == "x" else "F" for c in pattern), 16)
        value = int(pattern.replace("x", "0"), 16)
        rows.append((mask, value, pattern))
    return tuple(sorted(rows, key=lambda row: -row[0].bit_count()))


_REPEATERS = _masks()


def _repeater(tag: int) -> _Row | None:
    if tag >> 16 & 1:
        return None
    for mask, value, pattern in _REPEATERS:
        if tag & mask == value:
            return _REPEATING[pattern]
    return None


def is_private(tag: int) -> bool:
    """True for an odd group (PS3.5 7.8)."""
    return bool(tag >> 16 & 1)


def is_private_creator(tag: int) -> bool:
    """True for (gggg,0010-00FF) of an odd group (PS3.5 7.8.1)."""
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def vr_of(tag: int) -> str:
    """The VR of an attribute: LO for a private creator, UL for a group length, UN if unknown.

    Where the standard leaves a choice (``US or SS``) it is the first, but OW of OB and OW; `vr_choice` names
    them all.
    """
    vr = _VR.get(tag)
    if vr is not None:
        return vr
    if tag & 0xFFFF == 0:
        return "UL"  # PS3.5 7.2: group length, of private groups too
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    entry = _repeater(tag)
    if entry is None:
        return "UN"
    return _one_vr(entry[0])


def vr_choice(tag: int) -> str:
    """The dictionary's own word for the VR, for example ``US or SS``; as `vr_of` where there is no choice."""
    choice = VR_CHOICES.get(tag)
    if choice is not None:
        return choice
    entry = None if tag in _VR else _repeater(tag)
    return entry[0] if entry is not None else vr_of(tag)


@cache
def _private_rows() -> dict[str, dict[str, tuple[str, str, str, str]]]:
    # Read when first asked for: few objects hold private attributes in Implicit VR.
    rows: dict[str, dict[str, tuple[str, str, str, str]]] = pydicom_table(
        "_private_dict"
    ).private_dictionaries
    return rows


def private_vr(creator: str, tag: int) -> str:
    """The VR that a vendor has published for a private attribute of this creator; UN where none is known."""
    table = _private_rows().get(creator)
    if table is None:
        return "UN"
    text = f"{tag:08X}"
    for key in (text, f"{text[:4]}xx{text[6:]}", f"{text[:2]}xxxx{text[6:]}"):
        if key in table:
            return table[key][0][:2]
    return "UN"


def keyword_of(tag: int) -> str:
    """The keyword, for example ``PatientName``; empty for what has none."""
    keyword = _KEYWORD.get(tag)
    if keyword is not None:
        return keyword
    entry = None if tag in _VR else _repeater(tag)
    return entry[4] if entry is not None else ""


def keywords() -> Iterable[str]:
    """Every keyword that there is."""
    return _TAG.keys()


def name_of(tag: int) -> str:
    """The name as PS3.6 prints it, for example ``Patient's Name``; empty for what has none."""
    name = _NAME.get(tag)
    if name is not None:
        return name
    if tag & 0xFFFF == 0:
        return "Group Length"
    if is_private_creator(tag):
        return "Private Creator"
    entry = _repeater(tag)
    return entry[2] if entry is not None else ""


def multiplicity_of(tag: int) -> str:
    """The value multiplicity as PS3.6 writes it (``1``, ``2-n``); empty where it is not known."""
    multiplicity = _MULTIPLICITY.get(tag)
    if multiplicity is not None:
        return multiplicity
    entry = _repeater(tag)
    return entry[1] if entry is not None else ""


def attributes() -> Iterable[tuple[str, str, str, str]]:
    """Tag, VR as the dictionary words it, keyword and name of every attribute that has a keyword.

    A tag is eight hexadecimal digits; those of repeating groups have an ``x`` where any digit may stand.
    """
    rows = [(f"{tag:08X}", row) for tag, row in _ROWS.items()] + list(_REPEATING.items())
    return ((tag, row[0], row[4], row[2]) for tag, row in rows if row[4])


def tag_of(text: str) -> int | None:
    """The tag for a keyword or for eight hexadecimal digits (``00100010``, ``0010,0010``, ``(0010,0010)``).

    None where the text is neither.
    """
    tag = _TAG.get(text)
    if tag is not None:
        return tag
    found = _TAG_TEXT.fullmatch(text)
    return int(found[1] + found[2], 16) if found else None


def tags_of(keywords_: str) -> tuple[int, ...]:
    """The tags for keywords with blanks between them. Raises KeyError for one that is none."""
    return tuple(_TAG[keyword] for keyword in keywords_.split())
