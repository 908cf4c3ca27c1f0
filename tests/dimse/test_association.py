"""Associations wired back to back: journeys, cuts anywhere, release and its collisions, what is sent."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator

import pytest

from dimse_pair import (
    CT,
    CT_ID,
    ECHO_ID,
    EXPLICIT,
    FIND_ID,
    GET_ID,
    Cut,
    acceptor,
    associated,
    deliver,
    exchange,
    kinds,
    output,
    pdus,
    random_cuts,
    requestor,
    single_bytes,
    whole,
)
from gantry.dimse import message
from gantry.dimse.association import (
    Aborted,
    Associated,
    Association,
    AssociationRequested,
    CommandReceived,
    DataFragment,
    Event,
    MessageComplete,
    Rejected,
)
from gantry.dimse.limits import MAX_OUTSTANDING_OPERATIONS, UNLIMITED_PEER_PDU
from gantry.dimse.message import Command
from gantry.dimse.pdu import Abort, AssociateAC, AssociateRJ, ReleaseRP
from gantry.dimse.user_information import AsyncWindow, RoleSelection
from gantry.errors import CallerError

CUTS = [whole, single_bytes, random_cuts(1), random_cuts(2)]
Message = tuple[int, Command, bytes | None]


def messages(events: list[Event]) -> list[Message]:
    """The whole messages that these events make up; their order is checked on the way."""
    found: list[Message] = []
    current: CommandReceived | None = None
    data = bytearray()
    for event in events:
        if isinstance(event, CommandReceived):
            assert current is None
            current, data = event, bytearray()
        elif isinstance(event, DataFragment):
            assert current is not None
            assert event.context_id == current.context_id
            data += event.data
        elif isinstance(event, MessageComplete):
            assert current is not None
            assert event.command is current.command
            found.append((current.context_id, current.command, bytes(data) if current.has_dataset else None))
            current = None
    assert current is None
    return found


@pytest.mark.parametrize("cut", CUTS)
def test_a_store_from_beginning_to_end(cut: Cut) -> None:
    asking, answering = associated(cut)
    request = message.c_store_rq(1, CT, "1.2.3")
    asking.send_message(CT_ID, request, b"x" * 300_000)
    received = messages(exchange(asking, answering, cut=cut if cut is not single_bytes else whole)[1])
    assert received == [(CT_ID, request, b"x" * 300_000)]
    answer = message.c_store_rsp(request, 0)
    answering.send_message(CT_ID, answer)
    assert messages(exchange(asking, answering, cut=cut)[0]) == [(CT_ID, answer, None)]
    asking.release()
    of_asking, of_answering = exchange(asking, answering, cut=cut)
    assert kinds(of_asking) == ["Released", "Closed"]
    assert kinds(of_answering) == ["ReleaseRequested", "Released"]
    assert asking.closed
    assert not answering.closed
    assert kinds(answering.eof(1.0)) == ["Closed"]


def test_both_sides_know_what_was_agreed() -> None:
    asking, answering = requestor(async_window=AsyncWindow(4, 2), max_pdu=20_000), acceptor(max_pdu=30_000)
    of_asking, of_answering = exchange(asking, answering)
    assert kinds(of_asking) == kinds(of_answering) == ["Associated"]
    told = of_answering[0]
    assert isinstance(told, Associated)
    assert told.request == asking.request
    assert told.contexts == answering.contexts
    context = asking.contexts[CT_ID]
    assert (context.abstract_syntax, context.transfer_syntax) == (CT, EXPLICIT)
    assert (context.we_are_scu, context.we_are_scp) == (True, False)
    other = answering.contexts[CT_ID]
    assert (other.we_are_scu, other.we_are_scp) == (False, True)
    assert asking.window == answering.window == AsyncWindow(4, 2)
    assert (asking.peer_max_pdu, answering.peer_max_pdu) == (30_000, 20_000)


def test_without_a_limit_of_the_peer_we_keep_our_own() -> None:
    _, answering = associated(max_pdu=0)
    assert answering.peer_max_pdu == UNLIMITED_PEER_PDU


def test_the_default_window_is_one_operation() -> None:
    asking, answering = associated()
    assert asking.window == answering.window == AsyncWindow(1, 1)


def test_roles_are_those_both_agreed_to() -> None:
    asking, answering = associated(roles=(RoleSelection(CT, False, True),))
    assert (asking.contexts[CT_ID].we_are_scu, asking.contexts[CT_ID].we_are_scp) == (False, True)
    assert (answering.contexts[CT_ID].we_are_scu, answering.contexts[CT_ID].we_are_scp) == (True, False)


def test_a_rejection_is_told_to_both() -> None:
    asking, answering = requestor(called_aet="OTHER"), acceptor(check_called_aet=True)
    of_asking, of_answering = exchange(asking, answering)
    assert kinds(of_asking) == ["Rejected", "Closed"]
    assert kinds(of_answering) == ["Rejected"]
    told = of_asking[0]
    assert isinstance(told, Rejected)
    assert (told.result, told.source, told.reason) == (1, 1, 7)
    assert told.text == "rejected permanently: called AE title not recognized"
    assert answering.state == 13


def test_the_driver_may_decide() -> None:
    asking, answering = requestor(), acceptor(automatic=False)
    event = deliver(output(asking), answering)[0]
    assert isinstance(event, AssociationRequested)
    assert isinstance(event.answer, AssociateAC)
    assert answering.state == 3
    answering.accept(event.answer)
    assert kinds(exchange(asking, answering)[0]) == ["Associated"]


def test_the_driver_may_refuse() -> None:
    asking, answering = requestor(), acceptor(automatic=False)
    deliver(output(asking), answering)
    answering.reject(AssociateRJ(2, 1, 1))
    assert kinds(exchange(asking, answering)[0]) == ["Rejected", "Closed"]


def _random_message(rng: random.Random, number: int) -> Message:
    data = rng.randbytes(2 * rng.choice([0, 1, 50, 2000, 70_000]))
    choice = rng.randrange(4)
    if choice == 0:
        return ECHO_ID, message.c_echo_rq(number), None
    if choice == 1:
        return FIND_ID, message.c_find_rq(number, "1.2"), data
    if choice == 2:
        return FIND_ID, message.c_find_rsp(message.c_find_rq(number, "1.2"), 0xFF00, has_dataset=True), data
    return CT_ID, message.c_store_rq(number, CT, f"1.2.{number}"), data


@pytest.mark.parametrize("seed", range(25))
def test_random_messages_arrive_as_they_were_sent(seed: int) -> None:
    rng = random.Random(seed)
    limits = [rng.choice([0, 128, 1000, 16384, 131072]) for _ in range(2)]
    asking, answering = associated(max_pdu=limits[0], policy={"max_pdu": limits[1]})
    cut = random_cuts(seed)
    for sender, receiver in ((asking, answering), (answering, asking)):
        sent = [_random_message(rng, number) for number in range(8)]
        for context_id, command, data in sent:
            sender.send_message(context_id, command, data)
        assert messages(deliver(output(sender), receiver, cut=cut)) == sent


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_a_cut_at_any_byte_changes_nothing(at: int) -> None:
    def cut(data: bytes) -> list[bytes]:
        return [data[:at], data[at:]]

    asking, answering = associated(cut)
    request = message.c_store_rq(1, CT, "1.2.3")
    asking.send_message(CT_ID, request, b"y" * 150)
    assert messages(deliver(output(asking), answering, cut=cut)) == [(CT_ID, request, b"y" * 150)]


def test_data_are_views_of_what_was_received() -> None:
    asking, answering = associated()
    asking.send_message(CT_ID, message.c_store_rq(1, CT, "1.2.3"), b"z" * 500_000)
    wire = output(asking)
    half = len(wire) // 2
    for piece in (wire[:half], wire[half:]):
        for event in answering.receive(piece, 0.0):
            if isinstance(event, DataFragment):
                assert event.data.obj is piece


def test_a_large_object_takes_no_memory() -> None:
    asking, answering = associated()
    chunk = bytes(1 << 20)

    def source() -> Iterator[bytes]:
        for _ in range(64):
            yield chunk

    batches = asking.iter_pdata(CT_ID, message.c_store_rq(1, CT, "1.2.3"), source())
    received = 0
    tracemalloc.start()
    for batch in batches:
        for buffer in batch:
            received += sum(
                len(e.data) for e in answering.receive(buffer, 0.0) if isinstance(e, DataFragment)
            )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert received == 64 << 20
    assert peak < 1 << 20


def test_a_message_needs_an_accepted_context_and_a_fitting_command() -> None:
    asking, _ = associated()
    with pytest.raises(CallerError, match="context 9 is not accepted"):
        asking.send_message(9, message.c_echo_rq(1))
    with pytest.raises(CallerError, match="without a Data Set"):
        asking.send_message(CT_ID, message.c_store_rq(1, CT, "1.2.3"))
    with pytest.raises(CallerError, match="with a Data Set"):
        asking.send_message(ECHO_ID, message.c_echo_rq(1), b"")
    assert output(asking) == b""


def test_nothing_can_be_sent_before_the_association_stands() -> None:
    with pytest.raises(CallerError):
        requestor().send_message(ECHO_ID, message.c_echo_rq(1))


def test_a_source_that_fails_before_it_began_leaves_the_association_in_order() -> None:
    asking, answering = associated()

    def source() -> Iterator[bytes]:
        raise OSError("disk")
        yield b""

    with pytest.raises(OSError, match="disk"):
        asking.send_message(CT_ID, message.c_store_rq(1, CT, "1.2.3"), source())
    assert asking.state == 6
    assert asking.operations.invoked == 0
    asking.send_message(ECHO_ID, message.c_echo_rq(2))
    assert len(messages(exchange(asking, answering)[1])) == 1


def test_a_source_that_fails_half_way_breaks_the_association() -> None:
    asking, answering = associated()

    def source() -> Iterator[bytes]:
        yield bytes(500_000)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        asking.send_message(CT_ID, message.c_store_rq(1, CT, "1.2.3"), source())
    assert asking.state == 13
    assert kinds(exchange(asking, answering)[1])[-2:] == ["Aborted", "Closed"]


def test_an_iteration_given_up_breaks_the_association() -> None:
    asking, _ = associated()
    batches = asking.iter_pdata(CT_ID, message.c_store_rq(1, CT, "1.2.3"), bytes(2_000_000))
    next(batches)
    batches.close()
    assert pdus(output(asking)) == [Abort(2, 0)]


def test_a_broken_association_ends_the_iteration() -> None:
    asking, _ = associated()
    batches = asking.iter_pdata(CT_ID, message.c_store_rq(1, CT, "1.2.3"), bytes(2_000_000))
    next(batches)
    asking.receive(Abort(2, 0).encode(), 0.0)
    assert list(batches) == []
    assert output(asking) == b""


# A Data Set that lies elsewhere


def test_a_prepared_message_is_the_message() -> None:
    asking, answering = associated()
    command, dataset = message.c_store_rq(1, CT, "1.2.3"), bytes(range(250)) * 2000
    prepared = asking.prepare(CT_ID, command, len(dataset))
    wire, at = b"", 0
    for pieces in asking.iter_prepared(prepared):
        for head, length in pieces:
            wire += head + dataset[at : at + length]
            at += length
    assert asking.operations.invoked == 1
    received = b"".join(bytes(e.data) for e in answering.receive(wire, 0.0) if isinstance(e, DataFragment))
    assert received == dataset


def test_a_message_prepared_and_forgotten_changes_nothing() -> None:
    asking, answering = associated()
    asking.prepare(CT_ID, message.c_store_rq(1, CT, "1.2.3"), 1000)
    assert output(asking) == b""
    assert asking.operations.invoked == 0
    asking.send_message(ECHO_ID, message.c_echo_rq(2))
    assert len(messages(exchange(asking, answering)[1])) == 1


def test_preparing_needs_an_accepted_context_and_a_command_with_a_data_set() -> None:
    asking, _ = associated()
    with pytest.raises(CallerError, match="context 9 is not accepted"):
        asking.prepare(9, message.c_store_rq(1, CT, "1.2.3"), 1000)
    with pytest.raises(CallerError, match="with a Data Set"):
        asking.prepare(ECHO_ID, message.c_echo_rq(1), 1000)


def test_a_prepared_message_given_up_half_way_breaks_the_association() -> None:
    asking, _ = associated()
    pieces = asking.iter_prepared(asking.prepare(CT_ID, message.c_store_rq(1, CT, "1.2.3"), 1000))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert pdus(output(asking)) == [Abort(2, 0)]


# Operations


def test_operations_are_counted_on_both_sides_until_answered() -> None:
    asking, answering = associated(async_window=AsyncWindow(8, 8))
    requests = [message.c_echo_rq(number) for number in range(5)]
    for request in requests:
        asking.send_message(ECHO_ID, request)
    exchange(asking, answering)
    assert (asking.operations.invoked, answering.operations.performing) == (5, 5)
    for request in reversed(requests):
        answering.send_message(ECHO_ID, message.c_echo_rsp(request))
    exchange(asking, answering)
    assert (asking.operations.invoked, answering.operations.performing) == (0, 0)


def test_a_pending_answer_leaves_the_operation_open() -> None:
    asking, answering = associated()
    find = message.c_find_rq(1, "1.2")
    asking.send_message(FIND_ID, find, b"ab")
    exchange(asking, answering)
    answering.send_message(FIND_ID, message.c_find_rsp(find, 0xFF00, has_dataset=True), b"cd")
    exchange(asking, answering)
    assert (asking.operations.invoked, answering.operations.performing) == (1, 1)
    answering.send_message(FIND_ID, message.c_find_rsp(find, 0))
    exchange(asking, answering)
    assert (asking.operations.invoked, answering.operations.performing) == (0, 0)


def test_more_than_the_window_is_tolerated_but_not_any_number() -> None:
    asking, answering = associated()
    for number in range(MAX_OUTSTANDING_OPERATIONS):
        asking.send_message(ECHO_ID, message.c_echo_rq(number))
    exchange(asking, answering)
    assert answering.state == 6
    asking.send_message(ECHO_ID, message.c_echo_rq(1000))
    assert isinstance(exchange(asking, answering)[1][-1], Aborted)
    assert answering.state == 13


def test_a_cancel_is_told_while_its_operation_goes_on() -> None:
    asking, answering = associated()
    find = message.c_find_rq(4, "1.2")
    asking.send_message(FIND_ID, find, b"ab")
    asking.send_message(FIND_ID, message.c_cancel_rq(4))
    received = messages(exchange(asking, answering)[1])
    assert [command.field.name for _, command, _ in received] == ["C_FIND_RQ", "C_CANCEL_RQ"]


def test_sub_operations_of_a_get_run_the_other_way() -> None:
    asking, answering = associated(roles=(RoleSelection(CT, False, True),))
    get = message.c_get_rq(1, "1.2")
    asking.send_message(GET_ID, get, b"ab")
    exchange(asking, answering)
    store = message.c_store_rq(1, CT, "1.2.3")
    answering.send_message(CT_ID, store, b"cd")
    assert messages(exchange(asking, answering)[0]) == [(CT_ID, store, b"cd")]
    asking.send_message(CT_ID, message.c_store_rsp(store, 0))
    answering.send_message(GET_ID, message.c_retrieve_rsp(get, 0, completed=1))
    exchange(asking, answering)
    for side in (asking, answering):
        assert (side.operations.invoked, side.operations.performing) == (0, 0)


# Release


def _with_open_echo() -> tuple[Association, Association, Command]:
    asking, answering = associated()
    request = message.c_echo_rq(1)
    asking.send_message(ECHO_ID, request)
    exchange(asking, answering)
    return asking, answering, request


def test_a_release_waits_for_what_is_unanswered() -> None:
    asking, answering, request = _with_open_echo()
    asking.release()
    assert kinds(exchange(asking, answering)[1]) == ["ReleaseRequested"]
    assert answering.state == 8
    answering.send_message(ECHO_ID, message.c_echo_rsp(request))
    of_asking, _ = exchange(asking, answering)
    assert kinds(of_asking) == ["CommandReceived", "MessageComplete", "Released", "Closed"]
    assert answering.state == 13


def test_the_answer_to_a_release_comes_after_the_last_byte_of_a_long_answer() -> None:
    asking, answering = associated()
    find = message.c_find_rq(1, "1.2")
    asking.send_message(FIND_ID, find, b"ab")
    exchange(asking, answering)
    asking.release()
    exchange(asking, answering)
    last = message.c_find_rsp(find, 0xA700, has_dataset=True)
    for batch in answering.iter_pdata(FIND_ID, last, bytes(600_000)):
        assert answering.state == 8
        assert output(answering) == b""
        deliver(b"".join(batch), asking)
    assert pdus(output(answering)) == [ReleaseRP()]


def test_a_release_collision_ends_in_order() -> None:
    """PS3.8 7.2.2.7: both ask at once; the requestor answers first."""
    asking, answering = associated()
    asking.release()
    answering.release()
    to_answering, to_asking = output(asking), output(answering)
    deliver(to_asking, asking)
    assert asking.state == 11
    deliver(to_answering, answering)
    assert answering.state == 10
    of_asking, of_answering = exchange(asking, answering)
    assert kinds(of_asking) == ["Released", "Closed"]
    assert kinds(of_answering) == ["Released"]
    assert answering.state == 13


def test_what_was_on_its_way_is_still_received_after_our_release() -> None:
    asking, answering, request = _with_open_echo()
    asking.release()
    answering.send_message(ECHO_ID, message.c_echo_rsp(request))
    assert kinds(deliver(output(answering), asking)) == ["CommandReceived", "MessageComplete"]


def test_a_release_inside_a_message_drops_the_message() -> None:
    asking, answering = associated()
    batches = asking.iter_pdata(CT_ID, message.c_store_rq(1, CT, "1.2.3"), bytes(2_000_000))
    deliver(b"".join(next(batches)), answering)
    asking.state = asking.state.__class__(6)
    asking.release()
    exchange(asking, answering)
    assert answering.operations.performing == 0
    assert answering.state == 13


# Abort


def test_an_abort_of_the_peer_closes_at_once() -> None:
    asking, answering = associated()
    asking.abort()
    event = exchange(asking, answering)[1][0]
    assert event == Aborted(0, 0, "aborted by the application", by_peer=True)
    assert answering.closed
    assert not asking.closed
    assert kinds(asking.eof(1.0)) == ["Closed"]


def test_aborts_that_cross_end_both() -> None:
    asking, answering = associated()
    asking.abort()
    answering.abort()
    exchange(asking, answering)
    assert asking.closed
    assert answering.closed


def test_a_lost_connection_is_told_as_an_abort() -> None:
    _, answering = associated()
    assert kinds(answering.eof(1.0)) == ["Aborted", "Closed"]
    assert answering.eof(2.0) == []
