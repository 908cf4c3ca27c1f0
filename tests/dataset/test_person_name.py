"""Names as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dataset.person_name import name_groups, name_tokens, normalise, phonetic, search_forms, words


@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(st.text(max_size=30))
def test_case_never_counts(text: str) -> None:
    assert normalise(text.casefold()) == normalise(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "MULLER"),
        ("Łukasiewicz^Żółć", "lukasiewicz^zolc"),
        ("Yılmaz^Gökşen", "YILMAZ^GOKSEN"),
        ("Œuvre^Žofie", "oeuvre^zofie"),
        ("Bērziņš^Ģirts", "berzins^girts"),
        ("Straße", "STRASSE"),
        ("Sørensen", "sorensen"),
        ("ﾔﾏﾀﾞ", "ヤマダ"),
        ("Ｙａｍａｄａ", "yamada"),
        ("O’Brien", "o'brien"),
    ],
)
def test_accents_width_and_case_never_count(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


def test_letters_that_are_not_accents_stay() -> None:
    assert normalise("ガ") != normalise("カ")
    assert normalise("홍길동") == "홍길동"
    assert normalise("山田") == "山田"


def test_groups_and_tokens_of_either_form() -> None:
    text = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    model = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    assert name_groups(text) == name_groups(model) == ["Yamada^Tarou", "山田^太郎", "やまだ^たろう"]
    assert name_tokens(text) == ["yamada", "tarou", "山田", "太郎", "やまだ", "たろう"]
    assert name_groups("=山田^太郎") == ["山田^太郎"]
    assert name_groups("^^^^") == []
    assert words(" Doe,  Jane^Mary ") == ["doe", "jane", "mary"]


@pytest.mark.parametrize(
    ("group", "forms"),
    [
        ("Doe^Jane", ("doe jane", "jane doe")),
        ("Doe^Jane^Mary^Dr^Jr", ("doe jane mary dr jr", "dr jane mary doe jr")),
        ("Doe^^^^", ("doe",)),
        ("Jane Doe", ("jane doe",)),
        ("", ("",)),
    ],
)
def test_forms_as_stored_and_as_spoken(group: str, forms: tuple[str, ...]) -> None:
    assert search_forms(group) == forms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("muller", "mueller"),
        ("schmidt", "schmitt"),
        ("meier", "mayer"),
        ("phillips", "filips"),
        ("catherine", "katherine"),
        ("knight", "night"),
        ("jonsson", "johnson"),
        ("wagner", "vagner"),
    ],
)
def test_words_that_sound_alike_share_a_code(one: str, other: str) -> None:
    assert phonetic(one) == phonetic(other)


@pytest.mark.parametrize(("one", "other"), [("smith", "jones"), ("anna", "emma"), ("martin", "marten1")])
def test_words_that_do_not_sound_alike_differ(one: str, other: str) -> None:
    assert phonetic(one) != phonetic(other)


def test_a_word_of_another_script_is_its_own_code() -> None:
    assert phonetic("山田") == "山田"
    assert phonetic("") == ""


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=40))
def test_every_word_has_a_short_code(token: str) -> None:
    assert 1 <= len(phonetic(token)) <= 6
