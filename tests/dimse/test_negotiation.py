"""What is accepted, what is refused and why, and what both sides then have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from dimse_pair import CT, EXPLICIT, IMPLICIT, JPEG, STUDY_FIND, STUDY_GET, VERIFICATION, parameters
from dimse_values import pdus
from gantry.dimse.extended import QueryOptions, decode_query_options
from gantry.dimse.negotiation import (
    STORAGE_SERVICE_CLASS,
    AcceptorPolicy,
    ProposedContext,
    accepted_contexts,
    is_ae_title,
    negotiate,
    sendable_pdu,
)
from gantry.dimse.pdu import (
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    Pdu,
    PresentationContextAC,
    PresentationContextRQ,
)
from gantry.dimse.user_information import (
    AsyncWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from gantry.errors import CallerError
from gantry.standard.sop_classes import NON_PATIENT_STORAGE, STORAGE_SOP_CLASSES
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES

BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
PRINT = "1.2.840.10008.5.1.1.9"
PRIVATE = "1.2.826.0.1.3680043.9.9999.1"


def rq(*contexts: tuple[str, tuple[str, ...]], **user: Any) -> AssociateRQ:
    proposed = tuple(PresentationContextRQ(2 * i + 1, *context) for i, context in enumerate(contexts))
    return AssociateRQ("GANTRY", "CALLER", proposed, UserInformation(**{"max_length": 16384} | user))


def accept(request: AssociateRQ, **policy: Any) -> AssociateAC:
    answer = negotiate(request, AcceptorPolicy(**policy))
    assert isinstance(answer, AssociateAC)
    return answer


def refusal(request: AssociateRQ, **policy: Any) -> tuple[int, int, int]:
    answer = negotiate(request, AcceptorPolicy(**policy))
    assert isinstance(answer, AssociateRJ)
    return answer.result, answer.source, answer.reason


def result(
    abstract: str, *syntaxes: str, user: dict[str, Any] | None = None, **policy: Any
) -> tuple[int, str]:
    (context,) = accept(rq((abstract, syntaxes), **user or {}), **policy).contexts
    return context.result, context.transfer_syntax


# Contexts


def test_every_storage_class_is_accepted_in_every_syntax_of_a_data_set() -> None:
    for uid in STORAGE_SOP_CLASSES - NON_PATIENT_STORAGE:
        assert result(uid, EXPLICIT) == (0, EXPLICIT)
    for uid in TRANSFER_SYNTAXES:
        is_data_set = not uid.startswith(("1.2.840.10008.1.2.6", "1.2.840.10008.1.2.7"))
        assert (result(CT, uid)[0] == 0) is is_data_set


def test_classes_of_objects_without_a_study_are_not_accepted() -> None:
    assert {result(uid, EXPLICIT)[0] for uid in NON_PATIENT_STORAGE} == {3}


def test_the_order_of_the_peer_counts() -> None:
    assert result(CT, JPEG, EXPLICIT, IMPLICIT) == (0, JPEG)
    assert result(CT, IMPLICIT, JPEG) == (0, IMPLICIT)


def test_our_preference_comes_first_where_it_is_offered() -> None:
    preferred = {"preferred_transfer_syntaxes": (EXPLICIT, JPEG)}
    assert result(CT, IMPLICIT, JPEG, EXPLICIT, **preferred) == (0, EXPLICIT)
    assert result(CT, IMPLICIT, JPEG, **preferred) == (0, JPEG)
    assert result(CT, IMPLICIT, BIG_ENDIAN, **preferred) == (0, IMPLICIT)


@pytest.mark.parametrize("service", [VERIFICATION, STUDY_FIND, STUDY_MOVE, STUDY_GET])
def test_queries_are_uncompressed(service: str) -> None:
    assert result(service, JPEG, DEFLATED, EXPLICIT, IMPLICIT) == (0, EXPLICIT)
    assert result(service, BIG_ENDIAN) == (0, BIG_ENDIAN)
    assert result(service, JPEG)[0] == 4


def test_no_usable_transfer_syntax_is_result_4() -> None:
    assert result(CT, "1.2.840.10008.1.2.6.1")[0] == 4
    assert result(CT)[0] == 4
    assert result(CT, "")[0] == 4


def test_a_known_service_that_we_do_not_offer_is_result_3() -> None:
    assert result(PRINT, IMPLICIT)[0] == 3
    assert result("", IMPLICIT)[0] == 3


def test_an_unknown_class_is_private_storage_where_the_policy_allows() -> None:
    assert result(PRIVATE, EXPLICIT) == (0, EXPLICIT)
    assert result(PRIVATE, EXPLICIT, accept_unknown_storage=False)[0] == 3


def test_an_unknown_class_declared_to_be_something_else_is_no_storage() -> None:
    def declared(service: str) -> dict[str, Any]:
        return {"common_extended": (CommonExtendedNegotiation(PRIVATE, service),)}

    assert result(PRIVATE, EXPLICIT, user=declared(STORAGE_SERVICE_CLASS))[0] == 0
    assert result(PRIVATE, EXPLICIT, user=declared("1.2.840.10008.4.2.9"))[0] == 3


@pytest.mark.parametrize("uid", ["", "CT", "1..2", ".1", "1.", "1.2.a", "../1", "1" * 65, "1.2\n"])
def test_what_is_no_uid_is_no_syntax(uid: str) -> None:
    assert result(uid, EXPLICIT)[0] == 3
    assert result(CT, uid)[0] == 4
    assert result(CT, uid, EXPLICIT) == (0, EXPLICIT)


def test_a_private_syntax_is_taken_where_there_is_no_other() -> None:
    assert result(CT, PRIVATE, IMPLICIT) == (0, IMPLICIT)
    assert result(CT, PRIVATE) == (0, PRIVATE)


def test_the_longest_request_has_an_answer_that_fits() -> None:
    uids = [f"1.2.{number:060}" for number in range(128)]
    roles = tuple(RoleSelection(uids[i % 128], True, True) for i in range(500))
    answer = accept(rq(*((uid, (EXPLICIT,)) for uid in uids), roles=roles))
    assert len(answer.encode()) < 1 << 16


def test_storage_can_be_switched_off() -> None:
    assert result(CT, EXPLICIT, accept_storage=False)[0] == 3
    assert result(VERIFICATION, IMPLICIT, accept_storage=False)[0] == 0


def test_each_context_has_its_own_answer() -> None:
    answer = accept(rq((CT, (EXPLICIT,)), (PRINT, (IMPLICIT,)), (CT, (IMPLICIT,)), (STUDY_FIND, (JPEG,))))
    assert [(c.context_id, c.result) for c in answer.contexts] == [(1, 0), (3, 3), (5, 0), (7, 4)]


def test_the_answer_repeats_titles_and_says_who_we_are() -> None:
    answer = accept(rq((CT, (EXPLICIT,))))
    assert (answer.called_aet, answer.calling_aet) == ("GANTRY", "CALLER")
    assert answer.user.max_length == 131072
    assert answer.user.implementation_class_uid
    assert answer.user.implementation_version
    assert answer.user.async_window is None
    assert answer.user.roles == ()
    assert answer.user.identity_response is None


# Refusals of the association


def test_titles_are_checked_where_the_policy_says_so() -> None:
    request = replace(rq((CT, (EXPLICIT,))), called_aet="ELSEWHERE", calling_aet="STRANGER")
    accept(request)
    assert refusal(request, check_called_aet=True) == (1, 1, 7)
    assert refusal(request, calling_aets=frozenset({"CALLER"})) == (1, 1, 3)
    accept(rq((CT, (EXPLICIT,))), check_called_aet=True, calling_aets=frozenset({"CALLER"}))


def test_a_peer_with_tiny_pdus_is_refused() -> None:
    assert refusal(rq((CT, (EXPLICIT,)), max_length=16)) == (1, 2, 1)
    accept(rq((CT, (EXPLICIT,)), max_length=128))


def test_an_identity_is_for_the_policy_to_judge() -> None:
    def only_jane(identity: UserIdentity) -> bytes | None:
        return b"ticket" if (identity.primary, identity.secondary) == (b"jane", b"pw") else None

    jane = rq((CT, (EXPLICIT,)), user_identity=UserIdentity(2, b"jane", b"pw", True))
    joe = rq((CT, (EXPLICIT,)), user_identity=UserIdentity(2, b"joe", b"pw", True))
    assert accept(jane, check_identity=only_jane).user.identity_response == b"ticket"
    assert refusal(joe, check_identity=only_jane) == (1, 2, 1)
    assert accept(joe).user.identity_response == b""


def test_who_asked_for_no_answer_to_his_identity_gets_none() -> None:
    request = rq((CT, (EXPLICIT,)), user_identity=UserIdentity(1, b"jane"))
    assert accept(request).user.identity_response is None


# User information


@pytest.mark.parametrize(
    ("offered", "ours", "agreed"),
    [
        ((5, 3), (32, 32), (5, 3)),
        ((50, 30), (32, 8), (32, 8)),
        ((0, 0), (32, 8), (32, 8)),
        ((5, 3), (0, 0), (5, 3)),
        ((0, 0), (0, 0), (0, 0)),
    ],
)
def test_the_smaller_window_is_agreed(
    offered: tuple[int, int], ours: tuple[int, int], agreed: tuple[int, int]
) -> None:
    answer = accept(
        rq((CT, (EXPLICIT,)), async_window=AsyncWindow(*offered)), async_window=AsyncWindow(*ours)
    )
    assert answer.user.async_window == AsyncWindow(*agreed)


def test_roles_are_granted_for_storage() -> None:
    asked = (
        RoleSelection(CT, True, True),
        RoleSelection(STUDY_GET, True, True),
        RoleSelection("1.2.3", False, True),
    )
    answer = accept(rq((CT, (EXPLICIT,)), (STUDY_GET, (IMPLICIT,)), roles=asked))
    assert answer.user.roles == (RoleSelection(CT, True, True), RoleSelection(STUDY_GET, True, False))


def test_no_role_is_granted_that_was_not_asked_for() -> None:
    answer = accept(rq((CT, (EXPLICIT,)), roles=(RoleSelection(CT, False, True),)))
    assert answer.user.roles == (RoleSelection(CT, False, True),)


def test_query_options_are_granted_as_far_as_we_have_them() -> None:
    def answered(uid: str, information: bytes, options: QueryOptions) -> tuple[ExtendedNegotiation, ...]:
        request = rq((uid, (IMPLICIT,)), extended=(ExtendedNegotiation(uid, information),))
        return accept(request, query_options=options).user.extended

    ours = QueryOptions(relational=True, combined_datetime=True, fuzzy=False, timezone=True)
    assert answered(STUDY_FIND, b"\1\1\1\1\1", ours) == (ExtendedNegotiation(STUDY_FIND, b"\1\1\0\1\0"),)
    assert answered(STUDY_FIND, b"\1", ours) == (ExtendedNegotiation(STUDY_FIND, b"\1"),)
    assert answered(STUDY_MOVE, b"\1\1", ours) == (ExtendedNegotiation(STUDY_MOVE, b"\1\0"),)
    assert answered(VERIFICATION, b"\1", ours) == ()


def test_storage_is_answered_with_level_2_without_coercion() -> None:
    request = rq((CT, (EXPLICIT,)), extended=(ExtendedNegotiation(CT, b"\2\0\3\0\1\0"),))
    assert accept(request).user.extended == (ExtendedNegotiation(CT, b"\2\0\0\0\0\0"),)


def test_extended_negotiation_for_what_is_not_accepted_is_not_answered() -> None:
    request = rq(
        (PRINT, (IMPLICIT,)), extended=(ExtendedNegotiation(PRINT, b"\1"), ExtendedNegotiation(CT, b"\2"))
    )
    assert accept(request).user.extended == ()


@pytest.mark.parametrize(
    ("information", "options"),
    [
        (b"", QueryOptions(False, False, False, False, False)),
        (b"\1\0\1", QueryOptions(True, False, True, False, False)),
        (b"\1\1\1\1\1\1\1", QueryOptions(True, True, True, True, True)),
        (b"\7", QueryOptions(False, False, False, False, False)),
    ],
)
def test_query_options_are_read(information: bytes, options: QueryOptions) -> None:
    assert decode_query_options(information) == options


@given(pdus)
def test_any_request_has_an_answer_that_can_be_sent(pdu: Pdu) -> None:
    if isinstance(pdu, AssociateRQ):
        answer = negotiate(pdu, AcceptorPolicy())
        assert answer.encode()
        if isinstance(answer, AssociateAC):
            for context in accepted_contexts(pdu, answer, we_request=False).values():
                assert context.context_id % 2 == 1


# The other side


def test_contexts_get_odd_numbers_in_their_order() -> None:
    request = parameters(contexts=tuple(ProposedContext(CT, (EXPLICIT,)) for _ in range(128))).request()
    assert [context.context_id for context in request.contexts] == list(range(1, 256, 2))


@pytest.mark.parametrize(
    "changes",
    [
        {"contexts": ()},
        {"contexts": (ProposedContext(CT, (EXPLICIT,)),) * 129},
        {"called_aet": ""},
        {"calling_aet": "SEVENTEEN_LETTERS"},
        {"calling_aet": "A\\B"},
    ],
)
def test_what_cannot_be_asked_for_is_the_callers_fault(changes: dict[str, Any]) -> None:
    with pytest.raises(CallerError):
        parameters(**changes).request()


def test_an_acceptance_of_what_was_not_offered_is_passed_over() -> None:
    request = rq((CT, (EXPLICIT,)), (STUDY_FIND, (IMPLICIT,)))
    answers = (
        PresentationContextAC(1, 0, JPEG),
        PresentationContextAC(3, 0, IMPLICIT),
        PresentationContextAC(99, 0, IMPLICIT),
    )
    found = accepted_contexts(request, AssociateAC("A", "B", answers), we_request=True)
    assert list(found) == [3]


def test_a_role_that_was_not_proposed_is_not_taken() -> None:
    request = rq((CT, (EXPLICIT,)))
    answer = AssociateAC(
        "A",
        "B",
        (PresentationContextAC(1, 0, EXPLICIT),),
        UserInformation(roles=(RoleSelection(CT, False, True),)),
    )
    (context,) = accepted_contexts(request, answer, we_request=True).values()
    assert (context.we_are_scu, context.we_are_scp) == (True, False)


@pytest.mark.parametrize(
    ("announced", "sent"), [(None, 1 << 20), (0, 1 << 20), (16384, 16384), (0xFFFFFFFF, 1 << 20)]
)
def test_the_pdu_we_send_is_what_the_peer_takes_and_we_will(announced: int | None, sent: int) -> None:
    assert sendable_pdu(UserInformation(max_length=announced)) == sent


@pytest.mark.parametrize("title", ["A", "STORE SCP", "ct-1_2.3/4", "~" * 16])
def test_these_are_titles(title: str) -> None:
    assert is_ae_title(title)


@pytest.mark.parametrize(
    "title",
    ["", " ", "A" * 17, "A\\B", "A\nB", "A\r\nB", "\x1b[31m", "Ä", "../etc", "a/../b", "..", ".", "a/.."],
)
def test_these_are_no_titles(title: str) -> None:
    assert not is_ae_title(title)
