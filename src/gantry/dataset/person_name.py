"""Person names as people search for them.

A PN value (PS3.5 6.2.1) has up to three component groups divided by ``=`` (alphabetic, ideographic,
phonetic), each with up to five components divided by ``^`` (family, given, middle, prefix, suffix). People
type none of this: they type "doe jane", "Jane Doe", "müller" or "Mueller". PS3.4 C.2.2.2.1 leaves to the
archive how far it follows them. What this module follows:

- case and accents never count (`normalise`), nor do the delimiters, nor empty trailing components;
- each component group is a name of its own, so a search in one script finds a name written in two;
- a group is compared in the order it is stored in and in the order it is spoken in (`search_forms`);
- under fuzzy matching, words that sound alike are alike (`phonetic`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

# Letters with a stroke or a ligature that Unicode does not decompose; each as people without it type it
_LETTERS = str.maketrans(
    {
        "ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "ĸ": "k", "æ": "ae", "œ": "oe",
        "þ": "th", "ŋ": "n", "ƶ": "z", "ǥ": "g", "’": "'", "ʼ": "'", "‐": "-", "‑": "-",
    }
)  # fmt: skip

# Voiced sound marks are letters of their own to a Japanese reader, not accents
_KEPT_MARKS = "\u3099\u309a"

_DELIMITERS = str.maketrans("^,\t\r\n\f\v\u3000", " " * 8)


def normalise(text: str) -> str:
    """The text without case, accents and width: "MÜLLER", "Müller" and "muller" become one.

    Doing it twice changes nothing. Letters of scripts without case or accents stay as they are.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(c for c in folded if not unicodedata.combining(c) or c in _KEPT_MARKS)
    # composing again keeps one Hangul syllable one character, which is what "?" stands for
    return unicodedata.normalize("NFC", bare.translate(_LETTERS))


def words(text: str) -> list[str]:
    """The normalised words of one component group, or of what somebody typed."""
    return normalise(text.replace("=", " ")).translate(_DELIMITERS).split()


def name_groups(name: str | Mapping[str, str]) -> list[str]:
    """The component groups of a name that are not empty.

    `name` is a PN value as in a Data Set (``Yamada^Tarou=山田^太郎``) or as in the DICOM JSON Model.
    """
    groups = name.split("=") if isinstance(name, str) else [name.get(group) or "" for group in GROUPS]
    return [group for group in groups if group.strip(" ^")]


def name_tokens(name: str | Mapping[str, str]) -> list[str]:
    """The normalised words of all component groups, in their order."""
    return [word for group in name_groups(name) for word in words(group)]


def search_forms(group: str) -> tuple[str, ...]:
    """One component group as the strings that a search is compared with: as stored, and as spoken.

    ``Doe^Jane^Mary^Dr`` gives "doe jane mary dr" and "dr jane mary doe". Words are divided by one space.
    """
    components = [" ".join(words(component)) for component in group.split("^")]
    stored = " ".join(component for component in components if component)
    family, given, middle, prefix, *suffix = (*components, "", "", "", "")
    spoken = " ".join(component for component in (prefix, given, middle, family, *suffix) if component)
    return (stored,) if spoken == stored else (stored, spoken)


# Spellings of one sound in the languages names mostly come in; longest first, applied from left to right
_SPELLINGS = (
    ("tsch", "c"), ("sch", "s"), ("sh", "s"), ("ch", "k"), ("ck", "k"), ("ph", "f"), ("th", "t"), ("gh", "g"),
    ("dt", "t"), ("tz", "s"), ("ts", "s"), ("cz", "s"), ("sz", "s"), ("qu", "k"), ("x", "ks"), ("q", "k"),
    ("z", "s"), ("w", "v"),
)  # fmt: skip

_SILENT_STARTS = (("kn", "n"), ("gn", "n"), ("pn", "n"), ("ps", "s"), ("wr", "r"), ("pf", "f"))

_SOUND_CLASS = {
    **dict.fromkeys("bfpv", "1"),
    **dict.fromkeys("cgjkqsxz", "2"),
    **dict.fromkeys("dt", "3"),
    "l": "4",
    "n": "5",
    "r": "6",
    "m": "7",
}

_LONGEST_CODE = 6


def phonetic(token: str) -> str:
    """A code that words sounding alike share; `token` is one word as `normalise` leaves it.

    Soundex with three changes. Spellings of one sound are made one first (ph and f, ck and k, sch and s), at
    the beginning too, and all vowels there share one sign; m and n are told apart, or Anna would be Emma; and
    a code is as long as the word needs, up to six signs, so that long names stay apart. A word with anything
    but the letters a to z is its own code.
    """
    if not (token.isascii() and token.isalpha()):
        return token
    for silent, heard in _SILENT_STARTS:
        if token.startswith(silent):
            token = heard + token[len(silent) :]
            break
    for spelling, sound in _SPELLINGS:
        token = token.replace(spelling, sound)
    first = token[0]
    if first == "c":
        first = "s" if token[1:2] in ("e", "i", "y") else "k"
    code = "a" if first in "aeiouy" else first
    last = _SOUND_CLASS.get(first, "")
    for letter in token[1:]:
        sound = _SOUND_CLASS.get(letter, "")
        if sound and sound != last:
            code += sound
            if len(code) == _LONGEST_CODE:
                break
        if letter not in "hw":  # Soundex: h and w between two equal sounds do not part them, a vowel does
            last = sound
    return code
