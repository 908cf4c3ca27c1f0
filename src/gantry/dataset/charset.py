"""Text in bytes and back: Specific Character Set (PS3.3 C.12.1.1.2), code extensions (PS3.5 6.1.2).

Value 1 of (0008,0005) says what a text begins in. With further values, escape sequences switch: G0 holds
the meaning of bytes below 0x80, G1 that of bytes above, each changed alone. Both fall back to value 1 at
every line end, at the backslash between values and, in a PN, at ``^`` and ``=`` (PS3.5 6.1.2.5.3), but such
a byte inside a two-byte character of G0 (JIS X 0208 and 0212) is no delimiter. UTF-8, GB18030 and GBK stand
alone: no escapes, and the backslash may be the second byte of a character. So text is decoded whole and
split into values afterwards.

Reading never fails. What cannot be decoded becomes U+FFFD; an escape that is not known stays in the text; a
term that is not known is read as Latin-1, which keeps every byte distinguishable; all known escapes are
followed, declared or not, because many writers forget the declaration. Writing puts
``?`` for what the repertoire lacks; `can_encode` asks first.

Which Python codec stands for which term agrees with pydicom's table (a test says so), which cannot be asked
without loading all of pydicom, half a second of a server's start.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

UTF_8: Final = "ISO_IR 192"
CHARSET_VRS: Final = frozenset({"SH", "LO", "ST", "LT", "UC", "UT", "PN"})
"""The VRs that Specific Character Set applies to (PS3.5 6.1.2.3)."""

_PLAIN_VRS: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
_STAND_ALONE: Final = frozenset({"utf-8", "gb18030", "gbk"})
_LATIN_1: Final = "latin-1"
_ESC: Final = 0x1B

_TEXT_DELIMITERS: Final = b"\\\t\n\f\r"
_PN_DELIMITERS: Final = _TEXT_DELIMITERS + b"^="


@dataclass(frozen=True, slots=True)
class _Set:
    """A character set that an escape designates: into G0 or G1, read by `codec` after `prefix`."""

    escape: bytes
    codec: str
    into_g1: bool
    two_byte: bool = False
    prefix: bytes = b""


def _g1(final: bytes, codec: str) -> _Set:
    return _Set(b"\x1b-" + final, codec, into_g1=True)


_ASCII: Final = _Set(b"\x1b(B", "ascii", into_g1=False)
_ROMAJI: Final = _Set(b"\x1b(J", "ascii", into_g1=False)  # ISO-IR 14: yen and overline read as \ and ~
_KATAKANA: Final = _Set(b"\x1b)I", "shift_jis", into_g1=True)
_KANJI: Final = _Set(b"\x1b$B", "iso2022_jp", into_g1=False, two_byte=True, prefix=b"\x1b$B")
_SUPPLEMENTARY_KANJI: Final = _Set(
    b"\x1b$(D", "iso2022_jp_2", into_g1=False, two_byte=True, prefix=b"\x1b$(D"
)
_HANGUL: Final = _Set(b"\x1b$)C", "euc_kr", into_g1=True)
_HANZI: Final = _Set(b"\x1b$)A", "gb2312", into_g1=True)

# PS3.3 Tables C.12-3 and C.12-4: the sets that each term adds
_SETS_OF_TERM: Final[dict[str, tuple[_Set, ...]]] = {
    "ISO 2022 IR 6": (_ASCII,),
    "ISO 2022 IR 13": (_ROMAJI, _KATAKANA),
    "ISO 2022 IR 58": (_HANZI,),
    "ISO 2022 IR 87": (_KANJI,),
    "ISO 2022 IR 100": (_g1(b"A", _LATIN_1),),
    "ISO 2022 IR 101": (_g1(b"B", "iso8859_2"),),
    "ISO 2022 IR 109": (_g1(b"C", "iso8859_3"),),
    "ISO 2022 IR 110": (_g1(b"D", "iso8859_4"),),
    "ISO 2022 IR 126": (_g1(b"F", "iso8859_7"),),
    "ISO 2022 IR 127": (_g1(b"G", "iso8859_6"),),
    "ISO 2022 IR 138": (_g1(b"H", "iso8859_8"),),
    "ISO 2022 IR 144": (_g1(b"L", "iso8859_5"),),
    "ISO 2022 IR 148": (_g1(b"M", "iso8859_9"),),
    "ISO 2022 IR 149": (_HANGUL,),
    "ISO 2022 IR 159": (_SUPPLEMENTARY_KANJI,),
    "ISO 2022 IR 166": (_g1(b"T", "tis_620"),),
    "ISO 2022 IR 203": (_g1(b"b", "iso8859_15"),),
}
_SET_OF_ESCAPE: Final = {one.escape: one for sets in _SETS_OF_TERM.values() for one in sets}
# PS3.3 Tables C.12-2 to C.12-5: what a text begins in when the term is value 1. Latin-1 holds the default
# repertoire, and stands where the term names a two-byte set of G0, which a text cannot begin in.
_SINGLE_BYTE: Final = {
    "6": _LATIN_1, "13": "shift_jis", "100": _LATIN_1, "101": "iso8859_2", "109": "iso8859_3",
    "110": "iso8859_4", "126": "iso8859_7", "127": "iso8859_6", "138": "iso8859_8", "144": "iso8859_5",
    "148": "iso8859_9", "166": "tis_620", "203": "iso8859_15",
}  # fmt: skip
_CODEC_OF_TERM: Final[dict[str, str]] = {
    "": _LATIN_1,
    **{f"ISO_IR {number}": codec for number, codec in _SINGLE_BYTE.items()},
    **{f"ISO 2022 IR {number}": codec for number, codec in _SINGLE_BYTE.items()},
    "ISO 2022 IR 58": "gb2312",
    "ISO 2022 IR 87": _LATIN_1,
    "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 159": _LATIN_1,
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    # Not in the standard, but written.
    "ISO 2022 GBK": "gbk",
    "ISO 2022 58": "gb2312",
}
_TERM_SHAPE: Final = re.compile(r"ISO[ _-]*(2022)?[ _-]*(IR)?[ _-]*(\d+)", re.IGNORECASE)
_ESCAPE: Final = re.compile(rb"\x1b(?:\$[()][A-Z]|\$[A-Z]|[()-][A-Za-z])")


def normal_term(term: str) -> str:
    """The Defined Term that was meant, ``ISO_IR 100`` for ``ISO-IR 100``; others come back as they are."""
    term = term.strip(" \0")
    if term in _CODEC_OF_TERM:
        return term
    found = _TERM_SHAPE.fullmatch(term)
    if found is None:
        upper = term.upper().replace("-", "").replace("_", "")
        return {"UTF8": UTF_8, "GB18030": "GB18030", "GBK": "GBK"}.get(upper, term)
    extension, _, number = found.groups()
    return f"ISO 2022 IR {number}" if extension else f"ISO_IR {number}"


@lru_cache(maxsize=256)
def _first_codec(term: str) -> str:
    """The Python codec of value 1 of Specific Character Set; Latin-1 for what is not known."""
    return _CODEC_OF_TERM.get(normal_term(term), _LATIN_1)


def decode_text(raw: bytes, charset: Sequence[str], vr: str) -> str:
    """The text of a value, padding and backslashes included; U+FFFD for what is unreadable."""
    if raw.isascii() and _ESC not in raw:
        return raw.decode("ascii")
    if vr in _PLAIN_VRS:
        return raw.decode(_LATIN_1)
    codec = _first_codec(charset[0]) if charset else _LATIN_1
    if _ESC not in raw or codec in _STAND_ALONE:
        return raw.decode(codec, errors="replace")
    return _decode_extended(raw, codec, _PN_DELIMITERS if vr == "PN" else _TEXT_DELIMITERS)


def _decode_extended(raw: bytes, first: str, delimiters: bytes) -> str:
    """Text with escape sequences: the stretches between them, each by what G0 and G1 hold there."""
    out: list[str] = []
    g0, g1 = _ASCII, first
    pos = 0
    for found in [*_ESCAPE.finditer(raw), None]:
        stretch = raw[pos : found.start() if found else len(raw)]
        while stretch:
            stretch, g0, g1 = _decode_some(stretch, g0, g1, first, delimiters, out)
        if found is None:
            break
        pos = found.end()
        chosen = _SET_OF_ESCAPE.get(found[0])
        if chosen is None:
            out.append(found[0].decode("ascii"))
        elif chosen.into_g1:
            g1 = chosen.codec
        else:
            g0 = chosen
    return "".join(out)


def _decode_some(
    stretch: bytes, g0: _Set, g1: str, first: str, delimiters: bytes, out: list[str]
) -> tuple[bytes, _Set, str]:
    """Decodes as far as one meaning reaches: (what is left, G0, G1)."""
    if g0.two_byte:
        run = _two_byte_run(stretch)
        if run:
            out.append((g0.prefix + run).decode(g0.codec, errors="replace"))
            return stretch[len(run) :], g0, g1
        g0 = _ASCII  # a control character or a byte above 0x7F: the writer did not switch back
    end = next((i for i, byte in enumerate(stretch) if byte in delimiters), None)
    if end is None:
        out.append(stretch.decode(g1, errors="replace"))
        return b"", g0, g1
    out.append(stretch[:end].decode(g1, errors="replace") + chr(stretch[end]))
    return stretch[end + 1 :], _ASCII, first


def _two_byte_run(stretch: bytes) -> bytes:
    """The bytes from the beginning that are two-byte characters of a 94 x 94 set."""
    size = 0
    while size + 1 < len(stretch) and 0x21 <= stretch[size] <= 0x7E and 0x21 <= stretch[size + 1] <= 0x7E:
        size += 2
    return stretch[:size]


def can_encode(text: str, charset: Sequence[str]) -> bool:
    """Whether every character of a text exists in the repertoire that these terms name."""
    if text.isascii():
        return True
    first, sets = _repertoire(tuple(charset))
    return all(_fits(char, first) or any(_in_set(char, one) for one in sets) for char in text)


def encode_text(text: str, charset: Sequence[str], vr: str) -> bytes:
    """The bytes of a text, with escape sequences where needed; ``?`` for what the repertoire does not hold.

    `text` may hold several values between backslashes, and for PN component groups. No padding is added.
    """
    if text.isascii():
        return text.encode("ascii")
    if vr in _PLAIN_VRS:
        return text.encode("ascii", errors="replace")
    first, sets = _repertoire(tuple(charset))
    if not sets or first in _STAND_ALONE:
        return text.encode(first, errors="replace")
    delimiters = (_PN_DELIMITERS if vr == "PN" else _TEXT_DELIMITERS).decode("ascii")
    romaji = first == "shift_jis"
    pieces = re.split(f"([{re.escape(delimiters)}])", text)
    return b"".join(_encode_piece(piece, first, sets, _ROMAJI if romaji else _ASCII) for piece in pieces)


@lru_cache(maxsize=256)
def _repertoire(charset: tuple[str, ...]) -> tuple[str, tuple[_Set, ...]]:
    """(codec of value 1, sets that escapes may switch to)."""
    if not charset:
        return "ascii", ()
    first = (
        "ascii" if normal_term(charset[0]) in ("", "ISO_IR 6", "ISO 2022 IR 6") else _first_codec(charset[0])
    )
    if len(charset) == 1 and normal_term(charset[0]) not in _SETS_OF_TERM:
        return first, ()
    return first, tuple(one for term in charset for one in _SETS_OF_TERM.get(normal_term(term), ()))


def _fits(char: str, codec: str) -> bool:
    try:
        encoded = char.encode(codec)
    except UnicodeEncodeError:
        return False
    # shift_jis stands for JIS X 0201: one byte a character, and its yen sign would end a value
    return codec != "shift_jis" or (len(encoded) == 1 and (encoded[0] >= 0x80 or char.isascii()))


def _encode_piece(piece: str, first: str, sets: tuple[_Set, ...], home: _Set) -> bytes:
    """One text without delimiters: begins and ends with G0 as in value 1; G1 falls back at the delimiter."""
    out = bytearray()
    g0, g1 = home, first
    for char in piece:
        if _fits(char, g1) and not (g0.two_byte and char.isascii()):
            if g0.two_byte:
                out += home.escape
                g0 = home
            out += char.encode(g1)
            continue
        chosen = _ASCII if char.isascii() else _choose(char, sets)
        if chosen is None:
            chosen, char = home, "?"
        if chosen.into_g1:
            # Readers, ours too, take a byte above 0x7F as a sign that G0 is single bytes again.
            out += home.escape if g0.two_byte else b""
            g0 = home
            out += chosen.escape if g1 != chosen.codec else b""
            g1 = chosen.codec
        elif chosen is not g0:
            chosen = home if not chosen.two_byte else chosen
            out += chosen.escape if chosen is not g0 else b""
            g0 = chosen
        out += _bare(char, chosen)
    if g0.two_byte:
        out += home.escape
    return bytes(out)


def _choose(char: str, sets: tuple[_Set, ...]) -> _Set | None:
    return next((one for one in sets if one.codec != "ascii" and _in_set(char, one)), None)


def _in_set(char: str, one: _Set) -> bool:
    if not _fits(char, one.codec):
        return False
    return not one.two_byte or char.encode(one.codec).startswith(one.escape)


def _bare(char: str, one: _Set) -> bytes:
    """The character's bytes without the escapes that Python's ISO 2022 codecs put around them."""
    encoded = char.encode(one.codec)
    if not one.two_byte:
        return encoded
    return encoded[len(one.escape) : len(one.escape) + 2]
