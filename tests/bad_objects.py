"""Objects and Identifiers that are wrong, in messages that are right (B29 to B52, B71 to B73)."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

from msgspec.structs import replace

import dataset_bytes as raw
from bad_input import BODY, MB, NAME, PATIENT_ID, UID, BadInput, elements, into
from gantry.client import sync
from gantry.dimse.message import CommandField, c_cancel_rq, c_find_rq, c_get_rq, c_move_rq, c_store_rq
from gantry.dimse.negotiation import ProposedContext
from gantry.errors import GantryError
from gantry.standard import sop_classes as sop
from gantry.standard.query_keys import Level
from gantry_process import Gantry
from raw_peer import CT, EXPLICIT, IMPLICIT, RawPeer
from serving import MR, ROOT, dataset, dataset_bytes, part10

CASES: list[BadInput] = []
case = into(CASES)

DEFLATED = "1.2.840.10008.1.2.1.99"


def stored(
    server: Gantry, body: bytes, *, uid: str = UID, syntax: str = EXPLICIT, sop_class: str = CT
) -> int:
    """The status of a C-STORE of a Data Set; the association must go on after it."""
    contexts = (ProposedContext(sop.VERIFICATION, (IMPLICIT,)), ProposedContext(sop_class, (syntax,)))
    with RawPeer(server.dicom, contexts=contexts) as peer:
        peer.associate()
        peer.send(peer.store_bytes(body, uid, sop_class_uid=sop_class))
        status = peer.status()
        peer.send(peer.echo_bytes(2))
        assert peer.status() == 0
        peer.association.release()
        peer.send(peer.output())
        assert peer.is_closed()
    return status


def is_cannot_understand(status: int) -> bool:
    return status & 0xF000 == 0xC000


@case
def b29_another_uid_than_announced(server: Gantry) -> None:
    assert stored(server, BODY, uid="1.2.3.4") == 0xA900


@case
def b30_another_class_than_the_context(server: Gantry) -> None:
    body = dataset_bytes(part10(dataset(1, study=4711, sop_class=MR, PatientName=NAME)))
    assert stored(server, body) == 0xA900


@case
def b31_no_uid(server: Gantry) -> None:
    for name in ("study", "series", "sop", "sop_class"):
        assert is_cannot_understand(stored(server, elements(**{name: None})))
        assert is_cannot_understand(stored(server, elements(**{name: b""})))


@case
def b32_a_uid_of_65_characters_and_letters(server: Gantry) -> None:
    for uid in ("1" * 65, "1.2.x", "1.2 .3", "1.2.\xb2"):
        assert stored(server, elements(sop=uid.encode("latin-1")), uid=uid[:64]) == 0xA900


@case
def b33_a_uid_that_is_a_path(server: Gantry) -> None:
    for uid in ("../../etc/passwd", "..\\..\\x", "/abs", "%2e%2e", "1.2\0/../x"):
        for name in ("study", "series", "sop"):
            assert stored(server, elements(**{name: uid.encode()})) == 0xA900
        assert stored(server, elements(), uid=uid) == 0xA900


@case
def b38_a_name_of_two_megabytes(server: Gantry) -> None:
    values = [
        (0x00080016, CT.encode() + b"\0"),
        (0x00080018, UID.encode()),
        (raw.PATIENT_NAME, NAME.encode() * 150_000),
        (0x0020000D, f"{ROOT}.4711".encode() + b"\0"),
        (0x0020000E, f"{ROOT}.4711.1".encode() + b"\0"),
    ]
    body = b"".join(raw.implicit(tag, value + b"\0" * (len(value) % 2)) for tag, value in values)
    assert stored(server, body, syntax=IMPLICIT) == 0xA900


@case
def b40_too_deep(server: Gantry) -> None:
    for depth in (65, 500, 10_000):
        assert is_cannot_understand(stored(server, elements() + raw.nested(depth)))


@case
def b41_more_than_a_million_items(server: Gantry) -> None:
    items = raw.long(raw.CONTENT, "SQ", raw.item(b"") * 1_000_001)
    assert is_cannot_understand(stored(server, elements() + items))


@case
def b42_no_end_and_too_many_ends(server: Gantry) -> None:
    endless = raw.long(raw.CONTENT, "SQ", raw.item(b""), raw.UNDEFINED)
    for body in (elements() + endless, elements() + raw.end_of_sequence()):
        assert is_cannot_understand(stored(server, body))


@case
def b43_a_value_of_four_gigabytes_of_which_three_bytes_came(server: Gantry) -> None:
    body = elements() + raw.long(raw.PIXEL_DATA, "OW", b"abc", 0xFFFFFFFE)
    assert is_cannot_understand(stored(server, body))


@case
def b43_a_data_set_cut_anywhere(server: Gantry) -> None:
    for end in range(1, len(BODY) - 1, 37):
        assert is_cannot_understand(stored(server, BODY[:end]))


@case
def b46_meta_information_in_the_data_set(server: Gantry) -> None:
    body = raw.short(0x00020010, "UI", EXPLICIT.encode() + b"\0") + elements()
    assert is_cannot_understand(stored(server, body))


@case
def b50_another_syntax_than_agreed(server: Gantry) -> None:
    assert is_cannot_understand(stored(server, BODY, syntax=IMPLICIT))


@case
def b51_deflated_and_broken(server: Gantry) -> None:
    assert is_cannot_understand(stored(server, b"\x03\xff\xff" + bytes(100), syntax=DEFLATED))
    assert is_cannot_understand(stored(server, _deflated(BODY)[:-20], syntax=DEFLATED))


@case
def b52_a_deflate_bomb(server: Gantry) -> None:
    bomb = _deflated(elements() + raw.long(raw.PIXEL_DATA, "OW", bytes(200 * MB)))
    assert len(bomb) < MB
    assert is_cannot_understand(stored(server, bomb, syntax=DEFLATED))


def _deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


# Queries and retrieval

FIND_CONTEXTS = (ProposedContext(sop.STUDY_ROOT_FIND, (EXPLICIT,)),)
ECHO = replace(c_store_rq(1, sop.VERIFICATION, ""), field=CommandField.C_ECHO_RQ, sop_instance_uid=None, priority=None, has_dataset=False)  # fmt: skip


def asked(server: Gantry, keys: bytes, service: str = sop.STUDY_ROOT_FIND) -> int:
    """The status of the first answer to a C-FIND, C-GET or C-MOVE."""
    command = {
        sop.STUDY_ROOT_FIND: c_find_rq(1, service),
        sop.STUDY_ROOT_GET: c_get_rq(1, service),
        sop.STUDY_ROOT_MOVE: c_move_rq(1, service, "NOBODY"),
    }[service]
    with RawPeer(server.dicom, contexts=(ProposedContext(service, (EXPLICIT,)),)) as peer:
        peer.associate()
        peer.send(peer.message(1, command, keys))
        return peer.status()


def keys(*more: bytes, level: bytes = b"STUDY ") -> bytes:
    return raw.short(0x00080052, "CS", level) + b"".join(more)


@case
def b71_keys_that_are_hard_or_broken(server: Gantry) -> None:
    name = raw.short(raw.PATIENT_NAME, "PN", b"CANARY" + b"*a" * 20)
    assert asked(server, keys(name)) in (0xA700, 0xC000)
    for date in (b"- ", b"99999999", b"20200101-2019010"):
        assert asked(server, raw.short(0x00080020, "DA", date) + keys()) in (0xA900, 0xC000)
    assert is_cannot_understand(asked(server, keys(raw.nested(100))))


@case
def b71_a_query_that_is_no_data_set(server: Gantry) -> None:
    assert asked(server, b"CANARY" * 3) >= 0xA700


@case
def b72_a_level_that_there_is_not(server: Gantry) -> None:
    assert asked(server, keys(level=b"PLANET")) == 0xA900
    assert asked(server, raw.short(raw.PATIENT_NAME, "PN", NAME.encode())) == 0xA900
    assert asked(server, keys(), sop.STUDY_ROOT_GET) == 0xA900


@case
def b73_a_destination_that_nobody_knows(server: Gantry) -> None:
    uid = raw.short(0x0020000D, "UI", b"1.2.3\0")
    assert asked(server, keys(uid), sop.STUDY_ROOT_MOVE) == 0xA801


@case
def b25_a_cancel_of_nothing(server: Gantry) -> None:
    with RawPeer(
        server.dicom, contexts=(*FIND_CONTEXTS, ProposedContext(sop.VERIFICATION, (IMPLICIT,)))
    ) as peer:
        peer.associate()
        peer.send(peer.message(1, c_cancel_rq(77)) + peer.message(3, replace(ECHO, message_id=2)))
        assert peer.status() == 0


@case
def a_search_for_somebody_who_is_not_here(server: Gantry) -> None:
    """No bad input, but what it names must not be logged either."""
    with contextlib.suppress(GantryError):
        assert sync.find(server.peer, Level.STUDY, {"PatientName": NAME, "PatientID": PATIENT_ID}) == []


def by_name() -> Iterator[tuple[str, BadInput]]:
    return ((one.name, one) for one in CASES)
