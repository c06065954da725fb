"""A worker's metrics in Prometheus' format: what its status says when it is asked, and how long things have taken."""

from __future__ import annotations

import bisect
import math
import platform
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from stream.live.status import PartitionStatus, Phase, Status
from stream.probes import metrics_page

#: Seconds. A batch takes milliseconds; a change should be out within a quarter of a second.
_BATCH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CHANGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.175, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TIMER_BUCKETS = (0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600)


class Histogram:
    """Durations by buckets. One thread only: the one that the worker's loop runs in."""

    def __init__(self, buckets: Sequence[float]) -> None:
        assert list(buckets) == sorted(set(buckets)), "upper bounds, from small to large"
        self._bounds = tuple(buckets)
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0

    def observe(self, seconds: float, count: int = 1) -> None:
        """Something that took so long happened ``count`` times."""
        self._counts[bisect.bisect_left(self._bounds, seconds)] += count
        self._sum += seconds * count

    @property
    def sum_s(self) -> float:
        return self._sum

    @property
    def bounds(self) -> tuple[float, ...]:
        """The buckets' upper bounds; behind the last one lies a bucket without."""
        return self._bounds

    @property
    def counts(self) -> tuple[int, ...]:
        """How many lie in each bucket, the one without a bound included."""
        return tuple(self._counts)

    def cumulated(self) -> list[tuple[str, float]]:
        """Prometheus' buckets: the upper bound, and how many took no longer."""
        found: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            found.append(("+Inf" if math.isinf(bound) else str(float(bound)), total))
        return found


class Durations:
    """What the worker measures while it works."""

    def __init__(self) -> None:
        self._batches: dict[str, Histogram] = {}
        self.change_delay = Histogram(_CHANGE_BUCKETS)
        self.timer_delay = Histogram(_TIMER_BUCKETS)

    def batch(self, stage: str) -> Histogram:
        """How long one stage of the work on a batch took. Stages are few, and named in the sources."""
        if stage not in self._batches:
            self._batches[stage] = Histogram(_BATCH_BUCKETS)
        return self._batches[stage]

    def batches(self) -> Iterable[tuple[str, Histogram]]:
        return self._batches.items()


class Metrics:
    """All metrics of one worker, as a page."""

    def __init__(self, status: Status, durations: Durations) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(StatusCollector(status, durations))
        ProcessCollector(registry=self.registry)  # memory, CPU time, open files; on Linux

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """The page and its content type; ``accept`` is what the scraper's header says that it can read."""
        return metrics_page(self.registry, accept)


class StatusCollector(Collector):
    """Turns a worker's status into metrics, each time it is asked. docs/metrics.md describes all of them.

    Partitions that another worker has taken are left out: it tells of them.
    """

    def __init__(self, status: Status, durations: Durations) -> None:
        self._status = status
        self._durations = durations

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names are ours alone, and the status may not be complete when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._histograms()
        partitions = [one for one in self._status.partitions.values() if one.phase is not Phase.LOST]
        yield from _of_partitions(partitions)
        yield from _of_recovery(partitions)
        lags = self._status.standby_lags()
        yield _gauge(
            "standby_lag_records",
            "Records of a changelog that a standby has not read",
            ["partition"],
            [((str(partition),), lag) for partition, lag in lags.items()],
        )
        yield from self._worker()

    def _counters(self) -> Iterator[Metric]:
        counters = self._status.counters
        yield _counter(
            "events",
            "Valid events read, duplicates included",
            ["topic"],
            (((t,), n) for t, n in counters.events.items()),
        )
        yield _counter(
            "events_rejected", "Records that were no valid events", ["topic", "reason"], counters.rejected.items()
        )
        yield _counter("events_duplicate", "Events that had been applied before", [], [((), counters.duplicates)])
        yield _counter("events_late", "Events from before the stream clock", [], [((), counters.late)])
        yield _counter(
            "changes", "Entries, exits and erasures", ["segment", "change", "cause"], counters.changes.items()
        )
        yield _counter(
            "dead_letters", "Dead letters sent", ["reason"], (((code,), n) for code, n in counters.dead_letters.items())
        )
        yield _counter(
            "persona_models",
            "Versions of the personas that a partition took, in time or late",
            ["arrival"],
            (((arrival,), n) for arrival, n in counters.models.items()),
        )
        yield _counter("rebalances", "Assignments of partitions", [], [((), counters.rebalances)])

    def _histograms(self) -> Iterator[Metric]:
        durations = self._durations
        batches = [((stage,), histogram) for stage, histogram in durations.batches()]
        yield _histogram("batch_seconds", "Time that a stage of a batch took", ["stage"], batches)
        yield _histogram(
            "change_delay_seconds",
            "From an event being read to its change being acknowledged",
            [],
            [((), durations.change_delay)],
        )
        yield _histogram(
            "timer_delay_seconds",
            "From a timer's instant to its change being acknowledged",
            [],
            [((), durations.timer_delay)],
        )

    def _worker(self) -> Iterator[Metric]:
        status = self._status
        yield _gauge(
            "last_progress_timestamp_seconds",
            "When something was last done, or nothing was to do",
            [],
            [((), status.progress_ms / 1_000)] if status.progress_ms else [],
        )
        yield InfoMetricFamily(
            "segstream_build",
            "What is running",
            {"version": status.version, "python": platform.python_version(), "definitions": status.definitions},
        )


def _of_partitions(partitions: Sequence[PartitionStatus]) -> Iterator[Metric]:
    yield _gauge(
        "lag_records",
        "Records that exist and have not been applied",
        ["topic", "partition"],
        [((topic, str(one.partition)), lag) for one in partitions for topic, lag in one.lag_records.items()],
    )
    yield _gauge(
        "stream_clock_seconds",
        "How far the stream clock has come, since 1970",
        ["partition"],
        [((str(one.partition),), one.stream_ms / 1_000) for one in partitions if one.stream_ms >= 0],
    )
    yield _gauge(
        "profiles", "Customers in memory", ["partition"], [((str(one.partition),), one.profiles) for one in partitions]
    )
    yield _gauge(
        "profile_bytes", "What profiles take in memory", [], [((), sum(one.profile_bytes for one in partitions))]
    )
    yield _gauge(
        "persona_model_version",
        "The version of the personas in use",
        ["partition"],
        [((str(one.partition),), one.model) for one in partitions if one.model],
    )
    segments = dict.fromkeys(segment for one in partitions for segment in one.members)
    members = [((segment,), sum(one.members.get(segment, 0) for one in partitions)) for segment in segments]
    yield _gauge("segment_members", "Members in this worker's partitions, held out or not", ["segment"], members)


def _of_recovery(partitions: Sequence[PartitionStatus]) -> Iterator[Metric]:
    restored_ms = [one.restored_in_ms for one in partitions if one.restored_in_ms is not None]
    yield _gauge(
        "recovery_seconds",
        "How long restoring took: the longest of the present partitions",
        [],
        [((), max(restored_ms) / 1_000)] if restored_ms else [],
    )
    left = sum(one.remaining_records for one in partitions)
    yield _gauge("recovery_remaining_records", "Records of the changelog still to be read", [], [((), left)])


Samples = Iterable[tuple[Sequence[str], float]]


def _counter(name: str, what: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = CounterMetricFamily(f"segstream_{name}", what, labels=labels)
    for values, count in samples:
        family.add_metric(values, count)
    return family


def _gauge(name: str, what: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"segstream_{name}", what, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _histogram(
    name: str, what: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(f"segstream_{name}", what, labels=labels)
    for values, histogram in samples:
        family.add_metric(values, histogram.cumulated(), histogram.sum_s)
    return family
