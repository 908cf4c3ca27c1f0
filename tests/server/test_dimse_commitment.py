"""Storage commitment SCP: durable before it is acknowledged, whole before it is promised, told until heard (N8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commitment_scu import PUSH, PUSH_INSTANCE, Pair, Scu, ask
from dcmtk import free_port
from gantry.archive.commitment import requests
from gantry.dataset.encode import encode
from gantry.dimse.events import CommandReceived, MessageComplete
from gantry.dimse.limits import MAX_IDENTIFIER_BYTES
from gantry.dimse.message import n_action_rq, n_event_report_rq, response
from gantry.dimse.negotiation import ProposedContext
from gantry.dimse.user_information import RoleSelection
from gantry.settings import Address
from gantry.standard.transfer_syntaxes import transfer_syntax
from raw_peer import EXPLICIT, RawPeer
from serving import CT, MR, ROOT, Served, dataset, part10, served

UNKNOWN = (CT, f"{ROOT}.9.9.9")


def kept(running: Served, count: int = 3, **attributes: Any) -> list[Pair]:
    """Objects that are stored, as an SCU refers to them."""
    made = [dataset(number, **attributes) for number in range(1, count + 1)]
    for ds in made:
        running.archive.store([part10(ds)])
    return [(str(ds.SOPClassUID), str(ds.SOPInstanceUID)) for ds in made]


def flip(running: Served, pair: Pair) -> None:
    """Turn one bit of an object's file."""
    (location,) = running.archive.locate(sop_uid=pair[1])
    path = running.archive.real_path(location)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.fixture
def gantry(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "data") as running:
        yield running


def test_what_is_whole_is_committed_on_the_association_of_the_request(gantry: Served) -> None:
    pairs, scu = kept(gantry), Scu()
    with scu.associated(gantry.port) as association:
        status, transaction = ask(association, pairs)
        assert status == 0
        (told,) = scu.wait_for(transaction)
    assert (told.event, told.committed, told.failed) == (1, frozenset(pairs), {})
    assert told.retrieve_aet == "GANTRY"
    gantry.wait_until(lambda: gantry.archive.commitments.count == 0)


def test_b76_each_instance_has_its_own_reason(gantry: Served) -> None:
    good, bad, wrong, deleted = kept(gantry, 4)
    flip(gantry, bad)
    gantry.archive.delete(f"{ROOT}.1", f"{ROOT}.1.1", deleted[1])
    scu, of_wrong_class = Scu(), (MR, wrong[1])
    with scu.associated(gantry.port) as association:
        _, transaction = ask(association, [good, bad, of_wrong_class, deleted, UNKNOWN])
        (told,) = scu.wait_for(transaction)
    assert told.event == 2
    assert told.committed == {good}
    assert told.failed == {bad: 0x0110, of_wrong_class: 0x0119, deleted: 0x0112, UNKNOWN: 0x0112}


def test_what_lies_elsewhere_is_not_in_our_keeping(gantry: Served, tmp_path: Path) -> None:
    ds = dataset(7)
    path = tmp_path / "elsewhere.dcm"
    path.write_bytes(part10(ds))
    gantry.archive.reference(path)
    pair, scu = (CT, str(ds.SOPInstanceUID)), Scu()
    with scu.associated(gantry.port) as association:
        _, transaction = ask(association, [pair])
        (told,) = scu.wait_for(transaction)
    assert told.failed == {pair: 0x0110}


def test_an_instance_of_two_studies_is_committed_where_both_are_whole(gantry: Served) -> None:
    ds = dataset(1)
    gantry.archive.store([part10(ds)])
    ds.StudyInstanceUID = f"{ROOT}.77"
    gantry.archive.store([part10(ds)])
    pair, scu = (CT, str(ds.SOPInstanceUID)), Scu()
    assert len(gantry.archive.locate(sop_uid=pair[1])) == 2
    with scu.associated(gantry.port) as association:
        _, transaction = ask(association, [pair])
        assert scu.wait_for(transaction)[0].committed == {pair}
        (other,) = gantry.archive.locate(f"{ROOT}.77")
        path = gantry.archive.real_path(other)
        assert path is not None
        path.write_bytes(path.read_bytes()[:-2])
        _, transaction = ask(association, [pair])
        assert scu.wait_for(transaction)[0].failed == {pair: 0x0110}


def test_a_transaction_uid_is_good_once(gantry: Served) -> None:
    pairs, scu = kept(gantry), Scu()
    with scu.associated(gantry.port) as association:
        _, transaction = ask(association, pairs)
        scu.wait_for(transaction)
        gantry.wait_until(lambda: gantry.archive.commitments.count == 0)
        status, _ = ask(association, pairs, transaction)
        assert status == 0
        first, second = scu.wait_for(transaction, count=2)
    assert first.committed == frozenset(pairs)
    assert (second.event, second.committed) == (2, frozenset())
    assert second.failed == dict.fromkeys(pairs, 0x0131)


@pytest.mark.parametrize("finished", [True, False])
def test_n08_a_transaction_uid_is_good_once_also_after_a_restart(tmp_path: Path, finished: bool) -> None:
    scu = Scu()
    with served(tmp_path / "data") as gantry:
        pairs = kept(gantry)
        with scu.associated(gantry.port) as association:
            _, transaction = ask(association, pairs)
            if finished:
                scu.wait_for(transaction)
    with served(tmp_path / "data") as gantry, scu.associated(gantry.port) as association:
        ask(association, pairs, transaction)
        told = scu.wait_for(transaction, count=2)
    assert sorted(told, key=lambda one: one.event)[1].failed == dict.fromkeys(pairs, 0x0131)


def test_who_left_is_called_back_in_the_role_of_the_user(tmp_path: Path) -> None:
    scu = Scu()
    with scu.listening() as port:
        peers = {scu.aet: Address("127.0.0.1", port)}
        with served(tmp_path / "data", remote_aes=peers) as gantry:
            pairs = kept(gantry)
            with scu.associated(gantry.port) as association:
                status, transaction = ask(association, pairs)
                association.abort()
            assert status == 0
            (told,) = scu.wait_for(transaction)
    assert told.committed == frozenset(pairs)
    # Told on the association before it ended, or called back: then as the user, not the provider
    assert scu.roles in ([], [(True, False)])


def test_who_is_away_is_tried_until_there(tmp_path: Path) -> None:
    scu, port = Scu(), free_port()
    peers = {scu.aet: Address("127.0.0.1", port)}
    with served(tmp_path / "data", remote_aes=peers) as gantry:
        scu.status = 0x0110  # to be told on this association is refused
        with scu.associated(gantry.port) as association:
            _, transaction = ask(association, kept(gantry))
            scu.wait_for(transaction)
        gantry.wait_until(lambda: not gantry.archive.commitments.due())
        assert gantry.archive.commitments.count == 1
        scu.status = 0
        with scu.listening(port):
            told = scu.wait_for(transaction, count=len(scu.reports) + 1)
        assert told[-1] == told[0]
        assert scu.roles == [(True, False)]
        gantry.wait_until(lambda: gantry.archive.commitments.count == 0)


def test_who_is_no_peer_is_told_when_it_asks_again(tmp_path: Path) -> None:
    scu = Scu()
    with served(tmp_path / "data") as gantry:
        pairs = kept(gantry)
        scu.status = 0x0110
        with scu.associated(gantry.port) as association:
            _, first = ask(association, pairs)
            scu.wait_for(first)
        scu.status = 0
        before = len(scu.reports)
        with scu.associated(gantry.port) as association:
            _, second = ask(association, pairs)
            scu.wait_for(second)
            scu.wait_for(first, count=before + 1)
        gantry.wait_until(lambda: gantry.archive.commitments.count == 0)


# Refused at once


def refusal(running: Served, references: list[Pair], **asked: Any) -> int:
    with Scu().associated(running.port) as association:
        return ask(association, references, **asked)[0]


def test_what_is_no_request_is_refused(gantry: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(gantry, [UNKNOWN], action=2) == 0x0123
    assert refusal(gantry, [UNKNOWN], instance="1.2.3") == 0x0112
    assert refusal(gantry, []) == 0x0115
    assert refusal(gantry, [UNKNOWN], TransactionUID=None) == 0x0115
    assert refusal(gantry, [(CT, "")]) == 0x0115
    assert refusal(gantry, [("", UNKNOWN[1])]) == 0x0115
    monkeypatch.setattr("gantry.server.commitment_scp.MAX_REFERENCES", 2)
    assert refusal(gantry, [UNKNOWN] * 3) == 0x0213
    assert gantry.archive.commitments.count == 0


@pytest.mark.parametrize("limit", ["MAX_OPEN", "MAX_OPEN_PER_AE"])
def test_a_queue_that_is_full_refuses(gantry: Served, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, limit, 1)
    scu = Scu(status=0x0110)
    with scu.associated(gantry.port) as association:
        status, transaction = ask(association, [UNKNOWN])
        assert status == 0
        scu.wait_for(transaction)
        assert ask(association, [UNKNOWN])[0] == 0x0213
    other = Scu("OTHER")
    with other.associated(gantry.port) as association:
        assert ask(association, [UNKNOWN])[0] == (0x0213 if limit == "MAX_OPEN" else 0)


def test_no_room_refuses(tmp_path: Path) -> None:
    with served(tmp_path / "data", reserve_bytes=1 << 60) as gantry:
        assert refusal(gantry, [UNKNOWN]) == 0x0213


@pytest.mark.parametrize(
    "information",
    [
        b"",
        b"\x08\x00\x95\x11UI\xff\x00" + b"1" * 8,
        bytes(64),
        b"\x08\x00\x99\x11SQ\x00\x00\xff\xff\xff\xff" * 200,
    ],
    ids=["none", "cut", "zeros", "nested"],
)
def test_b22_information_that_cannot_be_read_is_refused(gantry: Served, information: bytes) -> None:
    with RawPeer(gantry.port, contexts=[ProposedContext(PUSH, (EXPLICIT,))]) as peer:
        peer.associate()
        command = n_action_rq(1, PUSH, PUSH_INSTANCE, 1, has_dataset=bool(information))
        peer.send(peer.message(1, command, information or None))
        assert peer.status() == 0x0115
        # and the association goes on
        peer.send(peer.message(1, n_action_rq(2, PUSH, "1.2.3", 1)))
        assert peer.status() == 0x0112


def test_b26_information_that_does_not_end_is_cut(gantry: Served) -> None:
    with RawPeer(gantry.port, contexts=[ProposedContext(PUSH, (EXPLICIT,))]) as peer:
        peer.associate()
        command = n_action_rq(1, PUSH, PUSH_INSTANCE, 1, has_dataset=True)
        peer.send(peer.message(1, command, bytes(MAX_IDENTIFIER_BYTES + 2)))
        assert "Identifier of more than" in peer.aborted().text or peer.is_closed()
    assert gantry.archive.commitments.count == 0


def test_who_calls_is_the_user_whatever_it_proposes(gantry: Served) -> None:
    """PS3.7 D.3.3.4: we are no user of storage commitment on associations of others."""
    role = RoleSelection(PUSH, scu=True, scp=True)
    with RawPeer(gantry.port, contexts=[ProposedContext(PUSH, (EXPLICIT,))], roles=(role,)) as peer:
        context = peer.associate().contexts[1]
        assert (context.we_are_scu, context.we_are_scp) == (True, False)
        peer.send(peer.message(1, n_event_report_rq(1, PUSH, PUSH_INSTANCE, 1)))
        assert peer.status() == 0x0211


def test_metrics_say_how_many_wait(gantry: Served) -> None:
    _, waiting = gantry.server._services.metrics.gauges["gantry_commitments_open"]
    assert waiting() == 0
    with Scu(status=0x0110).associated(gantry.port) as association:
        ask(association, [UNKNOWN])
        assert waiting() == 1


def test_b76_a_hundred_thousand_unknown_instances_hold_nobody_up(gantry: Served) -> None:
    references = [
        {
            "00081150": {"vr": "UI", "Value": [CT]},
            "00081155": {"vr": "UI", "Value": [f"{ROOT}.5.{number}"]},
        }
        for number in range(requests.MAX_REFERENCES)
    ]
    model = {
        "00081195": {"vr": "UI", "Value": ["1.2.3.4"]},
        "00081199": {"vr": "SQ", "Value": references},
    }
    information = encode(model, transfer_syntax(EXPLICIT))
    with RawPeer(gantry.port, contexts=[ProposedContext(PUSH, (EXPLICIT,))]) as peer:
        peer.associate()
        peer.send(peer.message(1, n_action_rq(1, PUSH, PUSH_INSTANCE, 1, has_dataset=True), information))
        assert peer.status() == 0
        (pair,), scu = kept(gantry, 1), Scu()
        with scu.associated(gantry.port) as association:
            _, transaction = ask(association, [pair])
            assert scu.wait_for(transaction)[0].committed == {pair}
        told = peer.wait_for(CommandReceived, 60).command
        assert told.event_type_id == 2
        peer.wait_for(MessageComplete, 60)
        peer.send(peer.message(1, response(told, 0)))
        gantry.wait_until(lambda: gantry.archive.commitments.count == 0)
