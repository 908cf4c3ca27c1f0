"""How much the whole index holds: the one row of `totals`, kept true by each transaction that changes it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Totals:
    """What the whole index gains in a transaction, a column each."""

    patients: int = 0
    studies: int = 0
    series: int = 0
    instances: int = 0
    size_bytes: int = 0
    versions: int = 0
    conflicts: int = 0


TOTALS = tuple(field.name for field in fields(Totals))
