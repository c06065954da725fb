"""What a worker's metrics say, and that docs/metrics.md describes each."""

from __future__ import annotations

import platform

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from stream.live.metrics import Durations, Histogram, Metrics
from stream.live.status import Counters, PartitionStatus, Phase, Status
from tests.docs.pages import code, codes, rows_of


def worker() -> Status:
    """A worker of whom everything can be said."""
    counters = Counters(duplicates=3, late=4, rebalances=5)
    counters.events.update({"clicks": 10, "emails": 2})
    counters.rejected["clicks", "not_json"] = 6
    counters.changes["big_spender", "entered", "event"] = 7
    counters.dead_letters["not_json"] = 8
    counters.models.update({"in time": 9, "late": 1})
    first = PartitionStatus(
        0,
        Phase.LIVE,
        lag_records={"clicks": 0, "emails": 9},
        stream_ms=1_700_000_000_500,
        profiles=11,
        profile_bytes=1_100,
        members={"big_spender": 2, "lapsed": 1},
        restored_in_ms=2_500,
        model=12,
    )
    second = PartitionStatus(
        3, lag_records={"clicks": 1}, profiles=1, profile_bytes=100, members={"lapsed": 4}, remaining_records=40
    )
    taken = PartitionStatus(5, Phase.LOST, lag_records={"clicks": 7}, profiles=5, members={"lapsed": 5}, stream_ms=1)
    return Status(
        "shop",
        "1.2.3",
        "9f86d081884c7d65",
        started_ms=1_700_000_000_000,
        progress_ms=1_700_000_001_250,
        partitions={0: first, 3: second, 5: taken},
        counters=counters,
        standby_lags=lambda: {6: 12},
    )


def families(status: Status, durations: Durations | None = None, accept: str = "") -> dict[str, Metric]:
    page, content_type = Metrics(status, durations or Durations()).page(accept)
    assert content_type.startswith("text/plain; version=")
    return {family.name: family for family in text_string_to_metric_families(page.decode())}


def samples(found: dict[str, Metric], name: str) -> dict[tuple[str, ...], float]:
    """The values of one metric by its labels' values, in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(one.labels.items())): one.value for one in found[f"segstream_{name}"].samples
    }


def test_the_status_is_told() -> None:
    found = families(worker())
    assert samples(found, "events") == {("clicks",): 10, ("emails",): 2}
    assert samples(found, "events_rejected") == {("not_json", "clicks"): 6}
    assert samples(found, "events_duplicate") == {(): 3}
    assert samples(found, "events_late") == {(): 4}
    assert samples(found, "changes") == {("event", "entered", "big_spender"): 7}
    assert samples(found, "dead_letters") == {("not_json",): 8}
    assert samples(found, "rebalances") == {(): 5}
    assert samples(found, "lag_records") == {("0", "clicks"): 0, ("0", "emails"): 9, ("3", "clicks"): 1}
    assert samples(found, "stream_clock_seconds") == {("0",): 1_700_000_000.5}
    assert samples(found, "profiles") == {("0",): 11, ("3",): 1}
    assert samples(found, "profile_bytes") == {(): 1_200}
    assert samples(found, "segment_members") == {("big_spender",): 2, ("lapsed",): 5}
    assert samples(found, "recovery_seconds") == {(): 2.5}
    assert samples(found, "recovery_remaining_records") == {(): 40}
    assert samples(found, "last_progress_timestamp_seconds") == {(): 1_700_000_001.25}
    (build,) = found["segstream_build_info"].samples
    assert build.labels == {
        "version": "1.2.3",
        "python": platform.python_version(),
        "definitions": "9f86d081884c7d65",
    }


def test_what_is_not_known_is_not_told() -> None:
    found = families(Status("shop", "1", "0", started_ms=0))
    for name in ("stream_clock_seconds", "recovery_seconds", "last_progress_timestamp_seconds", "lag_records"):
        assert samples(found, name) == {}, name
    assert samples(found, "events_late") == {(): 0}, "a counter that is missing can't be seen to grow"


def test_each_scrape_asks_anew() -> None:
    status, durations = worker(), Durations()
    metrics = Metrics(status, durations)
    before = metrics.page()[0]
    assert metrics.page()[0].count(b"\nsegstream_") == before.count(b"\nsegstream_")
    status.counters.late += 1
    durations.change_delay.observe(0.1)
    after = metrics.page()[0]
    assert b"\nsegstream_events_late_total 4.0\n" in before
    assert b"\nsegstream_events_late_total 5.0\n" in after
    assert b"\nsegstream_change_delay_seconds_count 0.0\n" in before
    assert b"\nsegstream_change_delay_seconds_count 1.0\n" in after


def test_durations_fall_into_buckets() -> None:
    durations = Durations()
    durations.batch("apply").observe(0.002, 3)
    durations.batch("apply").observe(99)
    durations.change_delay.observe(0.25, 2)  # on the bound
    found = families(worker(), durations)
    batches = {
        (one.name.removeprefix("segstream_batch_seconds"), one.labels["stage"], one.labels.get("le")): one.value
        for one in found["segstream_batch_seconds"].samples
    }
    assert batches["_bucket", "apply", "0.001"] == 0
    assert batches["_bucket", "apply", "0.0025"] == 3
    assert batches["_bucket", "apply", "10.0"] == 3
    assert batches["_bucket", "apply", "+Inf"] == 4
    assert batches["_count", "apply", None] == 4
    assert batches["_sum", "apply", None] == pytest.approx(99.006)
    delays = {one.labels["le"]: one.value for one in found["segstream_change_delay_seconds"].samples if one.labels}
    assert (delays["0.175"], delays["0.25"]) == (0, 2)


def test_bounds_must_grow() -> None:
    with pytest.raises(AssertionError):
        Histogram((0.1, 0.1))


def test_standbys_tell_what_they_have_not_read() -> None:
    assert samples(families(worker()), "standby_lag_records") == {("6",): 12}


def test_a_scraper_may_ask_for_open_metrics() -> None:
    page, content_type = Metrics(worker(), Durations()).page("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")


@pytest.mark.skipif(platform.system() != "Linux", reason="needs /proc")
def test_the_process_is_told_too() -> None:
    found = families(worker())
    (memory,) = found["process_resident_memory_bytes"].samples
    assert memory.value > 1_000_000


def names(family: Metric) -> str:
    """How a metric is called where it is asked for."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def test_every_metric_is_described() -> None:
    durations = Durations()
    durations.batch("apply").observe(1)
    found = [one for name, one in families(worker(), durations).items() if name.startswith("segstream_")]
    labels = {names(one): sorted({label for s in one.samples for label in s.labels} - {"le"}) for one in found}
    described = {
        code(metric): (kind, sorted(codes(its_labels)), what)
        for metric, kind, its_labels, what in rows_of("metrics", "metric")
    }
    assert {name: its_labels for name, (_, its_labels, _) in described.items()} == labels
    assert {name: kind for name, (kind, _, _) in described.items()} == {
        names(one): "info" if one.name.endswith("_info") else one.type for one in found
    }
    assert all(what for _, _, what in described.values())
    assert all(one.documentation for one in found)


def test_labels_name_no_customer() -> None:
    """A label's values must be few: each makes a time series."""
    allowed = {"topic", "partition", "reason", "segment", "change", "arrival", "cause", "stage", "le"}
    durations = Durations()
    durations.batch("apply").observe(1)
    for family in families(worker(), durations).values():
        for sample in family.samples:
            if family.name.startswith("segstream_") and family.name != "segstream_build_info":
                assert set(sample.labels) <= allowed
