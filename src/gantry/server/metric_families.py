"""Counts as families of samples, as Prometheus has them: what travels between processes and is added up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Labels = tuple[tuple[str, str], ...]

LEAST: Final = frozenset({"gantry_writable", "process_start_time_seconds"})
"""Gauges of several processes of which the least stands for all; of the others, the sum does."""

GREATEST: Final = frozenset({"gantry_behind"})

_PARTS: Final = 1 << 24
"""What is added up is rounded to so many parts of one, of which a double holds the exact sum.

It is the same in whatever order the processes answer. One that is less by the last bit of a double would be
a counter that fell, which Prometheus takes for one that began anew.
"""


class Family(msgspec.Struct, array_like=True, frozen=True):
    """One metric: its name, what it means, and each sample with its labels."""

    name: str
    meaning: str
    kind: str
    samples: tuple[tuple[str, Labels, float], ...]

    @property
    def is_counted(self) -> bool:
        """Whether it only ever goes up, so that what a process has counted stays when the process is gone."""
        return self.kind in ("counter", "histogram")


def families_of(metrics: Iterable[Metric]) -> list[Family]:
    """The library's metrics as values."""
    return [
        Family(
            one.name,
            one.documentation,
            one.type,
            tuple((s.name, tuple(s.labels.items()), float(s.value)) for s in one.samples),
        )
        for one in metrics
    ]


def added(several: Iterable[Sequence[Family]]) -> list[Family]:
    """What several processes have counted as that of one."""
    heads: dict[str, Family] = {}
    sums: dict[str, dict[tuple[str, Labels], float]] = {}
    for families in several:
        for family in families:
            heads.setdefault(family.name, family)
            so_far = sums.setdefault(family.name, {})
            for name, labels, told in family.samples:
                value = round(told * _PARTS) / _PARTS
                before = so_far.get((name, labels))
                so_far[name, labels] = value if before is None else _joined(family.name, before, value)
    return [
        Family(name, head.meaning, head.kind, tuple((*key, value) for key, value in sums[name].items()))
        for name, head in heads.items()
    ]


def _joined(name: str, one: float, other: float) -> float:
    if name in LEAST:
        return min(one, other)
    return max(one, other) if name in GREATEST else one + other


def text_of(families: Sequence[Family]) -> bytes:
    """The text format of Prometheus 0.0.4."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Given(families))
    return generate_latest(registry)


class _Given:
    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import Metric

        for family in self._families:
            metric = Metric(family.name, family.meaning, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, dict(labels), value)
            yield metric
