"""What is taken for a UID, what is tolerated as one, and the names of files that are made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.standard.uids import is_tolerated_uid, is_uid, uid_name


@pytest.mark.parametrize(
    ("text", "well_formed", "tolerated"),
    [
        ("1.2.840.10008.1.1", True, True),
        ("1.02.3", True, True),
        ("1" * 64, True, True),
        ("1" * 65, False, False),
        ("1..2", False, True),
        ("1.2.", False, True),
        (".1", False, True),
        ("", False, False),
        (".", False, False),
        ("..", False, False),
        ("1.2\n", False, False),
        ("1.2 ", False, False),
        ("1/2", False, False),
        ("1.\N{ARABIC-INDIC DIGIT TWO}", False, False),
    ],
)
def test_b32_b33_what_is_a_uid_and_what_is_let_pass(text: str, well_formed: bool, tolerated: bool) -> None:
    assert (is_uid(text), is_tolerated_uid(text)) == (well_formed, tolerated)


@given(st.text(st.characters(codec="utf-8"), max_size=80) | st.text("0123456789.", max_size=80))
def test_b33_every_uid_names_a_file_of_its_own_folder(uid: str) -> None:
    name = uid_name(uid)
    assert name == uid if is_uid(uid) else name.startswith("x-")
    assert set(name) <= set("0123456789.abcdefx-")
    assert name not in ("", ".", "..")
    assert len(name) <= 64
