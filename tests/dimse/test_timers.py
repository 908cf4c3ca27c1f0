"""Time-outs, without waiting: the time is an argument."""

from __future__ import annotations

from dimse_pair import (
    CT,
    CT_ID,
    ECHO_ID,
    acceptor,
    assert_aborted,
    associated,
    exchange,
    kinds,
    output,
    pdus,
    requestor,
)
from gantry.dimse import message
from gantry.dimse.association import Association
from gantry.dimse.negotiation import Timers
from gantry.dimse.pdu import Abort


def _run_out(association: Association, now: float) -> tuple[list[str], float]:
    """Tick whenever it wants to be, until something happens; what did, and when."""
    for _ in range(20):
        deadline = association.next_deadline()
        assert deadline is not None
        now = max(now, deadline)
        events = association.tick(now)
        if events:
            return kinds(events), now
    raise AssertionError("nothing ever happens")


def test_artim_closes_a_connection_without_a_request() -> None:
    association = acceptor(now=100.0)
    assert association.next_deadline() == 110.0
    assert association.tick(109.9) == []
    assert kinds(association.tick(110.0)) == ["Closed"]
    assert association.closed
    assert output(association) == b""


def test_artim_closes_after_an_abort_that_the_peer_does_not_answer() -> None:
    asking, _ = associated()
    asking.tick(50.0)
    asking.abort()
    events, now = _run_out(asking, 51.0)
    assert events == ["Closed"]
    assert 60.0 <= now <= 62.0


def test_artim_closes_after_a_rejection() -> None:
    asking, answering = requestor(called_aet="OTHER"), acceptor(check_called_aet=True)
    answering.receive(output(asking), 3.0)
    assert answering.next_deadline() == 13.0
    assert kinds(answering.tick(13.0)) == ["Closed"]


def test_artim_closes_after_a_release_that_the_peer_does_not_end() -> None:
    asking, answering = associated()
    asking.release()
    exchange(asking, answering, now=5.0)
    assert answering.next_deadline() == 15.0


def test_an_idle_acceptor_aborts() -> None:
    _, answering = associated()
    assert answering.next_deadline() == 60.0
    assert answering.tick(59.9) == []
    assert kinds(answering.tick(60.0)) == ["Aborted"]
    assert_aborted(answering, 0)


def test_anything_received_ends_the_silence() -> None:
    asking, answering = associated()
    asking.send_message(ECHO_ID, message.c_echo_rq(1))
    answering.receive(output(asking), 50.0)
    answering.send_message(ECHO_ID, message.c_echo_rsp(message.c_echo_rq(1)))
    assert answering.tick(100.0) == []
    assert kinds(answering.tick(160.0)) == ["Aborted"]


def test_an_acceptor_that_owes_an_answer_waits_for_nobody() -> None:
    asking, answering = associated()
    request = message.c_echo_rq(1)
    asking.send_message(ECHO_ID, request)
    answering.receive(output(asking), 1.0)
    assert answering.next_deadline() is None
    assert answering.tick(100_000.0) == []
    answering.send_message(ECHO_ID, message.c_echo_rsp(request))
    assert answering.tick(100_001.0) == []
    assert _run_out(answering, 100_001.0)[0] == ["Aborted"]


def test_b74_an_acceptor_aborts_where_its_sub_operation_is_not_answered() -> None:
    asking, answering = associated()
    asking.send_message(ECHO_ID, message.c_echo_rq(1))
    answering.receive(output(asking), 1.0)
    answering.send_message(CT_ID, message.c_store_rq(1, CT, "1.2.3"), b"ab")
    assert _run_out(answering, 1.0) == (["Aborted"], 61.0)


def test_sending_is_not_silence() -> None:
    asking, _ = associated(timers=Timers(idle_s=60.0))
    batches = asking.iter_pdata(CT_ID, message.c_store_rq(1, CT, "1.2.3"), bytes(3_000_000))
    next(batches)
    assert asking.next_deadline() is None
    assert asking.tick(1000.0) == []
    for _ in batches:
        pass
    assert asking.tick(1001.0) == []
    assert _run_out(asking, 1001.0) == (["Aborted"], 1061.0)


def test_a_requestor_may_be_idle_but_waits_for_answers() -> None:
    asking, _ = associated(timers=Timers(idle_s=300.0))
    assert asking.next_deadline() is None
    asking.send_message(ECHO_ID, message.c_echo_rq(1))
    assert _run_out(asking, 0.0) == (["Aborted"], 300.0)


def test_a_requestor_waits_for_the_answer_to_its_request() -> None:
    asking = requestor(now=10.0)
    output(asking)
    events, now = _run_out(asking, 10.0)
    assert (events, now) == (["Aborted"], 40.0)
    assert pdus(output(asking)) == [Abort(2, 0)]


def test_a_release_that_is_not_answered_is_aborted() -> None:
    asking, _ = associated()
    asking.release()
    output(asking)
    assert _run_out(asking, 0.0) == (["Aborted"], 10.0)
    assert_aborted(asking, 0)


def _half_a_message(answering: Association, asking: Association, now: float) -> bytes:
    asking.send_message(CT_ID, message.c_store_rq(1, CT, "1.2.3"), bytes(200_000))
    wire = output(asking)
    answering.receive(wire[:1000], now)
    return wire[1000:]


def test_a_slow_message_is_cut_off() -> None:
    asking, answering = associated()
    rest = _half_a_message(answering, asking, 0.0)
    for second in range(1, 30):
        assert answering.receive(rest[second : second + 1], float(second)) is not None
        assert answering.tick(float(second)) == []
    assert kinds(answering.tick(30.0)) == ["Aborted"]
    assert_aborted(answering, 0)


def test_a_message_at_the_minimum_rate_goes_on() -> None:
    asking, answering = associated()
    rest = _half_a_message(answering, asking, 0.0)
    for second in range(1, 100):
        answering.receive(rest[second * 1025 : (second + 1) * 1025], float(second))
        assert answering.tick(float(second)) == []


def test_a_rate_that_drops_is_noticed_in_the_next_window() -> None:
    asking, answering = associated()
    rest = _half_a_message(answering, asking, 0.0)
    answering.receive(rest[:100_000], 1.0)
    assert answering.tick(30.0) == []
    assert kinds(answering.tick(60.0)) == ["Aborted"]


def test_what_we_do_not_read_is_not_held_against_the_peer() -> None:
    asking, answering = associated()
    rest = _half_a_message(answering, asking, 0.0)
    answering.hold()
    assert answering.next_deadline() is None
    assert answering.tick(500.0) == []
    answering.resume(500.0)
    assert answering.tick(520.0) == []
    answering.receive(rest, 525.0)
    assert answering.tick(550.0) == []


def test_nothing_is_waited_for_at_the_end() -> None:
    _, answering = associated()
    answering.eof(1.0)
    assert answering.next_deadline() is None
    assert answering.tick(1000.0) == []


def test_no_limit_is_no_limit() -> None:
    forever = Timers(idle_s=None, association_s=None, release_s=None)
    asking, answering = associated(timers=forever, policy={"timers": forever})
    assert answering.next_deadline() is None
    asking.release()
    assert asking.next_deadline() is None
    assert asking.tick(1e9) == []
