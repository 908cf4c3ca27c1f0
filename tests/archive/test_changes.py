"""Waiting for commits, and reading while others write."""

from __future__ import annotations

import threading

import pytest

from gantry.archive.changes import ChangeSignal
from gantry.archive.outcome import Refused
from gantry.errors import NotFound
from stored_objects import SCANNER, key_of, part10, simulated, uid


def test_a_wait_ends_with_the_next_change_or_with_the_time() -> None:
    signal = ChangeSignal(7)
    assert signal.wait(6, 60) == 7
    assert signal.wait(7, 0) == 7
    threading.Timer(0.01, signal.committed, [8]).start()
    assert signal.wait(7, 60) == 8


def test_listeners_are_told_until_they_end() -> None:
    signal = ChangeSignal(0)
    heard: list[int] = []
    end = signal.listen(heard.append)
    signal.committed(1)
    signal.committed(2)
    end()
    end()
    signal.committed(3)
    assert heard == [1, 2]
    assert signal.last == 3


def test_the_archive_tells_of_stores_deletes_and_a_new_index() -> None:
    with simulated() as simulation:
        archive = simulation.archive
        heard: list[int] = []
        archive.listen(heard.append)
        archive.store([part10()], SCANNER)
        archive.store([part10()], SCANNER)
        archive.delete(uid(1))
        archive.reindex()
        assert heard == [1, 2, 2]
        assert archive.wait_for_change(0, 0) == 2
        assert [change.key for change in archive.changes()] == [key_of()] * 2


@pytest.mark.slow
def test_n03_n15_a_reader_never_sees_half_of_anything() -> None:
    """Two writers store, replace, delete and restore, while two readers list and read all the time."""
    with simulated() as simulation:
        archive = simulation.archive
        possible = {
            instance: {part10(1, 1, instance, comment=f"{take}", pixels=bytes(3000)) for take in range(4)}
            for instance in range(1, 5)
        }
        done = threading.Event()
        wrong: list[object] = []

        def write(first: int) -> None:
            for turn in range(60):
                instance = first + turn % 2
                data = part10(1, 1, instance, comment=f"{turn % 4}", pixels=bytes(3000))
                outcome = archive.store([data], SCANNER)
                if isinstance(outcome, Refused):
                    wrong.append(outcome)
                try:
                    if turn % 6 == 5:
                        archive.delete(uid(1), uid(1, 1), uid(1, 1, instance))
                    if turn % 12 == 11:
                        archive.restore(uid(1))
                except NotFound:
                    continue  # the other writer was there first

        def read() -> None:
            while not done.is_set():
                for location in archive.locate(uid(1)):
                    instance = int(location.key.sop_uid.rpartition(".")[2])
                    if archive.read(location, check=True) not in possible[instance]:
                        wrong.append(location)

        readers = [threading.Thread(target=read) for _ in range(2)]
        writers = [threading.Thread(target=write, args=(first,)) for first in (1, 3)]
        for thread in readers + writers:
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        for thread in readers:
            thread.join()
        assert not wrong
        assert archive.verify().is_clean
