"""A node that writes to an index in PostgreSQL while others do, for `test_postgres`; run as a process."""

from __future__ import annotations

import sys
from datetime import timedelta

from gantry.archive.index import AddTombstone, AddVersion, IndexChange
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.query import Query
from gantry.errors import Raced
from gantry.standard.query_keys import Level
from index_records import at, record
from postgres import database_at


def main(url: str, node: int, count: int) -> None:
    """Objects into a study of its own, into one that all share, and versions of instances that all send."""
    index = SqlIndex(database_at(url))
    print("ready", flush=True)
    sys.stdin.readline()
    races = 0
    for i in range(count):
        tick = i * 10 + node
        mine = record(f"1.{node}", f"1.{node}.{i % 3}", f"1.{node}.{i}", tick=tick, patient_id=f"P{node}")
        shared = record("9.1", f"9.1.{i % 2}", f"9.{node}.{i}", tick=tick, patient_id="P9", modality="MR")
        while True:
            contested = record("9.2", "9.2.1", f"9.2.1.{i % 4}", tick=tick, content=f"{node} {i}".encode())
            found = index.lookup([contested.key]).get(contested.key)
            number = found.last_number + 1 if found else 1
            changes: list[IndexChange] = [AddVersion(made, 1) for made in (mine, shared)]
            if found and not found.deleted and i % 5 == 4:
                changes.append(AddTombstone(contested.key, number, at(tick) + timedelta(seconds=1)))
            else:
                changes.append(AddVersion(contested, number))
            try:
                index.apply(changes)
                break
            except Raced:
                races += 1
        index.find(Query(Level.STUDY, {}))
    index.close()
    print(races, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
