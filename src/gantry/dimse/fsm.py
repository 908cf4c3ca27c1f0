"""The Upper Layer state machine of PS3.8 9.2 as data: 13 states, 19 events, 28 actions.

`TABLE` is Table 9-10: (state, event) → action; a pair that is not in it cannot happen, or must not be
asked for. `ACTIONS` is Tables 9-6 to 9-9: what an action does, as a sequence of `Effect`, and the state it
leads to. `association` runs the effects; nothing about the protocol's order is written anywhere else.

AE-6 and AR-8 lead to one of two states. Both take the first unless the condition told with `second` holds:
AE-6 when the service-provider refuses the request, AR-8 when we are the association acceptor.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final


class State(IntEnum):
    """PS3.8 Tables 9-1 to 9-5. `text` is the definition."""

    text: str

    def __new__(cls, number: int, text: str) -> State:
        member = int.__new__(cls, number)
        member._value_ = number
        member.text = text
        return member

    STA1 = 1, "Idle"
    STA2 = 2, "Transport connection open, awaiting A-ASSOCIATE-RQ"
    STA3 = 3, "Awaiting local A-ASSOCIATE response"
    STA4 = 4, "Awaiting transport connection opening to complete"
    STA5 = 5, "Awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ"
    STA6 = 6, "Association established, ready for data transfer"
    STA7 = 7, "Awaiting A-RELEASE-RP"
    STA8 = 8, "Awaiting local A-RELEASE response"
    STA9 = 9, "Release collision, requestor: awaiting local A-RELEASE response"
    STA10 = 10, "Release collision, acceptor: awaiting A-RELEASE-RP"
    STA11 = 11, "Release collision, requestor: awaiting A-RELEASE-RP"
    STA12 = 12, "Release collision, acceptor: awaiting local A-RELEASE response"
    STA13 = 13, "Awaiting transport connection close"


class Event(IntEnum):
    """PS3.8 Table 9-10, first column. `text` is the row's name."""

    text: str

    def __new__(cls, number: int, text: str) -> Event:
        member = int.__new__(cls, number)
        member._value_ = number
        member.text = text
        return member

    ASSOCIATE_REQUEST = 1, "A-ASSOCIATE request (local user)"
    TRANSPORT_CONFIRM = 2, "Transport connection confirm (local transport)"
    ASSOCIATE_AC = 3, "A-ASSOCIATE-AC received"
    ASSOCIATE_RJ = 4, "A-ASSOCIATE-RJ received"
    TRANSPORT_INDICATION = 5, "Transport connection indication (local transport)"
    ASSOCIATE_RQ = 6, "A-ASSOCIATE-RQ received"
    ASSOCIATE_ACCEPT = 7, "A-ASSOCIATE response, accept (local user)"
    ASSOCIATE_REJECT = 8, "A-ASSOCIATE response, reject (local user)"
    P_DATA_REQUEST = 9, "P-DATA request (local user)"
    P_DATA_TF = 10, "P-DATA-TF received"
    RELEASE_REQUEST = 11, "A-RELEASE request (local user)"
    RELEASE_RQ = 12, "A-RELEASE-RQ received"
    RELEASE_RP = 13, "A-RELEASE-RP received"
    RELEASE_RESPONSE = 14, "A-RELEASE response (local user)"
    ABORT_REQUEST = 15, "A-ABORT request (local user)"
    ABORT = 16, "A-ABORT received"
    TRANSPORT_CLOSED = 17, "Transport connection closed"
    ARTIM_EXPIRED = 18, "ARTIM timer expired"
    INVALID_PDU = 19, "Unrecognized or invalid PDU received"


class Effect(Enum):
    """The steps of which actions are made. `text` is what happens."""

    OPEN_TRANSPORT = "open the transport connection"
    SEND_RQ = "send A-ASSOCIATE-RQ"
    SEND_AC = "send A-ASSOCIATE-AC"
    SEND_RJ = "send A-ASSOCIATE-RJ"
    SEND_P_DATA = "send P-DATA-TF"
    SEND_RELEASE_RQ = "send A-RELEASE-RQ"
    SEND_RELEASE_RP = "send A-RELEASE-RP"
    SEND_ABORT = "send A-ABORT"
    TELL_REQUESTED = "indicate A-ASSOCIATE"
    TELL_ACCEPTED = "confirm A-ASSOCIATE (accept)"
    TELL_REJECTED = "confirm A-ASSOCIATE (reject)"
    TELL_P_DATA = "indicate P-DATA"
    TELL_RELEASE_REQUESTED = "indicate A-RELEASE"
    TELL_RELEASED = "confirm A-RELEASE"
    TELL_ABORTED = "indicate A-ABORT or A-P-ABORT"
    START_ARTIM = "start ARTIM"
    STOP_ARTIM = "stop ARTIM"
    CLOSE_TRANSPORT = "close the transport connection"

    @property
    def text(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Action:
    """One action of PS3.8 9.2.2; `second` are effects and state of the other branch, where there is one."""

    name: str
    effects: tuple[Effect, ...]
    next_state: State
    second: tuple[tuple[Effect, ...], State] | None = None

    @property
    def next_states(self) -> tuple[State, ...]:
        """The states to which this action can lead."""
        return (self.next_state,) if self.second is None else (self.next_state, self.second[1])


def _actions() -> dict[str, Action]:
    e, s = Effect, State
    abort_wait = (e.SEND_ABORT, e.START_ARTIM)
    listed = (
        Action("AE-1", (e.OPEN_TRANSPORT,), s.STA4),
        Action("AE-2", (e.SEND_RQ,), s.STA5),
        Action("AE-3", (e.TELL_ACCEPTED,), s.STA6),
        Action("AE-4", (e.TELL_REJECTED, e.CLOSE_TRANSPORT), s.STA1),
        Action("AE-5", (e.START_ARTIM,), s.STA2),
        Action(
            "AE-6",
            (e.STOP_ARTIM, e.TELL_REQUESTED),
            s.STA3,
            ((e.STOP_ARTIM, e.SEND_RJ, e.START_ARTIM), s.STA13),
        ),
        Action("AE-7", (e.SEND_AC,), s.STA6),
        Action("AE-8", (e.SEND_RJ, e.START_ARTIM), s.STA13),
        Action("DT-1", (e.SEND_P_DATA,), s.STA6),
        Action("DT-2", (e.TELL_P_DATA,), s.STA6),
        Action("AR-1", (e.SEND_RELEASE_RQ,), s.STA7),
        Action("AR-2", (e.TELL_RELEASE_REQUESTED,), s.STA8),
        Action("AR-3", (e.TELL_RELEASED, e.CLOSE_TRANSPORT), s.STA1),
        Action("AR-4", (e.SEND_RELEASE_RP, e.START_ARTIM), s.STA13),
        Action("AR-5", (e.STOP_ARTIM,), s.STA1),
        Action("AR-6", (e.TELL_P_DATA,), s.STA7),
        Action("AR-7", (e.SEND_P_DATA,), s.STA8),
        Action("AR-8", (e.TELL_RELEASE_REQUESTED,), s.STA9, ((e.TELL_RELEASE_REQUESTED,), s.STA10)),
        Action("AR-9", (e.SEND_RELEASE_RP,), s.STA11),
        Action("AR-10", (e.TELL_RELEASED,), s.STA12),
        Action("AA-1", abort_wait, s.STA13),
        Action("AA-2", (e.STOP_ARTIM, e.CLOSE_TRANSPORT), s.STA1),
        Action("AA-3", (e.TELL_ABORTED, e.CLOSE_TRANSPORT), s.STA1),
        Action("AA-4", (e.TELL_ABORTED,), s.STA1),
        Action("AA-5", (e.STOP_ARTIM,), s.STA1),
        Action("AA-6", (), s.STA13),
        Action("AA-7", (e.SEND_ABORT,), s.STA13),
        Action("AA-8", (e.SEND_ABORT, e.TELL_ABORTED, e.START_ARTIM), s.STA13),
    )
    return {action.name: action for action in listed}


ACTIONS: Final = _actions()

# One row per event, one column per state from Sta1 to Sta13, as in Table 9-10.
_GRID: Final = """
ASSOCIATE_REQUEST    AE-1 -    -    -    -    -    -    -    -    -     -    -    -
TRANSPORT_CONFIRM    -    -    -    AE-2 -    -    -    -    -    -     -    -    -
ASSOCIATE_AC         -    AA-1 AA-8 -    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
ASSOCIATE_RJ         -    AA-1 AA-8 -    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
TRANSPORT_INDICATION AE-5 -    -    -    -    -    -    -    -    -     -    -    -
ASSOCIATE_RQ         -    AE-6 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
ASSOCIATE_ACCEPT     -    -    AE-7 -    -    -    -    -    -    -     -    -    -
ASSOCIATE_REJECT     -    -    AE-8 -    -    -    -    -    -    -     -    -    -
P_DATA_REQUEST       -    -    -    -    -    DT-1 -    AR-7 -    -     -    -    -
P_DATA_TF            -    AA-1 AA-8 -    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
RELEASE_REQUEST      -    -    -    -    -    AR-1 -    -    -    -     -    -    -
RELEASE_RQ           -    AA-1 AA-8 -    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
RELEASE_RP           -    AA-1 AA-8 -    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6
RELEASE_RESPONSE     -    -    -    -    -    -    -    AR-4 AR-9 -     -    AR-4 -
ABORT_REQUEST        -    -    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 -
ABORT                -    AA-2 AA-3 -    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2
TRANSPORT_CLOSED     -    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5
ARTIM_EXPIRED        -    AA-2 -    -    -    -    -    -    -    -     -    -    AA-2
INVALID_PDU          -    AA-1 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
"""


def _table() -> dict[tuple[State, Event], Action]:
    table: dict[tuple[State, Event], Action] = {}
    for line in _GRID.strip().splitlines():
        event, *cells = line.split()
        for state, name in zip(State, cells, strict=True):
            if name != "-":
                table[state, Event[event]] = ACTIONS[name]
    return table


TABLE: Final = _table()


def as_markdown() -> str:
    """Table 9-10 with its actions spelled out, for the documentation."""
    head = "| Event | " + " | ".join(f"Sta{state}" for state in State) + " |"
    rows = [head, "|---" * (len(State) + 1) + "|"]
    for event in Event:
        cells = [TABLE.get((state, event)) for state in State]
        rows.append(f"| {event.text} | " + " | ".join(_cell(action) for action in cells) + " |")
    rows += ["", "| State | Meaning |", "|---|---|"]
    rows += [f"| Sta{state} | {state.text} |" for state in State]
    rows += ["", "| Action | Effects | Next state |", "|---|---|---|"]
    rows += [
        f"| {action.name} | {_effects(action)} | {_next_states(action)} |" for action in ACTIONS.values()
    ]
    return "\n".join(rows) + "\n"


def _cell(action: Action | None) -> str:
    return "" if action is None else f"{action.name} → {_next_states(action)}"


def _next_states(action: Action) -> str:
    return " or ".join(f"Sta{state}" for state in action.next_states)


def _effects(action: Action) -> str:
    first = ", ".join(effect.text for effect in action.effects) or "none"
    if action.second is None or action.second[0] == action.effects:
        return first
    return f"{first}; or {', '.join(effect.text for effect in action.second[0])}"
