"""The state machine against PS3.8 Table 9-10: typed a second time here, and in the standard's own words."""

from __future__ import annotations

import re

import pytest

from dimse_pair import CT_ID, ECHO_ID, acceptor, associated, output, parameters, pdus, requestor
from gantry.dimse import message
from gantry.dimse.association import Association, Role
from gantry.dimse.fsm import ACTIONS, TABLE, Effect, Event, State, as_markdown
from gantry.dimse.negotiation import AcceptorPolicy
from gantry.dimse.pdu import (
    Abort,
    AssociateAC,
    AssociateRJ,
    PDataTF,
    PresentationContextAC,
    PresentationDataValue,
    ReleaseRP,
    ReleaseRQ,
)
from gantry.errors import CallerError
from support import shared_data

# Per row of the table: {states: (action, next states)}
_ABORTING = {(2,): ("AA-1", "13"), (3, 5, 6, 7, 8, 9, 10, 11, 12): ("AA-8", "13"), (13,): ("AA-6", "13")}
_ROWS: list[dict[tuple[int, ...], tuple[str, str]]] = [
    {(1,): ("AE-1", "4")},
    {(4,): ("AE-2", "5")},
    _ABORTING | {(5,): ("AE-3", "6")},
    _ABORTING | {(5,): ("AE-4", "1")},
    {(1,): ("AE-5", "2")},
    _ABORTING | {(2,): ("AE-6", "3 13"), (13,): ("AA-7", "13")},
    {(3,): ("AE-7", "6")},
    {(3,): ("AE-8", "13")},
    {(6,): ("DT-1", "6"), (8,): ("AR-7", "8")},
    _ABORTING | {(6,): ("DT-2", "6"), (7,): ("AR-6", "7")},
    {(6,): ("AR-1", "7")},
    _ABORTING | {(6,): ("AR-2", "8"), (7,): ("AR-8", "9 10")},
    _ABORTING | {(7,): ("AR-3", "1"), (10,): ("AR-10", "12"), (11,): ("AR-3", "1")},
    {(8,): ("AR-4", "13"), (9,): ("AR-9", "11"), (12,): ("AR-4", "13")},
    {(3, 5, 6, 7, 8, 9, 10, 11, 12): ("AA-1", "13"), (4,): ("AA-2", "1")},
    {(2, 13): ("AA-2", "1"), (3, 5, 6, 7, 8, 9, 10, 11, 12): ("AA-3", "1")},
    {(2,): ("AA-5", "1"), (3, 4, 5, 6, 7, 8, 9, 10, 11, 12): ("AA-4", "1"), (13,): ("AR-5", "1")},
    {(2, 13): ("AA-2", "1")},
    _ABORTING | {(13,): ("AA-7", "13")},
]


def _typed() -> dict[tuple[int, int], tuple[str, list[int]]]:
    cells: dict[tuple[int, int], tuple[str, list[int]]] = {}
    for number, row in enumerate(_ROWS, 1):
        for states, (action, following) in row.items():
            for state in states:
                cells[state, number] = (action, [int(each) for each in following.split()])
    return cells


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_every_cell_is_that_of_the_standard(state: State, event: Event) -> None:
    expected = _typed().get((int(state), int(event)))
    action = TABLE.get((state, event))
    if expected is None:
        assert action is None
    else:
        assert action is not None
        assert (action.name, list(action.next_states)) == expected


def test_the_table_is_whole() -> None:
    assert len(State) == 13
    assert len(Event) == 19
    assert len(ACTIONS) == 8 + 2 + 10 + 8
    assert {action.name for action in TABLE.values()} == set(ACTIONS)


def test_the_text_of_the_standard_says_the_same() -> None:
    part_8 = shared_data().parent / "standard" / "text" / "part08-2017c.txt"
    if not part_8.is_file():
        pytest.skip("the text of PS3.8 is not in ../shared/standard")
    text = part_8.read_text(encoding="utf-8").replace("\u200b", "")
    start = text.index(
        "State Transition Table", text.index("9.2.3 DICOM Upper Layer", text.index("Table 9-9. Ass"))
    )
    table = text[start : text.index("9.3 DICOM Upper Layer Protocol", start)]
    rows = [found for line in table.splitlines() if (found := re.findall(r"\b(?:AE|DT|AR|AA)-\d+", line))]
    ours = [[TABLE[s, event].name for s in State if (s, event) in TABLE] for event in Event]
    assert rows == ours


def test_the_markdown_holds_every_state_event_and_action() -> None:
    text = as_markdown()
    for state in State:
        assert f"| Sta{int(state)} | {state.text} |" in text
    for event in Event:
        assert f"| {event.text} |" in text
    for name in ACTIONS:
        assert f"| {name} |" in text
    assert "AE-6 → Sta3 or Sta13" in text


def test_effects_agree_with_the_words_of_the_standard() -> None:
    """Tables 9-6 to 9-9, the points on which an implementation can go wrong."""
    starting = {name for name, action in ACTIONS.items() if Effect.START_ARTIM in action.effects}
    assert starting == {"AE-5", "AE-8", "AR-4", "AA-1", "AA-8"}
    stopping = {name for name, action in ACTIONS.items() if Effect.STOP_ARTIM in action.effects}
    assert stopping == {"AE-6", "AR-5", "AA-2", "AA-5"}
    closing = {name for name, action in ACTIONS.items() if Effect.CLOSE_TRANSPORT in action.effects}
    assert closing == {"AE-4", "AR-3", "AA-2", "AA-3"}
    aborting = {name for name, action in ACTIONS.items() if Effect.SEND_ABORT in action.effects}
    assert aborting == {"AA-1", "AA-7", "AA-8"}


# The association against the table

_P_DATA = PDataTF((PresentationDataValue(ECHO_ID, True, True, message.encode_command(message.c_echo_rq(9))),))
_RECEIVED = {
    Event.ASSOCIATE_AC: AssociateAC(
        "GANTRY", "CALLER", (PresentationContextAC(1, 0, "1.2.840.10008.1.2"),)
    ).encode(),
    Event.ASSOCIATE_RJ: AssociateRJ(1, 1, 1).encode(),
    Event.ASSOCIATE_RQ: parameters().request().encode(),
    Event.P_DATA_TF: _P_DATA.encode(),
    Event.RELEASE_RQ: ReleaseRQ().encode(),
    Event.RELEASE_RP: ReleaseRP().encode(),
    Event.ABORT: Abort(0, 0).encode(),
    Event.INVALID_PDU: b"\x09\0\0\0\0\x04\0\0\0\0",
}


def _put_into(state: State, role: Role) -> Association:
    """An association in this state, with an operation of the peer unanswered where it is established."""
    if state == State.STA2:
        return acceptor(automatic=False)
    asking, answering = associated()
    ours, peer = (asking, answering) if role is Role.REQUESTOR else (answering, asking)
    peer.send_message(ECHO_ID, message.c_echo_rq(1))
    ours.receive(output(peer), 0.0)
    output(ours)
    ours.state = state
    return ours


def _expected(state: State, event: Event, role: Role) -> int:
    """Where the table leads, with the answers that an association gives by itself."""
    following = TABLE[state, event].next_states
    reached = following[-1 if role is Role.ACCEPTOR and event is Event.RELEASE_RQ else 0]
    if reached in (State.STA9, State.STA12):
        reached = TABLE[reached, Event.RELEASE_RESPONSE].next_state
    return int(reached)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("event", list(_RECEIVED))
@pytest.mark.parametrize("state", [s for s in State if s not in (State.STA1, State.STA4)])
def test_an_association_goes_where_the_table_leads(state: State, event: Event, role: Role) -> None:
    association = _put_into(state, role)
    association.receive(_RECEIVED[event], 1.0)
    assert association.state == _expected(state, event, role)
    assert association.closed == (association.state == State.STA1)
    aborts = [pdu for pdu in pdus(output(association)) if isinstance(pdu, Abort)]
    assert len(aborts) == (Effect.SEND_ABORT in TABLE[state, event].effects)


@pytest.mark.parametrize("event", list(_RECEIVED))
def test_what_comes_after_the_end_is_ignored(event: Event) -> None:
    association = acceptor()
    association.eof(0.0)
    assert association.receive(_RECEIVED[event], 1.0) == []
    assert output(association) == b""


@pytest.mark.parametrize("state", State)
def test_a_lost_connection_ends_every_state(state: State) -> None:
    association = _put_into(state, Role.ACCEPTOR)
    association.eof(1.0)
    assert association.closed
    assert association.state == State.STA1
    assert association.next_deadline() is None


@pytest.mark.parametrize("state", State)
def test_an_abort_of_ours_ends_every_state(state: State) -> None:
    association = _put_into(state, Role.ACCEPTOR)
    association.abort()
    listed = TABLE.get((state, Event.ABORT_REQUEST))
    wanted = State.STA13 if state is State.STA13 else State.STA1 if listed is None else listed.next_state
    assert association.state == wanted
    sent = pdus(output(association))
    assert sent == ([Abort(0, 0)] if listed is not None and listed.name == "AA-1" else [])


_LOCAL = {
    Event.RELEASE_REQUEST: lambda a: a.release(),
    Event.P_DATA_REQUEST: lambda a: a.send_message(CT_ID, message.c_echo_rq(3)),
    Event.ASSOCIATE_ACCEPT: lambda a: a.accept(AssociateAC("A", "B", ())),
    Event.ASSOCIATE_REJECT: lambda a: a.reject(AssociateRJ(1, 1, 1)),
}


@pytest.mark.parametrize("event", list(_LOCAL))
@pytest.mark.parametrize("state", [s for s in State if s is not State.STA2])
def test_what_the_table_does_not_list_cannot_be_asked_for(state: State, event: Event) -> None:
    association = _put_into(state, Role.ACCEPTOR)
    action = TABLE.get((state, event))
    if action is None:
        with pytest.raises(CallerError, match="not while"):
            _LOCAL[event](association)
        assert association.state == state
    else:
        _LOCAL[event](association)
        assert association.state == action.next_state


def test_an_association_cannot_be_asked_for_twice_nor_by_the_acceptor() -> None:
    with pytest.raises(CallerError):
        requestor().request_association()
    with pytest.raises(CallerError):
        acceptor().request_association()
    with pytest.raises(CallerError):
        Association(Role.REQUESTOR, AcceptorPolicy(), 0.0)
