"""What the server counts of itself, for Prometheus: ``GET /metrics`` in its text format.

Counting is a look-up and an addition of our own, so that what leaves in microseconds is not slowed; the
library that writes the format is loaded by the first who asks. Labels are routes, verbs, statuses and fixed
words: nothing that a peer or the data of a patient chooses. So nothing leaks, nor grows without end.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from gantry import __version__
from gantry.archive.archive import Archive
from gantry.archive.index import IndexStats
from gantry.server.http import Request, Response
from gantry.server.metric_families import Family, families_of, text_of
from gantry.server.worker_counts import Colleagues

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the buckets of durations."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
"""The others that a peer may make up are all one."""

CLIENT_GONE: Final = 499
"""The status of a request whose client left before its answer; never sent."""

END_RELEASED, END_ABORTED, END_REJECTED, END_LOST = "released", "aborted", "rejected", "lost"
"""How an association ends."""

Gauge = Callable[[], float]


class Durations:
    """How often something took how long."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.sum_s = 0.0

    def note(self, seconds: float) -> None:
        """Once more, so long."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Upper ends and how many took no longer, as Prometheus adds them up."""
        total, ends = 0, [*(f"{end:g}" for end in SECONDS), "+Inf"]
        found = []
        for end, count in zip(ends, self.counts, strict=True):
            total += count
            found.append((end, float(total)))
        return found


class Metrics:
    """The counts of one server. Both doors add to them, on the event loop."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = {}
        """By method, route and status."""
        self.durations: dict[str, Durations] = {}
        """Of requests by route, from the first byte of the head to the last of the answer."""
        self.in_flight = 0
        self.messages: Counter[str] = Counter()
        """DIMSE requests that arrived, by verb."""
        self.stored: Counter[int] = Counter()
        """C-STORE requests that were answered, by status."""
        self.ends: Counter[str] = Counter()
        """Associations that ended, by how."""
        self.gauges: dict[str, tuple[str, Gauge]] = {}
        """Further values that go up and down, by name: what each means, and how it is asked."""
        self.counters: dict[str, tuple[str, Gauge]] = {}
        """Further values that only go up."""

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """An answer has left."""
        # A peer may make up methods and paths
        key = method if method in METHODS else "other", route or "none", status
        self.requests[key] = self.requests.get(key, 0) + 1
        durations = self.durations.get(key[1])
        if durations is None:
            durations = self.durations[key[1]] = Durations()
        durations.note(seconds)


class MetricsDoor:
    """Answers ``/metrics``; where there are `colleagues`, for all workers of the node."""

    def __init__(self, archive: Archive, metrics: Metrics, colleagues: Colleagues | None = None) -> None:
        self._archive = archive
        self._metrics = metrics
        self._colleagues = colleagues

    async def text(self, _request: Request) -> Response:
        """All counts, in the text format of Prometheus 0.0.4. Raises Unreachable."""
        if self._colleagues is None:
            counted = await asyncio.to_thread(own_families, self._archive, self._metrics)
        else:
            counted = await self._colleagues.all()
        body = await asyncio.to_thread(self._text, counted)
        headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
        return Response(200, body, headers, compressible=True)

    def _text(self, counted: list[Family]) -> bytes:
        return text_of([*counted, *families_of(_of_archive(self._archive, self._archive.stats()))])


def own_families(archive: Archive, metrics: Metrics) -> list[Family]:
    """What this process has counted, and how it is: all that another worker of the node has otherwise."""
    return families_of(_Own(archive, metrics).collect())


def _of_archive(archive: Archive, stats: IndexStats) -> Iterator[Metric]:
    """What is the same whoever is asked."""
    from prometheus_client.core import InfoMetricFamily

    yield InfoMetricFamily("gantry_build", "The release that runs.", {"version": __version__})
    levels = {
        "patients": stats.patients,
        "studies": stats.studies,
        "series": stats.series,
        "instances": stats.instances,
    }
    for level, count in levels.items():
        yield _gauge(f"gantry_{level}", f"Visible {level}.", count)
    yield _gauge("gantry_size_bytes", "Bytes of the files of visible instances.", stats.size_bytes)
    yield _gauge("gantry_versions", "Versions ever kept, hidden ones too.", stats.versions)
    yield _gauge("gantry_conflicts", "Contradictions that are listed.", stats.conflicts)
    damaged = len(archive.damaged())
    yield _gauge("gantry_damaged", "Objects that rot has damaged and that are refused.", damaged)
    yield _gauge("gantry_disk_free_bytes", "Free bytes of the archive's disk.", archive.free_bytes())


class _Own:
    """The counts of one process as metrics of the library."""

    def __init__(self, archive: Archive, metrics: Metrics) -> None:
        self._archive = archive
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Every family with its samples."""
        from prometheus_client import ProcessCollector
        from prometheus_client.core import CounterMetricFamily

        yield from ProcessCollector(registry=None).collect()
        yield from self._of_node()
        yield from self._of_http()
        yield from self._of_dicom()
        for name, (meaning, value) in self._metrics.gauges.items():
            yield _gauge(name, meaning, value())
        for name, (meaning, value) in self._metrics.counters.items():
            yield CounterMetricFamily(name, meaning, value=value())

    def _of_node(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        archive = self._archive
        writable = not archive.read_only
        yield _gauge("gantry_writable", "1 while objects are kept, 0 while only reading works.", writable)
        yield _gauge("gantry_behind", "1 while acknowledged objects wait for file or row.", archive.is_behind)
        cache = archive.read_cache
        if cache is not None:
            yield _gauge("gantry_store_cache_bytes", "Bytes kept of a bucket's objects.", cache.total_bytes)
            for name, meaning, count in (
                ("gantry_store_cache_hits", "Reads of a bucket's objects answered from here.", cache.hits),
                ("gantry_store_cache_misses", "Reads that asked the object store.", cache.misses),
            ):
                yield CounterMetricFamily(name, meaning, value=count)

    def _of_http(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        metrics = self._metrics
        labels = ("method", "route", "status")
        requests = CounterMetricFamily("gantry_http_requests", "Answers that left.", labels=labels)
        for (method, route, status), count in sorted(metrics.requests.items()):
            requests.add_metric((method, route, str(status)), count)
        yield requests
        seconds = HistogramMetricFamily(
            "gantry_http_seconds", "From head to end of answer.", labels=("route",)
        )
        for route, durations in sorted(metrics.durations.items()):
            seconds.add_metric((route,), durations.buckets(), durations.sum_s)
        yield seconds
        yield _gauge("gantry_http_in_flight", "Requests without the end of their answer.", metrics.in_flight)

    def _of_dicom(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        metrics = self._metrics
        for name, meaning, label, counts in (
            ("gantry_dimse_requests", "DIMSE requests that arrived.", "verb", metrics.messages),
            ("gantry_associations_ended", "Associations that ended.", "end", metrics.ends),
        ):
            family = CounterMetricFamily(name, meaning, labels=(label,))
            for word, count in sorted(counts.items()):
                family.add_metric((word,), count)
            yield family
        stored = CounterMetricFamily("gantry_c_store", "C-STORE requests answered.", labels=("status",))
        for status, count in sorted(metrics.stored.items()):
            stored.add_metric((f"{status:04X}",), count)
        yield stored


def _gauge(name: str, meaning: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, meaning, value=float(value))
