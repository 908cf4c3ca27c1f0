"""The one table of statuses is whole, and says what reliability rows ask for."""

from __future__ import annotations

import pytest

from gantry import errors
from gantry.archive.outcome import NewVersion, Reason, Refused, Stored, Unchanged
from gantry.archive.records import InstanceKey
from gantry.server.outcome import answer_for, answer_for_error
from gantry.standard.status import Category, category

KEY = InstanceKey("1.2", "1.3", "1.4")
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_to_refuse_is_a_failure_for_both_doors(reason: Reason) -> None:
    answer = answer_for(Refused(reason, "why"))
    assert category(answer.dimse_status) is Category.FAILURE
    assert 400 <= answer.http_status <= 599
    assert answer.comment == "why"


@pytest.mark.parametrize(
    "outcome",
    [
        Stored(KEY, 1, CT, EXPLICIT),
        Unchanged(KEY, 1, CT, EXPLICIT),
        NewVersion(KEY, 2, CT, EXPLICIT, current=True),
        NewVersion(KEY, 2, CT, EXPLICIT, current=False),
    ],
)
def test_what_is_kept_is_success(outcome: Stored | Unchanged | NewVersion) -> None:
    assert (answer_for(outcome).dimse_status, answer_for(outcome).http_status) == (0, 200)


@pytest.mark.parametrize(
    ("reason", "dimse", "http"),
    [
        (Reason.OUT_OF_SPACE, 0xA700, 507),
        (Reason.READ_ONLY, 0xA700, 503),
        (Reason.UNREACHABLE, 0xA700, 503),
        (Reason.SOP_INSTANCE_MISMATCH, 0xA900, 409),
        (Reason.BAD_UID, 0xA900, 409),
        (Reason.MISSING_UID, 0xC000, 409),
        (Reason.CONFLICT, 0x0111, 409),
    ],
)
def test_statuses_of_the_reliability_rows(reason: Reason, dimse: int, http: int) -> None:
    answer = answer_for(Refused(reason, ""))
    assert (answer.dimse_status, answer.http_status) == (dimse, http)


def test_a_value_past_its_limit_is_not_out_of_resources() -> None:
    assert answer_for(Refused(Reason.TOO_LARGE, "", tag=0x00100010)).dimse_status == 0xA900
    assert answer_for(Refused(Reason.TOO_LARGE, "")).dimse_status == 0xA700


def _all_errors(kind: type[errors.GantryError]) -> list[type[errors.GantryError]]:
    """The tree of `gantry.errors`; rooms have errors of their own that do not leave them."""
    subs = [sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__]
    return [kind, *(inner for sub in subs for inner in _all_errors(sub))]


def test_every_error_has_an_answer() -> None:
    for kind in _all_errors(errors.GantryError):
        error = kind(418, "tea") if issubclass(kind, errors.WebRequestError) else kind("cause")
        answer = answer_for_error(error)
        assert category(answer.dimse_status) is Category.FAILURE, kind
        assert 400 <= answer.http_status <= 599, kind
        assert answer.comment


def test_data_set_error_names_the_element() -> None:
    answer = answer_for_error(errors.DataSetError("cut", tag=0x00081140, offset=7))
    assert answer.offending == (0x00081140,)
    assert "(0008,1140)" in answer.comment
    assert "offset 7" in answer.comment
