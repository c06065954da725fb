"""What the sink says of itself: counted, and shown as metrics. docs/metrics.md describes all of them."""

from __future__ import annotations

import platform
import time

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from stream import __version__
from stream.sinks.redis.script import Applied

_APPLY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class SinkStatus:
    """A sink's counters, and why it is not ready, if it is not."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        ProcessCollector(registry=registry)
        build = Info("segstream_build", "What is running", registry=registry)
        build.info({"version": __version__, "python": platform.python_version()})
        self._changes = Counter("segstream_sink_changes", "Changes applied", ["change"], registry=registry)
        self._duplicates = Counter("segstream_sink_duplicates", "Changes applied before", registry=registry)
        self._gaps = Counter("segstream_sink_gaps", "Jumps in a customer's numbers: lost changes", registry=registry)
        self._unknown = Counter("segstream_sink_unknown", "Customers who came in between", registry=registry)
        self._foreign = Counter("segstream_sink_foreign", "Records that are no changes", registry=registry)
        self._apply = Histogram(
            "segstream_sink_apply_seconds", "Time a batch took in Redis", buckets=_APPLY_BUCKETS, registry=registry
        )
        self._lag = Gauge("segstream_sink_lag_records", "Records not yet applied", ["partition"], registry=registry)
        self._filled = Gauge("segstream_sink_filled", "Whether all memberships are there", registry=registry)
        self._left = Gauge("segstream_sink_filling_remaining_records", "Records left to fill from", registry=registry)
        self._up = Gauge("segstream_sink_redis_up", "Whether Redis can be written to", registry=registry)
        self._progress = Gauge(
            "segstream_sink_last_progress_timestamp_seconds",
            "When something was last applied, or nothing was to do",
            registry=registry,
        )
        for name in ("entered", "exited", "erased"):
            self._changes.labels(name)
        self.redis_wrong: str | None = "Redis has not been reached yet"
        self.is_filled = False
        self.is_stopping = False
        self.applied = 0

    # --- what has happened ---

    def count(self, applied: Applied, seconds: float) -> None:
        self._changes.labels("entered").inc(applied.entered)
        self._changes.labels("exited").inc(applied.exited)
        self._changes.labels("erased").inc(applied.erased)
        self._duplicates.inc(applied.duplicates)
        self._gaps.inc(applied.gaps)
        self._unknown.inc(applied.unknown)
        self._apply.observe(seconds)
        self.applied += applied.entered + applied.exited + applied.erased
        self.progress()

    def count_foreign(self) -> None:
        self._foreign.inc()

    def progress(self) -> None:
        """Something was done, or nothing was to do."""
        self._progress.set(time.time())

    def lags(self, partition: int, records: int) -> None:
        self._lag.labels(str(partition)).set(records)

    def filling(self, remaining_records: int) -> None:
        self.is_filled = False
        self._filled.set(0)
        self._left.set(remaining_records)
        self.progress()

    def filled(self) -> None:
        self.is_filled = True
        self._filled.set(1)
        self._left.set(0)

    def redis_is(self, wrong: str | None) -> None:
        """Redis can be written to (None), or why not."""
        self.redis_wrong = wrong
        self._up.set(0 if wrong else 1)

    # --- checks ---

    def redis_check(self) -> str | None:
        return self.redis_wrong

    def filled_check(self) -> str | None:
        return None if self.is_filled else "memberships are being filled in"

    def staying_check(self) -> str | None:
        return "the sink is being stopped" if self.is_stopping else None
