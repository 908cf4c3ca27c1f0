from __future__ import annotations

import pytest

from gantry.dicomweb.paths import instance_path, require_uid
from gantry.errors import WebRequestError
from gantry.standard.uids import is_tolerated_uid


@pytest.mark.parametrize("uid", ["1", "1.2.840", "2.25.0", "01.2", "1..2", "1" * 64])
def test_digits_and_points_are_a_uid_in_a_path(uid: str) -> None:
    assert is_tolerated_uid(uid)
    assert require_uid(uid) == uid


@pytest.mark.parametrize("uid", ["", "..", ".", "1" * 65, "1.a", "1/2", "1 ", "1%2e", "²", "1\n", "*"])
def test_b32_nothing_else_is(uid: str) -> None:
    assert not is_tolerated_uid(uid)
    with pytest.raises(WebRequestError) as caught:
        require_uid(uid)
    assert caught.value.status == 400


def test_the_path_of_an_instance() -> None:
    assert instance_path("1", "2", "3") == "/studies/1/series/2/instances/3"
