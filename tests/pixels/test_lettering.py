"""Words on pictures are drawn with letters, not with boxes."""

from __future__ import annotations

import pytest

from gantry.pixels.lettering import font_for


@pytest.mark.parametrize(
    "text", ["Doe^Jane", "Müller Ångström Ñandú őž", "Люкceмбypг", "Διονυσιος", "Çelik Şahin", "Nguyễn"]
)
def test_latin_greek_and_cyrillic_names_have_their_letters(text: str) -> None:
    font = font_for(text, 20)
    box = bytes(font.getmask("\U0010ffff"))
    assert not [letter for letter in text if bytes(font.getmask(letter)) == box]


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "山田^太郎", "قباني^لنزار", "שרון^דבורה", "김희중", "\U0010ffff" * 3]
)
def test_any_text_has_a_font_of_the_size_asked_for(text: str) -> None:
    assert font_for(text, 17).size == 17
