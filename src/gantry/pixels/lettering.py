"""The typeface for words on pictures: names of patients are in every script.

Source Sans Pro, which comes with the dependencies of this program, has Latin, Greek and Cyrillic letters. For
other scripts the typefaces of the machine are asked, by the names that the usual systems give theirs. What
nobody has is a box.
"""

from __future__ import annotations

from functools import lru_cache

import font_source_sans_pro
from PIL import ImageFont

Font = ImageFont.FreeTypeFont

_OF_SYSTEMS = (
    "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "NotoSans-Regular.ttf", "DroidSansFallbackFull.ttf",
    "wqy-microhei.ttc", "Arial Unicode.ttf", "PingFang.ttc", "msyh.ttc", "meiryo.ttc", "malgun.ttf",
    "arial.ttf",
)  # fmt: skip

_PROBE = 16
"""Size at which a letter is compared with the box."""


def font_for(text: str, size: int) -> Font:
    """The typeface that has most letters of a text; the first of several. `size` in pixels."""
    letters = {letter for letter in text if not letter.isspace()}
    if not letters or all(ord(letter) < 0x80 for letter in letters):
        return _font(_files()[0], size)
    return _font(max(_files(), key=lambda file: sum(_has(file, letter) for letter in letters)), size)


@lru_cache(maxsize=1)
def _files() -> tuple[str, ...]:
    """Typefaces that open, the best first."""
    found = [font_source_sans_pro.font_files_ttf["SourceSansPro"]]
    for name in _OF_SYSTEMS:
        try:
            found.append(ImageFont.truetype(name, _PROBE).path)
        except OSError:
            continue  # this machine does not have it
    return tuple(str(path) for path in found)


@lru_cache(maxsize=64)
def _font(file: str, size: int) -> Font:
    return ImageFont.truetype(file, size)


@lru_cache(maxsize=4096)
def _has(file: str, letter: str) -> bool:
    font = _font(file, _PROBE)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\U0010ffff"))
