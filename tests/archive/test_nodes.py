"""Several nodes that have one archive open: over a bucket, and over one folder."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from buckets import SMALL, allowed, bucket_url
from committed import asked, decided
from gantry.archive.archive import Archive
from gantry.archive.blobs.files import object_path
from gantry.archive.disk import write_all
from gantry.archive.drafts import NotCurrent
from gantry.archive.edits.model import EditConflict, EditKind, EditRequest, Target
from gantry.archive.index_files import Lead
from gantry.archive.outcome import NewVersion, Outcome, Stored, Unchanged
from gantry.archive.places import Places
from gantry.archive.records import Location
from gantry.errors import Corrupt, SettingsError
from gantry_process import wait_until
from postgres import PostgresServer
from stored_objects import SCANNER, key_of, part10, uid

pytestmark = pytest.mark.peer

Open = Callable[[str], Archive]


@pytest.fixture(params=["bucket", "folder"])
def node(request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path: Path) -> Iterator[Open]:
    """Opens the archive once more, as the node of a name; all are closed at the end."""
    url = postgres.fresh_url()
    with ExitStack() as stack:
        if request.param == "bucket":
            server = request.getfixturevalue("object_store_server")
            stack.enter_context(allowed(server))
            store = bucket_url(server)

            def open_one(name: str) -> Archive:
                return stack.enter_context(Places(tmp_path / name, url, 2, store).open(SMALL))
        else:

            def open_one(name: str) -> Archive:
                return stack.enter_context(Places(tmp_path, url, 2, node=name).open(SMALL))

        yield open_one


def keep(archive: Archive, *numbers: int, comment: str = "") -> Outcome:
    return archive.store([part10(*numbers, comment=comment)], SCANNER)


def well(archive: Archive) -> None:
    assert archive.verify().findings == ()


def test_what_one_node_acknowledged_is_seen_by_all(node: Open) -> None:
    one, two = node("one"), node("two")
    assert isinstance(keep(one, 1, 1, 1), Stored)
    assert two.read(two.locate()[0], check=True) == part10(1, 1, 1)
    assert isinstance(keep(two, 1, 1, 1), Unchanged)
    assert isinstance(keep(two, 1, 1, 1, comment="other"), NewVersion)
    assert one.read(one.locate()[0], check=True) == part10(1, 1, 1, comment="other")
    two.delete(uid(1))
    assert one.locate() == []
    one.restore(uid(1))
    assert [two.read(o) for o in two.locate()] == [part10(1, 1, 1, comment="other")]
    well(two)
    well(one)


def test_n08_a_commitment_of_one_node_is_of_all(node: Open) -> None:
    one, two = node("one"), node("two")
    keep(one, 1, 1, 1)
    path = asked(one, uid(1, 1, 1))
    two.commitments.look()
    assert two.commitments.due() == [path]
    assert two.commitments.claim(path) is None
    assert decided(one, path) == {}
    two.commitments.look()
    assert two.commitments.count == 0
    with pytest.raises(EditConflict, match="storage commitment"):
        two.delete(uid(1))
    assert decided(two, asked(two, uid(1, 1, 1))) == {0: 0x0131}
    keep(two, 1, 1, 2)
    two.delete(uid(1), uid(1, 1), uid(1, 1, 2))
    well(one)


def test_nodes_that_are_sent_the_same_instances_keep_each_version_once(node: Open) -> None:
    """Every node gets every object, in three forms that share their UIDs, all at the same time."""
    nodes = [node(name) for name in ("one", "two", "three")]
    forms = ["", "second", "third"]
    sent = list(itertools.product(nodes, range(1, 7), forms))
    start = threading.Barrier(6)

    def send(part: int) -> list[Outcome]:
        start.wait()
        return [keep(archive, 1, 1, n, comment=form) for archive, n, form in sent[part::6]]

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(itertools.chain(*pool.map(send, range(6))))
    assert {type(one) for one in outcomes} <= {Stored, NewVersion, Unchanged}
    assert sum(isinstance(one, Stored) for one in outcomes) == 6
    first = nodes[0]
    for n in range(1, 7):
        versions = first.versions(key_of(1, 1, n))
        assert [row.number for row in versions] == list(range(1, len(versions) + 1))
        kept = [first.read(row.location, check=True) for row in versions if row.location is not None]
        assert sorted(kept) == sorted(part10(1, 1, n, comment=form) for form in forms)
    for archive in nodes:
        well(archive)


def test_acts_of_all_nodes_have_numbers_of_their_own(node: Open) -> None:
    nodes = [node(name) for name in ("one", "two")]
    for n in range(1, 9):
        keep(nodes[0], n, 1, 1)

    def act(part: int) -> None:
        archive = nodes[part % 2]
        for study in range(part + 1, 9, 4):
            archive.delete(uid(study))
            archive.restore(uid(study))
            target = Target(study=uid(study))
            archive.edit(EditRequest(EditKind.MODIFY, target, "a test", "Ada", {"StudyDescription": "x"}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, range(4)))
    edits = nodes[1].edits()
    assert len({edit.number for edit in edits}) == len(edits) == 3 * 8
    for archive in nodes:
        well(archive)


def test_a_node_hears_of_what_others_do(node: Open) -> None:
    one, two = node("one"), node("two")
    keep(one, 1, 1, 1)
    seen = two.follow()
    assert seen == one.stats().last_change
    before = two.series_metadata(uid(1), uid(1, 1), lambda key, path: "x")
    keep(one, 1, 1, 1, comment="other")
    assert two.follow() == seen + 1
    assert two.wait_for_change(seen, 0) == seen + 1
    after = two.series_metadata(uid(1), uid(1, 1), lambda key, path: "x")
    assert before.tag != after.tag


def test_one_node_leads_and_another_takes_it_when_that_is_gone(node: Open) -> None:
    one, two = node("one"), node("two")
    taken: list[Lead] = []
    lead = one.lead()
    assert lead is not None
    assert lead.lasts
    assert two.lead() is None
    for n in (1, 2):
        keep(one, 1, 1, n)
        keep(two, 2, 1, n)
    one.write_journal()
    lead.end()
    wait_until(lambda: (again := two.lead()) is not None and taken.append(again) is None)
    (again,) = taken
    keep(one, 1, 1, 3)
    two.write_journal()
    again.end()
    rows = [row.at for row in two.index.all_versions()]
    before = list(two.index.canonical_dump())
    two.reindex()
    assert list(two.index.canonical_dump()) == before
    assert [row.at for row in two.index.all_versions()] == rows
    well(two)


def test_a_draft_has_each_version_once(node: Open) -> None:
    nodes = [node(name) for name in ("one", "two")]

    def save(n: int) -> bool:
        try:
            nodes[n % 2].drafts.save("ada", uid(1), f'{{"n": {n}}}'.encode(), after=0)
        except NotCurrent:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(save, range(8))) == 1
    assert len(nodes[0].drafts.versions("ada", uid(1))) == 1


def test_what_a_node_is_about_to_commit_is_no_orphan_to_one_that_starts(node: Open) -> None:
    """A start, and an arrival of other bytes, wait for a commit that has named its object and has no row."""
    one = node("one")
    index = one.index
    named, go_on = threading.Event(), threading.Event()
    apply = index.apply

    def slow(*values: object, **more: object) -> int:
        named.set()
        assert go_on.wait(20)
        return apply(*values, **more)  # type: ignore[arg-type]

    index.apply = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(keep, one, 1, 1, 1)
        assert named.wait(20)
        assert one._disk.exists(object_path(key_of(1, 1, 1), 1))
        starting = pool.submit(node, "two")
        with pytest.raises(TimeoutError):
            starting.result(1.0)
        go_on.set()
        assert isinstance(first.result(20), Stored)
        two = starting.result(20)
    assert isinstance(keep(two, 1, 1, 1, comment="other"), NewVersion)
    assert one._disk.walk("lost-found") == []
    well(two)


def test_several_processes_need_a_database(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"docs/nodes\.md"):
        Places(tmp_path, node="one").open(SMALL)


def test_n14_what_one_node_finds_damaged_no_other_gives_out_from_its_next_answer_on(node: Open) -> None:
    one, two = node("one"), node("two")
    for n in (1, 2):
        keep(one, 1, 1, n)
    first, second = (two.locate(sop_uid=uid(1, 1, n))[0] for n in (1, 2))
    for archive in (one, two):
        assert archive.read(first) == part10(1, 1, 1)
    # each node finds another; what is in the way of one, the other knows from its next answer on
    for finder, hearer, location in ((one, two, first), (two, one, second)):
        finder._disk.replace(*rotten(finder, location))
        assert "wrong digest" in str(finder.look_at(location, lambda size: True))
        hearer.settle()  # as each request does
        with pytest.raises(Corrupt):
            hearer.read(location)
        assert hearer.damage_state == finder.damage_state == (1 if location is first else 2)
    # and neither forgot what the other had noted
    for archive in (one, two):
        assert set(archive.damaged()) == {first.path, second.path}
    finder = one
    finder._disk.replace(*staged(finder, part10(1, 1, 1), first))
    assert finder.look_at(first, lambda size: True) == ""
    two.settle()
    assert two.read(first, check=True) == part10(1, 1, 1)
    assert set(node("three").damaged()) == {second.path}


def staged(archive: Archive, data: bytes, location: Location) -> tuple[str, str]:
    """A file with these bytes, and the name that it is to have."""
    file = archive._disk.create("incoming/put-by-a-test")
    write_all(file, [data])
    file.close()
    return "incoming/put-by-a-test", location.path


def rotten(archive: Archive, location: Location) -> tuple[str, str]:
    """The same for its own bytes, of which one turned."""
    return staged(archive, archive.read(location)[:-1] + b"?", location)
